//! What platforms document, as limits of an edge. Sources and dates stand in the README; what is not documented is not set.

use std::time::Duration;

use clap::ValueEnum;

use crate::answer::Style;

/// A platform whose documented limits are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Platform {
    /// 50 requests in flight for each upstream, then 503 with H11; 55 s idle; 5 s to connect.
    Heroku,
    /// 500 new connections a second; 2 h of lifetime; 10 min idle; frames of 32 KiB, messages of 128 KiB, then 1009.
    AwsApiGateway,
    /// 80 connections for each upstream; 5 min of lifetime.
    CloudRun,
    /// 10,000 connections; 11,000 requests a second.
    Railway,
    /// 19 s to connect, then 522; 100 s to answer, then 524.
    Cloudflare,
}

/// Limits of an edge; `None`: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// Connections open at once.
    pub connections: Option<usize>,
    /// New connections a second.
    pub rate: Option<u32>,
    /// Age at which a connection is ended.
    pub lifetime: Option<Duration>,
    /// Silence in both directions after which a connection is ended.
    pub idle: Option<Duration>,
    /// Longest payload of a message from the client, in bytes.
    pub message_max: Option<u64>,
    /// Longest payload of a frame from the client, in bytes.
    pub frame_max: Option<u64>,
    /// Longest time of a connect to the upstream.
    pub connect_within: Option<Duration>,
    /// Longest time from the request to the upstream's answer.
    pub answer_within: Option<Duration>,
}

const KIB: u64 = 1024;

impl Platform {
    /// Its limits as documented, before `upstreams` instances.
    pub fn limits(self, upstreams: usize) -> Limits {
        let seconds = |s| Some(Duration::from_secs(s));
        match self {
            Self::Heroku => Limits {
                connections: Some(50 * upstreams),
                idle: seconds(55),
                connect_within: seconds(5),
                ..Limits::default()
            },
            Self::AwsApiGateway => Limits {
                rate: Some(500),
                lifetime: seconds(7200),
                idle: seconds(600),
                frame_max: Some(32 * KIB),
                message_max: Some(128 * KIB),
                ..Limits::default()
            },
            Self::CloudRun => Limits { connections: Some(80 * upstreams), lifetime: seconds(300), ..Limits::default() },
            Self::Railway => Limits { connections: Some(10_000), rate: Some(11_000), ..Limits::default() },
            Self::Cloudflare => {
                Limits { connect_within: seconds(19), answer_within: seconds(100), ..Limits::default() }
            }
        }
    }

    /// How it answers.
    pub fn style(self) -> Style {
        match self {
            Self::Heroku => Style::Heroku,
            Self::AwsApiGateway => Style::AwsApiGateway,
            Self::CloudRun => Style::CloudRun,
            Self::Railway => Style::Railway,
            Self::Cloudflare => Style::Cloudflare,
        }
    }
}

impl Limits {
    /// The limits that take long to meet, made smaller: times and numbers of connections. Rates and sizes stay as they are.
    pub fn scaled(self, scale: f64) -> Self {
        let time = |time: Option<Duration>| time.map(|time| time.mul_f64(scale));
        let number = |number: usize| ((number as f64 * scale).round() as usize).max(1);
        Self {
            connections: self.connections.map(number),
            lifetime: time(self.lifetime),
            idle: time(self.idle),
            connect_within: time(self.connect_within),
            answer_within: time(self.answer_within),
            ..self
        }
    }

    /// These, and where they have none those of the other.
    pub fn or(self, other: Self) -> Self {
        Self {
            connections: self.connections.or(other.connections),
            rate: self.rate.or(other.rate),
            lifetime: self.lifetime.or(other.lifetime),
            idle: self.idle.or(other.idle),
            message_max: self.message_max.or(other.message_max),
            frame_max: self.frame_max.or(other.frame_max),
            connect_within: self.connect_within.or(other.connect_within),
            answer_within: self.answer_within.or(other.answer_within),
        }
    }

    /// In words, for the line at the start.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        let mut add = |name: &str, value: Option<String>| parts.extend(value.map(|value| format!("{name} {value}")));
        let time = |time: Option<Duration>| time.map(|time| format!("{time:?}"));
        add("connections", self.connections.map(|number| number.to_string()));
        add("rate", self.rate.map(|rate| format!("{rate}/s")));
        add("lifetime", time(self.lifetime));
        add("idle", time(self.idle));
        add("message-max", self.message_max.map(|bytes| format!("{bytes} B")));
        add("frame-max", self.frame_max.map(|bytes| format!("{bytes} B")));
        add("connect-within", time(self.connect_within));
        add("answer-within", time(self.answer_within));
        if parts.is_empty() { "no limits".to_owned() } else { parts.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_makes_times_and_numbers_smaller_and_leaves_rates_and_sizes() {
        let gateway = Platform::AwsApiGateway.limits(2).scaled(0.01);
        assert_eq!((gateway.rate, gateway.message_max), (Some(500), Some(131_072)));
        assert_eq!((gateway.lifetime, gateway.idle), (Some(Duration::from_secs(72)), Some(Duration::from_secs(6))));
        assert_eq!(Platform::Heroku.limits(2).scaled(0.1).connections, Some(10));
        assert_eq!(Platform::CloudRun.limits(1).scaled(0.001).connections, Some(1));
    }

    #[test]
    fn the_command_line_wins_over_the_platform() {
        let own = Limits { connections: Some(7), ..Limits::default() };
        let limits = own.or(Platform::Railway.limits(2));
        assert_eq!((limits.connections, limits.rate), (Some(7), Some(11_000)));
        assert_eq!(limits.describe(), "connections 7, rate 11000/s");
        assert_eq!(Limits::default().describe(), "no limits");
    }
}
