//! How code says its port: from a variable, from an argument, or as a number.

use super::{identifiers, lines, quoted};
use crate::guess::Port;

/// Variables that end in `PORT` and are those of something else.
const OTHERS: [&str; 14] = [
    "DB", "DATABASE", "REDIS", "MYSQL", "PG", "POSTGRES", "MONGO", "SMTP", "MAIL", "AMQP", "RABBIT", "KAFKA",
    "METRICS", "DEBUG",
];
/// Ports of databases and their like, which servers connect to.
const OTHER_PORTS: [u16; 7] = [3306, 5432, 5672, 6379, 9092, 11211, 27017];
/// Numbers that are lengths more often than ports.
const LENGTHS: [u16; 8] = [1024, 2048, 4096, 8192, 16384, 32768, 65000, 65535];

/// Lines that a call may go on for.
const LINES_OF_A_CALL: usize = 6;

/// Where and how a text says its port.
pub fn port(text: &str) -> Option<(usize, Port)> {
    let by = |find: fn(&str) -> Option<Port>| lines(text).find_map(|(at, line)| Some((at, find(line)?)));
    by(variable).or_else(|| option(text)).or_else(|| by(positional)).or_else(|| number(text))
}

/// `process.env.PORT`, `os.Getenv("PORT")`, `ENV.fetch("PORT")` and their like.
fn variable(line: &str) -> Option<Port> {
    if !line.to_ascii_lowercase().contains("env") {
        return None;
    }
    let is_port = |word: &&str| {
        let upper = word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        upper && word.ends_with("PORT") && !OTHERS.iter().any(|other| word.starts_with(other))
    };
    identifiers(line).find(is_port).map(|name| Port::Variable(name.to_owned()))
}

/// `"--port"` of a parser of options, `flag.Int("port"` of Go, `#[arg(long)] port: u16` of Rust.
fn option(text: &str) -> Option<(usize, Port)> {
    let mut in_arg = false;
    for (at, line) in lines(text) {
        let told = |dashes: &str, name: &str| {
            let value = option_value(name)?;
            Some((at, Port::Arguments(vec![format!("{dashes}{name}"), value.to_owned()])))
        };
        let dashed = quoted(line).into_iter().flat_map(|text| text.split([',', ' ', '=', '<']));
        let long = dashed.filter_map(|word| word.strip_prefix("--")).find_map(|name| told("--", name));
        if long.is_some() {
            return long;
        }
        if let Some(call) = line.split("flag.").nth(1) {
            let flag = quoted(call).first().and_then(|name| told("-", name));
            if flag.is_some() {
                return flag;
            }
        }
        let field = line.trim_start().trim_start_matches("pub ").split(':').next().unwrap_or_default();
        if in_arg && !line.trim_start().starts_with("#[") {
            let derived = told("--", &field.replace('_', "-"));
            if derived.is_some() {
                return derived;
            }
        }
        let attribute = line.trim_start().starts_with("#[");
        in_arg = attribute && (in_arg || (line.contains("#[arg(") && line.contains("long")));
    }
    None
}

/// What an option of this name is told; `None`: it is none for the port.
fn option_value(name: &str) -> Option<&'static str> {
    match name {
        "port" | "http-port" | "http_port" | "ws-port" | "ws_port" | "server-port" | "listen-port" => Some("{port}"),
        "addr" | "address" | "listen" | "bind" | "listen-address" | "http" | "http-addr" => Some("{address}"),
        _ => None,
    }
}

/// The first argument, on a line that speaks of a port or an address.
fn positional(line: &str) -> Option<Port> {
    const FIRST: [&str; 9] = [
        "process.argv[2]",
        "argv[1]",
        "Bun.argv[2]",
        "Deno.args[0]",
        "args().nth(1)",
        "os.Args[1]",
        "ARGV[0]",
        "ARGV.first",
        "args[0]",
    ];
    if !FIRST.iter().any(|first| line.contains(first)) {
        return None;
    }
    let lower: Vec<String> = identifiers(line).map(str::to_ascii_lowercase).collect();
    let says = |what: &[&str]| lower.iter().any(|word| what.iter().any(|what| word.ends_with(what)));
    let value = if says(&["addr", "address", "listen", "bind"]) {
        "{address}"
    } else if says(&["port"]) {
        "{port}"
    } else {
        return None;
    };
    Some(Port::Arguments(vec![value.to_owned()]))
}

/// A number on a line that speaks of a port, else of listening.
fn number(text: &str) -> Option<(usize, Port)> {
    let on = |speaks: fn(&str) -> bool| {
        lines(text).find_map(|(at, line)| {
            let found = identifiers(line).any(speaks).then(|| numbers(line)).into_iter().flatten().next()?;
            Some((at, Port::Fixed(found)))
        })
    };
    on(is_port).or_else(|| on(is_listening)).or_else(|| alone(text))
}

/// A number that stands alone on a line, as the argument of a call a few lines before.
fn alone(text: &str) -> Option<(usize, Port)> {
    let mut listening = None;
    for (at, line) in lines(text) {
        let bare = line.trim().trim_end_matches([',', ')', ';']);
        let follows = listening.is_some_and(|before: usize| at - before <= LINES_OF_A_CALL);
        if follows
            && bare.chars().all(|c| c.is_ascii_digit())
            && let Some(found) = numbers(bare).next()
        {
            return Some((at, Port::Fixed(found)));
        }
        if identifiers(line).any(is_listening) {
            listening = Some(at);
        }
    }
    None
}

/// `port`, `PORT`, `ws_port`, `serverPort`, `EXPOSE`, but not `import`.
fn is_port(word: &str) -> bool {
    matches!(word, "port" | "PORT" | "Port")
        || word.ends_with("_port")
        || word.ends_with("_PORT")
        || word.ends_with("Port")
}

