//! JavaScript and TypeScript: Node.js, Bun, Deno.

use serde_json::Value;

use crate::command::{self, Command};
use crate::folder::Folder;
use crate::guess::{Kind, Port, Question, Seen, Server, Start, Unread};
use crate::{manifest, source};

const ENDINGS: [&str; 6] = ["js", "mjs", "cjs", "ts", "mts", "tsx"];

/// Packages of servers that speak WebSocket.
const LIBRARIES: [&str; 16] = [
    "ws",
    "socket.io",
    "uWebSockets.js",
    "websocket",
    "faye-websocket",
    "express-ws",
    "koa-websocket",
    "@fastify/websocket",
    "fastify-websocket",
    "@nestjs/websockets",
    "@nestjs/platform-ws",
    "graphql-ws",
    "crossws",
    "sockjs",
    "engine.io",
    "isomorphic-ws",
];

/// Names of the file that a server starts from.
const ENTRIES: [&str; 10] =
    ["server", "index", "app", "main", "src/server", "src/index", "src/app", "src/main", "bin/www", "ws"];

/// Scripts that start a server, the best first.
const SCRIPTS: [&str; 5] = ["start", "serve", "server", "start:prod", "dev"];

/// What the folder says.
pub fn find(folder: &Folder, unread: &mut Vec<Unread>) -> Option<Server> {
    let package = manifest::json(folder, "package.json", unread);
    let sources = folder.sources(&ENDINGS);
    let deno = folder.first(["deno.json", "deno.jsonc"]);
    let kind = kind(folder, package.as_ref(), &sources);
    let tasks = deno.and_then(|file| manifest::jsonc(folder.text(file)?).map(|value| (file, value)));
    let script = match &tasks {
        Some((file, value)) => script(file, value, "tasks"),
        None => package.as_ref().and_then(|value| script("package.json", value, "scripts")),
    };
    let speaking = sources.iter().copied().filter(|(_, text)| library_of_code(text).is_some() && runs_on(kind, text));
    let speaking: Vec<_> = speaking.collect();
    // A script alone may be that of a page.
    if !folder.has("package.json") && deno.is_none() && speaking.is_empty() {
        return None;
    }
    let entry = script.as_ref().and_then(|script| entry_of(&script.text, folder));
    let entry = entry.or_else(|| main(folder, package.as_ref()));
    let guessed = entry.is_none();
    let entry = entry.or_else(|| speaking.first().map(|(path, _)| (*path).to_owned()));
    let mut server = start(folder, kind, script.as_ref(), entry.as_deref())?;
    if let (true, Some((used, others))) = (guessed, speaking.split_first().filter(|(_, others)| !others.is_empty())) {
        let others = others.iter().map(|(path, _)| (*path).to_owned()).collect();
        server.ask(Question::Entry { used: used.0.to_owned(), others });
    }
    library(&mut server, entry.as_deref(), package.as_ref(), &speaking);
    let own = entry
        .as_deref()
        .and_then(|entry| Some((sources.iter().find(|(path, _)| *path == entry)?.0, folder.text(entry)?)));
    let others = speaking.iter().copied().filter(|(path, _)| Some(*path) != entry.as_deref());
    let files: Vec<(&str, &str)> = own.into_iter().chain(others).collect();
    source::tell(&mut server, files.iter().copied());
    default_port(&mut server, &files);
    missing_dependencies(&mut server, folder, package.as_ref(), script.as_ref());
    Some(server)
}

/// A script of a manifest.
struct Script {
    file: String,
    name: String,
    text: String,
}

fn script(file: &str, value: &Value, table: &str) -> Option<Script> {
    SCRIPTS.iter().find_map(|name| {
        let script = value.get(table)?.get(*name)?;
        // A task of Deno may be an object.
        let text = script.as_str().or_else(|| script.get("command")?.as_str())?;
        Some(Script { file: file.to_owned(), name: (*name).to_owned(), text: text.to_owned() })
    })
}

