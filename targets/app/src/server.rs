//! The whole server: listening, one task a connection, and the way out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use target_common::serve::{Handler, Listening};
use target_common::work::Work;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::http::{answer, read_head};
use crate::metrics::{Metrics, OpenConnection, Refusal};
use crate::options::Options;
use crate::rooms::{Limits, MemberId, Rooms};
use crate::session::Session;
use crate::upgrade::{self, Route, route};

/// Longest time for a request: a half-open peer must not hold a descriptor for ever.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);

/// What all connections share.
#[derive(Debug)]
pub struct Shared {
    pub options: Options,
    pub metrics: Metrics,
    pub rooms: Rooms,
    pub work: Work,
    next_id: AtomicU64,
}

impl Shared {
    fn new(options: Options) -> Self {
        let rooms = Rooms::new(Limits {
            rooms: options.rooms,
            history: options.history,
            history_bytes: options.history_bytes,
            presence_every: options.presence_every,
        });
        let work = Work::new(options.work);
        Self { options, metrics: Metrics::default(), rooms, work, next_id: AtomicU64::new(0) }
    }

    /// An id no other connection has or had.
    pub fn new_id(&self) -> MemberId {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

/// Listens until SIGTERM or SIGINT, then closes every connection with 1001 and waits for them a bounded time.
pub async fn serve(options: Options) -> io::Result<()> {
    let drain = options.drain;
    let (address, send_buffer) = (options.address.clone(), Some(options.send_buffer));
    let listening = Listening { address, backlog: options.backlog, send_buffer };
    let shared = Arc::new(Shared::new(options));
    if !target_common::serve::serve(&listening, drain, Connections(Arc::clone(&shared))).await? {
        let left = shared.metrics.connections.load(Ordering::Relaxed);
        eprintln!("{left} connection(s) did not end within {drain:?}; they are dropped");
    }
    Ok(())
}

/// Serves connections that share something.
#[derive(Clone)]
struct Connections(Arc<Shared>);

impl Handler for Connections {
    async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        draining: watch::Receiver<bool>,
    ) {
        connection(&self.0, stream, draining).await;
    }
}

/// Serves one connection until it ends. Its errors affect no other connection.
async fn connection(shared: &Shared, stream: impl AsyncRead + AsyncWrite + Unpin, draining: watch::Receiver<bool>) {
    // Boxed, so that the state of the request is not part of every open connection's task.
    let request = Box::pin(timeout(REQUEST_WITHIN, request(shared, stream)));
    match request.await {
        Ok(Some((open, stream, rest))) => {
            Session::new(shared, stream, rest).await.run(draining).await;
            drop(open);
        }
        Ok(None) => {}
        Err(_) => shared.metrics.refuse(Refusal::Timeout),
    }
}

/// Reads the request and answers it. Returns the connection if it became a WebSocket, with what was read of it.
async fn request<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    mut stream: S,
) -> Option<(OpenConnection<'_>, S, Vec<u8>)> {
    let head = match read_head(&mut stream).await {
        Ok(head) => head,
        Err(error) => {
            if let Some(bytes) = upgrade::refuse(&error) {
                shared.metrics.refuse(Refusal::BadRequest);
                finish(stream, &bytes).await;
            }
            return None;
        }
    };
    let bytes = match route(&head.request, &shared.options.token) {
        Route::Upgrade(bytes) => {
            if let Some(open) = OpenConnection::open(&shared.metrics, shared.options.connections) {
                shared.work.burn();
                stream.write_all(&bytes).await.ok()?;
                return Some((open, stream, head.rest));
            }
            shared.metrics.refuse(Refusal::ConnectionLimit);
            answer("503 Service Unavailable", "Retry-After: 5\r\n", "too many connections\n")
        }
        Route::Health => answer("200 OK", "", "ok\n"),
        Route::Metrics => answer("200 OK", "", &shared.metrics.render(shared.rooms.count())),
        Route::Refuse(reason, bytes) => {
            shared.metrics.refuse(reason);
            bytes
        }
    };
    finish(stream, &bytes).await;
    None
}

/// Writes the last bytes of a connection and waits until the peer has them: closing a socket with unread bytes sends
/// a reset, which destroys the answer on its way.
async fn finish(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) {
    let written = async {
        stream.write_all(bytes).await?;
        stream.shutdown().await?;
        let mut discarded = [0; 512];
        while stream.read(&mut discarded).await? > 0 {}
        Ok::<(), io::Error>(())
    };
    let _ = timeout(Duration::from_secs(1), written).await;
}
