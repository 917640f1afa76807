//! A real browser without a window.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// A kind of browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Chromium,
    Firefox,
}

/// A browser, which ends with all its processes when it is dropped.
pub struct Browser {
    child: Child,
    profile: tempfile::TempDir,
    kind: Kind,
}

impl Kind {
    fn program(self) -> Option<PathBuf> {
        let names = match self {
            Self::Chromium => ["chromium", "google-chrome"],
            Self::Firefox => ["firefox-esr", "firefox"],
        };
        names.iter().find_map(|name| which::which(name).ok())
    }
}

impl Browser {
    /// Opens a page; `None`, with a word, where there is no such browser.
    pub fn open(kind: Kind, url: &str) -> Option<Self> {
        use std::os::unix::process::CommandExt as _;
        let Some(program) = kind.program() else {
            eprintln!("skipped: {kind:?} is not installed");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        match kind {
            Kind::Chromium => {
                command.args([
                    "--headless=new",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--no-first-run",
                    "--remote-debugging-port=0",
                ]);
                command.arg(format!("--user-data-dir={}", profile.path().display()));
            }
            Kind::Firefox => {
                command.args(["--headless", "--no-remote", "--profile"]).arg(profile.path());
                command.args(["--remote-debugging-port", "0"]);
            }
        }
        command.arg(url).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Some(Self { child: command.spawn().unwrap(), profile, kind })
    }

    /// Opens another page in a tab of its own, in front of the first one.
    pub async fn in_front(&self, url: &str) {
        match self.kind {
            Kind::Chromium => {
                let port = self.profile.path().join("DevToolsActivePort");
                let port = std::fs::read_to_string(port).unwrap();
                let port: u16 = port.lines().next().unwrap().parse().unwrap();
                devtools_new(port, url).await;
            }
            Kind::Firefox => {
                let port = self.profile.path().join("WebDriverBiDiServer.json");
                let port: serde_json::Value = serde_json::from_slice(&std::fs::read(port).unwrap()).unwrap();
                let port = port["ws_port"].as_u64().unwrap();
                bidi_new(u16::try_from(port).unwrap(), url).await;
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// `PUT /json/new?URL` of the DevTools protocol.
async fn devtools_new(port: u16, url: &str) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("PUT /json/new?{url} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..length]));
}

/// `browsingContext.create` and `navigate` of WebDriver BiDi.
async fn bidi_new(port: u16, url: &str) {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::tungstenite::Message;
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://127.0.0.1:{port}/session")).await.unwrap();
    let mut context = String::new();
    for (id, method, params) in [
        (1, "session.new", serde_json::json!({"capabilities": {}})),
        (2, "browsingContext.create", serde_json::json!({"type": "tab", "background": false})),
        (3, "browsingContext.navigate", serde_json::json!({"context": "", "url": url})),
    ] {
        let mut params = params;
        if method.ends_with("navigate") {
            params["context"] = context.clone().into();
        }
        let text = serde_json::json!({"id": id, "method": method, "params": params}).to_string();
        socket.send(Message::text(text)).await.unwrap();
        loop {
            let answer = socket.next().await.unwrap().unwrap();
            let answer: serde_json::Value = serde_json::from_str(answer.to_text().unwrap()).unwrap();
            if answer["id"] == id {
                assert_eq!(answer["type"], "success", "{answer}");
                context = answer["result"]["context"].as_str().unwrap_or(&context).to_owned();
                break;
            }
        }
    }
}
