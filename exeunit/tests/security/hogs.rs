//! Programs that take all that they can get: the exe-unit answers while they do, and a neighbour goes on.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use libtest_mimic::{Failed, Trial};
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::{
    activity::{Activity, PATIENCE, command, run},
    attack::{REFUSED, VOLUME},
};

/// How a hog may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is told that there is no more.
    Refused,
    /// It is killed, and nothing else is.
    Killed,
    /// The activity ends, and says which limit was exceeded.
    Activity(&'static str),
    /// Not by itself: it has its share, and others have theirs.
    Never,
}

const HOGS: &[(&str, &[End])] = &[
    ("processes", &[End::Never]),
    ("processes that nobody waits for", &[End::Never]),
    ("threads", &[End::Never]),
    ("processors", &[End::Never]),
    ("open files", &[End::Never]),
    ("pipes", &[End::Never]),
    (
        "memory",
        &[End::Refused, End::Killed, End::Activity("memory")],
    ),
    (
        "memory of many",
        &[End::Refused, End::Killed, End::Activity("memory")],
    ),
    (
        "shared memory",
        &[End::Refused, End::Killed, End::Activity("memory")],
    ),
    (
        "files without a name",
        &[End::Refused, End::Killed, End::Activity("memory")],
    ),
    ("scratch space", &[End::Refused]),
    (
        "names in scratch space",
        &[End::Refused, End::Killed, End::Activity("memory")],
    ),
    ("a volume", &[End::Refused, End::Activity("storage")]),
    (
        "names in a volume",
        &[End::Refused, End::Activity("storage")],
    ),
    (
        "a volume by files without a name",
        &[End::Activity("storage")],
    ),
    (
        "a volume by a folder that nobody may read",
        &[End::Activity("storage")],
    ),
    (
        "a volume by folders below folders",
        &[End::Activity("hides")],
    ),
];

/// A test for each hog.
pub(crate) fn trials() -> Vec<Trial> {
    let trial = |&(name, ends): &(&'static str, &'static [End])| {
        Trial::test(format!("a hog of {name} harms nobody else"), move || {
            let mut outcome = Ok(());
            run(async || outcome = feed(name, ends).await);
            outcome
        })
    };
    HOGS.iter().map(trial).collect()
}

async fn feed(name: &str, ends: &[End]) -> Result<(), Failed> {
    let mut neighbour = Activity::ready().await;
    let mut activity = Activity::ready().await;
    let batch = activity.exec(json!([command(&["hog", name])])).await;
    if ends == [End::Never] {
        let full = activity.work().join("vol-0").join(FULL);
        let begin = Instant::now();
        while !full.exists() {
            if begin.elapsed() > PATIENCE {
                return Err(format!("a hog of {name} does not get all it can").into());
            }
            activity.ping().await;
        }
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        let asked = Instant::now();
        activity.ping().await;
        slowest = slowest.max(asked.elapsed());
        neighbour.assert_unharmed().await;
        neighbour.ping().await;
    }
    println!("with a hog of {name}, the slowest answer took {slowest:?}");
    if ends == [End::Never] {
        kill_process(activity.pid(), Signal::TERM).expect("it lives");
        let reason = activity.ended().await;
        return match reason.contains("SIGTERM") {
            true => Ok(()),
            false => Err(format!("{name}: {reason}").into()),
        };
    }
    let results = activity.results(&batch).await;
    let message = results[0].message.clone().unwrap_or_default();
    let has = |part: &str| message.contains(part);
    let found = match () {
        () if message.is_empty() && json!(results[0].stdout).to_string().contains(REFUSED) => {
            End::Refused
        }
        // Of SIGKILL, or of SIGXFSZ because of a file's size.
        () if has("exited with code 137") || has("exited with code 153") => End::Killed,
        () if has("bytes of memory") => End::Activity("memory"),
        () if has("bytes of storage") => End::Activity("storage"),
        () if has("hides what it uses") => End::Activity("hides"),
        () => return Err(format!("{name}: {results:?}").into()),
    };
    match found {
        End::Activity(_) => drop(activity.ended().await),
        _ => activity.assert_unharmed().await,
    }
    neighbour.assert_unharmed().await;
    match ends.contains(&found) {
        true => Ok(()),
        false => Err(format!("{name}: {found:?}, and not one of {ends:?}").into()),
    }
}

/// The file that a hog makes once it has got all that it can get.
const FULL: &str = "full";
/// How much is taken at a time, in bytes.
const BITE: usize = 4 << 20;

/// Takes all of something that it can get. Returns if there is no more, and holding it would hold nobody up.
pub(crate) fn hog(of: &str) {
    let volume = Path::new(VOLUME);
    let error = match of {
        "processes" => multiply(),
        "processes that nobody waits for" => leave_zombies(),
        "threads" => start_threads(),
        "processors" => spin(),
        "open files" => open_files(),
        "pipes" => fill_pipes(),
        "memory" => take_memory(usize::MAX),
        "memory of many" => take_memory_by_many(),
        "shared memory" => share_memory(),
        "files without a name" => fill_nameless_files(),
        "scratch space" => fill(Path::new("/")),
        "names in scratch space" => name_files(Path::new("/")),
        "a volume" => fill(volume),
        "names in a volume" => name_files(volume),
        "a volume by files without a name" => fill_and_forget(volume),
        "a volume by a folder that nobody may read" => fill_closed(volume),
        "a volume by folders below folders" => go_down(volume),
        of => panic!("nobody knows what {of} are"),
    };
    println!("{REFUSED}{error}");
}

