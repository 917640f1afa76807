//! What a request is answered with: the upgrade, a page, or a refusal.

use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::server::{Request, create_response, write_response};

use crate::http::{HeadError, answer};
use crate::metrics::Refusal;

/// Where a request leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// The bytes of the 101; after them the connection is a WebSocket.
    Upgrade(Vec<u8>),
    /// `/healthz`.
    Health,
    /// `/metrics`.
    Metrics,
    /// The reason, and the bytes of the answer.
    Refuse(Refusal, Vec<u8>),
}

/// Decides on a request; `token` empty: none is asked for.
pub fn route(request: &Request, token: &str) -> Route {
    match request.uri().path() {
        "/ws" => upgrade(request, token),
        "/healthz" => Route::Health,
        "/metrics" => Route::Metrics,
        _ => Route::Refuse(Refusal::NotFound, answer("404 Not Found", "", "there is /ws, /healthz and /metrics\n")),
    }
}

fn upgrade(request: &Request, token: &str) -> Route {
    let bad = |text: &str| Route::Refuse(Refusal::BadRequest, answer("400 Bad Request", "", &format!("{text}\n")));
    let response = match create_response(request) {
        Ok(response) => response,
        Err(Error::Protocol(
            ProtocolError::MissingUpgradeWebSocketHeader | ProtocolError::MissingConnectionUpgradeHeader,
        )) => {
            let headers = "Upgrade: websocket\r\n";
            return Route::Refuse(
                Refusal::BadRequest,
                answer("426 Upgrade Required", headers, "this is a WebSocket\n"),
            );
        }
        Err(Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader)) => {
            let headers = "Sec-WebSocket-Version: 13\r\n";
            return Route::Refuse(
                Refusal::BadRequest,
                answer("426 Upgrade Required", headers, "version 13 is spoken\n"),
            );
        }
        Err(error) => return bad(&error.to_string()),
    };
    if !token.is_empty() && !presented(request).any(|presented| is_same(presented, token)) {
        let headers = "WWW-Authenticate: Bearer\r\n";
        return Route::Refuse(Refusal::Unauthorized, answer("401 Unauthorized", headers, "no valid token\n"));
    }
    let mut bytes = Vec::with_capacity(160);
    match write_response(&mut bytes, &response) {
        Ok(()) => Route::Upgrade(bytes),
        Err(error) => bad(&error.to_string()),
    }
}

/// Tokens of the query and of the `Authorization` header.
fn presented(request: &Request) -> impl Iterator<Item = &str> {
    let query = request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.strip_prefix("token="));
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    query.chain(header.and_then(|value| value.strip_prefix("Bearer ")))
}

/// Compares in a time that does not tell how many characters were right.
fn is_same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// The answer to a request without a usable head; `None`: nobody is there to read it.
pub fn refuse(error: &HeadError) -> Option<Vec<u8>> {
    match error {
        HeadError::Gone => None,
        HeadError::TooLong => Some(answer("431 Request Header Fields Too Large", "", "the head is too long\n")),
        HeadError::WrongMethod => Some(answer("405 Method Not Allowed", "Allow: GET\r\n", "only GET\n")),
        HeadError::Malformed => Some(answer("400 Bad Request", "", "not an HTTP request\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::new(());
        *request.uri_mut() = target.parse().unwrap();
        for (name, value) in headers {
            let name: tokio_tungstenite::tungstenite::http::HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request
    }

    const UPGRADE: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn status(route: &Route) -> String {
        match route {
            Route::Upgrade(bytes) | Route::Refuse(_, bytes) => String::from_utf8(bytes[9..12].to_vec()).unwrap(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_token_opens_by_query_and_by_header() {
        let bearer = [&UPGRADE[..], &[("authorization", "Bearer secret")]].concat();
        for good in
            [request("/ws?token=secret", &UPGRADE), request("/ws?a=b&token=secret", &UPGRADE), request("/ws", &bearer)]
        {
            let Route::Upgrade(bytes) = route(&good, "secret") else { panic!("refused: {good:?}") };
            // The example of RFC 6455, section 1.3.
            let text = String::from_utf8(bytes).unwrap().to_lowercase();
            assert!(text.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{text}");
        }
        assert_eq!(status(&route(&request("/ws", &UPGRADE), "")), "101");
    }

    #[test]
    fn anything_else_is_refused() {
        let basic = [&UPGRADE[..], &[("authorization", "Basic secret")]].concat();
        for bad in [
            request("/ws", &UPGRADE),
            request("/ws?token=", &UPGRADE),
            request("/ws?token=secre", &UPGRADE),
            request("/ws?token=secret1", &UPGRADE),
            request("/ws?xtoken=secret", &UPGRADE),
            request("/ws", &basic),
        ] {
            assert_eq!(status(&route(&bad, "secret")), "401", "{bad:?}");
        }
        assert_eq!(status(&route(&request("/ws?token=secret", &[]), "secret")), "426");
        assert_eq!(status(&route(&request("/ws?token=secret", &UPGRADE[..3]), "secret")), "400");
        assert_eq!(status(&route(&request("/", &UPGRADE), "secret")), "404");
    }

    #[test]
    fn pages_need_no_token() {
        assert_eq!(route(&request("/healthz", &[]), "secret"), Route::Health);
        assert_eq!(route(&request("/metrics?x", &[]), "secret"), Route::Metrics);
    }
}
