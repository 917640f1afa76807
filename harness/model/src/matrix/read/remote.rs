//! The keys of `[targets.NAME]` with a `url`: a server that the harness does not start.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::metrics::metrics;
use super::problem::{Parsed, Problem};
use super::sink::{Sink, Span};
use super::table::{Table, set};
use super::value::{
    MOST_CONNECTIONS, SECOND, boolean, duration, filled_text, integer32, name, number, one_of, rate, text,
};
use crate::matrix::Size;
use crate::matrix::diagnostics::Diagnostic;
use crate::matrix::environment::EnvText;
use crate::matrix::names;
use crate::matrix::remote::{RemoteTarget, RemoteTls, is_loopback};
use crate::platforms;
use crate::url::Url;

/// Keys that only targets with a `url` have.
pub(super) const KEYS: [&str; 15] = [
    "spread",
    "headers",
    "tls",
    "payload",
    "instances",
    "size",
    "platform",
    "price",
    "authorised",
    "max_rate",
    "max_connections",
    "stop_at_failures",
    "settle",
    "front_of",
    "metrics",
];
/// Most addresses of a target.
const MOST_URLS: usize = 256;
/// Most servers behind them.
const MOST_INSTANCES: u32 = 1024;

/// Where the keys stand that the cells are checked against.
pub(in crate::matrix) struct RemotePlaces {
    pub url: Span,
    pub size: Option<Spanned<String>>,
    pub platform: Option<Span>,
    pub front_of: Option<Spanned<String>>,
}

/// Reads them; the table is finished by the caller.
pub(super) fn remote(table: &mut Table<'_, '_>) -> (RemoteTarget, RemotePlaces) {
    let sink = table.sink();
    let url = table.key_span("url").unwrap_or_else(|| table.place.span.clone());
    let urls = table.one_or_list("url", address).unwrap_or_default();
    check_urls(table, &url, &urls);
    let authorised = table.get("authorised", boolean).unwrap_or(false);
    if !authorised {
        urls.iter().filter(|url| !is_loopback(url.get_ref())).for_each(|url| not_authorised(url, sink));
    }
    let secure = urls.iter().any(|url| url.get_ref().secure);
    let size = table.get_at("size", name);
    let front_of = table.get_at("front_of", name);
    let mut remote = RemoteTarget::at(urls.into_iter().map(Spanned::into_inner).collect());
    set(&mut remote.spread, table.get("spread", one_of));
    remote.headers = headers(table);
    remote.token = table.get("token", env_text).filter(|token| is_secret_kept(table, "token", token));
    let tls = table.table("tls").map(|tls| settings_of_tls(tls, secure));
    set(&mut remote.tls, tls);
    set(&mut remote.expect, table.get("expect", one_of));
    remote.payload = table.get("payload", filled_text);
    set(&mut remote.instances, table.get("instances", integer32(1, MOST_INSTANCES)));
    remote.size = size.as_ref().map(|size| size.get_ref().clone());
    let platform = table.get_at("platform", platform);
    remote.platform = platform.as_ref().map(|platform| platform.get_ref().clone());
    remote.price_per_month = table.get("price", number(*Size::PRICES.start(), *Size::PRICES.end()));
    remote.authorised = authorised;
    set(&mut remote.max_rate, table.get("max_rate", rate(0.1, 1e6)));
    set(&mut remote.max_connections, table.get("max_connections", integer32(1, MOST_CONNECTIONS)));
    set(&mut remote.stop_at_failures, table.get("stop_at_failures", number(0.01, 1.0)));
    set(&mut remote.settle, table.get("settle", duration(Duration::ZERO, SECOND * 600)));
    remote.metrics = table.tables("metrics").into_iter().map(metrics).collect();
    remote.front_of = front_of.as_ref().map(|target| target.get_ref().clone());
    let platform = platform.map(|platform| platform.span());
    (remote, RemotePlaces { url, size, platform, front_of })
}

/// An address of the matrix. Its user and password would stand in every record.
fn address(value: &DeValue<'_>) -> Parsed<Url> {
    let written = text(value)?;
    let url = Url::parse(&written).map_err(|error| {
        Problem::new("is no address of a WebSocket server").label(error.to_string()).hint(error.hint())
    })?;
    if url.basic.is_some() {
        let problem = Problem::new("has a user and a password in it, which every record and page would show");
        return Err(problem
            .hint("write `headers = { Authorization = \"Basic ${NAME}\" }`, with base64 of user:password in NAME"));
    }
    if url.socket.is_some() {
        let problem = Problem::new("is a unix-domain socket, which only this machine has");
        return Err(problem.hint("a server of this machine is started by `[targets.NAME.process]`, with `{socket}`"));
    }
    Ok(url)
}

/// A platform that the catalogue has.
fn platform(value: &DeValue<'_>) -> Parsed<String> {
    let written = filled_text(value)?;
    let known = platforms::platform(&written).map_err(|unknown| {
        let problem = Problem::new(format!("cannot be `{written}`")).label("not in the catalogue of platforms");
        problem.hint(format!(
            "the nearest are {}; leave it out for any other",
            names::listed(unknown.nearest.iter().map(String::as_str))
        ))
    })?;
    Ok(known.name.clone())
}

