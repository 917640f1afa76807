//! `[targets.NAME]` with `process`, `docker` and `confirm`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use super::problem::{Parsed, Problem};
use super::remote::{self, RemotePlaces, remote};
use super::sink::{Sink, Span};
use super::table::{Strings, Table, TablePlace};
use super::value::{filled_text, integer, one_of, text};
use crate::matrix::diagnostics::Diagnostic;
use crate::matrix::target::VALUE;
use crate::matrix::{ConfirmArgs, DockerSpec, Expect, Image, ProcessSpec, Protocol, Start, Target, names};

#[cfg(test)]
mod tests;

/// What is replaced in arguments and environment variables.
const PLACEHOLDERS: [&str; 5] = ["port", "address", "ip", "instance", "socket"];

/// A target as it stands in the file.
pub(in crate::matrix) struct DescribedTarget {
    /// Its name there.
    pub span: Span,
    pub target: Target,
    /// Where the keys of a remote target stand.
    pub places: Option<RemotePlaces>,
}

pub(super) fn target(name: &str, span: &Span, table: Table<'_, '_>) -> DescribedTarget {
    let span = span.clone();
    if table.has("url") {
        let (target, places) = at_url(name, table);
        return DescribedTarget { span, target, places: Some(places) };
    }
    DescribedTarget { target: started(name, &span, table), span, places: None }
}

/// A target that somebody else runs.
fn at_url(name: &str, mut table: Table<'_, '_>) -> (Target, RemotePlaces) {
    let (remote, places) = remote(&mut table);
    let protocol = table.get("protocol", one_of).unwrap_or(Protocol::Echo);
    let of_protocol = ["expect", "payload"].into_iter().find(|key| protocol != Protocol::Echo && table.has(key));
    if let Some(key) = of_protocol {
        let fault =
            Diagnostic::new(format!("`{}`: the protocol `{protocol}` has messages of its own", table.path(key)));
        let fault = fault.at(table.key_span(key).unwrap_or_else(|| places.url.clone()));
        table.sink().fault(fault.hint(format!("leave out `{key}` or `protocol`")));
    }
    table.misplaced(&["path", "folder", "process", "docker", "confirm"], "targets without a `url`");
    table.finish();
    let target = Target {
        name: name.to_owned(),
        protocol,
        path: remote.urls.first().map_or_else(|| "/".to_owned(), |url| url.path.clone()),
        token: None,
        folder: None,
        expect: Expect::Echo,
        process: None,
        docker: None,
        confirm: ConfirmArgs::default(),
        remote: Some(remote),
    };
    (target, places)
}

/// A target that the harness starts.
fn started(name: &str, span: &Span, mut table: Table<'_, '_>) -> Target {
    let (path, sink) = (table.place.path.clone(), table.sink());
    let process = table.table("process").map(process);
    let docker = table.table("docker").map(docker);
    let confirm = table.table("confirm").map(confirm).unwrap_or_default();
    if !table.has("process") && !table.has("docker") {
        let fault =
            Diagnostic::new(format!("target `{name}` has neither `process`, `docker` nor `url`")).at(span.clone());
        let hint =
            format!("add `[{path}.process]` with `cargo` or `program`, `[{path}.docker]` with `image`, or a `url`");
        sink.fault(fault.label("nothing says how it starts").hint(hint).absence());
    }
    table.misplaced(&["cargo", "program", "args", "env", "files", "user"], &format!("{path}.process"));
    table.misplaced(&["image", "build", "port"], &format!("{path}.docker"));
    table.misplaced(&remote::KEYS, "targets with a `url`");
    let protocol = table.get("protocol", one_of).unwrap_or(Protocol::Echo);
    let expect = table.get("expect", one_of).unwrap_or(Expect::Echo);
    if let (true, Some(at)) = (protocol != Protocol::Echo, table.key_span("expect")) {
        let fault = Diagnostic::new(format!("`{path}.expect`: the protocol `{protocol}` has messages of its own"));
        sink.fault(fault.at(at).hint("leave out `expect` or `protocol`"));
    }
    let target = Target {
        name: name.to_owned(),
        protocol,
        expect,
        path: table.get("path", url_path).unwrap_or_else(|| "/".to_owned()),
        token: table.get("token", token),
        folder: table.get("folder", filled_text).map(PathBuf::from),
        process,
        docker,
        confirm,
        remote: None,
    };
    table.finish();
    target
}

