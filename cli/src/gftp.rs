//! `kiln gftp`, or `kiln` called by the name `gftp`: files for providers, as yapapi asks for them.
//!
//! ```text
//! {"jsonrpc": "2.0", "id": 1, "method": "publish", "params": {"files": ["/a"]}}
//! {"jsonrpc": "2.0", "id": 1, "result": [{"file": "/a", "url": "gftp://0x…/…"}]}
//! ```
//! One JSON-RPC 2.0 request a line comes in, one answer a line goes out. What was published ends with the command.

use std::{
    collections::HashMap,
    path::{Path, PathBuf, absolute},
    process::ExitCode,
};

use anyhow::Context;
use requestor::{
    Incoming, Outgoing,
    rest::Rest,
    yagna::{FileService, Yagna},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, stdin, stdout};

/// Give files to providers and take them, through the daemon of YAGNA_API_URL and YAGNA_APPKEY.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Answer JSON-RPC requests on standard input, a line each, until there are no more.
    Server,
}

/// The name of the program that this stands in for.
pub(crate) const NAME: &str = "gftp";

/// Which version of it this is; clients ask, and take those before 0.7.3 for unable to close a URL.
const VERSION: &str = concat!("0.7.3 (kiln ", env!("CARGO_PKG_VERSION"), ")");

/// Answers requests until the last.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Command::Server = arguments.command;
    let mut server = Server {
        yagna: Rest::from_env()?,
        services: HashMap::new(),
    };
    let mut lines = BufReader::new(stdin()).lines();
    let mut stdout = stdout();
    while let Some(line) = lines.next_line().await.context("cannot read a request")? {
        if line.trim().is_empty() {
            continue;
        }
        let (answer, is_last) = server.answer(&line).await;
        stdout.write_all(format!("{answer}\n").as_bytes()).await?;
        stdout.flush().await?;
        if is_last {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The files within the reach of providers, and the way there.
struct Server {
    yagna: Rest,
    /// By their URLs.
    services: HashMap<String, FileService>,
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    id: Value,
    #[serde(flatten)]
    call: Call,
}

/// A method with its parameters.
#[derive(Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "lowercase")]
enum Call {
    Version {},
    Publish { files: Vec<PathBuf> },
    Close { urls: Vec<String> },
    Receive { output_file: PathBuf },
    Shutdown {},
}

/// What JSON-RPC calls what can go wrong.
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMETERS: i32 = -32602;
const SERVER_ERROR: i32 = -32000;

const METHODS: [&str; 5] = ["version", "publish", "close", "receive", "shutdown"];

impl Server {
    /// The answer to a line, and whether it is the last.
    async fn answer(&mut self, line: &str) -> (Value, bool) {
        let failure = |id: Value, code: i32, message: String| json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}});
        let mut request: Value = match serde_json::from_str(line) {
            Ok(request) => request,
            Err(error) => {
                return (failure(Value::Null, PARSE_ERROR, error.to_string()), false);
            }
        };
        let id = request["id"].clone();
        let Some(method) = request["method"].as_str().map(str::to_owned) else {
            let message = "a request names its method".to_owned();
            return (failure(id, INVALID_REQUEST, message), false);
        };
        if !METHODS.contains(&method.as_str()) {
            let message = format!("there is no method `{method}`, but: {}", METHODS.join(", "));
            return (failure(id, METHOD_NOT_FOUND, message), false);
        }
        // Without parameters there may be none of them, or an empty list.
        if request["params"].is_null() || request["params"] == json!([]) {
            request["params"] = json!({});
        }
        let Request { id, call } = match serde_json::from_value(request) {
            Ok(request) => request,
            Err(error) => {
                let message = format!("{method}: {error}");
                return (failure(id, INVALID_PARAMETERS, message), false);
            }
        };
        let is_last = matches!(call, Call::Shutdown {});
        match self.perform(call).await {
            Ok(result) => (
                json!({"jsonrpc": "2.0", "id": id, "result": result}),
                is_last,
            ),
            Err(error) => (failure(id, SERVER_ERROR, format!("{error:#}")), is_last),
        }
    }

    async fn perform(&mut self, call: Call) -> anyhow::Result<Value> {
        Ok(match call {
            Call::Version {} => json!(VERSION),
            Call::Publish { files } => {
                let mut links = Vec::new();
                for path in files {
                    let file = Outgoing::file(&path).await?;
                    let service = self.yagna.publish_file(file).await;
                    let service = service.with_context(|| path.display().to_string())?;
                    links.push(self.keep(&path, service)?);
                }
                json!(links)
            }
            Call::Receive { output_file } => {
                let (file, _) = Incoming::to_file(&output_file)?;
                let service = self.yagna.receive_file(file).await;
                let service = service.with_context(|| output_file.display().to_string())?;
                self.keep(&output_file, service)?
            }
            Call::Close { urls } => {
                let closed = urls.iter().map(|url| match self.services.remove(url) {
                    Some(_) => "ok",
                    None => "error",
                });
                json!(closed.collect::<Vec<_>>())
            }
            Call::Shutdown {} => {
                self.services.clear();
                json!("ok")
            }
        })
    }

    /// Keeps a file within reach; its path and its URL.
    fn keep(&mut self, path: &Path, service: FileService) -> anyhow::Result<Value> {
        let url = service.url().to_owned();
        self.services.insert(url.clone(), service);
        Ok(json!({"file": absolute(path)?, "url": url}))
    }
}
