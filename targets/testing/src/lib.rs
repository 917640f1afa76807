//! Starts a built target the way a user would, and talks to it from outside. For the tests of the targets only.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Longest wait for anything; only a failing test takes that long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest wait for an upgrade: a server without descriptors leaves connections in its accept queue.
const UPGRADE: Duration = Duration::from_secs(2);

/// An open connection to a server.
pub type Socket = WebSocketStream<TcpStream>;

/// A running server, killed when dropped.
pub struct Server {
    child: Child,
    path: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts `program` on a free port with at most `descriptors` open files; [`Self::connect`] upgrades at `path`.
    pub fn start(program: &str, path: &'static str, arguments: &[&str], descriptors: u32) -> Self {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -n {descriptors}; exec \"$@\""))
            .args(["sh", program, "--address", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
        Self { child, path, address }
    }

    /// Opens a connection, or says why not.
    pub async fn connect(&self) -> Result<Socket, String> {
        self.connect_to(self.path).await
    }

    /// [`Self::connect`] at another path.
    pub async fn connect_to(&self, path: &str) -> Result<Socket, String> {
        match timeout(UPGRADE, TcpStream::connect(self.address)).await {
            Ok(Ok(stream)) => self.upgrade(stream, path).await,
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("timed out".to_owned()),
        }
    }

    /// Upgrades a connection that is there.
    pub async fn upgrade(&self, stream: TcpStream, path: &str) -> Result<Socket, String> {
        let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
        let url = format!("ws://{}{path}", self.address);
        match timeout(UPGRADE, client_async_with_config(url, stream, Some(config))).await {
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

    /// Connects until a server with 64 descriptors has none left. Fails if the server then uses CPU.
    pub async fn exhaust(&self) -> Vec<Socket> {
        let mut sockets = Vec::new();
        while let Ok(socket) = self.connect().await {
            sockets.push(socket);
            assert!(sockets.len() < 64, "the limit was not met");
        }
        assert!(sockets.len() > 40, "only {} connections fit into 64 descriptors", sockets.len());

        let before = self.cpu_ticks();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let spent = self.cpu_ticks() - before;
        assert!(spent < 40, "{spent} ticks of CPU in 200: it spins");
        sockets
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
    }

    /// CPU time used so far, in clock ticks of 10 ms.
    pub fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Resident memory, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    /// Waits for the end; returns the status and what the server wrote to stderr.
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

    /// Ends a server that ran out of descriptors. Fails if it did not exit with 0, or logged more than a line a second.
    /// Returns its log.
    pub fn end_after_backing_off(self) -> String {
        self.terminate();
        let (status, log) = self.wait();
        assert_eq!(status.code(), Some(0));
        let lines = log.lines().filter(|line| line.starts_with("accept failed")).count();
        assert!((1..10).contains(&lines), "{lines} lines:\n{log}");
        log
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
