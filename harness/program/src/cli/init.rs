//! `init [DIR]`: a matrix for the server that is in a folder, without a question.

mod collect;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::{DONE, FAILED, USAGE, say};
use wsceiling_detect::{Guess, Server, Start};
use wsceiling_model::matrix::parse;

#[derive(Debug, Args)]
#[command(
    after_help = "It reads the manifests and the sources of the folder and starts nothing. What it found and what it could \
                        not tell stands in the file as comments.\n\nExit codes: 0 written, 1 no server was found, 2 the file is \
                        there already, or bad usage."
)]
pub(super) struct Arguments {
    /// The folder of the server
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The file to write, in the folder of the server; `-` for standard output [default: DIR/matrix.toml]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the file also where there is one already
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8> {
    let folder = &arguments.folder;
    let found = collect::folder(folder).with_context(|| format!("failed to read the folder {}", folder.display()))?;
    let to_stdout = arguments.output.as_deref() == Some(Path::new("-"));
    let output = arguments.output.clone().filter(|_| !to_stdout).unwrap_or_else(|| folder.join("matrix.toml"));
    if !to_stdout && !is_in(&output, folder) {
        eprintln!(
            "error: {} is not in {}, and a matrix starts its programs from its own folder (hint: --output {})",
            output.display(),
            folder.display(),
            folder.join(output.file_name().unwrap_or("matrix.toml".as_ref())).display()
        );
        return Ok(USAGE);
    }
    let guess = wsceiling_detect::guess(&found);
    let name = output.strip_prefix(".").unwrap_or(&output).display().to_string();
    let Some((server, text)) = guess.server.as_ref().zip(wsceiling_detect::matrix(&guess, &name)) else {
        eprint!("{}", nothing(folder, &guess));
        return Ok(FAILED);
    };
    // Whatever stood in the files, what is written is a matrix.
    if let Err(faults) = parse(&text, &output) {
        bail!("failed to write a matrix for what was found:\n{}", faults.render(false));
    }
    if to_stdout {
        say(&text)?;
        return Ok(DONE);
    }
    if let Err(error) = write(&output, &text, arguments.force) {
        if error.kind() == ErrorKind::AlreadyExists {
            eprintln!(
                "error: {name} is there already, and stays as it is (hint: --force, or --output with another name)"
            );
            return Ok(USAGE);
        }
        return Err(error).with_context(|| format!("failed to write {name}"));
    }
    say(&told(server, &guess, &name))?;
    Ok(DONE)
}

/// Whether a file is, or would be, directly in a folder.
fn is_in(file: &Path, folder: &Path) -> bool {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (parent.canonicalize(), folder.canonicalize()) {
        (Ok(parent), Ok(folder)) => parent == folder,
        _ => false,
    }
}

fn write(path: &Path, text: &str, force: bool) -> std::io::Result<()> {
    if force {
        return fs::write(path, text);
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

/// What was found, what could not be told, and what to do next.
fn told(server: &Server, guess: &Guess, name: &str) -> String {
    let mut lines = vec![format!("{server}")];
    lines.extend(server.clues.iter().map(|clue| format!("  {clue}")));
    let open = server.questions.iter().map(ToString::to_string).chain(guess.unread.iter().map(ToString::to_string));
    let open: Vec<String> = open.chain(missing(server)).map(|question| format!("  - {question}")).collect();
    if !open.is_empty() {
        lines.push("could not be told, or is missing:".to_owned());
        lines.extend(open);
    }
    lines.push(format!("wrote {name}; next:"));
    lines.push(format!("  wsceiling plan {name}"));
    lines.push(format!("  wsceiling matrix {name}"));
    lines.join("\n") + "\n"
}

/// The programs that this machine lacks.
fn missing(server: &Server) -> Vec<String> {
    let Start::Process { program, build, .. } = &server.start else { return Vec::new() };
    let named = build.first().into_iter().chain([program]).filter(|name| !name.contains('/'));
    let lacking = named.filter(|name| which::which(name).is_err());
    lacking.map(|name| format!("The program `{name}` is not on PATH here: install it before the run")).collect()
}

/// What is said where no server was found.
fn nothing(folder: &Path, guess: &Guess) -> String {
    let unread: Vec<String> = guess.unread.iter().map(|unread| format!("  {unread}\n")).collect();
    let unread = unread.concat();
    format!(
        "error: found no server in {}: no sources or manifest of Node.js, Bun, Deno, Python, Go, Rust, Ruby or PHP that start \
         one, no Dockerfile and no compose file\n{unread}hint: run it in the folder of the server; or start the server yourself, \
         then: wsceiling matrix --url ws://localhost:PORT; or write the file by hand (docs/targets.md)\n",
        folder.display()
    )
}
