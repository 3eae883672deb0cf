//! Where exe-units get an image.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    thread,
};

/// Answers whoever asks with an image, for as long as the test runs: what a demand says of it.
pub(crate) fn serve(image: PathBuf) -> String {
    let hash = gvmi::Hash::of_file(&image).unwrap();
    let content = fs::read(image).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // Whoever goes before it is answered needs no answer.
            let _ = stream.and_then(|stream| answer(stream, &content));
        }
    });
    format!("hash:sha3:{hash}:http://{address}/image")
}

fn answer(mut stream: TcpStream, content: &[u8]) -> std::io::Result<()> {
    let mut request = BufReader::new(stream.try_clone()?);
    let (mut first, mut line) = (String::new(), String::new());
    request.read_line(&mut first)?;
    while request.read_line(&mut line)? > 2 {
        line.clear();
    }
    let length = content.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )?;
    match first.starts_with("HEAD") {
        true => Ok(()),
        false => stream.write_all(content),
    }
}
