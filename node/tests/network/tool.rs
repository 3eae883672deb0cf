//! The program that runs in the sandboxes of a network, which is this very test; and the image that it is in.

use std::{
    env,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;

use crate::programs::pack;

/// Where it listens.
pub(crate) const PORT: u16 = 7000;
/// How long somebody may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much is written at once.
const PIECE: usize = 256 << 10;

/// Does what the command line says, if this was started in a sandbox.
pub(crate) fn run() -> Option<anyhow::Result<()>> {
    let arguments: Vec<String> = env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[1..] {
        ["serve"] => Some(serve()),
        ["fetch", host, bytes] => Some(fetch(host, bytes)),
        _ => None,
    }
}

/// Answers everybody: so many bytes as are asked for, in eight bytes, and then whatever is said.
fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", PORT))?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            // Whoever goes before the end has no use for the rest.
            let _ = answer(stream);
        });
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut wanted = [0; 8];
    stream.read_exact(&mut wanted)?;
    let mut left = u64::from_be_bytes(wanted) as usize;
    let piece = vec![7; PIECE];
    while left > 0 {
        let length = left.min(PIECE);
        stream.write_all(&piece[..length])?;
        left -= length;
    }
    std::io::copy(&mut stream.try_clone()?, &mut stream)?;
    Ok(())
}

/// Asks somebody for bytes, says hello, and prints how many came, what was answered and how long it took.
fn fetch(host: &str, bytes: &str) -> anyhow::Result<()> {
    let wanted: u64 = bytes.parse()?;
    let mut stream = connect(host)?;
    let began = Instant::now();
    stream.write_all(&wanted.to_be_bytes())?;
    let mut piece = vec![0; PIECE];
    let mut count = 0;
    while count < wanted {
        match stream.read(&mut piece)? {
            0 => anyhow::bail!("only {count} bytes of {wanted}"),
            read => {
                anyhow::ensure!(piece[..read].iter().all(|byte| *byte == 7), "other bytes");
                count += read as u64;
            }
        }
    }
    let took = began.elapsed().as_secs_f64();
    stream.write_all(b"hello")?;
    let mut echo = [0; 5];
    stream.read_exact(&mut echo)?;
    println!("{count} {} {took}", String::from_utf8_lossy(&echo));
    Ok(())
}

fn connect(host: &str) -> anyhow::Result<TcpStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect((host, PORT)) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > deadline => {
                return Err(error).context(format!("nobody at {host}"));
            }
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// An image with this program as `/bin/tool`, and a shell.
pub(crate) fn image(folder: &Path) -> anyhow::Result<PathBuf> {
    let own = env::current_exe()?;
    let programs = [
        (own.as_path(), "/bin/tool"),
        (Path::new("/bin/sh"), "/bin/sh"),
    ];
    Ok(pack(&programs, folder))
}
