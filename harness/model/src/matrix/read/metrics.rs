//! `[[targets.NAME.metrics]]`: where the numbers of a server come from that the harness did not start.

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::problem::{Parsed, Problem};
use super::table::{Strings, Table};
use super::value::{SECOND, duration, filled_text, text};
use crate::matrix::diagnostics::Diagnostic;
use crate::matrix::{MetricSource, Reads, Template, Tls, names};
use crate::record::{Component, Metric};

/// The keys that say what is read; one of them has to be there.
const READERS: [&str; 4] = ["prometheus", "query", "docker", "command"];
/// Shortest time between two readings: more often would be a load of its own.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(600);

/// Reads one entry. Every fault is reported; what cannot be read has a placeholder, which nobody sees.
pub(super) fn metrics(mut table: Table<'_, '_>) -> MetricSource {
    let part = table.get("part", part);
    if part.is_none() && !table.has("part") {
        let fault = Diagnostic::new(format!("`{}` has no `part`", table.place.path)).at(table.place.span.clone());
        let fault = fault.label("nothing says whose numbers these are").absence();
        table.sink().fault(fault.hint("add `part = \"instance-0\"`, `part = \"host\"` or `part = \"front\"`"));
    }
    let given: Vec<&str> = READERS.into_iter().filter(|key| table.has(key)).collect();
    one_reader(&table, &given);
    let has = |keys: &[&str]| given.iter().any(|key| keys.contains(key));
    let every = table.get("every", duration(SHORTEST, LONGEST)).unwrap_or(SECOND);
    let within = table.get("within", duration(Duration::from_millis(10), LONGEST)).unwrap_or(2 * SECOND);
    let headers = if has(&["prometheus", "query"]) { headers(&mut table) } else { Vec::new() };
    let tls = if has(&["prometheus", "query", "docker"]) { tls(&mut table) } else { Tls::default() };
    let reads = reads(&mut table, &given, &tls);
    for (keys, reader) in [
        (&["labels"][..], "prometheus"),
        (&["queries"], "query"),
        (&["container"], "docker"),
        (&["headers"], "prometheus` or `query"),
        (&["ca", "cert", "key"], "prometheus`, `query` or `docker"),
    ] {
        table.misplaced(keys, &format!("sources with `{reader}`"));
    }
    table.finish();
    let headers = headers.into_iter().collect();
    MetricSource { part: part.unwrap_or(Component::Host), reads, every, within, headers, tls }
}

fn one_reader(table: &Table<'_, '_>, given: &[&str]) {
    let path = &table.place.path;
    let fault = match given {
        [_] => return,
        [] => Diagnostic::new(format!("`{path}` does not say what to read"))
            .at(table.place.span.clone())
            .label("one of `prometheus`, `query`, `docker` and `command` has to stand here")
            .absence(),
        [first, second, ..] => {
            let fault = Diagnostic::new(format!("`{path}` reads two things: `{first}` and `{second}`"));
            let place = table.key_span(second).unwrap_or_else(|| table.place.span.clone());
            fault.at(place).label("one source reads one thing")
        }
    };
    table.sink().fault(fault.hint(format!("write a `[[{path}]]` for each, with its `part`")));
}

fn reads(table: &mut Table<'_, '_>, given: &[&str], tls: &Tls) -> Reads {
    let mut read = Reads::Command { command: Vec::new() };
    for reader in given {
        read = match *reader {
            "prometheus" => {
                let url = table.get("prometheus", web_address).unwrap_or_default();
                Reads::Prometheus { url, labels: labels(table) }
            }
            "query" => {
                let url = table.get("query", web_address).unwrap_or_default();
                Reads::Query { url, queries: queries(table) }
            }
            "docker" => docker(table, tls)
                .unwrap_or_else(|| Reads::Docker { engine: Template::default(), container: String::new() }),
            _ => Reads::Command { command: command(table) },
        };
    }
    read
}

/// `instance-0`, `host`, `front`, `front-1`.
fn part(value: &DeValue<'_>) -> Parsed<Component> {
    let word = text(value)?;
    let found = if word == "front" { Ok(Component::Front(0)) } else { word.parse() };
    match found {
        Ok(part @ (Component::Host | Component::Instance(_) | Component::Front(_))) => Ok(part),
        _ => Err(Problem::new(format!("cannot be `{word}`"))
            .label("no part of a target")
            .hint("instances are `instance-0` and so on, the machine of the server is `host`, the front is `front`")),
    }
}

