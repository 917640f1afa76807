//! PHP: scripts that serve by themselves.

use crate::folder::Folder;
use crate::guess::{Kind, Question, Seen, Server, Start, Unread};
use crate::{manifest, source};

/// Packages of servers that speak WebSocket, with what their sources say.
const LIBRARIES: [(&str, &str); 5] = [
    ("cboden/ratchet", "Ratchet\\"),
    ("openswoole/core", "WebSocket\\Server"),
    ("workerman/workerman", "Workerman\\"),
    ("amphp/websocket-server", "Amp\\Websocket"),
    ("phrity/websocket", "WebSocket\\Server"),
];

/// What starts a server.
const SERVES: [&str; 5] = ["->run(", "->start(", "::runAll(", "IoServer::factory", "->loop("];

/// What the folder says.
pub fn find(folder: &Folder, unread: &mut Vec<Unread>) -> Option<Server> {
    let composer = manifest::json(folder, "composer.json", unread);
    let packages = composer.as_ref().map(|value| manifest::keys(value, "/require")).unwrap_or_default();
    let sources = folder.sources(&["php"]);
    let speaks = |text: &str| LIBRARIES.iter().find(|(_, word)| text.contains(word)).map(|(name, _)| *name);
    let listed = LIBRARIES.iter().find(|(name, _)| packages.contains(name)).map(|(name, _)| (*name, "composer.json"));
    let used = || sources.iter().find_map(|(file, text)| Some((speaks(text)?, *file)));
    let (library, file) = listed.or_else(used)?;
    let serves = |text: &str| SERVES.iter().any(|call| text.contains(call));
    let (entry, text) = *sources.iter().find(|(_, text)| serves(text) && speaks(text).is_some())?;
    // Workerman's own command line.
    let more = text.contains("Worker::runAll").then(|| "start".to_owned());
    let args = std::iter::once(entry.to_owned()).chain(more).collect();
    let start = Start::Process { program: "php".to_owned(), args, build: Vec::new() };
    let mut server = Server::new(Kind::Php, start);
    server.library = Some(library.to_owned());
    server.seen(file, None, Seen::Library(library.to_owned()));
    server.seen(entry, None, Seen::Entry);
    source::tell(&mut server, [(entry, text)]);
    if composer.is_some() && !folder.has_folder("vendor") {
        server.ask(Question::NotInstalled { command: "composer install".to_owned() });
    }
    Some(server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::folder;

    fn found(files: &[(&str, &str)]) -> Server {
        find(&folder(files), &mut Vec::new()).unwrap()
    }

    fn args(server: &Server) -> &[String] {
        let Start::Process { args, .. } = &server.start else { panic!("{server:?}") };
        args
    }

    #[test]
    fn the_file_that_serves_is_started_and_workerman_by_its_own_command() {
        let files = [("a.php", "use Ratchet\\X;"), ("z.php", "use Ratchet\\X;\n$server->run();")];
        let ratchet = found(&files);
        assert_eq!((args(&ratchet), ratchet.library.as_deref()), (&["z.php".to_owned()][..], Some("cboden/ratchet")));
        assert_eq!(ratchet.questions, [], "without a manifest nothing is to be installed");
        let worker = found(&[("w.php", "use Workerman\\Worker;\nWorker::runAll();")]);
        assert_eq!(args(&worker), ["w.php", "start"]);
        let composer = ("composer.json", r#"{ "require": { "cboden/ratchet": "1" } }"#);
        let mut installed = folder(&[files[1], composer]);
        installed.folders.insert("vendor".into());
        assert_eq!(find(&installed, &mut Vec::new()).unwrap().questions, []);
    }
}