fn check_urls(table: &Table<'_, '_>, place: &Span, urls: &[Spanned<Url>]) {
    let path = table.path("url");
    if table.is_empty_list("url") {
        let fault = Diagnostic::new(format!("`{path}` has no address")).at(place.clone());
        table.sink().fault(fault.hint("write `url = \"wss://example.com/ws\"`").absence());
    }
    if urls.len() > MOST_URLS {
        let fault = Diagnostic::new(format!("`{path}` has {} addresses, at most {MOST_URLS} fit", urls.len()));
        table.sink().fault(fault.at(place.clone()));
    }
    let Some(first) = urls.first() else { return };
    if let Some(other) = urls.iter().find(|url| url.get_ref().secure != first.get_ref().secure) {
        let fault = Diagnostic::new(format!("`{path}` mixes ws:// and wss://")).at(other.span());
        let fault = fault.context(first.span(), "the first address");
        table.sink().fault(fault.hint("make two targets of them: what they cost is not the same"));
    }
}

fn not_authorised(url: &Spanned<Url>, sink: &Sink) {
    let fault =
        Diagnostic::new(format!("`{}` is not this machine, and nobody says that you may load it", url.get_ref()));
    let fault = fault.at(url.span()).label("nothing is sent there");
    sink.fault(
        fault.hint("load only servers that are yours, or whose owner agreed: then add `authorised = true`").absence(),
    );
}

/// Headers by name. The values of those that open doors come from the environment.
fn headers(table: &mut Table<'_, '_>) -> BTreeMap<String, EnvText> {
    let sink = table.sink();
    let path = table.path("headers");
    let mut headers = BTreeMap::new();
    for (name, value) in table.strings("headers", text) {
        let fault = |what: &str| Diagnostic::new(format!("`{path}.{name}` {what}")).at(value.span());
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            sink.fault(fault("is no name of a header").hint("letters, digits and `-`"));
        } else if OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            sink.fault(fault("is set by the WebSocket handshake itself").hint("leave it out"));
        } else {
            match value.get_ref().parse::<EnvText>() {
                Err(error) => sink.fault(fault("cannot be read").label(error.to_string()).hint("write `${NAME}`")),
                Ok(text) if is_secret(&name) && text.variables().next().is_none() => {
                    sink.fault(kept(fault("would stand in every record")));
                }
                Ok(text) if !text.to_string().chars().all(|c| !c.is_control()) => {
                    sink.fault(fault("has a control character").hint("a header is one line"));
                }
                Ok(text) => {
                    headers.insert(name, text);
                }
            }
        }
    }
    headers
}

/// Headers of the handshake (RFC 6455, section 4.1).
const OWN: [&str; 5] = ["connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "host"];

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["auth", "cookie", "token", "secret", "key", "password"].iter().any(|word| name.contains(word))
}

fn is_secret_kept(table: &Table<'_, '_>, key: &str, value: &EnvText) -> bool {
    let kept_apart = value.variables().next().is_some();
    if !kept_apart {
        let span = table.key_span(key).unwrap_or_else(|| table.place.span.clone());
        table
            .sink()
            .fault(kept(Diagnostic::new(format!("`{}` would stand in every record", table.path(key))).at(span)));
    }
    kept_apart
}

fn kept(fault: Diagnostic) -> Diagnostic {
    fault.label("a secret").hint("put it into an environment variable, and write `${NAME}` here")
}

fn env_text(value: &DeValue<'_>) -> Parsed<EnvText> {
    filled_text(value)?.parse().map_err(|error: crate::matrix::environment::BadPlaceholder| {
        Problem::new("cannot be read").label(error.to_string()).hint("write `${NAME}`")
    })
}

fn settings_of_tls(mut table: Table<'_, '_>, secure: bool) -> RemoteTls {
    let (place, sink) = (table.place.clone(), table.sink());
    if !secure {
        let fault =
            Diagnostic::new(format!("`{}` is for wss://, and no address is", place.path)).at(place.span.clone());
        sink.fault(fault.hint("write wss:// addresses, or leave it out"));
    }
    let tls = RemoteTls {
        insecure: table.get("insecure", boolean).unwrap_or(false),
        ca: table.get("ca", filled_text).map(PathBuf::from),
        cert: table.get("cert", filled_text).map(PathBuf::from),
        key: table.get("key", filled_text).map(PathBuf::from),
        server_name: table.get("server_name", filled_text),
    };
    if tls.cert.is_some() != tls.key.is_some() {
        let fault = Diagnostic::new(format!("`{}` has one of `cert` and `key`", place.path)).at(place.span.clone());
        sink.fault(fault.hint("a client's certificate needs both").absence());
    }
    if tls.insecure && tls.ca.is_some() {
        let fault = Diagnostic::new(format!("`{}` trusts anyone and a `ca`", place.path)).at(place.span);
        sink.fault(fault.hint("leave one of `insecure` and `ca` out"));
    }
    table.finish();
    tls
}