fn kind(folder: &Folder, package: Option<&Value>, sources: &[(&str, &str)]) -> Kind {
    let says = |word: &str| sources.iter().any(|(_, text)| text.contains(word));
    let start = package.and_then(|value| script("package.json", value, "scripts")).map(|script| script.text);
    let starts_with =
        |program: &str| start.as_deref().is_some_and(|text| text.split_whitespace().any(|word| word == program));
    let has = |files: &[&str]| files.iter().any(|file| folder.has(file));
    let bun = has(&["bun.lock", "bun.lockb", "bunfig.toml"]) || starts_with("bun");
    if has(&["deno.json", "deno.jsonc", "deno.lock"]) {
        Kind::Deno
    } else if starts_with("node") {
        Kind::Node
    } else if bun || says("Bun.serve(") || says("Bun.serve<") {
        Kind::Bun
    } else if says("Deno.serve(") || says("Deno.upgradeWebSocket(") {
        Kind::Deno
    } else {
        Kind::Node
    }
}

/// Whether a file can run on a runtime: not one that names another one.
fn runs_on(kind: Kind, text: &str) -> bool {
    let names = |word: &str| text.contains(word);
    match kind {
        Kind::Bun => !names("Deno."),
        Kind::Deno => !names("Bun."),
        _ => !names("Deno.serve") && !names("Deno.upgradeWebSocket") && !names("Bun.serve"),
    }
}

/// The library that a file speaks WebSocket with.
fn library_of_code(text: &str) -> Option<&'static str> {
    let packages = LIBRARIES.into_iter().find(|name| {
        let quoted = |quote: char| format!("{quote}{name}{quote}");
        [quoted('"'), quoted('\'')]
            .iter()
            .any(|quoted| ["require(", "from ", "import "].iter().any(|call| text.contains(&format!("{call}{quoted}"))))
    });
    packages.or_else(|| {
        // A package that has a server of its own in it, as an example, names no package.
        let own = [
            ("Deno.upgradeWebSocket", "Deno.upgradeWebSocket"),
            ("Bun.serve", "Bun.serve"),
            ("new WebSocketServer(", "ws"),
        ];
        own.into_iter()
            .find(|(word, _)| text.contains(word) && text.to_ascii_lowercase().contains("websocket"))
            .map(|own| own.1)
    })
}

fn library(server: &mut Server, entry: Option<&str>, package: Option<&Value>, speaking: &[(&str, &str)]) {
    let own = speaking
        .iter()
        .find(|(path, _)| Some(*path) == entry)
        .and_then(|(file, text)| Some((*file, library_of_code(text)?)));
    let mut named = package.into_iter().flat_map(|value| manifest::keys(value, "/dependencies"));
    if let Some((file, name)) = own {
        server.library = Some(name.to_owned());
        server.seen(file, None, Seen::Library(name.to_owned()));
    } else if let Some(name) = named.find(|name| LIBRARIES.contains(name)) {
        server.library = Some(name.to_owned());
        server.seen("package.json", None, Seen::Library(name.to_owned()));
    } else if let Some((file, name)) = speaking.iter().find_map(|(file, text)| Some((file, library_of_code(text)?))) {
        server.library = Some(name.to_owned());
        server.seen(file, None, Seen::Library(name.to_owned()));
    }
    if server.library.as_deref() == Some("socket.io") {
        "/socket.io/?EIO=4&transport=websocket".clone_into(&mut server.path);
        server.ask(Question::SocketIo);
    }
}

/// The file that a script starts.
fn entry_of(script: &str, folder: &Folder) -> Option<String> {
    let mut words = script.split_whitespace().map(|word| word.trim_matches(['"', '\'']).trim_start_matches("./"));
    let file = |word: &str| {
        let candidates = [word.to_owned(), format!("{word}.js"), format!("{word}.ts"), format!("{word}/index.js")];
        candidates
            .into_iter()
            .find(|path| folder.has(path) && ENDINGS.iter().any(|ending| path.ends_with(&format!(".{ending}"))))
    };
    words.find_map(file)
}

