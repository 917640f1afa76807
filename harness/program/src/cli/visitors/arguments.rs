//! The options of `visitors`, checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use wsceiling_model::matrix::{is_loopback, units};
use wsceiling_model::url::Url;
use wsceiling_model::visitors::{Change, Setting, VisitorMessage};
use wsceiling_visitors::{Limits, Options, Proof};

/// Where the operator's side listens.
pub(super) const OPERATOR: &str = "127.0.0.1:8471";
/// Shortest absence: twice the time between two looks of a page that is open.
const ABSENCE_MIN: Duration = Duration::from_secs(5);
/// Largest budget of bytes of one visitor.
const BUDGET: (u64, u64) = (64 << 10, 1 << 30);

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// What visitors connect to: wss://HOST[:PORT][/PATH]; it must have the line of --token in /.well-known/wsceiling
    #[arg(long, value_name = "URL", value_parser = parse_target)]
    pub(super) target: Url,
    /// Connections of all visitors together
    #[arg(long, value_name = "N")]
    goal: u32,
    /// Most connections of one visitor, 1 to 30
    #[arg(long, value_name = "N", default_value_t = 5)]
    per_visitor: u32,
    /// Most new connections a second, of all visitors together; each one opens 2 a second at most
    #[arg(long, value_name = "N/s", default_value = "100/s", value_parser = parse_rate)]
    rate: f64,
    /// Connections of the built-in generator on top of the goal, at most --rate new ones a second
    #[arg(long, value_name = "N", default_value_t = 0)]
    generator: u32,
    /// What each connection says: `64B every 20s`, or `none`
    #[arg(long, value_name = "MESSAGE", default_value = "64B every 20s")]
    message: String,
    /// Most bytes that one visitor sends and receives
    #[arg(long, value_name = "BYTES", default_value = "5MiB", value_parser = parse_budget)]
    budget: u64,
    /// Where visitors' browsers reach the collector, mostly through the site's own proxy; repeatable
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8470")]
    pub(super) listen: Vec<SocketAddr>,
    /// Where the operator's page and commands are; on loopback
    #[arg(long, value_name = "IP:PORT", default_value = OPERATOR)]
    pub(super) operator: SocketAddr,
    /// Origin of pages that may take part: https://shop.example; repeatable [default: any]
    #[arg(long, value_name = "ORIGIN", value_parser = parse_site)]
    pub(super) site: Vec<String>,
    /// Token of an earlier run, whose line the target still has [default: a new one, which is waited for]
    #[arg(long, value_name = "TOKEN", value_parser = parse_token)]
    pub(super) token: Option<Proof>,
    /// Authority to trust for the target's file and the generator, in place of the machine's: PEM
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Pause when nobody has watched for so long: neither the operator's page nor `visitors status --watch`
    #[arg(long, value_name = "DUR", num_args = 0..=1, default_missing_value = "6s", value_parser = parse_absence)]
    attended: Option<Duration>,
    /// Most visitors at a time
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    most_visitors: usize,
    /// Numbers of the server to read meanwhile: part=host,prometheus=http://HOST:9100/metrics, or a FILE with [[metrics]];
    /// repeatable
    #[arg(long, value_name = "SOURCE")]
    pub(super) metrics: Vec<String>,
    /// Folder that the run folder is made in
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub(super) reports: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct ChangeArguments {
    /// Connections of all visitors together
    #[arg(long, value_name = "N")]
    goal: Option<u32>,
    /// Most connections of one visitor, 1 to 30
    #[arg(long, value_name = "N")]
    per_visitor: Option<u32>,
    /// Most new connections a second, of all visitors together
    #[arg(long, value_name = "N/s", value_parser = parse_rate)]
    rate: Option<f64>,
    /// Connections of the built-in generator on top of the goal
    #[arg(long, value_name = "N")]
    generator: Option<u32>,
    /// What each connection says: `64B every 20s`, or `none`
    #[arg(long, value_name = "MESSAGE")]
    message: Option<String>,
}

impl ChangeArguments {
    /// What it changes; what is wrong, in a line.
    pub(super) fn into_change(self) -> Result<Change, String> {
        let mut change = Change {
            goal: self.goal,
            per_visitor: self.per_visitor,
            rate_per_s: self.rate,
            generator: self.generator,
            ..Change::default()
        };
        if let Some(message) = self.message {
            change.set_message(&message).map_err(|error| error.to_string())?;
        }
        if change.is_empty() {
            return Err("nothing to change (hint: --goal, --per-visitor, --rate, --message or --generator)".to_owned());
        }
        Ok(change)
    }
}

