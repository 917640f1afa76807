//! The text of the matrix file for a guess, with its reasons as comments.

use std::fmt::Write as _;

use crate::guess::{Guess, Port, Server, Start};

/// Longest line of a comment, in characters.
const WIDTH: usize = 110;

/// What every file begins with, up to the targets. A trial climbs for about half a minute, so the whole ends in a few.
const LOAD: &str = r#"
[run]
name = "{name}"
repeats = 3            # each cell three times; the report shows how far the trials agree
ready_within = "20s"   # the server may take so long from its start to its first connection

[load]
step = 2000            # connections added in each step,
rate = "1000/s"        # opened at this rate whether or not the server keeps up,
hold = "1s"            # then held and measured for so long,
max = 16000            # until a step fails; a server that gets here holds "at least 16,000"
narrow = 1             # if a step fails, so many numbers between it and the last good one are tried
connect_timeout = "2s"
handshake_timeout = "2s"
message = { every = "5s" }
gates = { connected = 0.999, echoed = 0.999, p99 = "500ms" }    # what a step must meet
"#;

/// The matrix for a guess; `None`: there is no server to write one for. `file` is the name that it gets.
pub fn matrix(guess: &Guess, file: &str) -> Option<String> {
    let server = guess.server.as_ref()?;
    let mut text = String::new();
    comment(&mut text, "", "Written by `wsceiling init`, which asks nothing and guesses. Check it, change it, then:");
    let _ = writeln!(text, "#     wsceiling plan {file}       # what would run, and every mistake; starts nothing");
    let _ = writeln!(text, "#     wsceiling matrix {file}     # runs it: a few minutes");
    comment(&mut text, "", "Every key is explained in docs/matrix.md.");
    text.push_str("#\n# Found:\n");
    for clue in &server.clues {
        comment(&mut text, "- ", &clue.to_string());
    }
    let unread = guess.unread.iter().map(ToString::to_string);
    let open: Vec<String> = server.questions.iter().map(ToString::to_string).chain(unread).collect();
    if !open.is_empty() {
        text.push_str("#\n# Could not be told:\n");
        for question in &open {
            comment(&mut text, "- ", question);
        }
    }
    text.push_str(&LOAD.replace("{name}", &server.name));
    target(&mut text, server);
    axes(&mut text, server);
    Some(text)
}

fn target(text: &mut String, server: &Server) {
    let name = &server.name;
    let _ = writeln!(text, "\n[targets.{name}]");
    if let Start::Yourself { command, headers } = &server.start {
        comment(text, "", &format!("Start it yourself first: {command}"));
        let port = if let Port::Fixed(port) = server.port { port } else { 80 };
        let _ = writeln!(text, "url = {}", quoted(&format!("ws://localhost:{port}{}", server.path)));
        if !headers.is_empty() {
            let pairs = headers.iter().map(|(name, value)| format!("{name} = {}", quoted(value)));
            let _ = writeln!(text, "headers = {{ {} }}", pairs.collect::<Vec<_>>().join(", "));
        }
    } else {
        let _ = writeln!(text, "path = {}", quoted(&server.path));
    }
    comment(
        text,
        "",
        "Pings are sent, and their pongs count: every server answers them. If yours sends each message back as",
    );
    comment(text, "", "it came, \"echo\" measures its own code too; if it answers with something else, \"any\".");
    text.push_str("expect = \"none\"\n");
    match &server.start {
        Start::Process { program, args, build } => {
            let _ = writeln!(text, "\n[targets.{name}.process]");
            process(text, server, program, args, build);
        }
        Start::Build { folder } => container(text, server, "build", folder),
        Start::Image { reference } => container(text, server, "image", reference),
        Start::Yourself { .. } => {}
    }
}

