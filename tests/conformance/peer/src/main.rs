//! A program for instances that are in a network with others.
//!
//! ```text
//! peer serve NAME PORT        answers whoever connects, each line with `NAME heard LINE`; returns when it listens
//! peer ask ADDRESS PORT TEXT  prints the answer to a line
//! ```

use std::{
    env, io,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::fd::{AsFd, OwnedFd},
    process::{Command, ExitCode},
    thread,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["serve", name, port] => serve(name, port),
        ["answer", name] => answer(name),
        ["ask", address, port, text] => ask(address, port, text),
        _ => Err(io::Error::other(
            "serve NAME PORT, or ask ADDRESS PORT TEXT",
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn port(text: &str) -> io::Result<u16> {
    text.parse().map_err(io::Error::other)
}

/// Listens, and leaves it to a process that stays to answer.
fn serve(name: &str, text: &str) -> io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port(text)?))?;
    let nowhere = || std::process::Stdio::null();
    Command::new(env::current_exe()?)
        .args(["answer", name])
        .stdin(OwnedFd::from(listener))
        .stdout(nowhere())
        .stderr(nowhere())
        .spawn()?;
    Ok(())
}

/// Answers whoever connects to the socket on standard input.
fn answer(name: &str) -> io::Result<()> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    for stream in TcpListener::from(socket).incoming() {
        let (stream, name) = (stream?, name.to_owned());
        // Whoever goes before the end wants no more answers.
        thread::spawn(move || converse(stream, &name).ok());
    }
    Ok(())
}

fn converse(mut stream: TcpStream, name: &str) -> io::Result<()> {
    for line in BufReader::new(stream.try_clone()?).lines() {
        stream.write_all(format!("{name} heard {}\n", line?).as_bytes())?;
    }
    Ok(())
}

fn ask(address: &str, text: &str, line: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect((address, port(text)?))?;
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    print!("{answer}");
    Ok(())
}
