//! What code says of the port and of the path. Lines are looked at one by one, by words that most languages share; nothing is
//! parsed, so every guess has its line for a person to check.

mod path;
mod port;

pub use path::paths;
pub use port::port;

use crate::guess::{Port, Question, Seen, Server};

/// A port that the matrix has until somebody knows better.
pub const ASSUMED: u16 = 8080;

/// Whether a line is a comment in one of the languages.
fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    let hash = line.starts_with('#') && !line.starts_with("#[");
    hash || ["//", "/*", "* ", "*/", "--", "\"\"\""].iter().any(|mark| line.starts_with(mark))
}

/// The lines of code of a text, with their numbers from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, line)| !is_comment(line) && line.len() < 1000)
}

/// The identifiers of a line.
fn identifiers(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// What stands in quotes on a line.
fn quoted(line: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), line);
    while let Some(open) = rest.find(['"', '\'', '`']) {
        let quote = rest[open..].chars().next().unwrap_or('"');
        let after = &rest[open + 1..];
        let Some(close) = after.find(quote) else { break };
        found.push(&after[..close]);
        rest = &after[close + 1..];
    }
    found
}

/// Tells a server its port and its path as the files say, in their order: the entry first.
pub fn tell<'t>(server: &mut Server, files: impl IntoIterator<Item = (&'t str, &'t str)> + Clone) {
    let mut told = files.clone().into_iter().filter_map(|(file, text)| Some((file, port(text)?)));
    if server.port == Port::Unknown
        && let Some((file, (line, found))) = told.next()
    {
        server.seen(file, Some(line), seen_port(&found));
        server.port = found;
    }
    let mut all: Vec<String> = Vec::new();
    for (file, text) in files {
        for (line, found) in paths(text) {
            if all.is_empty() {
                server.path = filled(&found);
                server.seen(file, Some(line), Seen::Path(found.clone()));
                if server.path != found {
                    server.ask(Question::Parameter { path: found.clone() });
                }
            }
            if !all.contains(&found) {
                all.push(found);
            }
        }
    }
    if all.len() > 1 {
        let used = all.remove(0);
        server.ask(Question::Path { used, others: all });
    }
}

/// What a port was seen as.
fn seen_port(port: &Port) -> Seen {
    match port {
        Port::Variable(name) => Seen::PortVariable(name.clone()),
        Port::Arguments(args) => Seen::PortArgument(args.join(" ")),
        Port::Fixed(port) => Seen::Port(*port),
        Port::Unknown => Seen::Port(ASSUMED),
    }
}

/// A path with each parameter filled in.
fn filled(path: &str) -> String {
    let part = |part: &str| {
        let parameter = part.starts_with([':', '{', '<']) || part.contains('(');
        if parameter { "1".to_owned() } else { part.to_owned() }
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guess::{Kind, Start};

    fn told(text: &str) -> Server {
        let mut server = Server::new(Kind::Node, Start::Build { folder: ".".into() });
        tell(&mut server, [("a.js", text)]);
        server
    }

    #[test]
    fn the_first_path_is_used_and_the_others_are_asked_about() {
        let server = told("new WebSocketServer({ port: 8080, path: '/chat' })\napp.ws('/room/:id', f)");
        assert_eq!((server.port, server.path.as_str()), (Port::Fixed(8080), "/chat"));
        assert_eq!(server.questions, [Question::Path { used: "/chat".into(), others: vec!["/room/:id".into()] }]);
        let server = told("@app.websocket('/ws/{client_id}')");
        assert_eq!(server.path, "/ws/1");
        assert_eq!(server.questions, [Question::Parameter { path: "/ws/{client_id}".into() }]);
        assert_eq!(told("app.ws('/rooms/:room/<user>', f)").path, "/rooms/1/1");
        assert_eq!(told("app.ws('/chat', f)\napp.ws('/chat', g)").questions, [], "one path twice is one");
        let minified = format!("app.ws('/chat', f);{}", " ".repeat(1000));
        assert_eq!(told(&minified).path, "/", "a line that nobody wrote");
    }

    #[test]
    fn what_stands_in_quotes_is_found_whatever_the_quotes_are() {
        assert_eq!(quoted("a('/x', \"/y\", `/z`) // it's"), ["/x", "/y", "/z"]);
    }
}
