//! What a limit at a distance is tried on: a server that runs outside of the harness's sight, as somebody else's would, an
//! edge before it, and an exporter that tells about it, rightly or not. The matrix has only their addresses.

mod exporter;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::limits::{METRICS, PUBLIC, Remote};
use exporter::Exporter;
use wsceiling_launch::build_program;

/// Any free port of loopback.
const FREE: &str = "127.0.0.1:0";
/// What the shipped servers print once they listen, before their address.
const LISTENING: &str = "listening on ";

/// The servers of one limit; dropping it ends them.
pub(super) struct StandIn {
    public: SocketAddr,
    exporter: Exporter,
    _servers: Vec<Server>,
}

impl StandIn {
    /// Starts the servers. The error says what could not be started, and why.
    pub(super) async fn start(remote: &Remote, workspace: &Path) -> Result<Self, String> {
        let server = spawn("planted", &remote.server, remote.nofile, workspace).await?;
        let exporter = Exporter::start(server.child.id(), remote.metrics)
            .map_err(|error| format!("the exporter cannot listen: {error}"))?;
        let mut public = server.address;
        let mut servers = vec![server];
        if let Some(args) = &remote.edge {
            let edge = spawn("edge", &format!("--upstream {public} {args}"), None, workspace).await?;
            public = edge.address;
            servers.push(edge);
        }
        Ok(Self { public, exporter, _servers: servers })
    }

    /// A matrix's text with the addresses filled in.
    pub(super) fn fill(&self, matrix: &str) -> String {
        let metrics = format!("http://{}/metrics", self.exporter.address);
        matrix.replace(PUBLIC, &format!("ws://{}/", self.public)).replace(METRICS, &metrics)
    }
}

/// A server of the workspace; killed when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn spawn(package: &str, args: &str, nofile: Option<u32>, workspace: &Path) -> Result<Server, String> {
    let program = build_program(package, workspace).await.map_err(|error| error.to_string())?;
    let mut command = match nofile {
        // The shell sets the limit and becomes the server.
        Some(nofile) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("ulimit -n {nofile} && exec \"$0\" \"$@\"")]).arg(program);
            shell
        }
        None => Command::new(program),
    };
    command.args(["--address", FREE]).args(args.split_whitespace());
    let silent = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = silent.spawn().map_err(|error| format!("cannot start `{package}`: {error}"))?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        // It says so at once, or it ends.
        let _ = BufReader::new(stdout).read_line(&mut line);
    }
    let address = line.trim().strip_prefix(LISTENING).and_then(|address| address.parse().ok());
    let Some(address) = address else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("`{package}` with `{args}` did not listen"));
    };
    Ok(Server { child, address })
}