fn process(mut table: Table<'_, '_>) -> ProcessSpec {
    let sink = table.sink();
    let start = one_start(&mut table, ["cargo", "program"], [package, filled_text]);
    let args = table.list("args", r#"["--address", "{address}"]"#, text).map(Spanned::into_inner);
    let env = table.strings("env", text);
    check_env(&env, sink);
    let files = table.list("files", r#"["page.html"]"#, filled_text).map(Spanned::into_inner).unwrap_or_default();
    let spelled = args.iter().flatten().chain(env.values());
    spelled.clone().for_each(|text| check_placeholders(text, sink));
    let port = spelled.clone().find(|text| ["{port}", "{address}"].iter().any(|it| text.get_ref().contains(it)));
    let socket = spelled.clone().find(|text| text.get_ref().contains("{socket}"));
    if let (Some(port), Some(socket)) = (port, socket) {
        let fault = Diagnostic::new(format!("`{}` is told a port and a socket", table.place.path)).at(socket.span());
        let fault = fault.context(port.span(), "a port");
        sink.fault(fault.label("a unix-domain socket").hint("an instance listens on one of them: remove the other"));
    }
    let fixed = table.get_at("port", integer(1, 65_535));
    if let (Some(fixed), Some(told)) = (&fixed, port.or(socket)) {
        let fault = Diagnostic::new(format!("`{}` has a `port` and is told one", table.place.path)).at(fixed.span());
        let fault = fault.context(told.span(), "told here");
        sink.fault(fault.label("the port that stands in its code").hint("keep one of them"));
    }
    let told = port.is_some() || socket.is_some() || table.has("port");
    let default_args = start.as_ref().is_some_and(|(key, _)| *key == "cargo") && !table.has("args");
    // A faulty list may have held the placeholder: one fault is enough.
    let readable = args.is_some() || !table.has("args");
    if readable && start.is_some() && !told && !default_args {
        never_told(&table.place, sink);
    }
    let user = table.get("user", filled_text);
    let build = build(&mut table, start.as_ref().map(|(key, _)| *key));
    table.finish();
    ProcessSpec {
        start: match start {
            Some(("cargo", package)) => Start::Cargo(package),
            Some((_, program)) => Start::Program(program),
            None => Start::Program(String::new()),
        },
        args: match args {
            Some(args) => args.into_iter().map(Spanned::into_inner).collect(),
            None if default_args => vec!["--address".to_owned(), "{address}".to_owned()],
            None => Vec::new(),
        },
        env: plain(env),
        files: files.into_iter().map(|file| PathBuf::from(file.into_inner())).collect(),
        user,
        port: fixed.map(|port| port.into_inner() as u16),
        build,
    }
}

/// The command that makes the program. A package is built by its own key.
fn build(table: &mut Table<'_, '_>, start: Option<&'static str>) -> Vec<String> {
    let (sink, before) = (table.sink(), table.sink().faults());
    let Some(list) = table.list("build", r#"["go", "build", "-o", "server", "."]"#, filled_text) else {
        return Vec::new();
    };
    let span = list.span();
    let words: Vec<String> = list.into_inner().into_iter().map(Spanned::into_inner).collect();
    let path = table.path("build");
    if words.is_empty() && sink.faults() == before {
        let fault = Diagnostic::new(format!("`{path}` has no program")).at(span.clone());
        sink.fault(fault.hint("write `build = [\"make\"]`, or leave it out"));
    }
    if start == Some("cargo") {
        let fault = Diagnostic::new(format!("`{path}` stands beside `cargo`, which builds already")).at(span);
        sink.fault(fault.hint("leave `build` out, or name what it makes with `program`"));
    }
    words
}

fn never_told(place: &TablePlace, sink: &Sink) {
    let fault = Diagnostic::new(format!("`{}` is never told its port", place.path)).at(place.span.clone());
    let fault = fault.label("neither `{port}`, `{address}` nor `{socket}` in `args` or `env`").absence();
    sink.fault(fault.hint(
        "each instance listens on a port of its own: add `args = [\"--port\", \"{port}\"]` or `env = { PORT = \"{port}\" }`, or \
         `port = 8080` if it stands in the code",
    ));
}

fn docker(mut table: Table<'_, '_>) -> DockerSpec {
    let sink = table.sink();
    let image = one_start(&mut table, ["image", "build"], [reference, filled_text]);
    let args = table.list("args", r#"["--port", "{port}"]"#, text).map(Spanned::into_inner).unwrap_or_default();
    let env = table.strings("env", text);
    check_env(&env, sink);
    args.iter().chain(env.values()).for_each(|text| check_placeholders(text, sink));
    if let Some(text) = args.iter().chain(env.values()).find(|text| text.get_ref().contains("{socket}")) {
        let fault = Diagnostic::new("`{socket}` has no meaning in a container").at(text.span());
        sink.fault(fault.label("only for processes").hint("a container is reached over its network: use `{port}`"));
    }
    let port = table.get("port", integer(1, 65_535)).unwrap_or(8080) as u16;
    table.finish();
    DockerSpec {
        image: match image {
            Some(("build", folder)) => Image::Build(PathBuf::from(folder)),
            Some((_, reference)) => Image::Reference(reference),
            None => Image::Reference(String::new()),
        },
        args: args.into_iter().map(Spanned::into_inner).collect(),
        env: plain(env),
        port,
    }
}

/// Arguments by which an experiment sets what only the server itself can set.
fn confirm(mut table: Table<'_, '_>) -> ConfirmArgs {
    let args = ConfirmArgs {
        backlog: pattern(&mut table, "backlog", r#"["--backlog", "{value}"]"#),
        threads: pattern(&mut table, "threads", r#"["--threads", "{value}"]"#),
        heap: pattern(&mut table, "heap", r#"["--max-old-space-size={value}"]"#),
    };
    table.finish();
    args
}

fn pattern(table: &mut Table<'_, '_>, key: &'static str, example: &str) -> Vec<String> {
    let sink = table.sink();
    let before = sink.faults();
    let Some(list) = table.list(key, example, text) else { return Vec::new() };
    let span = list.span();
    let words: Vec<String> = list.into_inner().into_iter().map(Spanned::into_inner).collect();
    let places: usize = words.iter().map(|word| word.matches(VALUE).count()).sum();
    if places != 1 && sink.faults() == before {
        let fault = Diagnostic::new(format!("`{}` has `{VALUE}` {places} times", table.path(key))).at(span);
        let fault = fault.label("the number of an experiment goes into one place");
        sink.fault(fault.hint(format!("write `{key} = {example}`")));
    }
    words
}

/// Reads exactly one of two keys.
fn one_start(
    table: &mut Table<'_, '_>,
    keys: [&'static str; 2],
    parsers: [fn(&DeValue<'_>) -> Parsed<String>; 2],
) -> Option<(&'static str, String)> {
    let ([first, second], sink) = (keys, table.sink());
    let (one, other) = (table.get(first, parsers[0]), table.get(second, parsers[1]));
    let path = table.place.path.clone();
    match (table.key_span(first), table.key_span(second)) {
        (Some(one), Some(other)) => {
            let fault = Diagnostic::new(format!("`{path}` has both `{first}` and `{second}`")).at(other);
            sink.fault(fault.context(one, "already given here").hint("keep one of them"));
        }
        (None, None) => {
            let fault = Diagnostic::new(format!("`{path}` has neither `{first}` nor `{second}`"));
            let fault = fault.at(table.place.span.clone()).label("nothing says what to start");
            sink.fault(fault.absence().hint(format!("add `{first} = \"...\"` or `{second} = \"...\"`")));
        }
        _ => {}
    }
    one.map(|text| (first, text)).or(other.map(|text| (second, text)))
}

fn check_env(env: &Strings, sink: &Sink) {
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) {
            let fault = Diagnostic::new(format!("`{name}` cannot be the name of an environment variable"));
            sink.fault(fault.at(value.span()).label("the variable of this value").hint("leave out `=` and NUL"));
        }
    }
}

/// A word in braces that is nearly a placeholder is probably a slip; others may be the program's own.
fn check_placeholders(text: &Spanned<String>, sink: &Sink) {
    for piece in text.get_ref().split('{').skip(1) {
        let Some((word, _)) = piece.split_once('}') else { continue };
        if PLACEHOLDERS.contains(&word) {
            continue;
        }
        if let Some(near) = names::nearest(word, PLACEHOLDERS) {
            let warning = Diagnostic::new(format!("`{{{word}}}` is not replaced")).at(text.span());
            sink.warn(
                warning
                    .label(format!("did you mean `{{{near}}}`?"))
                    .hint("replaced are `{port}`, `{address}`, `{ip}`, `{instance}` and `{socket}`"),
            );
        }
    }
}

fn plain(strings: Strings) -> BTreeMap<String, String> {
    strings.into_iter().map(|(name, text)| (name, text.into_inner())).collect()
}

/// A cargo package: never an option of cargo.
fn package(value: &DeValue<'_>) -> Parsed<String> {
    let package = text(value)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if package.is_empty() || package.starts_with('-') || !package.chars().all(allowed) {
        let problem = Problem::new("is not the name of a cargo package").label("letters, digits, `-` and `_`");
        return Err(problem.hint("`cargo` takes a package of the workspace; other programs go into `program`"));
    }
    Ok(package)
}

/// A reference of an image: never an option, no spaces.
fn reference(value: &DeValue<'_>) -> Parsed<String> {
    let image = filled_text(value)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    if image.starts_with('-') || !image.chars().all(allowed) {
        let problem = Problem::new("is not the reference of an image");
        return Err(problem.hint("write it as for `docker run`: \"ghcr.io/you/server:1.2\""));
    }
    Ok(image)
}

/// Path and query of a request (RFC 9112): ASCII without spaces, from the first slash.
fn url_path(value: &DeValue<'_>) -> Parsed<String> {
    let path = text(value)?;
    if !path.starts_with('/') {
        return Err(Problem::new("must begin with `/`").hint(format!("write \"/{}\"", path.trim())));
    }
    if let Some(wrong) = path.chars().find(|c| !c.is_ascii_graphic() || *c == '#') {
        let problem = Problem::new(format!("contains `{}`", wrong.escape_debug()));
        return Err(problem.hint("percent-encode it: a space is `%20`"));
    }
    Ok(path)
}

/// A token goes into the query as it is (RFC 3986 unreserved characters).
fn token(value: &DeValue<'_>) -> Parsed<String> {
    let token = filled_text(value)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    match token.chars().find(|c| !allowed(*c)) {
        Some(wrong) => Err(Problem::new(format!("contains `{}`", wrong.escape_debug()))
            .hint("it is sent as `?token=...`: use letters, digits and `-._~`")),
        None => Ok(token),
    }
}