/// An `http://` or `https://` address.
fn web_address(value: &DeValue<'_>) -> Parsed<Template> {
    let address = template(value)?;
    let text = address.as_str();
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let Some(rest) = rest else {
        return Err(Problem::new("is no address of the web")
            .label("starts with neither http:// nor https://")
            .hint("write the whole address: \"http://10.0.0.2:9100/metrics\""));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(Problem::new("has a user or a password in it").label("it would be in the record").hint(
            "write `headers = { Authorization = \"Basic ${NAME}\" }`, with the base64 of user:password in NAME",
        ));
    }
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    if host.is_empty() || text.contains(char::is_whitespace) {
        return Err(Problem::new("is no address of the web")
            .label("no host, or a space")
            .hint("write the whole address: \"http://10.0.0.2:9100/metrics\""));
    }
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if is_secret(name) && !value.is_empty() && !value.contains("${") {
            return Err(in_the_record(&format!("{name}=${{NAME}}")));
        }
    }
    Ok(address)
}

/// A text that may hold `${NAME}`.
fn template(value: &DeValue<'_>) -> Parsed<Template> {
    Template::new(filled_text(value)?).map_err(|error| {
        let problem = Problem::new("names no variable of the environment").label(error.to_string());
        problem.hint("write `${NAME}`, with letters, digits and `_`")
    })
}

fn in_the_record(example: &str) -> Problem {
    let problem = Problem::new("holds a secret").label("the record has the text of this file");
    problem.hint(format!("take it from the environment: `{example}`"))
}

/// Whether a header or a parameter of that name holds a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey", "api_key", "access-key"]
        .iter()
        .any(|word| name.contains(word))
}

fn headers(table: &mut Table<'_, '_>) -> Vec<(String, Template)> {
    let path = table.path("headers");
    let mut headers = Vec::new();
    for (name, value) in table.strings("headers", text) {
        let span = value.span();
        let fault = |problem: Problem| table.problem(&format!("headers.{name}"), span.clone(), problem);
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            let fault = Diagnostic::new(format!("`{name}` in `{path}` cannot be the name of a header")).at(span);
            table.sink().fault(fault.label("letters, digits and `-`").hint("write it like `Authorization`"));
            continue;
        }
        let value = value.into_inner();
        if value.chars().any(char::is_control) {
            fault(Problem::new("has a line break or another control character").hint("write it on one line"));
        } else if is_secret(&name) && !value.contains("${") {
            fault(in_the_record(&format!("{name} = \"... ${{NAME}}\"")));
        } else {
            match Template::new(value) {
                Ok(value) => headers.push((name, value)),
                Err(error) => fault(
                    Problem::new("names no variable of the environment")
                        .label(error.to_string())
                        .hint("write `${NAME}`, with letters, digits and `_`"),
                ),
            }
        }
    }
    headers
}

fn labels(table: &mut Table<'_, '_>) -> std::collections::BTreeMap<String, String> {
    table.strings("labels", text).into_iter().map(|(name, value)| (name, value.into_inner())).collect()
}

