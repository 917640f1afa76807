//! What a platform documents: its limits, and the answers that are its own.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::age::Age;
use crate::keyword::keywords;
use crate::record::Answer;

/// A platform, as the catalogue has it and as a run copies it into its record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformRecord {
    /// Its name in a matrix.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Other names of it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Headers that only its edge sends (see [`crate::record::answer::HEADERS`]).
    #[serde(default)]
    pub signs: Vec<String>,
    /// What a header `server` of its edge has.
    #[serde(default)]
    pub servers: Vec<String>,
    /// What a header `via` of its edge has.
    #[serde(default)]
    pub vias: Vec<String>,
    /// Other platforms that its traffic passes.
    #[serde(default)]
    pub edges: Vec<String>,
    /// Its limits.
    #[serde(default, rename = "limit")]
    pub limits: Vec<PlatformLimit>,
    /// Answers that come from its edge.
    #[serde(default, rename = "answer")]
    pub answers: Vec<EdgeAnswer>,
}

/// A limit that a platform documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformLimit {
    /// What is limited.
    pub kind: LimitKind,
    /// The number, in [`Self::unit`].
    pub value: f64,
    /// Its unit; [`LimitKind::unit`].
    pub unit: LimitUnit,
    /// What the number is for.
    pub scope: Scope,
    /// The plan that has it; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The platform says "about", or does not enforce it strictly.
    #[serde(default)]
    pub about: bool,
    /// What the client sees when it is met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_sees: Option<String>,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where it is documented.
    pub source: String,
    /// The day on which that was read: `2026-11-24`.
    pub seen: String,
    /// Somebody else reports it, not the platform.
    #[serde(default)]
    pub second_hand: bool,
}

/// An answer to an upgrade that a platform's edge gives, not the server behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeAnswer {
    /// Its HTTP status; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The error code in its body ([`Answer::code`]); absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The limit that it tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<LimitKind>,
    /// What it means, a fragment.
    pub meaning: String,
    /// Where it is documented.
    pub source: String,
    /// The day on which that was read.
    pub seen: String,
    /// Somebody else reports it, not the platform.
    #[serde(default)]
    pub second_hand: bool,
}

keywords! {
    /// What a platform limits.
    pub enum LimitKind {
        Connections = "connections", "Connections open at once.";
        Concurrency = "concurrency", "Connections open at once to each instance.";
        NewPerSecond = "new-per-second", "Connections opened in a second.";
        Lifetime = "lifetime", "Time until a connection is ended, whether it is active or not.";
        IdleTimeout = "idle-timeout", "Time without traffic until a connection is ended.";
        ConnectTimeout = "connect-timeout", "Time until the edge gives up on a server that does not accept a connection.";
        AnswerTimeout = "answer-timeout", "Time until the edge gives up on a server that does not answer.";
        MessageSize = "message-size", "Largest message.";
        FrameSize = "frame-size", "Largest frame.";
    }
}

keywords! {
    /// Units of limits.
    pub enum LimitUnit {
        Connections = "connections", "Connections.";
        PerSecond = "per-second", "Connections a second.";
        Seconds = "seconds", "Seconds.";
        Bytes = "bytes", "Bytes.";
    }
}

keywords! {
    /// What a limit is for.
    pub enum Scope {
        Connection = "connection", "One connection.";
        Instance = "instance", "One instance of the server.";
        Node = "node", "One node of the platform's balancer.";
        Object = "object", "One object.";
        Domain = "domain", "One host name.";
        Account = "account", "One account, in one region.";
    }
}

impl LimitKind {
    /// What it is in a sentence, with its article: `an idle timeout`.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Connections => "a number of connections",
            Self::Concurrency => "a number of connections for each instance",
            Self::NewPerSecond => "a number of new connections a second",
            Self::Lifetime => "a lifetime",
            Self::IdleTimeout => "an idle timeout",
            Self::ConnectTimeout => "a time to connect",
            Self::AnswerTimeout => "a time to answer",
            Self::MessageSize => "a message size",
            Self::FrameSize => "a frame size",
        }
    }

    /// The unit of its values.
    pub const fn unit(self) -> LimitUnit {
        match self {
            Self::Connections | Self::Concurrency => LimitUnit::Connections,
            Self::NewPerSecond => LimitUnit::PerSecond,
            Self::Lifetime | Self::IdleTimeout | Self::ConnectTimeout | Self::AnswerTimeout => LimitUnit::Seconds,
            Self::MessageSize | Self::FrameSize => LimitUnit::Bytes,
        }
    }
}

