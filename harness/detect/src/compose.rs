//! A compose file: which of its services is the server, and what the file says of it.

use crate::docker;
use crate::folder::Folder;
use crate::guess::{Kind, Port, Question, Seen, Server, Start, Unread};
use crate::yaml::{self, Node};

/// Names that a compose file may have.
const FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// Images that are no server of the user's.
const OTHERS: [&str; 20] = [
    "postgres",
    "mysql",
    "mariadb",
    "mongo",
    "redis",
    "valkey",
    "memcached",
    "rabbitmq",
    "kafka",
    "zookeeper",
    "nats",
    "nginx",
    "traefik",
    "caddy",
    "haproxy",
    "elasticsearch",
    "minio",
    "adminer",
    "prometheus",
    "grafana",
];

/// The service that is the server; what is wrong with the file goes to `unread`.
pub fn find(folder: &Folder, unread: &mut Vec<Unread>) -> Option<Server> {
    let file = folder.first(FILES)?;
    let document = yaml::file(folder, file, unread)?;
    let services = document.get("services")?;
    let candidates = services.keys.iter().filter(|(_, service)| !is_other(service));
    let mut ranked: Vec<_> = candidates.map(|(name, service)| (score(folder, name, service), name, service)).collect();
    // The order of the file stays among equals.
    ranked.sort_by_key(|(score, ..)| std::cmp::Reverse(*score));
    let (best, name, node) = ranked.first()?;
    let mut found = service(folder, file, name, node)?;
    let equal: Vec<String> =
        ranked.iter().skip(1).filter(|(score, ..)| score == best).map(|(_, name, _)| (*name).clone()).collect();
    if !equal.is_empty() {
        found.ask(Question::Service { used: (*name).clone(), others: equal });
    }
    Some(found)
}

fn is_other(service: &Node) -> bool {
    let Some(image) = service.text("image").filter(|_| service.get("build").is_none()) else { return false };
    let name = image.rsplit('/').next().unwrap_or(image);
    OTHERS.iter().any(|other| name.starts_with(other))
}

/// How much speaks for a service: its sources, its name, and that it can be reached.
fn score(folder: &Folder, name: &str, service: &Node) -> u32 {
    let says = |text: &str| ["ws", "socket", "chat", "realtime", "live"].iter().any(|word| text.contains(word));
    let speaks = context(service).is_some_and(|at| {
        let inside = |path: &str| at.is_empty() || path.starts_with(&format!("{at}/"));
        folder.files.iter().any(|(path, text)| inside(path) && speaks(text))
    });
    let named = says(&name.to_lowercase()) || service.text("image").is_some_and(|image| says(&image.to_lowercase()));
    let reached = service.get("ports").is_some() || service.get("expose").is_some();
    u32::from(speaks) * 4 + u32::from(named) * 2 + u32::from(reached)
}

/// Whether a source speaks WebSocket, as a server or as a client.
fn speaks(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.contains("websocket") || lower.contains("socket.io")
}

/// The folder that an image is built from, without `./`; empty: the one of the file.
fn context(service: &Node) -> Option<String> {
    let build = service.get("build")?;
    let written = build.text("context").unwrap_or(&build.value);
    let plain = written.trim_start_matches("./").trim_end_matches('/');
    Some(if plain == "." { String::new() } else { plain.to_owned() })
}