impl Serve {
    /// The options of the collector; what is wrong, in a line.
    pub(super) fn options(&self) -> Result<Options, String> {
        if !self.operator.ip().is_loopback() {
            let why = "it has commands for everybody who reaches it";
            return Err(format!(
                "--operator {} is not on loopback, and {why} (hint: {OPERATOR}, over ssh)",
                self.operator
            ));
        }
        let only_here = is_loopback(&self.target);
        if let Some(far) = self.listen.iter().find(|listen| only_here && !listen.ip().is_loopback()) {
            return Err(format!(
                "the target is on loopback, where each visitor would find its own machine, but --listen {far} is not (hint: 127.0.0.1:PORT, or a target with a public name)"
            ));
        }
        let message = VisitorMessage::parse(&self.message).map_err(|error| error.to_string())?;
        let setting = Setting {
            goal: self.goal,
            per_visitor: self.per_visitor,
            rate_per_s: self.rate,
            message,
            generator: self.generator,
        };
        Ok(Options {
            target: self.target.clone(),
            sites: self.site.clone(),
            setting: setting.checked().map_err(|error| error.to_string())?,
            byte_budget: self.budget,
            attended: self.attended,
            only_here,
            limits: Limits { visitors: self.most_visitors, ..Limits::default() },
        })
    }
}

fn parse_target(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error} (hint: {})", error.hint()))?;
    if url.socket.is_some() {
        return Err("no browser reaches a unix-domain socket (hint: wss://HOST)".to_owned());
    }
    if url.basic.is_some() {
        return Err("every visitor would learn the user name and password (hint: leave them out)".to_owned());
    }
    Ok(url)
}

fn parse_rate(text: &str) -> Result<f64, String> {
    units::parse_rate(text).map_err(|error| format!("{error} (hint: 100/s)"))
}

fn parse_budget(text: &str) -> Result<u64, String> {
    let bytes = units::parse_bytes(text).map_err(|error| format!("{error} (hint: 5MiB)"))?;
    if (BUDGET.0..=BUDGET.1).contains(&bytes) { Ok(bytes) } else { Err("from 64KiB to 1GiB".to_owned()) }
}

fn parse_token(text: &str) -> Result<Proof, String> {
    Proof::with_token(text)
}

fn parse_absence(text: &str) -> Result<Duration, String> {
    let absence = units::parse_duration(text).map_err(|error| format!("{error} (hint: 6s)"))?;
    if absence >= ABSENCE_MIN {
        return Ok(absence);
    }
    Err("the page looks every 2 s, so that 5s is the least (hint: 6s)".to_owned())
}

/// An origin as browsers write it: scheme, host and port, nothing behind.
fn parse_site(text: &str) -> Result<String, String> {
    let (scheme, host) = text.split_once("://").unwrap_or_default();
    let plain = host.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte));
    if matches!(scheme, "http" | "https") && !host.is_empty() && plain {
        return Ok(text.to_owned());
    }
    Err("write it as browsers do: https://shop.example, in lower case, without a path".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        serve: Serve,
    }

    fn options(line: &[&str]) -> Result<Options, String> {
        let line = ["x", "--target", "wss://shop.example/ws", "--goal", "100"].iter().chain(line);
        Line::try_parse_from(line).map_err(|error| error.to_string())?.serve.options()
    }

    #[test]
    fn options_are_checked_with_a_hint() {
        let found = options(&["--site", "https://shop.example", "--attended"]).unwrap();
        assert_eq!((found.setting.per_visitor, found.setting.generator, found.only_here), (5, 0, false));
        assert_eq!(found.attended, Some(Duration::from_secs(6)));
        for (line, says) in [
            (vec!["--operator", "0.0.0.0:8471"], "not on loopback"),
            (vec!["--per-visitor", "31"], "from 1 to 30"),
            (vec!["--message", "loud"], "64B every 20s"),
            (vec!["--rate", "5"], "hint: 100/s"),
            (vec!["--generator", "1000001"], "at most 1000000"),
            (vec!["--site", "https://shop.example/"], "without a path"),
            (vec!["--site", "shop.example"], "without a path"),
            (vec!["--token", "short"], "16 to 64"),
            (vec!["--budget", "1B"], "from 64KiB"),
            (vec!["--attended", "1s"], "hint: 6s"),
        ] {
            let said = options(&line).unwrap_err();
            assert!(said.contains(says), "{line:?}: {said}");
        }
    }

    #[test]
    fn a_target_must_be_one_that_visitors_can_share() {
        for (target, says) in [
            ("ws+unix:///run/app.sock", "unix-domain"),
            ("wss://me:secret@shop.example", "every visitor would learn"),
            ("https://shop.example", "wss://"),
        ] {
            let said = parse_target(target).unwrap_err();
            assert!(said.contains(says) && !said.contains("secret"), "{said}");
        }
        let line = ["x", "--target", "ws://localhost:9001", "--goal", "1", "--listen", "10.0.0.1:8470"];
        let said = Line::try_parse_from(line).unwrap().serve.options().unwrap_err();
        assert!(said.contains("its own machine"), "{said}");
    }
}
