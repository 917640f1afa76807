//! The command line.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use clap::builder::BoolishValueParser;
use target_common::address::Address;
use target_common::units::{parse_duration, parse_size};

use crate::answer::{AtRate, Style};
use crate::platform::{Limits, Platform};

/// Stands for the edge of a platform: passes WebSocket connections on, within limits.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Options {
    /// Address to listen on, or `unix:PATH`; port 0 takes a free one, and the line on stdout says which
    #[arg(long, alias = "address", default_value = "127.0.0.1:9004", value_name = "IP:PORT")]
    pub listen: Address,

    /// A server to pass connections on to; given again, they take turns
    #[arg(long, required = true, value_name = "IP:PORT")]
    pub upstream: Vec<SocketAddr>,

    /// Set the limits that this platform documents; limits that are given beside it win
    #[arg(long, value_enum, value_name = "PLATFORM")]
    pub like: Option<Platform>,

    /// Make the platform's times and numbers of connections smaller, so that they are met in seconds; rates and sizes stay
    #[arg(long, requires = "like", default_value_t = 1.0, value_name = "FACTOR", value_parser = scale)]
    pub scale: f64,

    /// Most connections open at once; another one is refused
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub connections: Option<usize>,

    /// In whose words the edge answers [default: those of the platform, else plain]
    #[arg(long, value_enum, value_name = "STYLE")]
    pub refuse: Option<Style>,

    /// Most new connections a second
    #[arg(long, value_name = "N/s", value_parser = rate)]
    pub rate: Option<u32>,

    /// What a connection above the rate is answered with
    #[arg(long, value_enum, default_value_t, value_name = "STATUS")]
    pub at_rate: AtRate,

    /// End every connection at this age, active or not
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub lifetime: Option<Duration>,

    /// End a connection that was silent in both directions for this long; a ping is no silence
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub idle: Option<Duration>,

    /// Close code of a connection that is ended by its age or its silence [default: none, it ends without a close frame]
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(1000..5000))]
    pub end_code: Option<u16>,

    /// Longest message from a client; a longer one closes the connection with 1009
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub message_max: Option<usize>,

    /// Longest frame from a client; a longer one closes the connection with 1009
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub frame_max: Option<usize>,

    /// Swallow the pings of clients; then they are silence too
    #[arg(long, num_args = 0..=1, default_value = "no", default_missing_value = "yes", value_name = "YES|NO",
          value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    pub drop_pings: bool,

    /// Answer every request with a redirect to https
    #[arg(long)]
    pub redirect: bool,

    /// Longest time of a connect to the upstream [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub connect_within: Option<Duration>,

    /// Longest time that the upstream may take to answer a request [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub answer_within: Option<Duration>,

    /// Length of the accept queue; the kernel takes the smaller of this and net.core.somaxconn
    #[arg(long, default_value_t = 4096, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub backlog: i32,

    /// Threads: 1 is a single-threaded runtime, 0 is one per core that the process may use
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub threads: usize,
}

impl Options {
    /// The limits: those that were given, then those of the platform.
    pub fn limits(&self) -> Limits {
        let own = Limits {
            connections: self.connections,
            rate: self.rate,
            lifetime: self.lifetime,
            idle: self.idle,
            message_max: self.message_max.map(|bytes| bytes as u64),
            frame_max: self.frame_max.map(|bytes| bytes as u64),
            connect_within: self.connect_within,
            answer_within: self.answer_within,
        };
        let platform = self.like.map(|platform| platform.limits(self.upstream.len()).scaled(self.scale));
        own.or(platform.unwrap_or_default())
    }

    /// In whose words it answers.
    pub fn style(&self) -> Style {
        self.refuse.or(self.like.map(Platform::style)).unwrap_or_default()
    }
}

/// `500/s`, or 500.
fn rate(text: &str) -> Result<u32, String> {
    match text.strip_suffix("/s").unwrap_or(text).parse() {
        Ok(0) | Err(_) => Err("must be a whole number of connections a second (hint: 500/s)".to_owned()),
        Ok(rate) => Ok(rate),
    }
}

fn at_least_1(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "must be a whole number above 0".to_owned())
}

fn scale(text: &str) -> Result<f64, String> {
    let scale = text.parse().ok().filter(|scale| (0.001..=1.0).contains(scale));
    scale.ok_or_else(|| "must be from 0.001 to 1 (hint: 0.1 makes 55 s to 5.5 s)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Options, String> {
        let words = ["edge", "--upstream", "127.0.0.1:1"].into_iter().chain(arguments.split_whitespace());
        Options::try_parse_from(words).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_given_beside_a_platform_wins() {
        let options = parse("--like heroku --scale 0.1 --connections 7 --rate 20/s").unwrap();
        let limits = options.limits();
        assert_eq!((limits.connections, limits.rate), (Some(7), Some(20)));
        assert_eq!(limits.idle, Some(Duration::from_millis(5500)));
        assert_eq!(options.style(), Style::Heroku);
        assert_eq!(parse("--like heroku --refuse plain").unwrap().style(), Style::Plain);
    }

    #[test]
    fn pings_pass_unless_they_are_to_be_dropped() {
        for (arguments, dropped) in
            [("", false), ("--drop-pings", true), ("--drop-pings no", false), ("--drop-pings yes", true)]
        {
            assert_eq!(parse(arguments).unwrap().drop_pings, dropped, "{arguments}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_to_write() {
        for (arguments, hint) in [
            ("--rate 0/s", "500/s"),
            ("--rate fast", "500/s"),
            ("--connections 0", "above 0"),
            ("--scale 2 --like heroku", "0.001 to 1"),
            ("--scale 0.5", "--like"),
            ("--idle 5", "unit"),
            ("--like herok", "heroku"),
            ("--upstream shop.example:80", "invalid"),
            ("--end-code 99", "1000"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(hint), "{arguments}: {error}");
        }
        assert!(Options::try_parse_from(["edge"]).unwrap_err().to_string().contains("--upstream"));
    }
}
