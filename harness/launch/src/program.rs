//! Finding the program of a target: a package of the workspace that cargo builds, a file, or a name on PATH.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::io_error::describe;
use super::{LaunchError, Missing, log};
use wsceiling_model::matrix::Start;

/// The program's absolute path; a package is built first.
pub async fn find(target: &str, start: &Start, folder: &Path) -> Result<PathBuf, LaunchError> {
    match start {
        Start::Cargo(package) => build(target, package, folder).await,
        Start::Program(program) => Ok(find_program(program, folder)?),
    }
}

/// Runs the command that makes a target's program; an empty one is none.
pub async fn make(target: &str, command: &[String], folder: &Path) -> Result<(), LaunchError> {
    let Some((program, args)) = command.split_first() else { return Ok(()) };
    let found = find_program(program, folder)?;
    let shown = command.join(" ");
    let failed = |why: String, log_tail| LaunchError::Failed {
        reason: format!("cannot build target `{target}`: `{shown}` {why}"),
        log_tail,
    };
    let mut run = tokio::process::Command::new(&found);
    let run = run.args(args).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = run.await.map_err(|error| failed(format!("cannot run: {}", describe(&error)), Vec::new()))?;
    if output.status.success() {
        return Ok(());
    }
    // Compilers write what is wrong to either.
    let said = [output.stdout, output.stderr].concat();
    Err(failed(format!("failed ({})", output.status), log::last_lines(&String::from_utf8_lossy(&said), 20)))
}

/// Builds a package of the workspace, and gives its program: for servers that are no target.
///
/// # Errors
/// When there is no cargo, or it fails.
pub async fn build_program(package: &str, folder: &Path) -> Result<PathBuf, LaunchError> {
    build(package, package, folder).await
}

fn find_program(program: &str, folder: &Path) -> Result<PathBuf, Missing> {
    if !program.contains('/') {
        return which::which(program).map_err(|_| Missing::Program(program.to_owned()));
    }
    let path = folder.join(program);
    let path = std::path::absolute(&path).unwrap_or(path);
    let why = match path.metadata() {
        Err(error) => format!("is not there: {}", describe(&error)),
        Ok(data) if !data.is_file() => "is not a file".to_owned(),
        Ok(data) if data.permissions().mode() & 0o111 == 0 => "is not executable".to_owned(),
        Ok(_) => return Ok(path),
    };
    Err(Missing::ProgramFile { path, why })
}

/// Builds several packages at once, which keeps all cores busy. What fails is not told: [`find`] builds each again, which
/// is quick where nothing changed, and says whose fault it was.
pub async fn build_together(packages: &BTreeSet<&str>, folder: &Path) {
    let Some(cargo) = cargo() else { return };
    let bins = packages.iter().flat_map(|package| ["--bin", package]);
    let _ = cargo_build(&cargo, std::iter::once("--workspace").chain(bins), folder).await;
}

fn cargo() -> Option<PathBuf> {
    let ours = std::env::var_os("CARGO").map(PathBuf::from).filter(|path| path.is_file());
    ours.or_else(|| which::which("cargo").ok())
}

/// Builds with the profile of the harness itself, so that a target and what measures it are optimised alike.
async fn cargo_build(
    cargo: &Path,
    what: impl IntoIterator<Item = &str>,
    folder: &Path,
) -> io::Result<std::process::Output> {
    let mut command = tokio::process::Command::new(cargo);
    command.args(["build", "--message-format=json"]).args(what);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true).output().await
}

async fn build(target: &str, package: &str, folder: &Path) -> Result<PathBuf, LaunchError> {
    let cargo = cargo().ok_or_else(|| Missing::Cargo(target.to_owned()))?;
    let failed = |reason: String, stderr: &str| LaunchError::Failed { reason, log_tail: log::last_lines(stderr, 20) };
    let run = async |what: &[&str]| {
        let output = cargo_build(&cargo, what.iter().copied(), folder).await;
        output.map_err(|error| failed(format!("cannot run {}: {}", cargo.display(), describe(&error)), ""))
    };
    // Chosen from the whole workspace, a program shares the dependencies that are built already; a package on its own
    // has fewer of their features, and they would be built once more.
    let mut output = run(&["--workspace", "--bin", package]).await?;
    if !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("no bin target named") {
        output = run(&["--package", package]).await?;
    }
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Err(failed(why_cargo_failed(package, folder, &stdout, &stderr), &errors(&stdout, &stderr)));
    }
    executable(package, &stdout).map_err(|reason| failed(reason, &stderr))
}

fn why_cargo_failed(package: &str, folder: &Path, stdout: &str, stderr: &str) -> String {
    let folder = folder.display();
    if stderr.contains("could not find `Cargo.toml`") {
        format!("cannot build package `{package}`: {folder} is not in a cargo workspace")
    } else if stderr.contains("did not match any packages") {
        format!("cannot build package `{package}`: the cargo workspace of {folder} has no such package")
    } else {
        let errors = errors(stdout, stderr);
        let first = errors.lines().find(|line| line.starts_with("error")).unwrap_or("see the log").to_owned();
        format!("cannot build package `{package}`: {first}")
    }
}