impl PlatformRecord {
    /// Its name and its aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// Whether it goes by a name, in any case.
    pub fn is_named(&self, name: &str) -> bool {
        self.names().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Whether an answer carries the marks of its edge.
    pub fn sent(&self, answer: &Answer) -> bool {
        let has = |name, marks: &[String]| {
            let value = answer.header(name).unwrap_or_default().to_lowercase();
            marks.iter().any(|mark| value.contains(&mark.to_lowercase()))
        };
        self.signs.iter().any(|sign| answer.headers.contains_key(sign))
            || has("server", &self.servers)
            || has("via", &self.vias)
    }

    /// What an answer means that its edge documented as its own, not too long before a run started (RFC 3339); `None`: the server
    /// behind it may have said it.
    pub fn own_answer(&self, answer: &Answer, started: &str) -> Option<&EdgeAnswer> {
        let fits = |known: &&EdgeAnswer| {
            Age::at(&known.seen, started).is_usable()
                && known.status.is_none_or(|status| status == answer.status)
                && known.code.as_ref().is_none_or(|code| answer.code.as_ref() == Some(code))
        };
        // The most specific one: a code says more than a status.
        let mut fitting: Vec<&EdgeAnswer> = self.answers.iter().filter(fits).collect();
        fitting.sort_by_key(|known| known.code.is_none());
        fitting.into_iter().next()
    }

    /// What to say about the age of its rows when a run started (RFC 3339), a sentence for each day on which rows were seen that
    /// are old by then; none where all are fresh.
    pub fn age_warnings(&self, started: &str) -> Vec<String> {
        let limits = self.limits.iter().map(|limit| (limit.seen.as_str(), limit.kind.name()));
        let answers = self.answers.iter().map(|answer| (answer.seen.as_str(), "answers"));
        let mut of_days: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (seen, what) in limits.chain(answers) {
            of_days.entry(seen).or_default().insert(what);
        }
        let warning = |(seen, what): (&str, BTreeSet<&str>)| {
            let warning = Age::at(seen, started).warning()?;
            let what: Vec<&str> = what.into_iter().collect();
            Some(format!("the documentation of {} ({}) was {warning}", self.title, what.join(", ")))
        };
        of_days.into_iter().filter_map(warning).collect()
    }

    /// Its limits of a kind that were not too old when a run started (RFC 3339).
    pub fn limits_of(&self, kind: LimitKind, started: &str) -> impl Iterator<Item = &PlatformLimit> {
        self.limits.iter().filter(move |limit| limit.kind == kind && limit.age(started).is_usable())
    }
}

impl PlatformLimit {
    /// How old it was when a run started (RFC 3339).
    pub fn age(&self, started: &str) -> Age {
        Age::at(&self.seen, started)
    }

    /// The number that the whole set-up meets with so many instances.
    pub fn total(&self, instances: u32) -> f64 {
        match self.scope {
            Scope::Instance => self.value * f64::from(instances.max(1)),
            _ => self.value,
        }
    }

    /// `seen 2026-08-21, https://...`, with how far it can be trusted.
    pub fn reference(&self) -> String {
        let hearsay = if self.second_hand { ", second-hand" } else { "" };
        format!("{}, seen {}{hearsay}", self.source, self.seen)
    }
}

#[cfg(test)]
mod tests {
    use super::super::platform;
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Answer { count: 1, status, headers, ..Answer::default() }
    }

    #[test]
    fn an_edge_is_known_by_its_headers_and_its_own_answers_by_status_or_code() {
        let cloudflare = platform("cloudflare").unwrap();
        let from_edge = answer(522, &[("server", "cloudflare"), ("cf-ray", "present")]);
        assert!(cloudflare.sent(&from_edge) && !cloudflare.sent(&answer(522, &[("server", "nginx")])));
        let now = "2026-11-24T00:00:00Z";
        assert_eq!(cloudflare.own_answer(&from_edge, now).unwrap().kind, Some(LimitKind::ConnectTimeout));
        assert_eq!(cloudflare.own_answer(&from_edge, "2028-01-01T00:00:00Z"), None, "over a year old");
        // A 503 that passes the edge is the server's, for all that is known.
        assert_eq!(cloudflare.own_answer(&answer(503, &[("cf-ray", "present")]), now), None);
        let heroku = platform("heroku").unwrap();
        let mut busy = answer(503, &[("via", "1.1 vegur")]);
        assert_eq!(heroku.own_answer(&busy, now), None);
        busy.code = Some("H11".into());
        assert!(heroku.sent(&busy) && heroku.own_answer(&busy, now).is_some());
    }

    #[test]
    fn rows_that_are_old_are_named_with_their_age() {
        let railway = platform("railway").unwrap();
        assert_eq!(railway.age_warnings("2026-11-01T00:00:00Z"), Vec::<String>::new());
        let old = railway.age_warnings("2026-12-24T00:00:00Z");
        assert_eq!(old.len(), 1, "{old:?}");
        assert!(old[0].contains("Railway") && old[0].contains("connections"), "{old:?}");
        assert!(old[0].contains("seen 125 days before the run"), "{old:?}");
        assert!(railway.age_warnings("2028-01-01T00:00:00Z")[0].contains("not used"));
    }

    #[test]
    fn a_limit_of_each_instance_counts_as_often_as_there_are_instances() {
        let limit =
            |name: &str, kind| platform(name).unwrap().limits_of(kind, "2026-11-24T00:00:00Z").next().unwrap().clone();
        assert_eq!(limit("cloud-run", LimitKind::Concurrency).total(3).to_bits(), 240_f64.to_bits());
        assert_eq!(limit("railway", LimitKind::Connections).total(3).to_bits(), 10_000_f64.to_bits());
        let late = platform("railway").unwrap().limits_of(LimitKind::Connections, "2028-01-01T00:00:00Z").count();
        assert_eq!(late, 0, "a row over a year old is not used");
    }
}
