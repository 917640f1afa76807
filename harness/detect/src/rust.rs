//! Rust: a program of a package, built with optimisations.

use toml::{Table, Value};

use crate::folder::Folder;
use crate::guess::{Kind, Question, Seen, Server, Start, Unread};
use crate::{manifest, source};

/// Crates that speak WebSocket, or whose applications often do.
const LIBRARIES: [&str; 14] = [
    "tokio-tungstenite",
    "tungstenite",
    "async-tungstenite",
    "fastwebsockets",
    "tokio-websockets",
    "actix-ws",
    "actix-web-actors",
    "yawc",
    "ratchet_rs",
    "soketto",
    "axum",
    "warp",
    "poem",
    "salvo",
];

/// What the folder says.
pub fn find(folder: &Folder, unread: &mut Vec<Unread>) -> Option<Server> {
    let manifest = manifest::toml(folder, "Cargo.toml", unread)?;
    let package = manifest.get("package")?.get("name")?.as_str()?;
    let programs = programs(folder, &manifest, package);
    let (program, entry) = programs.iter().find(|(name, _)| name.contains("server")).or(programs.first())?.clone();
    let build = ["cargo", "build", "--release", "--bin", program.as_str()].map(str::to_owned).to_vec();
    let start = Start::Process { program: format!("target/release/{program}"), args: Vec::new(), build };
    let mut server = Server::new(Kind::Rust, start);
    let dependencies = manifest.get("dependencies").and_then(Value::as_table);
    if let Some(name) = LIBRARIES.iter().find(|name| dependencies.is_some_and(|all| all.contains_key(**name))) {
        server.library = Some((*name).to_owned());
        server.seen("Cargo.toml", None, Seen::Library((*name).to_owned()));
    }
    server.seen(&entry, None, Seen::Entry);
    let others: Vec<String> = programs.iter().map(|(name, _)| name.clone()).filter(|name| *name != program).collect();
    if !others.is_empty() {
        server.ask(Question::Entry { used: program, others });
    }
    let own = folder.text(&entry).map(|text| (entry.as_str(), text));
    let rest = folder.sources(&["rs"]).into_iter().filter(|(file, text)| {
        *file != entry
            && file.starts_with("src/")
            && !file.starts_with("src/bin/")
            && !file.ends_with("/main.rs")
            && listens(text)
    });
    source::tell(&mut server, own.into_iter().chain(rest).collect::<Vec<_>>());
    Some(server)
}

/// Whether a text may say where the server listens, and for what.
fn listens(text: &str) -> bool {
    ["TcpListener", "bind(", "route(", "warp::path", "#[arg("].iter().any(|word| text.contains(word))
}

/// The programs of a package, by name, with their files.
fn programs(folder: &Folder, manifest: &Table, package: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for table in manifest.get("bin").and_then(Value::as_array).into_iter().flatten() {
        let Some(name) = table.get("name").and_then(Value::as_str) else { continue };
        let path = table.get("path").and_then(Value::as_str);
        let usual = format!("src/bin/{name}.rs");
        let usual = if folder.has(&usual) { usual } else { "src/main.rs".to_owned() };
        all.push((name.to_owned(), path.map_or(usual, str::to_owned)));
    }
    if folder.has("src/main.rs") && !all.iter().any(|(_, file)| file == "src/main.rs") {
        all.push((package.to_owned(), "src/main.rs".to_owned()));
    }
    for (file, _) in folder.sources(&["rs"]) {
        let name = file
            .strip_prefix("src/bin/")
            .and_then(|rest| rest.strip_suffix(".rs"))
            .map(|rest| rest.trim_end_matches("/main"));
        if let Some(name) = name.filter(|name| !name.contains('/') && !all.iter().any(|(known, _)| known == name)) {
            all.push((name.to_owned(), file.to_owned()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::folder;

    fn found(files: &[(&str, &str)]) -> Server {
        find(&folder(files), &mut Vec::new()).unwrap()
    }

    const PACKAGE: &str = "[package]\nname = 'chat'\n";

    #[test]
    fn of_several_programs_the_server_is_taken_and_the_others_are_asked_about() {
        let manifest = format!("{PACKAGE}[[bin]]\nname = 'load'\n");
        let files = [
            ("Cargo.toml", manifest.as_str()),
            ("src/main.rs", "fn main() {}"),
            ("src/bin/load.rs", "const PORT: u16 = 9001; bind(PORT)"),
            ("src/bin/server/main.rs", "fn main() { run() }"),
            ("src/net/tcp.rs", "TcpListener::bind(\"0.0.0.0:9000\")"),
        ];
        let server = found(&files);
        assert!(server.to_string().ends_with("target/release/server"), "{server}");
        let others = vec!["load".to_owned(), "chat".to_owned()];
        assert_eq!(server.questions, [Question::Entry { used: "server".into(), others }]);
        assert_eq!(server.port, crate::guess::Port::Fixed(9000), "that of another program is not its own");
    }

    #[test]
    fn a_program_is_where_the_manifest_says_and_is_counted_once() {
        for (bin, file) in [
            ("[[bin]]\nname = 'gate'\npath = 'gate/run.rs'\n", "gate/run.rs"),
            ("[[bin]]\nname = 'gate'\n", "src/bin/gate.rs"),
            ("[[bin]]\nname = 'gate'\n", "src/main.rs"),
        ] {
            let server = found(&[("Cargo.toml", &format!("{PACKAGE}{bin}")), (file, "fn main() {}")]);
            assert_eq!((server.clues[0].file.as_str(), server.questions.len()), (file, 0), "{bin}");
        }
    }
}