/// The compiler's messages, which cargo wraps in JSON on its standard output, then cargo's own.
fn errors(stdout: &str, stderr: &str) -> String {
    let rendered = messages(stdout).filter(|message| message["message"]["level"] == "error");
    let mut text: String =
        rendered.filter_map(|message| message["message"]["rendered"].as_str().map(ToOwned::to_owned)).collect();
    text.push_str(stderr);
    text
}

fn messages(stdout: &str) -> impl Iterator<Item = serde_json::Value> {
    stdout.lines().filter_map(|line| serde_json::from_str(line).ok())
}

/// The executable among cargo's messages: the only one, or the one that is called like the package.
fn executable(package: &str, stdout: &str) -> Result<PathBuf, String> {
    let all: Vec<(String, PathBuf)> = messages(stdout)
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| {
            let path = message["executable"].as_str()?;
            Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(path)))
        })
        .collect();
    let same = all.iter().find(|(name, _)| name == package);
    match (same, all.as_slice()) {
        (Some((_, path)), _) | (None, [(_, path)]) => Ok(path.clone()),
        (None, []) => Err(format!("package `{package}` has no program: it needs a `src/main.rs`")),
        (None, several) => {
            let names: Vec<_> = several.iter().map(|(name, _)| name.as_str()).collect();
            Err(format!("package `{package}` has several programs ({}) and none is called like it", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(name: &str, executable: &str) -> String {
        format!(r#"{{"reason":"compiler-artifact","target":{{"name":"{name}"}},"executable":{executable}}}"#)
    }

    #[test]
    fn the_executable_is_read_from_cargos_messages() {
        let library = artifact("dep", "null");
        let one = format!("noise\n{library}\n{}\n", artifact("server", "\"/t/server\""));
        assert_eq!(executable("echo", &one), Ok(PathBuf::from("/t/server")));
        let two = format!("{}\n{}\n", artifact("a", "\"/t/a\""), artifact("echo", "\"/t/echo\""));
        assert_eq!(executable("echo", &two), Ok(PathBuf::from("/t/echo")));
        assert!(executable("b", &two).unwrap_err().contains("several programs (a, echo)"));
        assert!(executable("b", &library).unwrap_err().contains("no program"));
    }

    #[test]
    fn a_program_that_is_not_there_says_what_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = |program: &str| find_program(program, folder.path()).unwrap_err().to_string();
        assert_eq!(error("no-such-program-x"), "program `no-such-program-x` is not on PATH");
        assert!(error("./server").ends_with("/server is not there: no such file or directory"));
        std::fs::write(folder.path().join("server"), "x").unwrap();
        assert!(error("./server").ends_with("/server is not executable"));
        assert!(error("../").ends_with(" is not a file"));
        assert!(find_program("sh", folder.path()).unwrap().is_absolute());
    }

    #[tokio::test]
    async fn a_command_makes_the_program_and_its_last_words_are_told_if_it_fails() {
        let folder = tempfile::tempdir().unwrap();
        let make = async |command: &[&str]| {
            let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
            make("shop", &command, folder.path()).await
        };
        make(&[]).await.unwrap();
        make(&["sh", "-c", "echo '#!/bin/sh' > server"]).await.unwrap();
        assert!(folder.path().join("server").is_file(), "it runs in the folder of the matrix");
        let error = make(&["sh", "-c", "echo 'main.c:3: no such thing'; exit 2"]).await.unwrap_err();
        let LaunchError::Failed { reason, log_tail } = error else { panic!("{error:?}") };
        assert!(
            reason.starts_with("cannot build target `shop`: `sh -c ") && reason.ends_with("failed (exit status: 2)")
        );
        assert_eq!(log_tail, ["main.c:3: no such thing"]);
        let error = make(&["no-such-compiler-x"]).await.unwrap_err();
        assert!(matches!(error, LaunchError::Missing(Missing::Program(_))), "{error:?}");
    }

    #[tokio::test]
    async fn a_package_is_built_and_its_faults_are_readable() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let find = |package: &str| {
            let (start, folder) = (Start::Cargo(package.to_owned()), folder.path().to_owned());
            async move { find("t", &start, &folder).await.map_err(|error| error.to_string()) }
        };
        assert!(find("tiny").await.unwrap_err().ends_with("is not in a cargo workspace"));
        write("Cargo.toml", "[package]\nname = \"tiny\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n");
        write("src/main.rs", "fn main() {}\n");
        assert!(find("tiny").await.unwrap().is_file());
        assert!(find("other").await.unwrap_err().ends_with("has no such package"));
        write("src/bin/other.rs", "fn main() {}\n");
        write("src/main.rs", "fn main() { nonsense }\n");
        let error = find("tiny").await.unwrap_err();
        assert!(error.starts_with("cannot build package `tiny`: error[E0425]"), "{error}");
        std::fs::remove_file(folder.path().join("src/main.rs")).unwrap();
        assert!(find("tiny").await.unwrap().ends_with("debug/other"), "the only program, whatever its name");
    }
}
