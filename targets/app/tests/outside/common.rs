//! Starts the built server the way a user would and talks to it.
#![expect(clippy::unwrap_used, reason = "a helper of tests: a panic is how it reports")]

use std::io::{BufRead, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Longest wait for anything; only a failing test takes that long.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub type Socket = WebSocketStream<TcpStream>;

/// A running server, killed when dropped.
pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts it on a free port with at most `descriptors` open files.
    pub fn start(arguments: &[&str], descriptors: u32) -> Self {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -n {descriptors}; exec \"$@\""))
            .args(["sh", env!("CARGO_BIN_EXE_app"), "--address", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
        Self { child, address }
    }

    pub async fn connect(&self) -> Result<Socket, String> {
        self.connect_to("/ws?token=secret").await
    }

    pub async fn connect_to(&self, target: &str) -> Result<Socket, String> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        self.upgrade(stream, target).await
    }

    /// A connection whose receive buffer is as small as the kernel allows.
    pub async fn connect_with_small_window(&self) -> Socket {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(2048).unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        self.upgrade(stream, "/ws?token=secret").await.unwrap()
    }

    async fn upgrade(&self, stream: TcpStream, target: &str) -> Result<Socket, String> {
        let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
        let url = format!("ws://{}{target}", self.address);
        match timeout(Duration::from_secs(2), client_async_with_config(url, stream, Some(config))).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("timed out".to_owned()),
        }
    }

    /// Sends a request as it is and returns everything that comes back until the server closes.
    pub async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer in time").unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// A number of the metrics page.
    pub async fn metric(&self, name: &str) -> u64 {
        let page = self.raw("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let line = page.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{page}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    pub fn terminate(&self) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
    }

    /// CPU time used so far, in clock ticks of 10 ms.
    pub fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Resident memory.
    pub fn resident_bytes(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    /// Waits for the end; returns the status and what was written to stderr.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let mut text = String::new();
                self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
                return (status, text);
            }
            assert!(began.elapsed() < PATIENCE, "the server did not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next message; panics at the end of the connection.
pub async fn next(socket: &mut Socket) -> Result<Message, Error> {
    timeout(PATIENCE, socket.next()).await.expect("a message in time").expect("a message before the end")
}

/// Reads on until the close frame; returns its code and reason.
pub async fn closed(socket: &mut Socket) -> (u16, String) {
    loop {
        if let Message::Close(frame) = next(socket).await.unwrap() {
            let frame = frame.expect("a close code");
            return (frame.code.into(), frame.reason.to_string());
        }
    }
}

pub async fn send(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
}

/// The next text message that is not about presence.
pub async fn text(socket: &mut Socket) -> String {
    loop {
        match next(socket).await.unwrap() {
            Message::Text(text) if text.starts_with(r#"{"type":"presence""#) => {}
            Message::Text(text) => return text.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

/// Sends a message and returns the answer.
pub async fn ask(socket: &mut Socket, question: &str) -> String {
    send(socket, question).await;
    text(socket).await
}

pub async fn join(socket: &mut Socket, room: &str) -> String {
    ask(socket, &format!(r#"{{"type":"join","room":"{room}"}}"#)).await
}