fn service(folder: &Folder, file: &str, name: &str, node: &Node) -> Option<Server> {
    let context = context(node);
    let start = match (&context, node.text("image")) {
        (Some(at), _) => Start::Build { folder: if at.is_empty() { ".".to_owned() } else { at.clone() } },
        (None, Some(image)) => Start::Image { reference: reference(image)? },
        (None, None) => return None,
    };
    let mut server = Server::new(Kind::Container, start);
    if let (Start::Image { reference }, Some(written)) = (&server.start, node.text("image"))
        && reference != written
    {
        server.ask(Question::Image { written: written.to_owned() });
    }
    server.seen(file, None, Seen::Service(name.to_owned()));
    let environment: Vec<(String, String)> = environment(node);
    let of_image = context.as_ref().map(|at| docker::file(if at.is_empty() { "." } else { at }));
    if let Some(port) = port(node, &environment) {
        server.port = Port::Fixed(port);
        server.seen(file, None, Seen::Port(port));
    } else if let Some((path, text)) = of_image.as_ref().and_then(|path| Some((path, folder.text(path)?))) {
        docker::tell_port(&mut server, path, text);
    }
    // What compose takes from its own environment is not known here.
    server.env = environment.into_iter().filter(|(_, value)| !value.contains('$')).collect();
    if let Some(other) =
        node.get("build").and_then(|build| build.text("dockerfile")).filter(|name| *name != "Dockerfile")
    {
        server.ask(Question::OtherDockerfile { file: other.to_owned() });
    }
    let needed: Vec<String> = match node.get("depends_on") {
        Some(needs) if !needs.keys.is_empty() => needs.keys.iter().map(|(name, _)| name.clone()).collect(),
        Some(needs) => needs.list(),
        None => Vec::new(),
    };
    if !needed.is_empty() {
        server.ask(Question::Needs { services: needed });
    }
    Some(server)
}

/// An image without what compose would fill in: `own/chat:${TAG}` is `own/chat`. `None`: nothing is left.
fn reference(image: &str) -> Option<String> {
    let end = image.find(|c: char| !c.is_ascii_alphanumeric() && !"._-/:@".contains(c)).unwrap_or(image.len());
    let plain = image[..end].trim_end_matches([':', '@', '/', '-', '.']).trim_start_matches('-');
    (!plain.is_empty()).then(|| plain.to_owned())
}

/// Variables, as a mapping or as a list.
fn environment(node: &Node) -> Vec<(String, String)> {
    let Some(environment) = node.get("environment") else { return Vec::new() };
    let mapped = environment.keys.iter().map(|(name, node)| (name.clone(), node.value.clone()));
    let listed = environment.list().into_iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    mapped.chain(listed).filter(|(name, _)| plain(name)).collect()
}

