//! A runtime that counts by itself, as providers' own runtimes do: `count N` adds N to `golem.usage.counted`.
//!
//! ```text
//! counting-runtime … deploy --     prints how it is to be started
//! counting-runtime … start         serves requests on standard input and output, each after its length
//! ```

use std::{
    env,
    io::{self, Read, Write},
    process::ExitCode,
};

use prost::Message;

/// What is counted.
const COUNTER: &str = "golem.usage.counted";

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(oneof = "Asked", tags = "2, 10, 12")]
    asked: Option<Asked>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Asked {
    #[prost(message, tag = "2")]
    Hello(Hello),
    #[prost(message, tag = "10")]
    Run(Run),
    #[prost(message, tag = "12")]
    Shutdown(Empty),
}

#[derive(Clone, PartialEq, Message)]
struct Hello {
    #[prost(string, tag = "1")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct Run {
    #[prost(string, tag = "1")]
    program: String,
    /// With the program's name as the first.
    #[prost(string, repeated, tag = "2")]
    arguments: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Empty {}

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(bool, tag = "1")]
    is_event: bool,
    #[prost(uint64, tag = "2")]
    id: u64,
    #[prost(oneof = "Said", tags = "3, 4, 10, 12, 20, 21")]
    said: Option<Said>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Said {
    #[prost(message, tag = "3")]
    Error(Refusal),
    #[prost(message, tag = "4")]
    Hello(Hello),
    #[prost(message, tag = "10")]
    Started(Started),
    #[prost(message, tag = "12")]
    Shutdown(Empty),
    #[prost(message, tag = "20")]
    Status(Status),
    #[prost(message, tag = "21")]
    Counted(Counted),
}

#[derive(Clone, PartialEq, Message)]
struct Refusal {
    #[prost(uint32, tag = "1")]
    code: u32,
    #[prost(string, tag = "2")]
    message: String,
}

#[derive(Clone, PartialEq, Message)]
struct Started {
    #[prost(uint64, tag = "1")]
    pid: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(uint64, tag = "1")]
    pid: u64,
    #[prost(bool, tag = "2")]
    is_running: bool,
    #[prost(int32, tag = "3")]
    code: i32,
    #[prost(string, tag = "4")]
    stdout: String,
}

#[derive(Clone, PartialEq, Message)]
struct Counted {
    #[prost(message, optional, tag = "2")]
    counter: Option<Counter>,
}

#[derive(Clone, PartialEq, Message)]
struct Counter {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(double, tag = "2")]
    value: f64,
}

fn main() -> ExitCode {
    let served = match env::args().find(|argument| ["deploy", "start"].contains(&argument.as_str()))
    {
        Some(mode) if mode == "deploy" => writeln!(io::stdout(), r#"{{"startMode": "blocking"}}"#),
        Some(_) => serve(io::stdin().lock(), io::stdout().lock()),
        None => Err(io::Error::other("deploy, or start")),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("counting-runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers requests until the last.
fn serve(mut requests: impl Read, mut responses: impl Write) -> io::Result<()> {
    let mut counted = 0.0;
    while let Some(request) = next(&mut requests)? {
        let is_last = matches!(request.asked, Some(Asked::Shutdown(_)));
        for response in answer(request, &mut counted) {
            responses.write_all(&response.encode_length_delimited_to_vec())?;
        }
        responses.flush()?;
        if is_last {
            break;
        }
    }
    Ok(())
}

/// The next request; nothing when there are no more.
fn next(requests: &mut impl Read) -> io::Result<Option<Request>> {
    let mut prefix = Vec::new();
    // A length is in as many bytes as have the highest bit, and one more.
    while prefix.last().is_none_or(|byte| byte & 0x80 != 0) {
        let mut byte = [0];
        if requests.read(&mut byte)? == 0 {
            return Ok(None);
        }
        prefix.extend(byte);
    }
    let length = prost::decode_length_delimiter(prefix.as_slice())?;
    let mut message = vec![0; length];
    requests.read_exact(&mut message)?;
    Ok(Some(Request::decode(message.as_slice())?))
}

fn answer(request: Request, counted: &mut f64) -> Vec<Response> {
    let id = request.id;
    let reply = |said| Response {
        is_event: false,
        id,
        said: Some(said),
    };
    let event = |said| Response {
        is_event: true,
        id: 0,
        said: Some(said),
    };
    match request.asked {
        Some(Asked::Hello(hello)) => vec![reply(Said::Hello(hello))],
        Some(Asked::Shutdown(end)) => vec![reply(Said::Shutdown(end))],
        Some(Asked::Run(run)) => {
            let more = match &run.arguments[..] {
                [_, number] if run.program == "count" => number.parse::<f64>().ok(),
                _ => None,
            };
            *counted += more.unwrap_or_default();
            let counter = Counter {
                name: COUNTER.to_owned(),
                value: *counted,
            };
            let status = Status {
                pid: id,
                is_running: false,
                code: if more.is_some() { 0 } else { 127 },
                stdout: format!("{counted}\n"),
            };
            vec![
                reply(Said::Started(Started { pid: id })),
                event(Said::Counted(Counted {
                    counter: Some(counter),
                })),
                event(Said::Status(status)),
            ]
        }
        None => vec![reply(Said::Error(Refusal {
            code: 2,
            message: "this runtime only counts".to_owned(),
        }))],
    }
}
