//! What becomes of a request: refused, redirected, or passed on.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use target_common::rate::Rate;
use target_common::serve::Handler;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::answer::{self, AtRate, Style, Why};
use crate::frames::Rules;
use crate::head::Head;
use crate::options::Options;
use crate::pass::{Ending, Passage};
use crate::platform::Limits;

/// A request that takes longer is dropped.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// Longest wait for a client that was answered to end the connection.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The edge, shared by all its connections.
#[derive(Debug, Clone)]
pub struct Edge(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    upstreams: Vec<SocketAddr>,
    limits: Limits,
    rules: Rules,
    ending: Ending,
    style: Style,
    at_rate: AtRate,
    redirect: bool,
    rate: Mutex<Rate>,
    /// One line a second in the log.
    lines: Mutex<Rate>,
    open: AtomicUsize,
    /// Requests that were passed on; the next upstream follows from it.
    passed: AtomicUsize,
}

/// A connection's slot under the cap.
struct Slot<'a>(&'a AtomicUsize);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Edge {
    /// An edge with these options.
    pub fn new(options: &Options) -> Self {
        let limits = options.limits();
        Self(Arc::new(Shared {
            upstreams: options.upstream.clone(),
            rules: Rules {
                frame_max: limits.frame_max,
                message_max: limits.message_max,
                drop_pings: options.drop_pings,
            },
            ending: Ending { lifetime: limits.lifetime, idle: limits.idle, code: options.end_code },
            style: options.style(),
            at_rate: options.at_rate,
            redirect: options.redirect,
            rate: Mutex::new(Rate::new(limits.rate.unwrap_or(0))),
            lines: Mutex::new(Rate::new(1)),
            open: AtomicUsize::new(0),
            passed: AtomicUsize::new(0),
            limits,
        }))
    }
}

impl Handler for Edge {
    async fn serve(
        self,
        mut client: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        draining: watch::Receiver<bool>,
    ) {
        let edge = &*self.0;
        // In a box, so that what only the beginning needs is not kept for as long as the connection lives.
        match Box::pin(edge.begin(&mut client)).await {
            Ok(Some((upstream, passage, _slot))) => passage.run(client, upstream, &edge.ending, draining).await,
            Ok(None) => {}
            Err(why) => say(client, &edge.style.answer(why)).await,
        }
    }
}

impl Shared {
    /// From the request to the upstream's answer. `None`: nothing is left to do.
    async fn begin(
        &self,
        client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> Result<Option<(TcpStream, Passage, Slot<'_>)>, Why> {
        let request = match timeout(REQUEST_WITHIN, Head::read(client)).await {
            Ok(Ok(Some(request))) => request,
            Ok(Ok(None)) => return Err(Why::BadRequest),
            Ok(Err(_)) | Err(_) => return Ok(None),
        };
        let Some((_, path)) = request.request() else { return Err(Why::BadRequest) };
        if self.redirect {
            say(client, &answer::redirect(self.style, request.header("host").unwrap_or("localhost"), path)).await;
            return Ok(None);
        }
        let began = Instant::now();
        let slot = self.admit()?;
        let mut upstream = self.connect().await?;
        let within = self.limits.answer_within.unwrap_or(ANSWER_WITHIN);
        let answered = timeout(within, async {
            upstream.write_all(request.bytes()).await?;
            Head::read(&mut upstream).await
        });
        let answer = match answered.await {
            Ok(Ok(Some(answer))) if answer.status().is_some() => answer,
            Ok(_) => return Err(Why::BadAnswer),
            Err(_) => return Err(Why::AnswerTimeout),
        };
        let rules = (answer.status() == Some(101)).then_some(self.rules);
        Ok(Some((upstream, Passage::new(&answer, self.style.marks(), rules, began), slot)))
    }

    fn admit(&self) -> Result<Slot<'_>, Why> {
        if !self.rate.lock().unwrap_or_else(PoisonError::into_inner).admits() {
            return Err(Why::Rate(self.at_rate));
        }
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let slot = Slot(&self.open);
        if self.limits.connections.is_some_and(|most| before >= most) { Err(Why::Full) } else { Ok(slot) }
    }

    fn log(&self, line: &str) {
        if self.lines.lock().unwrap_or_else(PoisonError::into_inner).admits() {
            eprintln!("edge: {line}");
        }
    }

    async fn connect(&self) -> Result<TcpStream, Why> {
        let turn = self.passed.fetch_add(1, Ordering::Relaxed);
        let upstream = self.upstreams[turn % self.upstreams.len()];
        let within = self.limits.connect_within.unwrap_or(CONNECT_WITHIN);
        let stream = match timeout(within, TcpStream::connect(upstream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(Why::Refused),
            Ok(Err(error)) => {
                self.log(&format!("connect to {upstream} failed: {error}"));
                return Err(Why::Unreachable);
            }
            Err(_) => return Err(Why::ConnectTimeout),
        };
        // An edge that waits to fill packets would be measured as latency of the server; nothing else depends on it.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

/// Says the edge's own answer, and waits a moment until the client has left: a close with bytes unread is a reset, which can
/// overtake the answer.
async fn say(mut client: impl AsyncRead + AsyncWrite + Unpin, answer: &str) {
    let said = async {
        client.write_all(answer.as_bytes()).await?;
        client.shutdown().await?;
        // On the heap: every connection's task would be as large as this.
        let mut rest = vec![0; 1024];
        while client.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(LEAVE_WITHIN, said).await;
}
