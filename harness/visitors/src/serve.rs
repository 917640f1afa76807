//! HTTP for visitors: the snippet, `join` and `report`. Every answer is small, every request bounded.
//!
//! The last part of a path decides, so that a site's proxy may put the collector below any path.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use wsceiling_model::visitors::{BrowserFamily, Refusal};

use crate::collector::Collector;
use crate::report::{Answer, REPORT_MAX};
use crate::{POLL_MS, SNIPPET};

/// Longest time for the head of a request; an idle connection ends after it too.
const HEAD_WITHIN: Duration = Duration::from_millis(4 * POLL_MS);
/// Longest time for its body.
const BODY_WITHIN: Duration = Duration::from_secs(5);
/// Largest head.
const HEAD_MAX: usize = 16 << 10;
/// How long to wait where the system has no descriptor left.
const REST: Duration = Duration::from_millis(50);

/// What an answer is.
pub(crate) type Reply = Response<Full<Bytes>>;

/// Serves visitors until it is dropped; at most `connections` at a time, the others wait.
pub async fn serve_visitors(listener: TcpListener, collector: Arc<Collector>, connections: usize) {
    serve(listener, connections, move |request| {
        let collector = Arc::clone(&collector);
        async move { answer(&collector, request).await }
    })
    .await;
}

/// A server of HTTP/1.1 on one listener.
pub(crate) async fn serve<F, A>(listener: TcpListener, connections: usize, answer: F)
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Reply> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(connections));
    // Connections end with this call.
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                if !is_of_one_connection(&error) {
                    tokio::time::sleep(REST).await;
                }
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let answer = answer.clone();
        tasks.spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(HEAD_MAX);
            // What a client does wrong ends its connection, and nothing else.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

async fn answer(collector: &Collector, request: Request<Incoming>) -> Reply {
    let origin = match let_in(collector, request.headers()) {
        Ok(origin) => origin,
        Err(refusal) => return refused(refusal, &HeaderValue::from_static("null")),
    };
    let what = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let reply = match (request.method().clone(), what.as_str()) {
        (Method::GET | Method::HEAD, "wsceiling.js") => snippet(),
        (Method::POST, "join") => {
            let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
            let family = BrowserFamily::of_user_agent(agent.unwrap_or_default());
            match body(request, REPORT_MAX).await {
                Ok(_) => {
                    collector.join(family).map_or_else(|refusal| refused(refusal, &origin), |answer| json(&answer))
                }
                Err(refusal) => refused(collector.refuse(refusal), &origin),
            }
        }
        (Method::POST, "report") => match body(request, REPORT_MAX).await {
            Ok(body) => {
                collector.report(&body).map_or_else(|refusal| refused(refusal, &origin), |answer| json(&answer))
            }
            Err(refusal) => refused(collector.refuse(refusal), &origin),
        },
        (_, "wsceiling.js" | "join" | "report") => plain(StatusCode::METHOD_NOT_ALLOWED, "another method, please\n"),
        _ => plain(StatusCode::NOT_FOUND, "nothing is here\n"),
    };
    allowed(reply, &origin)
}

/// Whether a request is of a page that may take part; the origin that may read the answer.
fn let_in(collector: &Collector, headers: &HeaderMap) -> Result<HeaderValue, Refusal> {
    let options = collector.options();
    if options.only_here && is_forwarded(headers) {
        return Err(collector.refuse(Refusal::NotHere));
    }
    if options.sites.is_empty() {
        return Ok(HeaderValue::from_static("*"));
    }
    match headers.get(header::ORIGIN) {
        // Scripts are loaded without one; what they then say has one.
        None => Ok(HeaderValue::from_static("null")),
        Some(origin) if options.sites.iter().any(|site| site.as_bytes() == origin.as_bytes()) => Ok(origin.clone()),
        Some(_) => Err(collector.refuse(Refusal::WrongSite)),
    }
}

/// Whether a proxy passed it on.
pub(crate) fn is_forwarded(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name))
}

/// The whole body, if it is not too long.
pub(crate) async fn body(request: Request<Incoming>, most: usize) -> Result<Bytes, Refusal> {
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > most as u64) {
        return Err(Refusal::Huge);
    }
    match timeout(BODY_WITHIN, Limited::new(request.into_body(), most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Refusal::Huge),
        Ok(Err(_)) | Err(_) => Err(Refusal::Malformed),
    }
}

fn snippet() -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from_static(SNIPPET.as_bytes())));
    set(&mut reply, header::CONTENT_TYPE, "text/javascript; charset=utf-8");
    set(&mut reply, header::CACHE_CONTROL, "public, max-age=60");
    set(&mut reply, HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
    reply
}

fn json(answer: &Answer) -> Reply {
    let text = serde_json::to_vec(answer).unwrap_or_default();
    let mut reply = Response::new(Full::new(Bytes::from(text)));
    set(&mut reply, header::CONTENT_TYPE, "application/json");
    reply
}

fn refused(refusal: Refusal, origin: &HeaderValue) -> Reply {
    let status = match refusal {
        // The snippet begins anew.
        Refusal::Forged | Refusal::Forgotten | Refusal::WrongSite | Refusal::NotHere => StatusCode::FORBIDDEN,
        Refusal::Replayed => StatusCode::CONFLICT,
        Refusal::Huge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Malformed => StatusCode::BAD_REQUEST,
        Refusal::TooFast => StatusCode::TOO_MANY_REQUESTS,
        Refusal::TooMany => StatusCode::SERVICE_UNAVAILABLE,
    };
    allowed(plain(status, refusal.name()), origin)
}

/// A few words.
pub(crate) fn plain(status: StatusCode, words: &'static str) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from_static(words.as_bytes())));
    *reply.status_mut() = status;
    set(&mut reply, header::CONTENT_TYPE, "text/plain; charset=utf-8");
    reply
}

/// Pages may read it, and nobody keeps it.
fn allowed(mut reply: Reply, origin: &HeaderValue) -> Reply {
    reply.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if origin != "*" {
        set(&mut reply, header::VARY, "Origin");
    }
    if !reply.headers().contains_key(header::CACHE_CONTROL) {
        set(&mut reply, header::CACHE_CONTROL, "no-store");
    }
    set(&mut reply, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    reply
}

/// Sets a header.
pub(crate) fn set(reply: &mut Reply, name: HeaderName, value: &'static str) {
    reply.headers_mut().insert(name, HeaderValue::from_static(value));
}
