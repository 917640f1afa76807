//! Go: a main package, built once before the run.

use crate::folder::Folder;
use crate::guess::{Kind, Question, Seen, Server, Start};
use crate::source;

/// What the build writes, in the folder.
const PROGRAM: &str = "./wsceiling-server";

/// Import paths of libraries that speak WebSocket.
const LIBRARIES: [&str; 11] = [
    "github.com/gorilla/websocket",
    "github.com/coder/websocket",
    "nhooyr.io/websocket",
    "github.com/gobwas/ws",
    "golang.org/x/net/websocket",
    "github.com/gofiber/contrib/websocket",
    "github.com/fasthttp/websocket",
    "github.com/olahol/melody",
    "github.com/lesismal/nbio",
    "github.com/lxzan/gws",
    "github.com/centrifugal/centrifuge",
];

/// What the folder says.
pub fn find(folder: &Folder) -> Option<Server> {
    let sources = folder.sources(&["go"]);
    let mains: Vec<_> = sources.iter().copied().filter(|(_, text)| is_main(text)).collect();
    let mut ranked = mains.clone();
    ranked.sort_by_key(|(file, text)| (!serves(text), !file.contains("server"), file.matches('/').count()));
    let (entry, text) = *ranked.first()?;
    let package = match entry.rsplit_once('/') {
        _ if text.contains("build ignore") => format!("./{entry}"),
        Some((folder, _)) => format!("./{folder}"),
        None => ".".to_owned(),
    };
    let build = ["go", "build", "-o", PROGRAM, package.as_str()].map(str::to_owned).to_vec();
    let start = Start::Process { program: PROGRAM.to_owned(), args: Vec::new(), build };
    let mut server = Server::new(Kind::Go, start);
    let library = |text: &str| LIBRARIES.into_iter().find(|path| text.contains(path));
    let speaking: Vec<_> = sources.iter().copied().filter(|(_, text)| library(text).is_some()).collect();
    if let Some((file, name)) = speaking.iter().find_map(|(file, text)| Some((*file, library(text)?))) {
        server.library = Some(name.to_owned());
        server.seen(file, None, Seen::Library(name.to_owned()));
    }
    server.seen(entry, None, Seen::Entry);
    let others = ranked.iter().skip(1).filter(|(file, text)| serves(text) && parent(file) != parent(entry));
    let others: Vec<String> = others.map(|(file, _)| (*file).to_owned()).collect();
    if !others.is_empty() {
        server.ask(Question::Entry { used: entry.to_owned(), others });
    }
    // A file of another program says nothing of this one.
    let of_others = |file: &str| file != entry && mains.iter().any(|(main, _)| *main == file);
    let rest = speaking.into_iter().filter(|(file, _)| *file != entry && !of_others(file));
    source::tell(&mut server, std::iter::once((entry, text)).chain(rest).collect::<Vec<_>>());
    Some(server)
}

fn is_main(text: &str) -> bool {
    text.lines().any(|line| line.trim_end() == "package main") && text.contains("func main()")
}

/// Whether a program takes connections.
fn serves(text: &str) -> bool {
    ["ListenAndServe", "net.Listen", "http.Serve", ".Listen(", ".Run(", "Upgrader"]
        .iter()
        .any(|call| text.contains(call))
}

fn parent(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::folder;

    use crate::guess::Port;

    const SERVES: &str = "package main\nfunc main() { http.ListenAndServe(addr, nil) }";
    const TOOL: &str = "package main\nfunc main() { migrate() }";

    fn package(server: &Server) -> &str {
        let Start::Process { build, .. } = &server.start else { panic!("{server:?}") };
        build.last().unwrap()
    }

    #[test]
    fn the_program_that_serves_is_built_from_its_package_and_other_servers_are_asked_about() {
        let found = find(&folder(&[("cmd/admin/main.go", TOOL), ("cmd/ws/gate/main.go", SERVES)])).unwrap();
        assert_eq!((package(&found), found.questions.len()), ("./cmd/ws/gate", 0));
        let found = find(&folder(&[
            ("cmd/api/main.go", SERVES),
            ("cmd/server/main.go", SERVES),
            ("cmd/server/more.go", SERVES),
            ("cmd/tool/main.go", TOOL),
        ]));
        let found = found.unwrap();
        assert_eq!(package(&found), "./cmd/server");
        let others = vec!["cmd/api/main.go".to_owned()];
        assert_eq!(found.questions, [Question::Entry { used: "cmd/server/main.go".into(), others }]);
    }

    #[test]
    fn what_another_program_says_is_not_of_this_one() {
        let other = format!("{SERVES}\nimport \"github.com/gorilla/websocket\"\nport := os.Getenv(\"API_PORT\")");
        let found = find(&folder(&[("cmd/api/main.go", &other), ("cmd/server/main.go", SERVES)])).unwrap();
        assert_eq!(found.port, Port::Unknown);
    }
}
