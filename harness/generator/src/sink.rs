//! A sink server: it accepts, upgrades, and discards what it is sent. It is a process of its own, started as
//! the hidden command `sink`, so that its work is nobody else's.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::{Child, Command};

use crate::codec::handshake::{HEAD_MAX, accept};

/// As long as servers of their own choice have it.
const BACKLOG: u32 = 4096;

/// A running sink server; it ends when this is dropped.
pub struct SinkServer {
    address: SocketAddr,
    _process: Child,
}

impl SinkServer {
    /// Starts one on a port of loopback.
    ///
    /// # Errors
    /// When it does not start or does not say where it listens.
    pub async fn start() -> Result<Self> {
        let program = std::env::current_exe().context("failed to find the harness's own program")?;
        let mut command = Command::new(program);
        command.arg("sink").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().context("failed to start the sink server")?;
        let output = process.stdout.take().context("the sink server has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).await.context("failed to read the sink server's address")?;
        let address = line.trim().parse().with_context(|| format!("the sink server said `{}`", line.trim()))?;
        Ok(Self { address, _process: process })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves until the process is ended, or the one that started it is.
///
/// # Errors
/// When it cannot listen.
pub fn run() -> Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("ask to die with the coordinator")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = listen().context("failed to listen on loopback")?;
        let mut out = io::stdout();
        writeln!(out, "{}", listener.local_addr()?)?;
        out.flush()?;
        serve(listener).await
    })
}

fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    socket.listen(BACKLOG)
}

async fn serve(listener: TcpListener) -> Result<()> {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream))),
            // Out of descriptors: some will close.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Answers the upgrade, then reads without looking until the client is gone.
async fn connection(mut stream: TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    let answer = loop {
        let read = stream.read(&mut piece).await?;
        head.extend_from_slice(&piece[..read]);
        match accept(&head) {
            Some(answer) => break answer,
            None if read == 0 || head.len() > HEAD_MAX => return Ok(()),
            None => {}
        }
    };
    drop(head);
    stream.write_all(&answer).await?;
    while stream.read(&mut piece).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::handshake::{Request, key};

    #[tokio::test]
    async fn it_upgrades_and_answers_nothing_more() {
        let listener = listen().unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener));
        let mut client = TcpStream::connect(address).await.unwrap();
        let (request, key) = (Request::new("localhost", "/", &[]).unwrap(), key(1, 1));
        let mut bytes = Vec::new();
        request.write(&key, &mut bytes);
        // A head may come in pieces.
        client.write_all(&bytes[..20]).await.unwrap();
        tokio::task::yield_now().await;
        client.write_all(&bytes[20..]).await.unwrap();
        let mut answer = vec![0; 1024];
        let read = client.read(&mut answer).await.unwrap();
        assert_eq!(request.check(&answer[..read], &key), Ok(()));
        client.write_all(b"anything at all").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(client.read(&mut answer).await.unwrap(), 0, "it closes when the client does, and says nothing");
        server.abort();
    }
}
