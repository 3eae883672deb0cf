//! A web server that gives one file, and takes others.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A web server on loopback. What is not there is 404; `/forbidden` takes nothing, and `/moved/x` sends on to `/x`.
pub(crate) struct Web {
    port: u16,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Web {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let files = Arc::new(Mutex::new(BTreeMap::new()));
        let shared = files.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Self { port, files }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn publish(&self, path: &str, content: &[u8]) -> String {
        let mut files = self.files.lock().expect("no test panics with the lock");
        files.insert(path.to_owned(), content.to_vec());
        self.url(path)
    }

    pub(crate) fn file(&self, path: &str) -> Option<Vec<u8>> {
        let files = self.files.lock().expect("no test panics with the lock");
        files.get(path).cloned()
    }
}

async fn serve(stream: TcpStream, files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>) {
    let mut stream = BufReader::new(stream);
    let head = read_head(&mut stream).await;
    let mut words = head.split_whitespace();
    let (method, path) = (
        words.next().expect("a method"),
        words.next().expect("a path"),
    );
    let (status, body) = match method {
        "GET" if path.starts_with("/moved/") => ("302 Found", Vec::new()),
        "GET" => match files
            .lock()
            .expect("no test panics with the lock")
            .get(path)
        {
            Some(file) => ("200 OK", file.clone()),
            None => ("404 Not Found", b"<html>no such page</html>".to_vec()),
        },
        _ => {
            let body = read_chunked(&mut stream).await;
            match path {
                "/forbidden" => ("403 Forbidden", Vec::new()),
                path => {
                    let mut files = files.lock().expect("no test panics with the lock");
                    files.insert(path.to_owned(), body);
                    ("201 Created", Vec::new())
                }
            }
        }
    };
    let location = path.strip_prefix("/moved").unwrap_or(path);
    let head = format!(
        "HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // A client that has read enough has gone.
    let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let length = stream.read_line(&mut head).await.expect("a line");
        assert_ne!(length, 0, "the request ends in its head: {head}");
    }
    head
}

async fn read_chunked(stream: &mut BufReader<TcpStream>) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        stream.read_line(&mut size).await.expect("a size");
        let size = usize::from_str_radix(size.trim(), 16).expect("a size");
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).await.expect("a chunk");
        body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            return body;
        }
    }
}