/// The port inside the container.
fn port(node: &Node, environment: &[(String, String)]) -> Option<u16> {
    let number = |text: &str| text.rsplit(':').next()?.split('/').next()?.parse().ok();
    let long =
        node.get("ports").and_then(|ports| ports.items.iter().find_map(|item| item.text("target")?.parse().ok()));
    let listed = |key: &str| node.get(key)?.list().iter().find_map(|text| number(text));
    let told = || environment.iter().find(|(name, _)| name == "PORT").and_then(|(_, value)| value.parse().ok());
    long.or_else(|| listed("ports")).or_else(|| listed("expose")).or_else(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::folder;

    #[test]
    fn the_service_whose_sources_speak_websocket_is_the_server() {
        let text = "services:\n  web:\n    build: ./web\n    ports: ['80:80']\n  live:\n    build:\n      context: ./gateway\n    ports:\n      - '9000:4000'\n    depends_on: [redis]\n    environment:\n      MODE: fast\n      KEY: ${KEY}\n  redis:\n    image: redis:7\n    ports: ['6379:6379']\n";
        let folder = folder(&[("compose.yaml", text), ("gateway/main.py", "import websockets"), ("web/a.js", "")]);
        let found = find(&folder, &mut Vec::new()).unwrap();
        assert_eq!(found.start, Start::Build { folder: "gateway".into() });
        assert_eq!(found.port, Port::Fixed(4000));
        assert_eq!(found.env.into_iter().collect::<Vec<_>>(), [("MODE".to_owned(), "fast".to_owned())]);
        assert_eq!(found.questions, [Question::Needs { services: vec!["redis".into()] }]);
    }

    #[test]
    fn services_of_which_none_stands_out_are_asked_about() {
        let text = "services:\n  a:\n    image: own/a\n  b:\n    image: own/b\n  db:\n    image: docker.io/library/postgres:16\n";
        let found = find(&folder(&[("docker-compose.yml", text)]), &mut Vec::new()).unwrap();
        assert_eq!(found.questions, [Question::Service { used: "a".into(), others: vec!["b".into()] }]);
    }

    #[test]
    fn a_file_without_a_service_of_the_users_has_no_server() {
        for text in
            ["", "services:\n", "services:\n  db:\n    image: redis\n", "services:\n  x:\n    restart: always\n"]
        {
            assert!(find(&folder(&[("compose.yml", text)]), &mut Vec::new()).is_none(), "{text}");
        }
    }

    fn found(services: &str, files: &[(&str, &str)]) -> Server {
        let text = format!("services:\n{services}");
        let files: Vec<_> = std::iter::once(("compose.yml", text.as_str())).chain(files.iter().copied()).collect();
        find(&folder(&files), &mut Vec::new()).unwrap()
    }

    #[track_caller]
    fn chosen(services: &str, files: &[(&str, &str)], name: &str) {
        let found = found(services, files);
        assert_eq!(found.clues[0].what, Seen::Service(name.to_owned()), "{services}");
    }

    #[test]
    fn sources_say_more_than_a_name_and_a_name_more_than_a_port() {
        let (page, gate) = ("  ws-page:\n    build: ./page\n    ports: ['80']\n", "  gate:\n    build: ./gate\n");
        for text in ["import websockets", "require('socket.io')"] {
            chosen(&format!("{page}{gate}"), &[("gate/main.py", text)], "gate");
            chosen(&format!("{page}  gate:\n    build: .\n"), &[("main.py", text)], "gate");
        }
        let reached = "  a:\n    image: own/a\n    ports: ['80']\n";
        chosen(&format!("{reached}  chat:\n    image: own/b\n"), &[], "chat");
        chosen(&format!("{reached}  b:\n    image: own/live-b\n"), &[], "b");
        chosen("  a:\n    image: own/a\n  b:\n    image: own/b\n    expose: ['90']\n", &[], "b");
        // A folder whose name only begins alike is another one.
        let other = "  web:\n    build: ./web\n  other:\n    build: ./other\n    ports: ['80']\n";
        chosen(other, &[("website/ws.js", "websocket")], "other");
        chosen("  a:\n    build: .\n    image: redis\n", &[], "a");
    }

    #[test]
    fn the_port_is_that_inside_the_container_wherever_it_stands() {
        for (says, port) in [
            ("ports: [{ target: 4001, published: 80 }]\n    expose: ['1']", 4001),
            ("ports: ['80:4002/tcp']\n    expose: ['1']", 4002),
            ("expose: [4003]\n    environment: { PORT: 1 }", 4003),
            ("environment: { PORT: 4004 }", 4004),
            ("environment: ['PORT=4005']", 4005),
            ("working_dir: /", 4006),
        ] {
            let found = found(&format!("  a:\n    build: ./a\n    {says}\n"), &[("a/Dockerfile", "EXPOSE 4006")]);
            assert_eq!(found.port, Port::Fixed(port), "{says}");
        }
    }

    #[test]
    fn what_only_compose_can_do_is_asked_about() {
        let image = found("  a:\n    image: own/chat:${TAG}\n    environment: { a.b: x, C: y }\n", &[]);
        assert_eq!(image.start, Start::Image { reference: "own/chat".into() });
        assert_eq!(image.questions, [Question::Image { written: "own/chat:${TAG}".into() }]);
        assert_eq!(image.env.keys().collect::<Vec<_>>(), ["C"]);
        assert_eq!(found("  a:\n    image: own/chat:1\n", &[]).questions, []);
        let other = found("  a:\n    build: { context: ., dockerfile: Dockerfile.prod }\n", &[]);
        assert_eq!(other.questions, [Question::OtherDockerfile { file: "Dockerfile.prod".into() }]);
    }
}