/// Tells that this is all, and holds it.
fn hold() -> ! {
    let _ = File::create(Path::new(VOLUME).join(FULL));
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// What `libc` has said last.
fn error() -> std::io::Error {
    std::io::Error::last_os_error()
}

fn fork() -> i32 {
    // SAFETY: this program has one thread where it is called.
    unsafe { libc::fork() }
}

/// Each process makes more of them, as fast as it can.
fn multiply() -> std::io::Error {
    loop {
        if fork() < 0 {
            let _ = File::create(Path::new(VOLUME).join(FULL));
        }
    }
}

fn leave_zombies() -> std::io::Error {
    loop {
        match fork() {
            0 => std::process::exit(0),
            ..0 => hold(),
            _ => {}
        }
    }
}

fn start_threads() -> std::io::Error {
    let sleep = || std::thread::sleep(Duration::from_secs(10_000));
    while std::thread::Builder::new()
        .stack_size(16 << 10)
        .spawn(sleep)
        .is_ok()
    {}
    hold()
}

fn spin() -> std::io::Error {
    for _ in 0..8 {
        std::thread::spawn(|| {
            loop {
                std::hint::spin_loop();
            }
        });
    }
    let _ = File::create(Path::new(VOLUME).join(FULL));
    loop {
        std::hint::spin_loop();
    }
}

fn open_files() -> std::io::Error {
    // It has to have this one before there are no more.
    let _ = File::create(Path::new(VOLUME).join(FULL));
    for _ in 0..16 {
        if fork() == 0 {
            break;
        }
    }
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn fill_pipes() -> std::io::Error {
    let _ = File::create(Path::new(VOLUME).join(FULL));
    let mut pipes = Vec::new();
    while let Ok((reader, mut writer)) = std::io::pipe() {
        let _ = rustix::io::ioctl_fionbio(&writer, true);
        let _ = writer.write_all(&[0; 64 << 10]);
        pipes.push((reader, writer));
    }
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn take_memory(at_most: usize) -> std::io::Error {
    map(libc::MAP_PRIVATE, at_most)
}

fn share_memory() -> std::io::Error {
    map(libc::MAP_SHARED, usize::MAX)
}

fn map(sharing: i32, at_most: usize) -> std::io::Error {
    let mut taken = 0;
    while taken < at_most {
        // SAFETY: a new mapping is nobody else's, and is written to within its bounds.
        unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let sharing = sharing | libc::MAP_ANONYMOUS;
            let piece = libc::mmap(std::ptr::null_mut(), BITE, access, sharing, -1, 0);
            if piece == libc::MAP_FAILED {
                return error();
            }
            piece.cast::<u8>().write_bytes(1, BITE);
        }
        taken += BITE;
    }
    hold()
}

/// Has many processes take what one alone may have. Returns once one of them could not; the others hold what they have.
fn take_memory_by_many() -> std::io::Error {
    for _ in 0..32 {
        if fork() == 0 {
            let error = take_memory(32 << 20);
            std::process::exit(error.raw_os_error().unwrap_or(1));
        }
    }
    let mut status = 0;
    // SAFETY: the call writes to `status` alone.
    unsafe { libc::wait(&raw mut status) };
    std::io::Error::other(format!("a process that took memory ended with {status:#x}"))
}

fn fill_nameless_files() -> std::io::Error {
    use std::os::fd::FromRawFd;
    // SAFETY: the name is a C string.
    let file = unsafe { libc::memfd_create(c"hog".as_ptr(), 0) };
    if file < 0 {
        return error();
    }
    // SAFETY: the descriptor is new, and nobody else's.
    let mut file = unsafe { File::from_raw_fd(file) };
    loop {
        if let Err(error) = file.write_all(&vec![1; BITE]) {
            return error;
        }
    }
}

fn fill(folder: &Path) -> std::io::Error {
    for number in 0.. {
        let written = fs::write(folder.join(format!("hog-{number}")), vec![1; BITE]);
        if let Err(error) = written {
            return error;
        }
    }
    unreachable!("there are that many numbers")
}

/// Fills files that have no name any more, but are open.
fn fill_and_forget(folder: &Path) -> std::io::Error {
    let mut files = Vec::new();
    // More than is agreed on, which is enough.
    for _ in 0..32 {
        let path = folder.join("hog");
        let mut file = File::create(&path).expect("a file");
        fs::remove_file(&path).expect("it goes");
        if let Err(error) = file.write_all(&vec![1; BITE]) {
            return error;
        }
        files.push(file);
    }
    hold()
}

fn fill_closed(folder: &Path) -> std::io::Error {
    let closed = folder.join("closed");
    fs::create_dir(&closed).expect("a folder");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o333);
    fs::set_permissions(&closed, mode).expect("a mode");
    for number in 0..32 {
        let written = fs::write(closed.join(format!("hog-{number}")), vec![1; BITE]);
        if let Err(error) = written {
            return error;
        }
    }
    hold()
}

/// Puts a file deeper than anybody looks.
fn go_down(folder: &Path) -> std::io::Error {
    std::env::set_current_dir(folder).expect("a folder");
    for _ in 0..400 {
        if let Err(error) = fs::create_dir("down") {
            return error;
        }
        std::env::set_current_dir("down").expect("a folder");
    }
    fs::write("hog", vec![1; BITE]).expect("a file");
    hold()
}

fn name_files(folder: &Path) -> std::io::Error {
    for number in 0.. {
        if let Err(error) = File::create(folder.join(format!("hog-{number}"))) {
            return error;
        }
    }
    unreachable!("there are that many numbers")
}