/// The file that the manifest calls the main one, or that is called like one.
fn main(folder: &Folder, package: Option<&Value>) -> Option<String> {
    let named = ["main", "module"].iter().find_map(|key| package?.get(*key)?.as_str());
    let named = named.map(|path| path.trim_start_matches("./")).filter(|path| folder.has(path)).map(str::to_owned);
    let usual = || {
        let all = ENTRIES.iter().flat_map(|entry| ENDINGS.iter().map(move |ending| format!("{entry}.{ending}")));
        all.into_iter().find(|path| folder.has(path))
    };
    named.or_else(usual)
}

/// How it starts: as its script says, else with the file.
fn start(folder: &Folder, kind: Kind, script: Option<&Script>, entry: Option<&str>) -> Option<Server> {
    let Some(script) = script else {
        let entry = entry?;
        let (program, args): (&str, &[&str]) = match kind {
            Kind::Bun => ("bun", &[]),
            Kind::Deno => ("deno", &["run", "--allow-net", "--allow-env", "--allow-read"]),
            _ => ("node", &[]),
        };
        let mut server = process(kind, program, args.iter().copied().chain([entry]));
        server.seen(entry, None, Seen::Entry);
        return Some(server);
    };
    let command = command::split(&script.text).and_then(|command| plain(&command, folder));
    let mut server = if let Some((program, args, env)) = command {
        let server = process(kind, &program, args.iter().map(String::as_str));
        Server { env, ..server }
    } else {
        let (program, args): (&str, [&str; 2]) = match kind {
            Kind::Bun => ("bun", ["run", script.name.as_str()]),
            Kind::Deno => ("deno", ["task", script.name.as_str()]),
            _ => ("npm", ["run", script.name.as_str()]),
        };
        let mut server = process(kind, program, args);
        server.ask(Question::Script { script: script.text.clone() });
        server
    };
    server.seen(&script.file, None, Seen::Command(script.text.clone()));
    Some(server)
}

fn process<'w>(kind: Kind, program: &str, args: impl IntoIterator<Item = &'w str>) -> Server {
    let args = args.into_iter().map(str::to_owned).collect();
    Server::new(kind, Start::Process { program: program.to_owned(), args, build: Vec::new() })
}

type Plain = (String, Vec<String>, std::collections::BTreeMap<String, String>);

/// The command without what watches files and starts anew; a program of a package with its path.
fn plain(command: &Command, folder: &Folder) -> Option<Plain> {
    let (program, args) = command.words.split_first()?;
    let watches = |arg: &&String| !matches!(arg.as_str(), "--watch" | "--hot" | "watch");
    let args: Vec<String> = args.iter().filter(watches).cloned().collect();
    let program = match program.as_str() {
        "node" | "bun" | "deno" | "npm" | "npx" | "pnpm" | "yarn" | "bunx" => program.clone(),
        // It would start the server as a child and read every file.
        "nodemon" if args.last().is_some_and(|last| folder.has(last.trim_start_matches("./"))) => "node".to_owned(),
        path if path.contains('/') => path.to_owned(),
        other => format!("./node_modules/.bin/{other}"),
    };
    Some((program, args, command.env.clone()))
}

/// What the runtime does where the code names no port.
fn default_port(server: &mut Server, files: &[(&str, &str)]) {
    if server.port != Port::Unknown {
        return;
    }
    let saying = |word: &str| files.iter().find(|(_, text)| text.contains(word)).map(|(file, _)| (*file).to_owned());
    if let (Kind::Bun, Some(file)) = (server.kind, saying("Bun.serve")) {
        server.port = Port::Variable("PORT".to_owned());
        server.seen(&file, None, Seen::PortVariable("PORT".to_owned()));
    } else if let (Kind::Deno, Some(file)) = (server.kind, saying("Deno.serve(")) {
        server.port = Port::Fixed(8000);
        server.seen(&file, None, Seen::Port(8000));
    }
}

