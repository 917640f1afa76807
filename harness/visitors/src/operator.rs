//! HTTP for the operator, on loopback: a page with forms and the report so far, and commands of other processes.
//!
//! A page of a stranger, open in the operator's browser, can send requests here too. So a request must name a host of
//! loopback (against DNS rebinding), come through no proxy, and a change must come from this page itself or have a header
//! that other pages cannot send.

use std::net::IpAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::TcpListener;
use wsceiling_model::matrix::units;
use wsceiling_model::visitors::{Change, VisitorsLine};

use crate::collector::Collector;
use crate::control::{COMMAND_HEADER, Command, Said};
use crate::serve::{Reply, body, is_forwarded, plain, serve, set};

/// Longest body of a command.
const COMMAND_MAX: usize = 8 << 10;
/// Connections of operators at a time.
const OPERATORS: usize = 64;

/// Makes the page of the run so far.
pub type LivePage = dyn Fn(&[VisitorsLine]) -> String + Send + Sync;

/// What the operator's side needs.
#[derive(Clone)]
pub struct Operator {
    /// The run.
    pub collector: Arc<Collector>,
    /// Makes its page.
    pub page: Arc<LivePage>,
}

/// Serves the operator until it is dropped. The listener must be on loopback.
pub async fn serve_operator(listener: TcpListener, operator: Operator) {
    serve(listener, OPERATORS, move |request| {
        let operator = operator.clone();
        async move { operator.answer(request).await }
    })
    .await;
}

/// Whether a `Host` header, or the host of an origin, is a name of loopback.
pub fn is_loopback_host(host: &str) -> bool {
    let end = if host.starts_with('[') {
        host.find(']').map_or(0, |end| end + 1)
    } else {
        host.find(':').unwrap_or(host.len())
    };
    let (name, port) = host.split_at(end);
    let port_is_one = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    port_is_one && (name == "localhost" || address.is_ok_and(|address| address.is_loopback()))
}

impl Operator {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let headers = request.headers();
        let host = text(headers, &header::HOST).unwrap_or_default().to_owned();
        if !is_loopback_host(&host) || is_forwarded(headers) {
            return plain(StatusCode::FORBIDDEN, "the operator is on loopback, without a proxy\n");
        }
        let own_page = text(headers, &header::ORIGIN).is_some_and(|origin| origin == format!("http://{host}"));
        let command = headers.contains_key(COMMAND_HEADER);
        match (request.method().clone(), request.uri().path()) {
            (Method::GET, "/") => self.page(StatusCode::OK, "", false),
            (Method::GET, "/live") => self.live(),
            (Method::GET, "/status") => {
                self.collector.watched();
                json(StatusCode::OK, &self.collector.status())
            }
            (Method::POST, "/command") if command => self.command(request).await,
            (Method::POST, "/do") if own_page => self.form(request).await,
            (Method::POST, _) => plain(StatusCode::FORBIDDEN, "a command comes from the operator's page or program\n"),
            _ => plain(StatusCode::NOT_FOUND, "nothing is here\n"),
        }
    }

    async fn command(&self, request: Request<Incoming>) -> Reply {
        let Ok(body) = body(request, COMMAND_MAX).await else {
            return json(StatusCode::BAD_REQUEST, &Said { done: false, said: "the command is too long".to_owned() });
        };
        let said = match serde_json::from_slice::<Command>(&body) {
            Ok(command) => self.collector.command(&command).map_err(|error| error.to_string()),
            Err(error) => Err(format!("the command cannot be read: {error}")),
        };
        let status = if said.is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        json(status, &Said { done: said.is_ok(), said: said.unwrap_or_else(|why| why) })
    }

    async fn form(&self, request: Request<Incoming>) -> Reply {
        let Ok(body) = body(request, COMMAND_MAX).await else {
            return self.page(StatusCode::BAD_REQUEST, "the form is too long", true);
        };
        let done =
            form_command(&body).and_then(|command| self.collector.command(&command).map_err(|error| error.to_string()));
        match done {
            Ok(said) => self.page(StatusCode::OK, &said, false),
            Err(why) => self.page(StatusCode::BAD_REQUEST, &why, true),
        }
    }

    fn page(&self, status: StatusCode, said: &str, bad: bool) -> Reply {
        self.collector.watched();
        let now = self.collector.status();
        let setting = now.setting;
        let message = setting.message.map_or_else(|| "none".to_owned(), |message| message.to_string());
        let class = if bad { "bad" } else { "" };
        // Only {NAMES} of the file itself are replaced: it is cut at them first.
        let filled = fill(include_str!("operator.html"), |name| match name {
            "target" => escape(&now.target),
            "goal" => setting.goal.to_string(),
            "per_visitor" => setting.per_visitor.to_string(),
            "rate" => units::format_rate(setting.rate_per_s),
            "generator" => setting.generator.to_string(),
            "message" => escape(&message),
            "class" => class.to_owned(),
            _ => escape(said),
        });
        let mut reply = html(filled);
        *reply.status_mut() = status;
        set(
            &mut reply,
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        );
        reply
    }

    fn live(&self) -> Reply {
        self.collector.watched();
        let mut reply = html(self.collector.look(|lines| (self.page)(lines)));
        set(&mut reply, HeaderName::from_static("refresh"), "2");
        set(&mut reply, header::CONTENT_SECURITY_POLICY, "frame-ancestors 'self'");
        reply
    }
}