fn process(text: &mut String, server: &Server, program: &str, args: &[String], build: &[String]) {
    if !build.is_empty() {
        let _ = writeln!(text, "build = {}    # runs once, before the first trial", list(build));
    }
    let _ = writeln!(text, "program = {}", quoted(program));
    let told: &[String] = if let Port::Arguments(port) = &server.port { port } else { &[] };
    let args = [args, told].concat();
    if !args.is_empty() {
        let _ = writeln!(text, "args = {}", list(&args));
    }
    let mut env = server.env.clone();
    if let Port::Variable(name) = &server.port {
        env.insert(name.clone(), "{port}".to_owned());
    }
    environment(text, &env);
    let is_told = |word: &String| ["{port}", "{address}", "{socket}"].iter().any(|it| word.contains(it));
    if let (Port::Fixed(port), false) = (&server.port, args.iter().chain(env.values()).any(is_told)) {
        let _ = writeln!(
            text,
            "port = {port}    # it stands in the code; with `{{port}}` in `args` or `env` each instance has its own"
        );
    }
}

fn container(text: &mut String, server: &Server, how: &str, from: &str) {
    let _ = writeln!(text, "\n[targets.{}.docker]", server.name);
    let _ = writeln!(text, "{how} = {}", quoted(from));
    environment(text, &server.env);
    if let Port::Fixed(port) = server.port {
        let _ = writeln!(text, "port = {port}    # that the server listens on inside the container");
    }
}

fn environment(text: &mut String, env: &std::collections::BTreeMap<String, String>) {
    if !env.is_empty() {
        let pairs = env.iter().map(|(name, value)| format!("{name} = {}", quoted(value)));
        let _ = writeln!(text, "env = {{ {} }}", pairs.collect::<Vec<_>>().join(", "));
    }
}

fn axes(text: &mut String, server: &Server) {
    let name = quoted(&server.name);
    let runtime = match server.start {
        // Somebody else's limits are not known.
        Start::Yourself { .. } => {
            let _ = write!(text, "\n[axes]\ntarget = [{name}]\n");
            return;
        }
        Start::Process { .. } => "bare",
        Start::Build { .. } | Start::Image { .. } => "docker",
    };
    let _ = write!(
        text,
        "\n[sizes.small]          # what the server may use, like a small cloud machine: make it yours\ncpus = 1.0\nmemory = \
         \"256MiB\"\n\n[axes]                 # every combination is a cell\ntarget = [{name}]\nruntime = [\"{runtime}\"]\nsize = \
         [\"small\"]\n"
    );
}

/// Adds a comment in lines of a readable length.
fn comment(text: &mut String, mark: &str, words: &str) {
    let mut line = format!("# {mark}");
    let mut empty = true;
    // What a file says may have any character; a comment of TOML may not.
    let plain: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    for word in plain.split_whitespace() {
        if !empty && line.chars().count() + word.chars().count() >= WIDTH {
            let _ = writeln!(text, "{}", line.trim_end());
            line = format!("# {}", " ".repeat(mark.len()));
        } else if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

fn list(words: &[String]) -> String {
    format!("[{}]", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::folder;

    fn written(name: &str, files: &[(&str, &str)]) -> String {
        let guess = crate::guess(&crate::Folder { name: name.to_owned(), ..folder(files) });
        matrix(&guess, "matrix.toml").unwrap()
    }

    #[test]
    fn a_container_runs_in_docker_and_a_process_does_not() {
        let image = written("bun-1.2", &[("compose.yml", "services:\n  a:\n    image: own/a:1\n")]);
        assert!(image.contains("image = \"own/a:1\"") && image.contains("runtime = [\"docker\"]"), "{image}");
        assert!(image.contains("[targets.bun-1-2]"), "a dot would be another table: {image}");
        let process = written("chat", &[("server.js", "new WebSocketServer({ port: 4001 }) // websocket")]);
        assert!(process.contains("port = 4001") && process.contains("runtime = [\"bare\"]"), "{process}");
    }

    #[test]
    fn a_port_that_is_told_is_not_fixed_too() {
        let package = ("package.json", r#"{ "scripts": { "start": "node server.js {port}" } }"#);
        let told = written("chat", &[package, ("server.js", "new WebSocketServer({ port: 4001 }) // websocket")]);
        assert!(told.contains("args = [\"server.js\", \"{port}\"]") && !told.contains("port = 4001"), "{told}");
    }
}
