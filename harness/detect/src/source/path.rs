//! Paths of upgrades, as routers and servers are told them.

use super::{identifiers, lines, quoted};

/// Words of a path that is one of WebSocket.
const LIVE: [&str; 9] = ["ws", "wss", "socket", "chat", "echo", "cable", "live", "stream", "realtime"];

/// Every path of an upgrade that a text has, with its line.
pub fn paths(text: &str) -> Vec<(usize, String)> {
    lines(text).flat_map(|(at, line)| on(line).into_iter().map(move |path| (at, path))).collect()
}

/// The paths of a line that routes.
fn on(line: &str) -> Vec<String> {
    let upgrades = upgrades(line);
    if !upgrades && !identifiers(line).any(is_routing) {
        return Vec::new();
    }
    let found = quoted(line).into_iter().filter_map(|text| path(text, line));
    found.filter(|path| upgrades || is_live(path)).collect()
}

/// Whether what a line routes is an upgrade for sure.
fn upgrades(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let calls = [".ws(", ".websocket(", "websocket_route(", "websocketroute(", "websocketserver(", "websocket.server("];
    calls.iter().any(|call| lower.contains(call)) || lower.contains("websocket: true")
}

fn is_routing(word: &str) -> bool {
    let known = [
        "path",
        "pathname",
        "url",
        "route",
        "re_path",
        "get",
        "add_get",
        "mount",
        "handle",
        "handlefunc",
        "any",
        "use",
        "location",
        "namespace",
        "uri",
    ];
    known.contains(&word.to_ascii_lowercase().as_str())
}

/// Whether a part of a path speaks of WebSocket.
fn is_live(path: &str) -> bool {
    let mut words = path.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| LIVE.contains(&word) || word.starts_with("websocket"))
}

/// A path of a URL; Django writes it without the first slash and as an expression.
fn path(text: &str, line: &str) -> Option<String> {
    let django = line.contains("path(");
    let plain = text.trim_start_matches('^').trim_end_matches('$');
    let path = if django && !plain.starts_with('/') { format!("/{plain}") } else { plain.to_owned() };
    let fine = |c: char| c.is_ascii_alphanumeric() || "/-._~:{}<>()?+\\".contains(c);
    let is_path = path.starts_with('/') && !path.starts_with("//") && path.len() <= 80 && path.chars().all(fine);
    let is_file = path.rsplit('/').next().is_some_and(|last| last.contains('.') && !last.contains('('));
    (is_path && path.len() > 1 && !is_file).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(text: &str, expected: &[&str]) {
        let found: Vec<String> = paths(text).into_iter().map(|(_, path)| path).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn paths_are_found_in_every_router() {
        says("const wss = new WebSocketServer({ server, path: '/game' })", &["/game"]);
        says("if (url.pathname === \"/chat\") { server.upgrade(req) }", &["/chat"]);
        says("fastify.get('/updates', { websocket: true }, handler)", &["/updates"]);
        says("http.HandleFunc(\"/ws\", serveWs)", &["/ws"]);
        says("@app.websocket(\"/feed\")", &["/feed"]);
        says("path(\"ws/chat/\", ChatConsumer.as_asgi()),", &["/ws/chat/"]);
        says(".route(\"/ws\", get(handler))", &["/ws"]);
        says("$app->route('/chat', new Chat);", &["/chat"]);
        says("mount ActionCable.server => '/cable'", &["/cable"]);
        says("app.get('/websockets', upgrade)", &["/websockets"]);
        says("re_path(r'^ws/(?P<room>.+)$', Room.as_asgi())", &["/ws/(?P<room>.+)"]);
    }

    #[test]
    fn pages_and_files_are_no_paths_of_upgrades() {
        for text in [
            "app.get('/', page)",
            "http.HandleFunc(\"/home\", home)",
            "app.use('/static', files)",
            "app.get('/chat.html', page)",
            "readFile('/etc/ws')",
            "// path: '/ws'",
            "new WebSocketServer({ path: '/' })",
            "app.ws('//cdn/ws', f)",
            "app.ws('/ws chat', f)",
        ] {
            says(text, &[]);
        }
    }
}
