//! What a crowd costs: simulated visitors against the collector, each as its own client. Prints what was lost, and the memory
//! and CPU of the collector alone.
//!
//! `cargo run --release -p wsceiling-visitors --example crowd -- 5000 30`: visitors, seconds.
//!
//! The clients are another process, so that their cost is not the collector's.

use std::net::SocketAddr;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use wsceiling_model::visitors::Setting;
use wsceiling_visitors::report::{Answer, Counts, PageState, Report};
use wsceiling_visitors::{Collector, Limits, Options, POLL_MS, raise_descriptors, serve_visitors};

type Fault = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, otherwise: u64| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let done = runtime.map_err(Fault::from).and_then(|runtime| match arguments.get(2) {
        Some(to) => runtime.block_on(clients(to.parse()?, number(0, 1), number(1, 1))),
        None => runtime.block_on(collect(number(0, 5_000), number(1, 30))),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// CPU seconds of this process so far.
fn cpu_s() -> Result<f64, Fault> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6)
}

/// Resident memory of this process in MiB.
fn memory_mib() -> Result<f64, Fault> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

async fn collect(visitors: u64, seconds: u64) -> Result<(), Fault> {
    let options = Options {
        target: "ws://127.0.0.1:9/".parse()?,
        sites: Vec::new(),
        setting: Setting {
            goal: visitors as u32 * 5,
            per_visitor: 5,
            rate_per_s: 100_000.0,
            message: None,
            generator: 0,
        },
        byte_budget: 5 << 20,
        attended: None,
        only_here: true,
        limits: Limits::default(),
    };
    let collector = Arc::new(Collector::new(options)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let served = tokio::spawn(serve_visitors(listener, Arc::clone(&collector), 50_000));
    let (before_cpu, before_mib, start) = (cpu_s()?, memory_mib()?, Instant::now());
    let mut child = Command::new(std::env::current_exe()?)
        .args([visitors.to_string(), seconds.to_string(), address.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut most_mib: f64 = 0.0;
    while child.try_wait()?.is_none() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        collector.tick();
        most_mib = most_mib.max(memory_mib()?);
    }
    let (cpu, took) = (cpu_s()? - before_cpu, start.elapsed().as_secs_f64());
    let said = String::from_utf8(child.wait_with_output()?.stdout)?;
    let status = collector.status();
    served.abort();
    println!(
        "{said}collector: {:.1} MiB over {before_mib:.1} MiB idle, {:.1} % of a core over {took:.0} s",
        most_mib - before_mib,
        cpu / took * 100.0
    );
    println!(
        "counted: {} opened, {} lost, {} vanished, refused {:?}, lies {:?}",
        status.tick.opened, status.tick.lost, status.summary.vanished, status.summary.refused, status.summary.lies
    );
    let opened = format!("{} opened", status.tick.opened);
    if said.contains(&opened) && status.summary.refused.is_empty() && status.summary.lies.is_empty() {
        println!("nothing lost");
        return Ok(());
    }
    Err("the visitors and the collector do not agree".into())
}

async fn clients(to: SocketAddr, visitors: u64, seconds: u64) -> Result<(), Fault> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut all = JoinSet::new();
    for at in 0..visitors {
        all.spawn(async move {
            tokio::time::sleep(Duration::from_millis(at * POLL_MS / visitors.max(1))).await;
            visitor(to, end, at).await
        });
    }
    let (mut reports, mut opened, mut failed) = (0, 0, 0);
    while let Some(done) = all.join_next().await {
        match done? {
            Ok((of_one, connections)) => (reports, opened) = (reports + of_one, opened + u64::from(connections)),
            Err(error) => {
                failed += 1;
                eprintln!("a visitor failed: {error}");
            }
        }
    }
    println!("visitors: {visitors}, {failed} failed, {reports} reports, {opened} opened");
    Ok(())
}

/// One visitor until the end: its reports, and the connections that it pretended to open.
async fn visitor(to: SocketAddr, end: Instant, at: u64) -> Result<(u64, u32), Fault> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(TcpStream::connect(to).await?)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let mut ask = async |path: &str, body: Vec<u8>| -> Result<Answer, Fault> {
        let request = Request::post(path).header(header::HOST, "crowd").body(Full::new(Bytes::from(body)))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if status.is_success() { Ok(serde_json::from_slice(&body)?) } else { Err(format!("{path}: {status}").into()) }
    };
    let token = ask("/join", b"{}".to_vec()).await?.token.unwrap_or_default();
    let (mut number, mut open, mut counts) = (0, 0, Counts::default());
    loop {
        let over = Instant::now() >= end;
        let page = if over { PageState::Bye } else { PageState::Visible };
        let report = Report {
            token: token.clone(),
            number: number + 1,
            answered: number,
            page,
            open: if over { 0 } else { open },
            counts: counts.clone(),
        };
        let answer = ask("/report", serde_json::to_vec(&report)?).await?;
        number += 1;
        if over {
            return Ok((u64::from(number), counts.opened));
        }
        counts.opened += answer.connections.saturating_sub(open);
        open = answer.connections;
        // A fifth more or less, as the snippet does.
        tokio::time::sleep(Duration::from_millis(POLL_MS * (80 + at % 41) / 100)).await;
    }
}
