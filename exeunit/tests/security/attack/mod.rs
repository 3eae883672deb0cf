//! The attacker: each attempt either does harm, or says what has stopped it.

mod files;
mod kernel;
mod network;
mod others;

use std::{
    fs,
    io::{self, Error, Write},
    path::Path,
};

/// The first argument of this program where it is the attacker.
pub(crate) const ARGUMENT: &str = "attack";
/// How the attacker begins to say that it has failed.
pub(crate) const REFUSED: &str = "refused: ";
/// An attempt that succeeds.
pub(crate) const HARMLESS: &str = "harmless";
/// The devices that the image has: one of characters, and one of blocks.
pub(crate) const DEVICES: [&str; 2] = ["/image-memory", "/image-disk"];
/// Where the image has a volume.
pub(crate) const VOLUME: &str = "/volume";

/// `Ok` if harm was done; else what has stopped it.
type Outcome = io::Result<()>;

/// Something to try. The function gets what it may use: see [`Target`].
pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    try_it: fn(&Target) -> Outcome,
}

/// What of the host the attacker is told to go for.
pub(crate) struct Target {
    /// A port of the host's loopback device that is listened at.
    port: u16,
    /// The name of an abstract socket of the host's that is listened at.
    socket: String,
    /// The path of a file of the host's.
    file: String,
}

/// All attempts.
pub(crate) const ATTEMPTS: &[&[Attempt]] = &[
    files::ATTEMPTS,
    kernel::ATTEMPTS,
    network::ATTEMPTS,
    others::ATTEMPTS,
];

const fn attempt(name: &'static str, try_it: fn(&Target) -> Outcome) -> Attempt {
    Attempt { name, try_it }
}

/// Does what the arguments say: the code to exit with.
pub(crate) fn main(mut arguments: impl Iterator<Item = String>) -> i32 {
    let name = arguments.next().expect("what to do");
    match name.as_str() {
        "say" => {
            println!("{}", arguments.next().unwrap_or_default());
            return 0;
        }
        HARMLESS => {
            println!("harm is done");
            return 0;
        }
        "hog" => {
            crate::hogs::hog(&arguments.next().expect("of what"));
            return 0;
        }
        "stall" => {
            crate::stalls::stall(&arguments.next().expect("by what"));
            return 0;
        }
        _ => {}
    }
    let attempt = ATTEMPTS
        .iter()
        .copied()
        .flatten()
        .find(|attempt| attempt.name == name);
    let attempt = attempt.unwrap_or_else(|| panic!("nobody knows how to {name}"));
    let mut next = || arguments.next().expect("a target");
    let target = Target {
        port: next().parse().expect("a port"),
        socket: next(),
        file: next(),
    };
    match (attempt.try_it)(&target) {
        Ok(()) => println!("harm is done"),
        Err(error) => println!("{REFUSED}{error}"),
    }
    0
}

/// A system call by its number, with up to six arguments.
fn call<const N: usize>(number: libc::c_long, arguments: [usize; N]) -> io::Result<i64> {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&arguments);
    let [a, b, c, d, e, f] = all;
    // SAFETY: pointers among the arguments are to memory that outlives the call, and is as large as the kernel expects.
    match unsafe { libc::syscall(number, a, b, c, d, e, f) } {
        -1 => Err(Error::last_os_error()),
        result => Ok(result),
    }
}

/// A system call whose success is harm.
fn harm<const N: usize>(number: libc::c_long, arguments: [usize; N]) -> Outcome {
    call(number, arguments).map(drop)
}

fn address<T: ?Sized>(of: &T) -> usize {
    std::ptr::from_ref(of).cast::<u8>() as usize
}

fn write(path: impl AsRef<Path>, text: &str) -> Outcome {
    let mut file = fs::File::options().write(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// Nothing has happened, for this reason.
fn nothing(reason: impl Into<String>) -> Outcome {
    Err(Error::other(reason.into()))
}