/// The command of a form of the page.
fn form_command(body: &[u8]) -> Result<Command, String> {
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
    let field = |name: &str| fields.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value.trim());
    let number = |name: &str| {
        let text = field(name).replace(',', "");
        text.parse::<u32>().map_err(|_| format!("`{}` is no whole number", text.escape_debug()))
    };
    match field("do") {
        "set" => {
            let rate = units::parse_rate(field("rate")).map_err(|error| format!("the rate: {error} (hint: 100/s)"))?;
            let mut change = Change {
                goal: Some(number("goal")?),
                per_visitor: Some(number("per_visitor")?),
                rate_per_s: Some(rate),
                generator: Some(number("generator")?),
                ..Change::default()
            };
            change.set_message(field("message")).map_err(|error| error.to_string())?;
            Ok(Command::Set(change))
        }
        "pause" => Ok(Command::Pause),
        "resume" => Ok(Command::Resume),
        "stop" => Ok(Command::Stop),
        "note" => Ok(Command::Note { text: field("text").to_owned() }),
        _ => Err("the form says nothing to do".to_owned()),
    }
}

/// Replaces each `{name}` of letters and underscores; other braces stay.
fn fill(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut filled = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        filled.push_str(&rest[..start]);
        let after = &rest[start + 1..];
        let end = after.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(after.len());
        if end > 0 && after[end..].starts_with('}') {
            filled.push_str(&value(&after[..end]));
            rest = &after[end + 1..];
        } else {
            filled.push('{');
            rest = after;
        }
    }
    filled.push_str(rest);
    filled
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn html(page: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(page)));
    set(&mut reply, header::CONTENT_TYPE, "text/html; charset=utf-8");
    set(&mut reply, header::CACHE_CONTROL, "no-store");
    set(&mut reply, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    reply
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(serde_json::to_vec(value).unwrap_or_default())));
    *reply.status_mut() = status;
    set(&mut reply, header::CONTENT_TYPE, "application/json");
    set(&mut reply, header::CACHE_CONTROL, "no-store");
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsceiling_model::visitors::VisitorMessage;

    #[test]
    fn only_names_of_loopback_are_answered() {
        for host in ["localhost", "localhost:8471", "127.0.0.1:8471", "[::1]:8471", "127.1.2.3"] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "127.0.0.1.example.com:8471",
            "localhost.example",
            "10.0.0.1:8471",
            "[::1",
            "localhost:x",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }

    #[test]
    fn a_form_is_a_command() {
        let command =
            form_command(b"goal=20%2C000&per_visitor=5&rate=50%2Fs&message=64B+every+20s&generator=5%2C000&do=set")
                .unwrap();
        let message = Some(VisitorMessage { bytes: 64, every_ms: 20_000 });
        let change = Change {
            goal: Some(20_000),
            per_visitor: Some(5),
            rate_per_s: Some(50.0),
            message,
            generator: Some(5_000),
            silence: false,
        };
        assert_eq!(command, Command::Set(change));
        assert_eq!(form_command(b"do=note&text=a%3Cb"), Ok(Command::Note { text: "a<b".to_owned() }));
        for (body, says) in [
            (&b"do=set&goal=-1"[..], "hint: 100/s"),
            (b"do=set&rate=1/s&goal=x", "no whole number"),
            (b"", "nothing to do"),
            (b"do=set&rate=1/s&goal=1&per_visitor=1&generator=-1", "`-1` is no whole number"),
            (b"do=set&rate=1/s&goal=1&per_visitor=1&generator=0&message=loud", "hint: `64B every 20s`"),
        ] {
            let said = form_command(body).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn only_names_of_the_template_are_replaced() {
        let filled = fill("a { color: {x}; } {said}", |name| format!("<{name}{{said}}>"));
        assert_eq!(filled, "a { color: <x{said}>; } <said{said}>");
        assert_eq!(escape("<a href=\"'&\">"), "&lt;a href=&quot;&#39;&amp;&quot;&gt;");
        let names = ["target", "goal", "per_visitor", "rate", "generator", "message", "class", "said"];
        for name in names {
            assert!(include_str!("operator.html").contains(&format!("{{{name}}}")), "{name}");
        }
    }
}
