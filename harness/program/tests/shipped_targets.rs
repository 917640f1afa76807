//! The servers in `targets/`, started for real and verified. Those of this workspace are built first; those in other
//! languages need their runtime and `ci/languages`, and are skipped without them, except in CI.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use wsceiling::run::verify::{Check, Verified, VerifyError, verify, verify_front};
use wsceiling_model::matrix::{ConfirmArgs, Expect, Protocol, Target};

/// A server, killed when dropped.
struct Server(Child, SocketAddr);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program that prints `listening on IP:PORT`.
fn start(program: &Path, arguments: &[&str]) -> Server {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(workspace())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("printed {line:?}"));
    let address = address.parse().expect("an address");
    Server(child, address)
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace").to_owned()
}

/// Builds a package of this workspace; returns its program.
fn build(package: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    let status = cargo.args(["build", "--quiet", "--workspace", "--bin", package]).current_dir(workspace()).status();
    assert!(status.expect("cargo").success());
    // This test is target/debug/deps/shipped_targets-*.
    let test = std::env::current_exe().expect("a path");
    test.ancestors().nth(2).expect("a folder").join(package)
}

fn target(protocol: Protocol, path: &str, token: Option<&str>) -> Target {
    Target {
        name: "t".to_owned(),
        protocol,
        path: path.to_owned(),
        token: token.map(str::to_owned),
        expect: Expect::Echo,
        process: None,
        docker: None,
        confirm: ConfirmArgs::default(),
        folder: None,
        remote: None,
    }
}

async fn check(server: &Server, target: &Target) -> Result<Verified, VerifyError> {
    let verified = verify(server.1, target, Duration::from_secs(10), std::future::pending()).await;
    println!("{verified:?}");
    verified
}

#[tokio::test]
async fn echo_is_verified_on_both_versions_of_ip() {
    let program = build("echo");
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let server = start(&program, &["--address", address]);
        check(&server, &target(Protocol::Echo, "/", None)).await.unwrap();
    }
}

#[tokio::test]
async fn app_is_verified_directly_and_through_a_front() {
    let server = start(&build("app"), &["--address", "127.0.0.1:0"]);
    let target = target(Protocol::App, "/ws", Some("secret"));
    let verified = check(&server, &target).await.unwrap();
    for expected in [Check::Token, Check::Heartbeat, Check::Join, Check::Publish, Check::Leave, Check::Close] {
        assert!(verified.checks.contains(&expected), "{expected}");
    }
    let verified = verify_front(server.1, &target, Duration::from_secs(10), std::future::pending()).await.unwrap();
    assert!(verified.checks.contains(&Check::Publish) && !verified.checks.contains(&Check::Leave));
}

#[tokio::test]
async fn an_app_with_another_token_or_none_is_found_out() {
    let program = build("app");
    let target = target(Protocol::App, "/ws", Some("secret"));
    let other = start(&program, &["--address", "127.0.0.1:0", "--token", "other"]);
    let error = check(&other, &target).await.unwrap_err().to_string();
    assert!(error.starts_with("handshake failed: ") && error.contains("HTTP status 401"), "{error}");
    let open = start(&program, &["--address", "127.0.0.1:0", "--token", ""]);
    let error = check(&open, &target).await.unwrap_err().to_string();
    assert!(error.starts_with("upgrade without the token failed: "), "{error}");
}

/// A program that `ci/languages` made, where it did: a machine that lacks a language has nothing to verify.
async fn check_built(name: &str, arguments: &[&str]) {
    let program = workspace().join("target/languages").join(name);
    if !program.exists() {
        return missing(&format!("{name} (hint: run ci/languages)"));
    }
    let server = start(&program, &[&["--address", "127.0.0.1", "--port", "0"], arguments].concat());
    check_and_end(server, &target(Protocol::Echo, "/", None)).await;
}

fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI skips nothing: there is no {what}");
    eprintln!("skipped: there is no {what}");
}

async fn check_and_end(mut server: Server, target: &Target) {
    check(&server, target).await.expect("a correct server");
    let terminated = Command::new("kill").args(["-TERM", &server.0.id().to_string()]).status();
    assert!(terminated.expect("kill").success());
    for _ in 0..250 {
        if let Some(status) = server.0.try_wait().expect("a status") {
            assert_eq!(status.code(), Some(0));
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("it does not end on SIGTERM");
}

#[tokio::test]
async fn python_and_node_are_verified() {
    check_built("python-echo", &[]).await;
    check_built("node-echo", &[]).await;
}

#[tokio::test]
async fn go_and_java_are_verified_as_shipped_and_tuned() {
    check_built("go-echo", &[]).await;
    check_built("go-echo", &["--buffer", "1024", "--pool"]).await;
    check_built("java-echo", &[]).await;
    check_built("java-echo", &["--stack", "131072", "--buffer", "1024"]).await;
}

#[tokio::test]
async fn echo_and_the_app_on_bun_are_verified() {
    if Command::new("bun").arg("--version").output().is_err() {
        return missing("bun");
    }
    let targets = workspace().join("targets/bun");
    let script = targets.join("server.ts");
    let echo = [script.to_str().expect("UTF-8"), "--address", "127.0.0.1", "--port", "0"];
    check_and_end(start(Path::new("bun"), &echo), &target(Protocol::Echo, "/", None)).await;
    let app = start(&targets.join("app.ts"), &["--address", "127.0.0.1:0"]);
    check_and_end(app, &target(Protocol::App, "/ws", Some("secret"))).await;
}
