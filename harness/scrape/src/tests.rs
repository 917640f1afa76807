//! Sources against servers that tell the truth, and against servers and programs that do not.

mod commands;
mod engines;
mod exporters;
mod liars;
mod secure;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wsceiling_model::matrix::{MetricSource, Reads, Template, Tls};
use wsceiling_model::record::{Component, ScrapeFault, Warning};

use crate::engine::{Container, EnginePlace, Engines, Later};
use crate::source::{Source, prepare_with};
use crate::{Checked, Row, Scraped, Scraper, check};

/// There is no engine.
struct NoEngines;

impl Engines for NoEngines {
    fn open<'a>(&'a self, _: &'a EnginePlace, _: &'a str) -> Later<'a, Result<Box<dyn Container>, ScrapeFault>> {
        Box::pin(async { Err(ScrapeFault::Engine { what: "there is none".into() }) })
    }
}

fn no_engines() -> Arc<dyn Engines> {
    Arc::new(NoEngines)
}

fn source(part: Component, reads: Reads) -> MetricSource {
    let (every, within) = (Duration::from_millis(100), Duration::from_secs(5));
    MetricSource { part, reads, every, within, headers: [].into(), tls: Tls::default() }
}

fn prometheus(part: Component, url: &str) -> MetricSource {
    source(part, Reads::Prometheus { url: Template::new(url).unwrap(), labels: [].into() })
}

fn ready(source: MetricSource) -> Vec<Source> {
    prepare_with(&[source], Path::new("."), |_| None).unwrap()
}

/// What a source gives when it is checked.
async fn checked(source: MetricSource) -> Checked {
    check(&ready(source), no_engines()).await.remove(0)
}

/// Its only fault, where it gives nothing.
async fn fault(source: MetricSource) -> ScrapeFault {
    let Checked { found, mut faults, .. } = checked(source).await;
    assert!(found.is_empty() && faults.len() == 1, "{found:?} {faults:?}");
    faults.remove(0)
}

/// A server that answers each request with what `answer` makes of its number, and closes. Its address.
async fn server(answer: impl Fn(u32) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&answer(number)).await;
        }
    });
    format!("http://{address}/metrics")
}

/// An answer with a length.
fn ok(content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

fn text(body: &str) -> Vec<u8> {
    ok("text/plain; version=0.0.4", body)
}

/// Scrapes until `rows` rows came or a while has passed, and says what happened.
async fn scraped(
    sources: &[Source],
    engines: Arc<dyn Engines>,
    enough: impl Fn(&[Row]) -> bool,
) -> (Vec<Row>, Scraped) {
    let rows: Arc<Mutex<Vec<Row>>> = Arc::default();
    let push = Arc::clone(&rows);
    let scraper = Scraper::start(sources, Instant::now(), &engines, move |row| push.lock().unwrap().push(row));
    for _ in 0..1000 {
        if enough(&rows.lock().unwrap()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(scraper.has_begun());
    let scraped = scraper.stop().await;
    let rows = rows.lock().unwrap().clone();
    assert!(enough(&rows), "{rows:?} {scraped:?}");
    (rows, scraped)
}

fn whys(warnings: &[Warning]) -> Vec<String> {
    let why = |warning: &Warning| match warning {
        Warning::MetricsMissing { why, .. } => why.to_string(),
        other => panic!("{other:?}"),
    };
    warnings.iter().map(why).collect()
}