fn queries(table: &mut Table<'_, '_>) -> std::collections::BTreeMap<String, String> {
    let path = table.path("queries");
    if !table.has("queries") {
        let fault = Diagnostic::new(format!("`{}` has no `queries`", table.place.path)).at(table.place.span.clone());
        let fault = fault.label("a query server is asked for each number").absence();
        table.sink().fault(fault.hint("add `queries = { cpu_usage_us_total = \"1e6 * sum(...)\" }`"));
    }
    let known: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    let strings: Strings = table.strings("queries", filled_text);
    let mut queries = std::collections::BTreeMap::new();
    for (name, query) in strings {
        if Metric::from_name(&name).is_none() {
            let fault = Diagnostic::new(format!("`{name}` in `{path}` is no name of a number")).at(query.span());
            let fault = fault.label("names are the columns of samples.csv");
            let near = names::nearest(&name, known.iter().copied());
            let hint = near.map_or_else(
                || "docs/record-format.md lists them all: `cpu_usage_us_total`, `memory_current_bytes`, ...".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            table.sink().fault(fault.hint(hint));
        } else {
            queries.insert(name, query.into_inner());
        }
    }
    queries
}

fn docker(table: &mut Table<'_, '_>, tls: &Tls) -> Option<Reads> {
    let engine = table.get_at("docker", engine);
    let container = table.get("container", filled_text);
    if container.is_none() && !table.has("container") {
        let fault = Diagnostic::new(format!("`{}` has no `container`", table.place.path)).at(table.place.span.clone());
        let fault = fault.label("an engine has many").absence();
        table.sink().fault(fault.hint("add `container = \"NAME\"`, as `docker ps` shows it there"));
    }
    let engine: Spanned<Template> = engine?;
    let with_certificates = tls.ca.is_some() || tls.cert.is_some();
    if with_certificates && !engine.get_ref().as_str().starts_with("tcp://") {
        let fault = Diagnostic::new(format!("`{}` has no TLS", table.path("docker"))).at(engine.span());
        let fault = fault.label("only an engine at tcp:// takes certificates");
        table.sink().fault(fault.hint("remove `ca`, `cert` and `key`, or write \"tcp://HOST:2376\""));
    } else if tls.ca.is_some() != tls.cert.is_some() {
        let fault = Diagnostic::new(format!("`{}` needs `ca`, `cert` and `key`, or none", table.path("docker")));
        let fault = fault.at(engine.span()).label("an engine with TLS knows its clients by their certificates");
        table.sink().fault(fault.hint("add `ca = \"ca.pem\"`, `cert = \"cert.pem\"` and `key = \"key.pem\"`"));
    }
    Some(Reads::Docker { engine: engine.into_inner(), container: container? })
}

/// Address of an engine.
fn engine(value: &DeValue<'_>) -> Parsed<Template> {
    let address = template(value)?;
    let text = address.as_str();
    let rest = ["unix://", "tcp://", "ssh://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let usable =
        rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('-') && !text.contains(char::is_whitespace));
    let password = rest.and_then(|rest| rest.split_once('@')).is_some_and(|(user, _)| user.contains(':'));
    if usable && !password {
        return Ok(address);
    }
    let label = if password { "a password would be in the record" } else { "not the address of an engine" };
    Err(Problem::new("cannot be used").label(label)
        .hint("write \"ssh://USER@HOST\" (with a key), \"tcp://HOST:2376\" with `ca`, `cert` and `key`, or \"unix:///run/docker.sock\""))
}

fn command(table: &mut Table<'_, '_>) -> Vec<String> {
    let sink = table.sink();
    let before = sink.faults();
    let words = table.list("command", r#"["./metrics.sh", "--json"]"#, text);
    let span = words.as_ref().map(Spanned::span);
    let words: Vec<String> = words.into_iter().flat_map(Spanned::into_inner).map(Spanned::into_inner).collect();
    if words.first().is_none_or(|program| program.trim().is_empty()) && sink.faults() == before {
        let fault = Diagnostic::new(format!("`{}` names no program", table.path("command")));
        let fault = fault.at(span.unwrap_or_else(|| table.place.span.clone())).label("the first word is the program");
        sink.fault(fault.hint("write `command = [\"./metrics.sh\", \"--json\"]`"));
    }
    words
}

fn tls(table: &mut Table<'_, '_>) -> Tls {
    let mut path = |key| table.get(key, filled_text).map(PathBuf::from);
    let tls = Tls { ca: path("ca"), cert: path("cert"), key: path("key") };
    let lone = match (table.has("cert"), table.has("key")) {
        (true, false) => Some(("cert", "key")),
        (false, true) => Some(("key", "cert")),
        _ => None,
    };
    if let Some((given, missing)) = lone {
        let place = table.key_span(given).unwrap_or_else(|| table.place.span.clone());
        let fault = Diagnostic::new(format!("`{}` stands without `{missing}`", table.path(given))).at(place);
        table
            .sink()
            .fault(fault.label("a certificate is used with its key").hint(format!("add `{missing} = \"FILE\"`")));
    }
    tls
}

#[cfg(test)]
mod tests;
