//! The collector over loopback: what visitors, strangers and the operator get.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wsceiling_model::visitors::{
    Change, GeneratorSummary, GeneratorTick, Lie, MarkKind, PausedBy, Refusal, Setting, StoppedBy, VisitorsLine,
};
use wsceiling_visitors::control::{Command, Rejected, send, status};
use wsceiling_visitors::report::{Answer, Counts, PageState, REPORT_MAX, Report};
use wsceiling_visitors::{Collector, Limits, Operator, Options, SNIPPET, serve_operator, serve_visitors};

fn options() -> Options {
    Options {
        target: "ws://shop.example/chat".parse().unwrap(),
        sites: Vec::new(),
        setting: Setting { goal: 10, per_visitor: 5, rate_per_s: 1_000.0, message: None, generator: 0 },
        byte_budget: 5 << 20,
        attended: None,
        only_here: false,
        limits: Limits::default(),
    }
}

struct Run {
    collector: Arc<Collector>,
    visitors: SocketAddr,
    operator: SocketAddr,
}

async fn run(options: Options) -> Run {
    let collector = Arc::new(Collector::new(options).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let visitors = listener.local_addr().unwrap();
    tokio::spawn(serve_visitors(listener, Arc::clone(&collector), 100));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let operator = listener.local_addr().unwrap();
    let page = Arc::new(|lines: &[VisitorsLine]| format!("<p>{} lines</p>", lines.len()));
    tokio::spawn(serve_operator(listener, Operator { collector: Arc::clone(&collector), page }));
    Run { collector, visitors, operator }
}

/// Sends a request as it is; status, head and body of the answer.
async fn raw(to: SocketAddr, head: &str, body: &[u8]) -> (u16, String, String) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let head = format!("{head}connection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that has refused need not read on.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, head.to_lowercase(), body.to_owned())
}

async fn post(to: SocketAddr, path: &str, body: &[u8]) -> (u16, String) {
    let (status, _, body) = raw(to, &format!("POST {path} HTTP/1.1\r\nhost: x\r\n"), body).await;
    (status, body)
}

async fn join(run: &Run) -> String {
    let (status, body) = post(run.visitors, "/join", b"{}").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Answer>(&body).unwrap().token.unwrap()
}

fn report(token: &str, number: u32) -> Report {
    let counts = Counts::default();
    Report { token: token.to_owned(), number, answered: number - 1, page: PageState::Visible, open: 0, counts }
}

async fn say(run: &Run, report: &Report) -> (u16, Option<Answer>) {
    let (status, body) = post(run.visitors, "/below/any/path/report", &serde_json::to_vec(report).unwrap()).await;
    (status, serde_json::from_str(&body).ok())
}

#[tokio::test]
async fn a_visitor_gets_the_snippet_a_token_and_its_share() {
    let run = run(options()).await;
    let (status, head, body) = raw(run.visitors, "GET /wsceiling.js HTTP/1.1\r\nhost: x\r\n", b"").await;
    assert_eq!((status, body.as_str()), (200, SNIPPET));
    assert!(head.contains("access-control-allow-origin: *") && head.contains("text/javascript"), "{head}");
    assert!(!head.contains("cookie"), "{head}");
    let (one, two) = (join(&run).await, join(&run).await);
    let (status, answer) = say(&run, &report(&one, 1)).await;
    let answer = answer.unwrap();
    assert_eq!((status, answer.connections, answer.target.as_str()), (200, 5, "ws://shop.example/chat"));
    assert_eq!((answer.token, answer.message_bytes), (None, 0));
    assert_eq!(say(&run, &report(&two, 1)).await.1.unwrap().connections, 5);
    let bye = Report { page: PageState::Bye, ..report(&one, 2) };
    assert_eq!(say(&run, &bye).await.0, 200);
    assert_eq!(run.collector.status().tick.visitors, 1);
}

#[tokio::test]
async fn bad_reports_are_refused_and_counted() {
    let run = run(options()).await;
    let token = join(&run).await;
    assert_eq!(say(&run, &report(&token, 1)).await.0, 200);
    let forged = token.replacen('.', "f.", 1);
    assert_eq!(say(&run, &report(&forged, 2)).await.0, 403);
    assert_eq!(say(&run, &report(&token, 1)).await.0, 409, "replayed");
    assert_eq!(say(&run, &report(&token, 2)).await.0, 429, "at once after the first");
    assert_eq!(post(run.visitors, "/report", b"{\"i\":").await.0, 400);
    assert_eq!(post(run.visitors, "/report", b"{}").await.0, 400);
    assert_eq!(post(run.visitors, "/report", &[b' '; REPORT_MAX + 1]).await.0, 413);
    let chunked = "POST /report HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut stream = TcpStream::connect(run.visitors).await.unwrap();
    stream.write_all(chunked.as_bytes()).await.unwrap();
    for _ in 0..4 {
        let _ = stream.write_all(format!("400\r\n{}\r\n", " ".repeat(0x400)).as_bytes()).await;
    }
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 413", "huge without saying so");
    assert_eq!(raw(run.visitors, "GET /report HTTP/1.1\r\nhost: x\r\n", b"").await.0, 405);
    assert_eq!(raw(run.visitors, "GET / HTTP/1.1\r\nhost: x\r\n", b"").await.0, 404);
    let refused = run.collector.status().summary.refused;
    for (refusal, count) in [
        (Refusal::Forged, 1),
        (Refusal::Replayed, 1),
        (Refusal::TooFast, 1),
        (Refusal::Malformed, 2),
        (Refusal::Huge, 2),
    ] {
        assert_eq!(refused.get(&refusal), Some(&count), "{refusal}: {refused:?}");
    }
}

#[tokio::test]
async fn a_liar_counts_no_more_than_it_was_granted() {
    let run = run(options()).await;
    let token = join(&run).await;
    say(&run, &report(&token, 1)).await;
    let counts = Counts { opened: 4_000_000, ..Counts::default() };
    let lie = Report { open: 4_000_000, counts, page: PageState::Hidden, ..report(&token, 2) };
    assert_eq!(say(&run, &lie).await.0, 200);
    let status = run.collector.status();
    assert_eq!(status.tick.open, 0, "a hidden page holds nothing, whatever it says");
    assert!(status.tick.opened <= 30, "{:?}", status.tick);
    assert_eq!(status.summary.lies.get(&Lie::Open), Some(&1));
    assert_eq!(status.summary.lies.get(&Lie::Attempts), Some(&1));
}

#[tokio::test]
async fn pages_of_other_sites_and_of_other_machines_take_no_part() {
    let shop = run(Options { sites: vec!["https://shop.example".into()], ..options() }).await;
    let from = |origin: &str| format!("POST /join HTTP/1.1\r\nhost: x\r\norigin: {origin}\r\n");
    let (status, head, _) = raw(shop.visitors, &from("https://shop.example"), b"{}").await;
    assert_eq!(status, 200);
    assert!(head.contains("access-control-allow-origin: https://shop.example"), "{head}");
    let (status, head, _) = raw(shop.visitors, &from("https://evil.example"), b"{}").await;
    assert!(status == 403 && !head.contains("evil"), "{head}");
    let here = run(Options { only_here: true, ..options() }).await;
    assert_eq!(raw(here.visitors, "POST /join HTTP/1.1\r\nhost: x\r\n", b"{}").await.0, 200);
    let forwarded = "POST /join HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 203.0.113.9\r\n";
    assert_eq!(raw(here.visitors, forwarded, b"{}").await.0, 403);
    let refused = here.collector.status().summary.refused;
    assert_eq!(refused.get(&Refusal::NotHere), Some(&1));
    assert!(!serde_json::to_string(&refused).unwrap().contains("203.0.113"), "no address is kept");
}

#[tokio::test]
async fn the_operator_changes_everything_live_and_each_change_is_a_mark() {
    let run = run(options()).await;
    let (one, two) = (join(&run).await, join(&run).await);
    say(&run, &report(&one, 1)).await;
    let change = Change { goal: Some(2), ..Change::default() };
    let said = send(run.operator, &Command::Set(change)).await.unwrap();
    assert!(said.contains("visitors follow"), "{said}");
    assert!(send(run.operator, &Command::Set(change)).await.unwrap().contains("nothing to change"));
    let wrong = Command::Set(Change { per_visitor: Some(99), ..Change::default() });
    assert!(send(run.operator, &wrong).await.unwrap_err().to_string().contains("from 1 to 30"));
    send(run.operator, &Command::Note { text: "line\nbreak".into() }).await.unwrap();
    send(run.operator, &Command::Pause).await.unwrap();
    assert_eq!(say(&run, &report(&two, 1)).await.1.unwrap().connections, 0);
    assert_eq!(status(run.operator).await.unwrap().paused, Some(PausedBy::Operator));
    send(run.operator, &Command::Resume).await.unwrap();
    send(run.operator, &Command::Stop).await.unwrap();
    assert!(send(run.operator, &Command::Resume).await.unwrap_err().to_string().contains("has been stopped"));
    let lines = run.collector.finish();
    let marks: Vec<&MarkKind> = lines
        .iter()
        .filter_map(|line| match line {
            VisitorsLine::Mark(mark) => Some(&mark.what),
            _ => None,
        })
        .collect();
    let [MarkKind::Started, MarkKind::Changed { from, to }, MarkKind::Note { text }, rest @ ..] = &marks[..] else {
        panic!("{marks:?}")
    };
    assert_eq!((from.goal, to.goal, text.as_str()), (10, 2, "line break"));
    let operator = PausedBy::Operator;
    let by = StoppedBy::Operator;
    assert_eq!(rest, [&MarkKind::Paused { by: operator }, &MarkKind::Resumed, &MarkKind::Stopped { by }]);
}

#[tokio::test]
async fn a_page_of_a_stranger_cannot_operate() {
    let run = run(options()).await;
    let form = b"do=set&goal=9&per_visitor=1&rate=1%2Fs&generator=3&message=none";
    let own = format!("POST /do HTTP/1.1\r\nhost: {0}\r\norigin: http://{0}\r\n", run.operator);
    let (status, _, page) = raw(run.operator, &own, form).await;
    assert!(status == 200 && page.contains("changed: visitors follow"), "{page}");
    assert_eq!((run.collector.status().setting.goal, run.collector.status().setting.generator), (9, 3));
    for head in [
        format!("POST /do HTTP/1.1\r\nhost: {}\r\norigin: https://evil.example\r\n", run.operator),
        format!("POST /do HTTP/1.1\r\nhost: {}\r\n", run.operator),
        "POST /do HTTP/1.1\r\nhost: evil.example\r\norigin: http://evil.example\r\n".to_owned(),
        format!("POST /command HTTP/1.1\r\nhost: {}\r\n", run.operator),
        format!("GET /status HTTP/1.1\r\nhost: {}\r\nx-forwarded-for: 1.2.3.4\r\n", run.operator),
        "GET / HTTP/1.1\r\nhost: evil.example\r\n".to_owned(),
    ] {
        assert_eq!(raw(run.operator, &head, b"do=stop").await.0, 403, "{head}");
    }
    assert!(!run.collector.is_stopped());
    let (status, head, page) =
        raw(run.operator, &format!("GET /live HTTP/1.1\r\nhost: {}\r\n", run.operator), b"").await;
    assert!(status == 200 && head.contains("refresh: 2") && page.contains("lines</p>"), "{head}");
    let (status, _, page) = raw(run.operator, &own, b"do=set&goal=<b>&rate=1%2Fs").await;
    assert!(status == 400 && page.contains("`&lt;b&gt;` is no whole number"), "{page}");
}

#[tokio::test]
async fn the_target_can_take_its_word_back() {
    let run = run(options()).await;
    let token = join(&run).await;
    run.collector.target_says(false);
    assert_eq!(say(&run, &report(&token, 1)).await.1.unwrap().connections, 0);
    assert_eq!(run.collector.command(&Command::Resume), Err(Rejected::TargetDenies));
    run.collector.target_says(true);
    assert_eq!(run.collector.status().paused, Some(PausedBy::Operator), "the operator decides");
    run.collector.command(&Command::Resume).unwrap();
    assert_eq!(run.collector.status().paused, None);
}

#[tokio::test]
async fn without_anybody_who_watches_it_pauses() {
    let run = run(Options { attended: Some(std::time::Duration::from_millis(50)), ..options() }).await;
    run.collector.tick();
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    run.collector.tick();
    assert_eq!(run.collector.status().paused, Some(PausedBy::Absence));
    run.collector.command(&Command::Resume).unwrap();
    assert_eq!(run.collector.status().paused, None);
}

#[tokio::test]
async fn the_generator_is_wanted_while_visitors_may_hold_connections() {
    let run = run(options()).await;
    let wanted = || run.collector.wanted_of_generator().map(|setting| setting.generator);
    assert_eq!((wanted(), run.collector.status().tick.generator), (Some(0), None), "nobody asked for it");
    run.collector.command(&Command::Set(Change { generator: Some(300), ..Change::default() })).unwrap();
    assert_eq!(wanted(), Some(300));
    let says = GeneratorTick { granted: 300, open: 250, failed: 40, lost: 2, ..GeneratorTick::default() };
    let met = GeneratorSummary { notes: vec!["a note".to_owned()], ..GeneratorSummary::default() };
    run.collector.generator_says(says, met.clone());
    let status = run.collector.status();
    assert_eq!(status.tick.generator, Some(GeneratorTick { goal: 300, ..says }));
    assert_eq!((status.tick.open, status.summary.generator), (0, met), "visitors' numbers are theirs alone");
    run.collector.command(&Command::Pause).unwrap();
    assert_eq!(wanted(), Some(0));
    let paused = run.collector.status().tick.generator.unwrap();
    assert_eq!((paused.goal, paused.granted, paused.open), (0, 0, 250));
    run.collector.command(&Command::Resume).unwrap();
    assert_eq!(wanted(), Some(300));
    run.collector.target_says(false);
    assert_eq!(wanted(), Some(0));
    run.collector.command(&Command::Stop).unwrap();
    assert_eq!((wanted(), run.collector.all_have_ended()), (None, false), "it still holds connections");
    run.collector.generator_says(GeneratorTick { open: 0, ..says }, GeneratorSummary::default());
    assert!(run.collector.all_have_ended());
}
