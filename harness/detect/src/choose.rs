//! From what each language and each container file says to one guess.

use wsceiling_model::matrix::names;

use crate::folder::Folder;
use crate::guess::{Guess, Port, Question, Server, Start};
use crate::source::ASSUMED;
use crate::{compose, docker, go, node, php, python, ruby, rust};

/// What server is in the folder.
pub fn guess(folder: &Folder) -> Guess {
    let mut unread = Vec::new();
    let found = [
        node::find(folder, &mut unread),
        python::find(folder, &mut unread),
        go::find(folder),
        rust::find(folder, &mut unread),
        php::find(folder, &mut unread),
        ruby::find(folder),
    ];
    // One that speaks WebSocket wins over one that may be anything; among equals the first.
    let mut found: Vec<Server> = found.into_iter().flatten().collect();
    found.sort_by_key(|server| server.library.is_none());
    let process = found.into_iter().next();
    let service = compose::find(folder, &mut unread);
    let image = docker::find(folder, ".");
    let server = match (process, service, image) {
        // The compose file knows more of its services than sources beside them that do not speak WebSocket.
        (Some(process), Some(service), _) if process.library.is_none() => Some(service),
        (Some(process), None, Some(image)) if process.library.is_none() => Some(image),
        (Some(process), service, image) => Some(with_port(process, service.or(image))),
        (None, Some(service), _) => Some(service),
        (None, None, image) => image,
    };
    Guess { server: server.map(|server| finished(server, folder)), unread }
}

/// A process whose port only its container says.
fn with_port(mut process: Server, container: Option<Server>) -> Server {
    if process.port == Port::Unknown
        && let Some(container) = container.filter(|container| container.port != Port::Unknown)
    {
        process.port = container.port;
        process.clues.extend(container.clues);
    }
    process
}

/// Gives it its name, and asks for what is still missing.
fn finished(mut server: Server, folder: &Folder) -> Server {
    server.name = names::safe_name(&folder.name).unwrap_or_else(|| "server".to_owned());
    let in_container = matches!(server.start, Start::Build { .. } | Start::Image { .. });
    if server.port == Port::Unknown {
        server.port = Port::Fixed(ASSUMED);
        server.ask(Question::Port { assumed: ASSUMED });
    }
    if server.library.is_none() && !in_container {
        server.ask(Question::NoLibrary);
    }
    server
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::folder;

    use crate::guess::{Kind, Seen};

    const NODE: (&str, &str) = ("package.json", r#"{ "scripts": { "start": "node build.js" } }"#);
    const SPEAKS: (&str, &str) = ("server.js", "import { WebSocketServer } from 'ws'; new WebSocketServer({ server })");

    fn server(files: &[(&str, &str)]) -> Server {
        guess(&folder(files)).server.unwrap()
    }

    #[test]
    fn what_speaks_websocket_wins_over_what_may_be_anything() {
        let python = ("main.py", "import websockets\nasyncio.run(main())");
        assert_eq!(server(&[NODE, python]).kind, Kind::Python);
        assert_eq!(server(&[NODE, ("compose.yml", "services:\n  a:\n    image: own/a\n")]).kind, Kind::Container);
        assert_eq!(server(&[NODE, ("Dockerfile", "FROM a")]).kind, Kind::Container);
        assert_eq!(server(&[SPEAKS, ("Dockerfile", "FROM a")]).kind, Kind::Node);
    }

    #[test]
    fn a_process_has_the_port_of_its_container_where_its_code_says_none() {
        let (image, expose) =
            (("Dockerfile", "EXPOSE 9000"), ("compose.yml", "services:\n  a:\n    build: .\n    ports: ['1:7000']\n"));
        let found = server(&[SPEAKS, image]);
        assert_eq!(found.port, Port::Fixed(9000));
        assert!(found.clues.iter().any(|clue| clue.what == Seen::Port(9000)), "{:?}", found.clues);
        assert_eq!(server(&[SPEAKS, image, expose]).port, Port::Fixed(7000), "the compose file knows it better");
        let own = ("server.js", "import { WebSocketServer } from 'ws'; new WebSocketServer({ port: 4001 })");
        assert_eq!(server(&[own, image]).port, Port::Fixed(4001));
    }

    #[test]
    fn what_is_missing_is_asked() {
        let asked = |files: &[(&str, &str)]| server(files).questions;
        let port = Question::Port { assumed: ASSUMED };
        assert_eq!(asked(&[NODE]), [port.clone(), Question::NoLibrary]);
        assert_eq!(asked(&[("Dockerfile", "FROM a")]), [port], "nobody looks into an image");
    }
}