/// Asks for what is not installed, and builds what a script of the manifest builds.
fn missing_dependencies(server: &mut Server, folder: &Folder, package: Option<&Value>, script: Option<&Script>) {
    let Some(package) = package else { return };
    let depends = !manifest::keys(package, "/dependencies").is_empty();
    if depends && server.kind != Kind::Deno && !folder.has_folder("node_modules") {
        let command = match server.kind {
            Kind::Bun => "bun install",
            _ if folder.has("pnpm-lock.yaml") => "pnpm install",
            _ if folder.has("yarn.lock") => "yarn install",
            _ if folder.has("package-lock.json") => "npm ci",
            _ => "npm install",
        };
        server.ask(Question::NotInstalled { command: command.to_owned() });
    }
    let starts_built =
        script.is_some_and(|script| ["dist/", "build/", "lib/"].iter().any(|folder| script.text.contains(folder)));
    // A script may build by itself.
    let builds =
        package.pointer("/scripts/build").is_some() && !script.is_some_and(|script| script.text.contains("build &&"));
    if let (true, true, Start::Process { build, .. }) = (starts_built, builds, &mut server.start) {
        *build = ["npm", "run", "build"].map(str::to_owned).to_vec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::folder;

    use std::collections::BTreeMap;

    fn found(files: &[(&str, &str)]) -> Server {
        find(&folder(files), &mut Vec::new()).unwrap()
    }

    /// How a folder with this `package.json` and these other files starts.
    #[track_caller]
    fn starts(package: &str, files: &[(&str, &str)], kind: Kind, with: &str) {
        let files: Vec<_> = std::iter::once(("package.json", package)).chain(files.iter().copied()).collect();
        let server = found(&files);
        let Start::Process { program, args, .. } = &server.start else { panic!("{server:?}") };
        assert_eq!(
            (server.kind, [std::slice::from_ref(program), args].concat().join(" ")),
            (kind, with.to_owned()),
            "{package}"
        );
    }

    fn script(start: &str) -> String {
        serde_json::json!({ "scripts": { "start": start } }).to_string()
    }

    const WS: &str = "import { WebSocketServer } from 'ws'";
    const BUN: &str = "Bun.serve({ websocket: {} })";
    const DENO: &str = "Deno.serve(f); Deno.upgradeWebSocket(r)";

    #[test]
    fn a_script_is_started_without_what_watches_and_by_the_path_of_its_program() {
        starts(&script("nodemon server.js"), &[("server.js", WS)], Kind::Node, "node server.js");
        starts(&script("tsx watch src/app"), &[("src/app.ts", WS)], Kind::Node, "./node_modules/.bin/tsx src/app");
        starts(&script("bin/serve --fast"), &[], Kind::Node, "bin/serve --fast");
        starts(&script("a && b"), &[], Kind::Node, "npm run start");
        starts(&script("bun a.ts && b"), &[], Kind::Bun, "bun run start");
        let deno = |task: &str| found(&[("deno.json", task), ("main.ts", DENO)]).to_string();
        assert!(deno(r#"{"tasks":{"start":{"command":"deno run -A main.ts"}}}"#).ends_with("deno run -A main.ts"));
        assert!(deno(r#"{"tasks":{"start":"a && b"}}"#).ends_with("deno task start"));
    }

    #[test]
    fn the_runtime_is_told_by_script_lock_file_or_code() {
        starts(&script("bun server.ts"), &[("server.ts", WS)], Kind::Bun, "bun server.ts");
        starts(&script("node server.js"), &[("server.js", WS), ("bun.lock", "")], Kind::Node, "node server.js");
        starts("{}", &[("server.js", WS), ("bun.lock", "")], Kind::Bun, "bun server.js");
        starts("{}", &[("server.ts", BUN)], Kind::Bun, "bun server.ts");
        let deno = "deno run --allow-net --allow-env --allow-read main.ts";
        starts("{}", &[("main.ts", "Deno.serve(f)")], Kind::Deno, deno);
        starts("{}", &[("main.ts", WS), ("deno.json", "{}")], Kind::Deno, deno);
    }

    #[test]
    fn the_entry_is_that_of_the_script_then_the_main_one_then_the_usual_one() {
        let says = |port: u16| format!("{WS}; new WebSocketServer({{ port: {port} }})");
        let (app, main) = (says(4001), says(4002));
        let port = |package: &str| {
            let files = [("package.json", package), ("src/app.ts", &app), ("own/index.js", &app), ("lib.js", &main)];
            found(&files).port
        };
        let with = |start: &str| format!(r#"{{ "main": "lib.js", "scripts": {{ "start": "{start}" }} }}"#);
        assert_eq!(port(&with("tsx src/app")), Port::Fixed(4001));
        assert_eq!(port(&with("node own")), Port::Fixed(4001));
        assert_eq!(port(r#"{ "main": "./lib.js" }"#), Port::Fixed(4002));
        assert_eq!(port(r#"{ "main": "gone.js" }"#), Port::Fixed(4001), "src/app has a usual name");
    }

    #[test]
    fn without_a_name_all_that_speak_on_this_runtime_are_asked_about() {
        let found = found(&[("one.ts", BUN), ("two.ts", BUN), ("other.ts", DENO), ("bun.lock", "")]);
        let others = vec!["two.ts".to_owned()];
        assert_eq!(found.questions, [Question::Entry { used: "one.ts".into(), others }]);
        assert!(find(&folder(&[("index.js", "alert(1)")]), &mut Vec::new()).is_none(), "a script of a page");
    }

    #[test]
    fn socket_io_has_a_path_and_pings_of_its_own() {
        let found = found(&[("server.js", "const { Server } = require('socket.io')")]);
        assert_eq!(found.path, "/socket.io/?EIO=4&transport=websocket");
        assert_eq!(found.questions, [Question::SocketIo]);
    }

    #[test]
    fn a_library_that_only_the_manifest_names_counts_before_that_of_another_file() {
        let package = r#"{ "main": "run.js", "dependencies": { "express": "1", "ws": "8" } }"#;
        let files = [("package.json", package), ("run.js", "go()"), ("x.js", "require('sockjs')")];
        assert_eq!(found(&files).library.as_deref(), Some("ws"));
    }

    #[test]
    fn a_runtime_that_has_a_port_of_its_own_uses_it_where_the_code_names_none() {
        let port = |text: &str| found(&[("server.ts", text)]).port;
        assert_eq!(port(BUN), Port::Variable("PORT".into()));
        assert_eq!(port("Bun.serve({ port: 4001, websocket: {} })"), Port::Fixed(4001));
        assert_eq!(port(DENO), Port::Fixed(8000));
    }

    #[test]
    fn what_is_not_installed_is_asked_about_and_what_is_not_built_is_built() {
        let package = r#"{ "dependencies": { "ws": "8" }, "scripts": { "build": "tsc", "start": "node dist/a.js" } }"#;
        let asked = |lock: &str| found(&[("package.json", package), ("a.ts", WS), (lock, "")]).questions;
        for (lock, command) in [
            ("pnpm-lock.yaml", "pnpm install"),
            ("yarn.lock", "yarn install"),
            ("package-lock.json", "npm ci"),
            ("none", "npm install"),
        ] {
            assert_eq!(asked(lock), [Question::NotInstalled { command: command.into() }], "{lock}");
        }
        let bun =
            found(&[("package.json", r#"{ "dependencies": { "ws": "8" } }"#), ("index.ts", WS), ("bun.lock", "")]);
        assert_eq!(bun.questions, [Question::NotInstalled { command: "bun install".into() }]);
        assert_eq!(asked("deno.lock"), [], "Deno fetches what it needs");
        let mut installed = folder(&[("package.json", package), ("a.ts", WS)]);
        installed.folders.insert("node_modules".into());
        assert_eq!(find(&installed, &mut Vec::new()).unwrap().questions, []);
        let build = |package: &str| {
            let Start::Process { build, .. } = found(&[("package.json", package), ("a.ts", WS)]).start else {
                panic!()
            };
            build.join(" ")
        };
        assert_eq!(build(package), "npm run build");
        assert_eq!(build(&script("node dist/a.js")), "", "there is no script that builds");
    }

    #[test]
    fn variables_before_a_command_are_kept() {
        let found = found(&[("package.json", &script("cross-env A=b node a.js")), ("a.js", WS)]);
        assert_eq!(found.env, BTreeMap::from([("A".to_owned(), "b".to_owned())]));
    }
}
