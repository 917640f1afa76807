//! Python: scripts, ASGI applications, Django channels.

use crate::folder::Folder;
use crate::guess::{Kind, Port, Question, Seen, Server, Start, Unread};
use crate::{manifest, source};

/// Packages of servers that speak WebSocket, with the words that an import of each begins with.
const LIBRARIES: [(&str, &str); 14] = [
    ("channels", "channels"),
    ("fastapi", "fastapi"),
    ("starlette", "starlette"),
    ("quart", "quart"),
    ("litestar", "litestar"),
    ("sanic", "sanic"),
    ("python-socketio", "socketio"),
    ("flask-sock", "flask_sock"),
    ("flask-socketio", "flask_socketio"),
    ("aiohttp", "aiohttp"),
    ("tornado", "tornado"),
    ("autobahn", "autobahn"),
    ("websockets", "websockets"),
    ("picows", "picows"),
];

/// Frameworks of ASGI, by the class whose object is the application.
const ASGI: [&str; 4] = ["FastAPI", "Starlette", "Quart", "Litestar"];

/// What runs a script that serves.
const SERVES: [&str; 8] = [
    "asyncio.run(",
    "run_forever(",
    "serve_forever(",
    "run_app(",
    ".listen(",
    "socketio.run(",
    "app.run(",
    "trio.run(",
];

/// What the folder says.
pub fn find(folder: &Folder, unread: &mut Vec<Unread>) -> Option<Server> {
    let sources = folder.sources(&["py"]);
    let packages = packages(folder, unread);
    if sources.is_empty() {
        return None;
    }
    let library = library(&packages, &sources);
    let mut server = if library.as_ref().is_some_and(|(name, _)| *name == "channels") || folder.has("manage.py") {
        django(folder, &packages, &sources)?
    } else if let Some(server) = asgi(folder, &packages, &sources) {
        server
    } else {
        script(folder, &sources)?
    };
    if let Some((name, file)) = library {
        server.library = Some(name.to_owned());
        server.seen(&file, None, Seen::Library(name.to_owned()));
    }
    let listed = folder.first(["requirements.txt", "pyproject.toml", "Pipfile"]);
    if let (Some(listed), None) = (listed, environment(folder)) {
        let command = match listed {
            "requirements.txt" => "pip install -r requirements.txt",
            "Pipfile" => "pipenv install",
            _ => "pip install .",
        };
        server.ask(Question::NotInstalled { command: command.to_owned() });
    }
    Some(server)
}

/// The folder of a virtual environment.
fn environment(folder: &Folder) -> Option<&'static str> {
    [".venv", "venv", "env"].into_iter().find(|name| folder.has_folder(name))
}

/// The interpreter: that of the virtual environment, if there is one.
fn interpreter(folder: &Folder) -> String {
    environment(folder).map_or_else(|| "python3".to_owned(), |name| format!("./{name}/bin/python"))
}

/// A package and the file that names it.
type Named = (String, String);

/// Names of the packages that the manifests list, without versions and extras.
fn packages(folder: &Folder, unread: &mut Vec<Unread>) -> Vec<Named> {
    let bare = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)).unwrap_or(text.len());
        text[..end].to_ascii_lowercase().replace('_', "-")
    };
    let mut all: Vec<Named> = Vec::new();
    for file in ["requirements.txt", "requirements/base.txt"] {
        let lines = folder.text(file).into_iter().flat_map(str::lines).map(str::trim);
        all.extend(lines.map(|line| (bare(line), file.to_owned())));
    }
    if let Some(table) = manifest::toml(folder, "pyproject.toml", unread) {
        let listed = table.get("project").and_then(|it| it.get("dependencies")).and_then(toml::Value::as_array);
        let listed = listed.into_iter().flatten().filter_map(toml::Value::as_str);
        all.extend(listed.map(|line| (bare(line), "pyproject.toml".to_owned())));
        let poetry = table.get("tool").and_then(|it| it.get("poetry")).and_then(|it| it.get("dependencies"));
        let poetry = poetry.and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
        all.extend(poetry.map(|name| (bare(name), "pyproject.toml".to_owned())));
    }
    all
}