fn is_listening(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let known = ["addr", "address", "host", "factory", "app", "worker", "server"];
    ["listen", "serve", "bind"].iter().any(|verb| lower.starts_with(verb))
        || known.contains(&lower.as_str())
        || lower == "tcplistener"
}

/// Numbers of a line that may be ports.
fn numbers(line: &str) -> impl Iterator<Item = u16> {
    let bytes = line.as_bytes();
    let mut at = 0;
    let mut found = Vec::new();
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        // `8_080` of some languages.
        while at < bytes.len() && (bytes[at].is_ascii_digit() || bytes[at] == b'_') {
            at += 1;
        }
        let before = start.checked_sub(1).map(|at| bytes[at]);
        let after = bytes.get(at).copied();
        let inside =
            |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'));
        let product =
            line[at..].trim_start().starts_with(['*', '/', '%']) || line[..start].trim_end().ends_with(['*', '%']);
        if !inside(before) && !inside(after) && !product {
            found.extend(line[start..at].replace('_', "").parse::<u16>().ok());
        }
    }
    let is_port = |port: &u16| {
        (matches!(port, 80 | 443) || *port > 1024) && !OTHER_PORTS.contains(port) && !LENGTHS.contains(port)
    };
    found.into_iter().filter(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(text: &str, expected: &Port) {
        assert_eq!(port(text).as_ref().map(|(_, port)| port), Some(expected), "{text}");
    }

    fn variable(name: &str) -> Port {
        Port::Variable(name.to_owned())
    }

    fn arguments(args: &[&str]) -> Port {
        Port::Arguments(args.iter().map(|arg| (*arg).to_owned()).collect())
    }

    #[test]
    fn a_variable_is_found_in_every_language() {
        says("const port = process.env.PORT || 3000;", &variable("PORT"));
        says("const port = Number(Deno.env.get('WS_PORT') ?? 8000)", &variable("WS_PORT"));
        says("port = int(os.environ.get(\"PORT\", 8765))", &variable("PORT"));
        says("addr := \":\" + os.Getenv(\"PORT\")", &variable("PORT"));
        says("let port = std::env::var(\"SERVER_PORT\").unwrap();", &variable("SERVER_PORT"));
        says("$port = getenv('PORT') ?: 8080;", &variable("PORT"));
        says("port ENV.fetch(\"PORT\") { 3000 }", &variable("PORT"));
        says("redis(process.env.REDIS_PORT)\nlisten(9001)", &Port::Fixed(9001));
        says("process.env.myPORT\nlisten(9001)", &Port::Fixed(9001));
        says("program.option('--port <port>')\nprocess.env.PORT", &variable("PORT"));
    }

    #[test]
    fn an_argument_is_found_by_its_name_or_its_place() {
        says(
            "var addr = flag.String(\"addr\", \"localhost:8080\", \"http service address\")",
            &arguments(&["-addr", "{address}"]),
        );
        says("parser.add_argument(\"-p\", \"--port\", type=int, default=8765)", &arguments(&["--port", "{port}"]));
        says("program.option('-p, --port <port>', 'port', 8080)", &arguments(&["--port", "{port}"]));
        says("    #[arg(short, long, default_value_t = 8080)]\n    pub port: u16,", &arguments(&["--port", "{port}"]));
        says(
            "let addr = env::args().nth(1).unwrap_or_else(|| \"127.0.0.1:8080\".to_string());",
            &arguments(&["{address}"]),
        );
        says("const port = process.argv[2] || 8080", &arguments(&["{port}"]));
        says("#[arg(long)]\n#[serde(default)]\nws_port: u16,", &arguments(&["--ws-port", "{port}"]));
        for text in ["pub port: u16,", "#[arg(short)]\nport: u16,", "const file = process.argv[2]"] {
            assert_eq!(port(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_is_a_port_where_the_line_speaks_of_one() {
        says("const wss = new WebSocketServer({ port: 8_080 });", &Port::Fixed(8080));
        says("async with serve(echo, \"localhost\", 8765):", &Port::Fixed(8765));
        says("http.ListenAndServe(\":9000\", nil)", &Port::Fixed(9000));
        says("TcpListener::bind(\"127.0.0.1:9002\")", &Port::Fixed(9002));
        says("$app = new Ratchet\\App('localhost', 8081);", &Port::Fixed(8081));
        says(
            "$s = IoServer::factory(\n    new HttpServer(\n        new WsServer(new Chat())\n    ),\n    8080\n);",
            &Port::Fixed(8080),
        );
        says("server.listen(80)", &Port::Fixed(80));
        says("host('a', 9100)\nconst serverPort = 9101", &Port::Fixed(9101));
        says("host('a', 9100)\nWS_PORT = 9102", &Port::Fixed(9102));
        says("host('a', 9100)\nconst port = 9103", &Port::Fixed(9103));
        says("maxPayload: 1024 * 1024,\nserver.listen(PORT)\nconst PORT = 3001", &Port::Fixed(3001));
    }

    #[test]
    fn other_numbers_are_no_ports() {
        for text in [
            "import x from 'y' // 8080",
            "const timeout = 8080",
            "server.setTimeout(30)",
            "# port 8080",
            "listen(sock, 4096)",
            "host = '10.20.30.40'",
            "serve(x, 8080 * 2)",
            "const redisPort = 6379",
            "const port = id8080",
            "const port = 8080ms",
            "serve(\n    after(9000),\n)",
        ] {
            assert_eq!(port(text), None, "{text}");
        }
    }
}
