//! A site's server: its WebSocket end, which counts what is open, and its pages.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a server of the tests knows.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    open: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
    accepted: Arc<AtomicU32>,
    messages: Arc<AtomicU32>,
    cap: Arc<AtomicU32>,
    proof: Arc<Mutex<String>>,
    withheld: Arc<AtomicBool>,
    alive: watch::Sender<bool>,
}

impl Target {
    /// Echoes, serves the proof, and refuses connections above its cap.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = Self {
            address,
            open: Arc::default(),
            most: Arc::default(),
            accepted: Arc::default(),
            messages: Arc::default(),
            cap: Arc::new(AtomicU32::new(u32::MAX)),
            proof: Arc::default(),
            withheld: Arc::default(),
            alive: watch::channel(true).0,
        };
        let served = target.clone();
        let mut end = target.alive.subscribe();
        tokio::spawn(async move {
            // What it serves ends with it.
            let mut connections = JoinSet::new();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    _ = end.wait_for(|alive| !alive) => return,
                };
                let Ok((stream, _)) = accepted else { return };
                let target = served.clone();
                connections.spawn(async move { target.serve(stream).await });
            }
        });
        target
    }

    pub fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// Puts a line into its file.
    pub fn agree(&self, line: &str) {
        line.clone_into(&mut self.proof.lock().unwrap());
    }

    /// Whether its file is not there, whatever was put into it.
    pub fn withhold(&self, withheld: bool) {
        self.withheld.store(withheld, Ordering::SeqCst);
    }

    /// Ends it, with all its connections.
    pub fn die(&self) {
        self.alive.send_replace(false);
    }

    pub fn hold_at_most(&self, connections: u32) {
        self.cap.store(connections, Ordering::SeqCst);
    }

    /// Connections that are open, as the server itself sees them.
    pub fn open(&self) -> u32 {
        self.open.load(Ordering::SeqCst)
    }

    /// The most that were open at a time.
    pub fn most(&self) -> u32 {
        self.most.load(Ordering::SeqCst)
    }

    /// Connections that were ever accepted.
    pub fn accepted(&self) -> u32 {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Messages that came.
    pub fn messages(&self) -> u32 {
        self.messages.load(Ordering::SeqCst)
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut head = [0; 512];
        let length = stream.peek(&mut head).await.unwrap_or(0);
        if head[..length].starts_with(b"GET /.well-known/wsceiling ") {
            let proof = self.proof.lock().unwrap().clone();
            let status =
                if proof.is_empty() || self.withheld.load(Ordering::SeqCst) { "404 Not Found" } else { "200 OK" };
            return reply(&mut stream, status, "text/plain", &format!("{proof}\n")).await;
        }
        // A place is taken before the upgrade, so that those that come at once do not share one.
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        if open > self.cap.load(Ordering::SeqCst) {
            self.open.fetch_sub(1, Ordering::SeqCst);
            return reply(&mut stream, "503 Service Unavailable", "text/plain", "full").await;
        }
        let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
            self.open.fetch_sub(1, Ordering::SeqCst);
            return;
        };
        self.most.fetch_max(open, Ordering::SeqCst);
        self.accepted.fetch_add(1, Ordering::SeqCst);
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() || message.is_binary() {
                self.messages.fetch_add(1, Ordering::SeqCst);
                if socket.send(message).await.is_err() {
                    break;
                }
            }
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A page on an origin of its own.
pub async fn page(html: impl Into<String>) -> SocketAddr {
    let (listener, html) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), html.into());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let html = html.clone();
            tokio::spawn(async move { reply(&mut stream, "200 OK", "text/html", &html).await });
        }
    });
    address
}

async fn reply(stream: &mut TcpStream, status: &str, kind: &str, body: &str) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await;
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.shutdown().await;
}
