//! One GET over HTTP/1.1, with or without TLS, on a connection of its own; nothing is followed, nothing is cached.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use url::{Host, Url};
use wsceiling_model::matrix::Template;
use wsceiling_model::record::ScrapeFault;

use crate::reading::short;
use crate::tls;

/// Longest body that is read: a large cAdvisor has a few MiB.
const LARGEST_BODY: usize = 16 << 20;

/// Where to ask, and with what.
#[derive(Clone)]
pub(crate) struct Client {
    pub url: Url,
    pub headers: Vec<(header::HeaderName, header::HeaderValue)>,
    /// There is one for `https://`.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

/// A whole answer with status 200.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub body: Vec<u8>,
    /// In lower case; empty: not said.
    pub content_type: String,
    /// The body is compressed.
    pub encoded: bool,
    /// The server's clock.
    pub date_unix_s: Option<f64>,
}

impl Client {
    /// Asks for the address, with more parameters at its end.
    pub async fn get(&self, more: &str, accept: &'static str) -> Result<Answer, ScrapeFault> {
        let stream = self.connect().await?;
        let request = self.request(more, accept)?;
        match &self.tls {
            None => exchange(stream, request).await,
            Some(config) => {
                let name = match self.url.host() {
                    Some(Host::Ipv4(ip)) => ServerName::from(std::net::IpAddr::from(ip)),
                    Some(Host::Ipv6(ip)) => ServerName::from(std::net::IpAddr::from(ip)),
                    _ => {
                        ServerName::try_from(self.host()).map_err(|_| ScrapeFault::NotResolved { host: self.host() })?
                    }
                };
                let connected = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
                exchange(connected.map_err(|error| connection_fault(&error))?, request).await
            }
        }
    }

    fn host(&self) -> String {
        self.url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned()
    }

    async fn connect(&self) -> Result<TcpStream, ScrapeFault> {
        let (host, port) = (self.host(), self.url.port_or_known_default().unwrap_or(80));
        let found = tokio::net::lookup_host((host.as_str(), port)).await;
        let addresses: Vec<_> = found.map(Iterator::collect).unwrap_or_default();
        let mut last = ScrapeFault::NotResolved { host };
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    last = ScrapeFault::Refused { address: address.to_string() };
                }
                Err(error) => last = connection_fault(&error),
            }
        }
        Err(last)
    }

    fn request(&self, more: &str, accept: &'static str) -> Result<Request<Empty<Bytes>>, ScrapeFault> {
        let mut target = self.url.path().to_owned();
        let query: Vec<&str> = self.url.query().into_iter().chain(Some(more).filter(|more| !more.is_empty())).collect();
        if !query.is_empty() {
            target = format!("{target}?{}", query.join("&"));
        }
        let authority = match self.url.port() {
            Some(port) => format!("{}:{port}", self.url.host_str().unwrap_or_default()),
            None => self.url.host_str().unwrap_or_default().to_owned(),
        };
        let request = Request::get(target).header(header::HOST, authority).header(header::ACCEPT, accept);
        let request = request.header(header::USER_AGENT, concat!("wsceiling/", env!("CARGO_PKG_VERSION")));
        let mut request = request.header(header::CONNECTION, "close").body(Empty::new()).map_err(|error| {
            ScrapeFault::Unreachable { what: format!("no request can be made of the address: {error}") }
        })?;
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        Ok(request)
    }
}

async fn exchange<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<Answer, ScrapeFault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| exchange_fault(&error, 0))?;
    // It is dropped with this call, and with it the connection.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| exchange_fault(&error, 0))?;
    status(&response)?;
    let word = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut answer = Answer {
        body: Vec::new(),
        content_type: word(header::CONTENT_TYPE).to_lowercase(),
        encoded: !matches!(word(header::CONTENT_ENCODING), "" | "identity"),
        date_unix_s: http_date(word(header::DATE)),
    };
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| exchange_fault(&error, answer.body.len().max(1)))?;
        let Some(data) = frame.data_ref() else { continue };
        if answer.body.len() + data.len() > LARGEST_BODY {
            return Err(ScrapeFault::TooLarge { limit_bytes: LARGEST_BODY as u64 });
        }
        answer.body.extend_from_slice(data);
    }
    Ok(answer)
}

fn status<B>(response: &Response<B>) -> Result<(), ScrapeFault> {
    let status = response.status();
    Err(match status {
        StatusCode::OK => return Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ScrapeFault::Unauthorised { status: status.as_u16() },
        _ if status.is_redirection() => {
            let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
            let to = Template::new(to).map_or_else(|_| String::new(), |to| short(&to.shown(), 200));
            ScrapeFault::Redirected { status: status.as_u16(), to }
        }
        _ => ScrapeFault::Status { status: status.as_u16() },
    })
}

/// What a failed connection means.
fn connection_fault(error: &io::Error) -> ScrapeFault {
    match tls::error_in(error) {
        Some(error) => tls::fault(error),
        None => ScrapeFault::Unreachable { what: short(&error.to_string(), 120) },
    }
}

/// What a failed exchange means, after so many bytes of the body.
fn exchange_fault(error: &hyper::Error, bytes: usize) -> ScrapeFault {
    if let Some(error) = tls::error_in(error) {
        return tls::fault(error);
    }
    if error.is_parse() {
        return ScrapeFault::NotMetrics { looks: "no HTTP".to_owned() };
    }
    if bytes > 0 {
        return ScrapeFault::Truncated { bytes: bytes as u64 };
    }
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    ScrapeFault::Unreachable { what: short(&cause, 120) }
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
fn http_date(text: &str) -> Option<f64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: i64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let word = words.next()?;
    let month = (1..).zip(MONTHS).find(|(_, month)| *month == word)?.0;
    let year: i64 = words.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let clock: Vec<i64> = words.next()?.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = clock[..] else { return None };
    // Days from a civil date, counted from March so that the leap day is last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some((days * 86_400 + hours * 3600 + minutes * 60 + seconds) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_seconds_since_1970() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777.0));
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0.0));
        assert_eq!(http_date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000.0));
        for text in
            ["", "now", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT", "Sun, 6e9 Nov 1 1:1:1 GMT"]
        {
            assert_eq!(http_date(text), None, "{text}");
        }
    }
}
