//! Headless Chromium, driven over WebDriver.

use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A browser with one window. It ends when it is dropped.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _folder: TempDir,
}

const DRIVER: &str = "chromedriver";
/// How long something may take to be seen, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

impl Browser {
    /// Nothing where there is none.
    pub(crate) fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let driver = Command::new(DRIVER)
            .arg("--port=0")
            // A browser leaves more in its user's home than its profile.
            .env("HOME", folder.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_CACHE_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut driver = match driver {
            Ok(driver) => driver,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound, "{DRIVER}: {error}");
                skip();
                return None;
            }
        };
        let port = port(&mut driver);
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
            _folder: folder,
        };
        let profile = format!("--user-data-dir={}", browser._folder.path().display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &profile,
        ];
        let capabilities = json!({"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}});
        let session = browser.ask("POST", "/session", &json!({"capabilities": capabilities}));
        browser.session = session["sessionId"].as_str().expect("an id").to_owned();
        Some(browser)
    }

    /// Shows a page.
    pub(crate) fn open(&self, url: &str) {
        // One that differs in its fragment alone would not be loaded anew.
        for url in ["about:blank", url] {
            self.command("url", &json!({"url": url}));
        }
    }

    /// How many pixels wide the window is.
    pub(crate) fn resize(&self, width: u32) {
        let metrics =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        let command = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics});
        self.command("goog/cdp/execute", &command);
    }

    /// What an expression is there.
    pub(crate) fn evaluate(&self, expression: &str) -> Value {
        let script = json!({"script": format!("return {expression}"), "args": []});
        self.command("execute/sync", &script)
    }

    /// Waits until an expression is true there.
    pub(crate) fn wait_for(&self, expression: &str) {
        let guarded =
            format!("(() => {{ try {{ return {expression} }} catch {{ return false }} }})()");
        let deadline = Instant::now() + PATIENCE;
        while self.evaluate(&guarded) != json!(true) {
            let text = || self.evaluate("document.body.innerText");
            assert!(
                Instant::now() < deadline,
                "{expression} is not so in:\n{}",
                text()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn command(&self, command: &str, body: &Value) -> Value {
        self.ask(
            "POST",
            &format!("/session/{}/{command}", self.session),
            body,
        )
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.send(method, path, body).expect("the driver answers");
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer["value"].clone()
    }

    /// Sends a request to the driver: the status and the body of its answer.
    fn send(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(u16, Value)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let body = body.to_string();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        )?;
        let mut answer = BufReader::new(stream);
        let (mut status, mut length, mut line) = (0, 0, String::new());
        while answer.read_line(&mut line)? > 2 {
            match line.trim().to_lowercase().split_once([' ', ':']) {
                Some(("http/1.1", rest)) => {
                    status = rest
                        .split(' ')
                        .next()
                        .and_then(|text| text.parse().ok())
                        .unwrap_or(0);
                }
                Some(("content-length", rest)) => length = rest.trim().parse().unwrap_or(0),
                _ => {}
            }
            line.clear();
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body)?;
        Ok((status, serde_json::from_slice(&body)?))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A driver that answers no more cannot end its browser.
        let _ = self.send("DELETE", &format!("/session/{}", self.session), &json!({}));
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Where a driver listens: it says so.
fn port(driver: &mut Child) -> u16 {
    let said = BufReader::new(driver.stdout.take().expect("piped"));
    let port = said.lines().map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    port.expect("a port")
}

/// Says, to the terminal itself as a test's own output is not shown when it passes, that nothing is tested.
fn skip() {
    let may_skip = std::env::var_os("KILN_TESTS_SKIP_NOTHING").is_none();
    assert!(may_skip, "there is no `{DRIVER}`");
    let warning = format!("SKIPPED: the page is not tested, as there is no `{DRIVER}`\n");
    if fs::write("/dev/tty", &warning).is_err() {
        fs::write("/proc/self/fd/2", &warning).expect("standard error");
    }
}
