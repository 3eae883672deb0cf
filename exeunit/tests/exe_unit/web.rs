//! A web server that gives files and takes others, with the faults that web servers have.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{
        AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt,
        BufReader,
    },
    net::{TcpListener, TcpStream},
};

/// A web server on loopback. What is not there is 404; `/forbidden` takes nothing, `/moved/x` sends on to `/x`,
/// `/busy…` says at first that it is, `/cut…` breaks off in the middle at first, and `/whole…` too, which knows no ranges.
pub(crate) struct Web {
    scheme: &'static str,
    port: u16,
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Default)]
struct Shelf {
    files: BTreeMap<String, Vec<u8>>,
    /// How often each path was asked for.
    asked: BTreeMap<String, usize>,
    /// The heads of all requests.
    heads: Vec<String>,
}

impl Web {
    pub(crate) async fn open() -> Self {
        Self::listen("http", async move |stream| Some(stream)).await
    }

    /// One whose connections become what `wrap` makes of them, if that succeeds.
    pub(crate) async fn listen<S, F>(
        scheme: &'static str,
        wrap: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Option<S>> + Send,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let shared = shelf.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Some(stream) = wrap(stream).await {
                    tokio::spawn(serve(stream, shared.clone()));
                }
            }
        });
        Self {
            scheme,
            port,
            shelf,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}{path}", self.scheme, self.port)
    }

    pub(crate) fn publish(&self, path: &str, content: &[u8]) -> String {
        self.lock().files.insert(path.to_owned(), content.to_vec());
        self.url(path)
    }

    pub(crate) fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.lock().files.get(path).cloned()
    }

    /// The heads of all requests for a path, in small letters.
    pub(crate) fn requests(&self, path: &str) -> Vec<String> {
        let shelf = self.lock();
        let heads = shelf.heads.iter();
        let heads = heads.filter(|head| head.split_whitespace().nth(1) == Some(path));
        heads.map(|head| head.to_lowercase()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.shelf.lock().expect("no test panics with the lock")
    }
}

/// What is answered.
struct Answer {
    status: &'static str,
    headers: String,
    body: Vec<u8>,
    /// How much of the body is sent before the connection breaks.
    sent: usize,
}

impl Answer {
    fn new(status: &'static str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: String::new(),
            sent: body.len(),
            body,
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, shelf: Arc<Mutex<Shelf>>) {
    let mut stream = BufReader::new(stream);
    let head = read_head(&mut stream).await;
    let mut words = head.split_whitespace();
    let (method, path) = (
        words.next().expect("a method"),
        words.next().expect("a path"),
    );
    let body = match method {
        "GET" => Vec::new(),
        _ => read_chunked(&mut stream).await,
    };
    let answer = {
        let mut shelf = shelf.lock().expect("no test panics with the lock");
        shelf.heads.push(head.clone());
        let asked = shelf.asked.entry(path.to_owned()).or_default();
        *asked += 1;
        let asked = *asked;
        match method {
            _ if path.starts_with("/busy") && asked < 3 => {
                Answer::new("503 Service Unavailable", Vec::new())
            }
            "GET" => give(&shelf.files, &head, path, asked),
            _ if path == "/forbidden" => Answer::new("403 Forbidden", Vec::new()),
            _ => {
                shelf.files.insert(path.to_owned(), body);
                Answer::new("201 Created", Vec::new())
            }
        }
    };
    let head = format!(
        "HTTP/1.1 {}\r\n{}content-length: {}\r\nconnection: close\r\n\r\n",
        answer.status,
        answer.headers,
        answer.body.len()
    );
    // A client that has read enough has gone.
    let _ = stream
        .write_all(&[head.as_bytes(), &answer.body[..answer.sent]].concat())
        .await;
    let _ = stream.shutdown().await;
}

fn give(files: &BTreeMap<String, Vec<u8>>, head: &str, path: &str, asked: usize) -> Answer {
    if let Some(location) = path.strip_prefix("/moved") {
        let mut answer = Answer::new("302 Found", Vec::new());
        answer.headers = format!("location: {location}\r\n");
        return answer;
    }
    let Some(file) = files.get(path) else {
        return Answer::new("404 Not Found", b"<html>no such page</html>".to_vec());
    };
    let mut answer = Answer::new("200 OK", file.clone());
    answer.headers = "etag: \"one\"\r\n".to_owned();
    let head = head.to_lowercase();
    let range = head
        .lines()
        .find_map(|line| line.strip_prefix("range: bytes="));
    if let (Some(range), true) = (range, path.starts_with("/cut")) {
        let begin: usize = range.trim_end_matches('-').parse().expect("a number");
        answer = Answer::new("206 Partial Content", file[begin..].to_vec());
        answer.headers = format!(
            "content-range: bytes {begin}-{}/{}\r\n",
            file.len() - 1,
            file.len()
        );
    }
    let is_cut = path.starts_with("/cut") || path.starts_with("/whole");
    if is_cut && asked < 3 {
        answer.sent = answer.body.len() / 2;
    }
    if path.starts_with("/cut/always") {
        answer.sent = answer.body.len() / 2;
    }
    answer
}

async fn read_head(stream: &mut (impl AsyncBufRead + Unpin)) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let length = stream.read_line(&mut head).await.expect("a line");
        assert_ne!(length, 0, "the request ends in its head: {head}");
    }
    head
}

async fn read_chunked(stream: &mut (impl AsyncBufRead + Unpin)) -> Vec<u8> {
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