/// The library, by the manifests or else by what is imported.
fn library(packages: &[Named], sources: &[(&str, &str)]) -> Option<(&'static str, String)> {
    let listed = LIBRARIES.iter().find_map(|(name, _)| {
        packages.iter().find(|(package, _)| package == name).map(|(_, file)| (*name, file.clone()))
    });
    listed.or_else(|| {
        LIBRARIES.iter().find_map(|(name, module)| {
            sources.iter().find(|(_, text)| imports(text, module)).map(|(file, _)| (*name, (*file).to_owned()))
        })
    })
}

/// Whether a text imports a module or a part of it.
fn imports(text: &str, module: &str) -> bool {
    text.lines().map(str::trim_start).any(|line| {
        let rest = line.strip_prefix("import ").or_else(|| line.strip_prefix("from "));
        rest.and_then(|rest| rest.strip_prefix(module))
            .is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

fn process(folder: &Folder, args: impl IntoIterator<Item = String>, port: &[&str]) -> Server {
    let start = Start::Process { program: interpreter(folder), args: args.into_iter().collect(), build: Vec::new() };
    let mut server = Server::new(Kind::Python, start);
    if !port.is_empty() {
        server.port = Port::Arguments(port.iter().map(|word| (*word).to_owned()).collect());
    }
    server
}

/// A server of ASGI with the application that it is to run.
fn runner(folder: &Folder, packages: &[Named], application: &str, usual: &'static str) -> Server {
    let has = |name: &str| packages.iter().any(|(package, _)| package == name);
    let known = ["daphne", "uvicorn", "hypercorn"];
    let runner = known.into_iter().find(|name| has(name)).unwrap_or(usual);
    let port: &[&str] = match runner {
        "daphne" => &["-b", "{ip}", "-p", "{port}"],
        "hypercorn" => &["--bind", "{address}"],
        _ => &["--host", "{ip}", "--port", "{port}"],
    };
    process(folder, ["-m".to_owned(), runner.to_owned(), application.to_owned()], port)
}

/// The name of a module, from the folder on: `app/main.py` is `app.main`.
fn module(file: &str) -> String {
    file.trim_end_matches(".py").replace('/', ".")
}

fn asgi(folder: &Folder, packages: &[Named], sources: &[(&str, &str)]) -> Option<Server> {
    let (file, object, class) = sources.iter().find_map(|(file, text)| {
        text.lines().find_map(|line| {
            let (object, value) = line.split_once('=')?;
            let object = object.split(':').next()?.trim_end();
            let name = !object.is_empty() && object.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let value = value.trim_start();
            let class = ASGI.into_iter().find(|class| value.starts_with(&format!("{class}(")))?;
            name.then(|| (*file, object.to_owned(), class))
        })
    })?;
    let usual = if class == "Quart" { "hypercorn" } else { "uvicorn" };
    let mut server = runner(folder, packages, &format!("{}:{object}", module(file)), usual);
    server.seen(file, None, Seen::Entry);
    let routing = sources.iter().copied().filter(|(_, text)| text.to_ascii_lowercase().contains("websocket"));
    source::tell(&mut server, routing.collect::<Vec<_>>());
    Some(server)
}

fn django(folder: &Folder, packages: &[Named], sources: &[(&str, &str)]) -> Option<Server> {
    let file = sources.iter().map(|(file, _)| *file).find(|file| *file == "asgi.py" || file.ends_with("/asgi.py"))?;
    let mut server = runner(folder, packages, &format!("{}:application", module(file)), "daphne");
    server.seen(file, None, Seen::Entry);
    let routing = sources.iter().copied().filter(|(_, text)| text.contains("as_asgi("));
    source::tell(&mut server, routing.collect::<Vec<_>>());
    if sources.iter().any(|(_, text)| text.contains("OriginValidator(")) {
        server.ask(Question::Origin);
    }
    Some(server)
}

/// A script that serves by itself.
fn script(folder: &Folder, sources: &[(&str, &str)]) -> Option<Server> {
    let serves = |text: &str| SERVES.iter().any(|call| text.contains(call));
    let speaks = |text: &str| LIBRARIES.iter().any(|(_, module)| imports(text, module));
    let mut found: Vec<_> = sources.iter().copied().filter(|(_, text)| serves(text) && speaks(text)).collect();
    let usual =
        |file: &str| ["server.py", "main.py", "app.py"].iter().position(|name| file.ends_with(name)).unwrap_or(9);
    found.sort_by_key(|(file, _)| (usual(file), file.matches('/').count()));
    let (entry, text) = *found.first()?;
    let mut server = process(folder, [entry.to_owned()], &[]);
    server.seen(entry, None, Seen::Entry);
    if let Some((first, others)) = found.split_first().filter(|(_, others)| !others.is_empty()) {
        let others = others.iter().map(|(file, _)| (*file).to_owned()).collect();
        server.ask(Question::Entry { used: first.0.to_owned(), others });
    }
    let rest = sources.iter().copied().filter(|(file, text)| *file != entry && speaks(text));
    source::tell(&mut server, std::iter::once((entry, text)).chain(rest).collect::<Vec<_>>());
    if server.port == Port::Unknown && text.contains("run_app(") {
        server.port = Port::Fixed(8080);
        server.seen(entry, None, Seen::Port(8080));
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

    #[track_caller]
    fn starts(files: &[(&str, &str)], with: &str) {
        let words = found(files).to_string();
        assert!(words.ends_with(with), "{words}");
    }

    const SCRIPT: &str = "import websockets\nasyncio.run(main())";

    #[test]
    fn an_application_runs_under_what_the_manifest_lists_or_its_framework_knows() {
        let app = ("main.py", "app: FastAPI = FastAPI()");
        starts(&[app], "-m uvicorn main:app --host {ip} --port {port}");
        starts(&[app, ("requirements.txt", "hypercorn>=0.1")], "-m hypercorn main:app --bind {address}");
        starts(&[("main.py", "app = Quart(__name__)")], "-m hypercorn main:app --bind {address}");
        let django = [("manage.py", ""), ("asgi.py", "application = x"), ("requirements.txt", "Django")];
        starts(&django, "-m daphne asgi:application -b {ip} -p {port}");
        let own = found(&[("main.py", "app = FastAPI()\n# websocket\nport = os.environ['PORT']")]);
        assert!(matches!(own.port, Port::Arguments(_)), "it is told to the runner: {:?}", own.port);
    }

    #[test]
    fn a_library_is_what_a_manifest_lists_else_what_is_imported() {
        let library = |files: &[(&str, &str)]| {
            let files: Vec<_> = files.iter().copied().chain([("server.py", SCRIPT)]).collect();
            found(&files).library
        };
        assert_eq!(library(&[]).as_deref(), Some("websockets"));
        assert_eq!(
            library(&[("requirements.txt", "# fastapi\n-r sanic\nFlask_Sock[x]==1")]).as_deref(),
            Some("flask-sock")
        );
        let poetry = ("pyproject.toml", "[tool.poetry.dependencies]\naiohttp = '*'\n");
        assert_eq!(library(&[poetry]).as_deref(), Some("aiohttp"));
        assert_eq!(
            library(&[("pyproject.toml", "[project]\ndependencies = ['tornado>=6']\n")]).as_deref(),
            Some("tornado")
        );
        let other = [("server.py", "import websockets_proxy\nasyncio.run(main())")];
        assert!(find(&folder(&other), &mut Vec::new()).is_none(), "another module that begins alike");
    }

    #[test]
    fn the_script_with_a_usual_name_is_started_by_the_interpreter_of_the_environment() {
        let files = [("a.py", SCRIPT), ("b/server.py", SCRIPT), ("c.py", "import websockets"), ("Pipfile", "")];
        let server = found(&files);
        assert!(server.to_string().ends_with("python3 b/server.py"), "{server}");
        let entry = Question::Entry { used: "b/server.py".into(), others: vec!["a.py".into()] };
        assert_eq!(server.questions, [entry.clone(), Question::NotInstalled { command: "pipenv install".into() }]);
        let mut installed = folder(&files);
        installed.folders.insert(".venv".into());
        let server = find(&installed, &mut Vec::new()).unwrap();
        assert!(server.to_string().ends_with("./.venv/bin/python b/server.py"), "{server}");
        assert_eq!(server.questions, [entry]);
        assert_eq!(found(&[("app.py", "from aiohttp import web\nweb.run_app(app)")]).port, Port::Fixed(8080));
    }
}
