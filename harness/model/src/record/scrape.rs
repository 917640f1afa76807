//! What comes of reading a server that the harness did not start: what its engine knows, restarts, and why numbers are
//! missing. `Display` says what happened, [`ScrapeFault::hint`] what to do.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Exit, Metric};

/// What an engine says of a container that runs elsewhere.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerSeen {
    /// Its numbers; what the engine does not know is absent.
    pub values: Vec<(Metric, f64)>,
    /// When it started, as the engine writes it.
    pub started: Option<String>,
    /// How often the engine has restarted it.
    pub restarts: Option<u64>,
    /// Its end, where it does not run.
    pub exit: Option<Exit>,
}

/// What shows that a server began anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RestartSign {
    /// It has another start time.
    StartTime,
    /// A counter went back.
    Counter {
        /// Name of the metric.
        metric: String,
        /// Its last value, and the one after it, in the metric's unit.
        from: f64,
        /// See `from`.
        to: f64,
    },
    /// The engine counted a restart.
    Engine {
        /// How many so far.
        restarts: u64,
    },
}

impl fmt::Display for RestartSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartTime => f.write_str("it has a new start time"),
            Self::Counter { metric, from, to } => write!(f, "{metric} went back from {from:.0} to {to:.0}"),
            Self::Engine { restarts } => write!(f, "the engine counts {restarts} restarts"),
        }
    }
}

/// Declares [`ScrapeFault`] a kind a line: name, fields, what it says, what to do about it.
macro_rules! faults {
    ($($(#[doc = $doc:literal])* $name:ident { $($field:ident: $type:ty),* } => $says:literal, $hint:literal;)*) => {
        /// Why numbers of a source are missing. No field holds a secret: headers, users and parameters are in none of them.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "kebab-case")]
        pub enum ScrapeFault {
            $($(#[doc = $doc])* #[expect(missing_docs, reason = "a field is a word of the sentence")] $name { $($field: $type),* },)*
        }

        impl ScrapeFault {
            /// What to do about it.
            pub fn hint(&self) -> String {
                #[allow(unused_variables, reason = "not each hint repeats the fields")]
                match self { $(Self::$name { $($field),* } => format!($hint),)* }
            }
        }

        impl fmt::Display for ScrapeFault {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                #[allow(unused_variables, reason = "some are in the hint alone")]
                match self { $(Self::$name { $($field),* } => write!(f, $says),)* }
            }
        }
    };
}

faults! {
    /// The name of the host is not known.
    NotResolved { host: String } =>
        "`{host}` does not resolve", "correct the host's name, or give its address";
    /// Nobody listens there.
    Refused { address: String } =>
        "{address} refuses the connection",
        "see that the exporter runs, listens on an address that this machine reaches, and that no firewall is between";
    /// The connection failed otherwise, or broke.
    Unreachable { what: String } =>
        "the connection failed: {what}", "see that this machine reaches the address: `curl` it from here";
    /// No whole answer came in time.
    TooSlow { within_ms: u64 } =>
        "no whole answer within {within_ms} ms", "raise `within`, or read a source that answers faster";
    /// The certificate does not hold.
    Certificate { what: String } =>
        "the certificate does not hold: {what}",
        "use the name that the certificate is for, or trust its authority with `ca = \"FILE\"` (PEM)";
    /// TLS failed otherwise.
    Tls { what: String } =>
        "TLS failed: {what}", "an address without TLS starts with http://; a server that wants a certificate needs `cert` and `key`";
    /// Status 401 or 403.
    Unauthorised { status: u16 } =>
        "the answer is status {status}: not let in",
        "send what the server asks for: `headers = {{ Authorization = \"Bearer ${{NAME}}\" }}`, with NAME in the environment";
    /// A redirect, which is not followed: headers may hold a secret.
    Redirected { status: u16, to: String } =>
        "the answer is status {status}: moved to {to}", "write the new address";
    /// Another status that is not 200.
    Status { status: u16 } =>
        "the answer is status {status}", "open the address with `curl -i` and correct it: an exporter answers at /metrics";
    /// What came are no metrics.
    NotMetrics { looks: String } =>
        "what comes is {looks}, not metrics", "write the address of the metrics themselves, mostly /metrics; a login page looks like this too";
    /// The text of metrics or a line of JSON has a mistake.
    Malformed { line: u64, what: String } =>
        "line {line} cannot be read: {what}", "see with `curl` what the address gives; the formats are in docs/matrix.md";
    /// The body ended too early.
    Truncated { bytes: u64 } =>
        "the answer broke off after {bytes} bytes", "a proxy between may cut answers: ask the exporter directly";
    /// The body is longer than what is read.
    TooLarge { limit_bytes: u64 } =>
        "the answer is longer than {limit_bytes} bytes", "let the exporter give less: a filter of its collectors, or the query API";
    /// The numbers are old.
    Stale { age_ms: u64 } =>
        "the numbers are {age_ms} ms old", "raise `every` to the time between two samples of the source, or correct the clock of its machine";
    /// A sample that was read already came again.
    Repeated { metric: String } =>
        "{metric} came again with the timestamp of before", "raise `every` to the time between two samples of the source";
    /// Not a number, infinite or negative.
    NotANumber { metric: String, value: String } =>
        "{metric} is {value}", "the source does not know this number now; if it never does, read it elsewhere";
    /// The same series is there twice.
    Duplicated { series: String } =>
        "the series {series} is there twice", "the exporter has a mistake; read the number elsewhere";
    /// Several series match where only one can be meant.
    Ambiguous { series: String, matching: u64, label: String, values: String } =>
        "{matching} series of {series} match", "add a label that chooses one: `labels = {{ {label} = ... }}`, one of {values}";
    /// No series matches.
    NoSeries { what: String } =>
        "no series for {what}", "correct the query or the labels";
    /// The numbers are another part's.
    WrongPart { gives: String, part: String } =>
        "the numbers are those of {gives}, not of {part}", "give this source the `part` that it tells about";
    /// Several processes answer at one address.
    SeveralProcesses { metric: String } =>
        "several processes answer in turn ({metric} jumps to and fro)",
        "a balancer spreads the scrapes: give the address of each instance itself, or labels that choose one";
    /// A counter went back by a little, which no restart does.
    WentBack { metric: String } =>
        "{metric} went back by a little", "one reading is left out; if this comes often, several processes answer at the address";
    /// Numbers came, and none is known.
    NothingKnown { series: u64 } =>
        "{series} series came, and none of them is known here", "docs/matrix.md has the known names; others come by `query` or `command`";
    /// The query API answered with an error.
    QueryFailed { metric: String, what: String } =>
        "the query for {metric} failed: {what}", "try the query in the server's own web page";
    /// The command did not start.
    NotStarted { what: String } =>
        "the command cannot be started: {what}", "give a program on PATH, or a path relative to the matrix file, that may be executed";
    /// The command ended without success.
    CommandFailed { how: String } =>
        "the command ended with {how}", "run it by hand in the folder of the matrix file";
    /// The command named a number that nobody knows.
    UnknownName { name: String, near: String } =>
        "`{name}` is no name of a number", "did it mean `{near}`? The names are the columns of samples.csv";
    /// The engine cannot be reached or does not answer.
    Engine { what: String } =>
        "the engine: {what}", "see that `docker -H ADDRESS ps` works from here, without asking for a password";
    /// The engine has no such container.
    NoContainer { name: String } =>
        "the engine has no container `{name}`", "give the name or the id that `docker ps` shows there";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_words_and_hints_and_read_back() {
        let fault = ScrapeFault::Ambiguous {
            series: "container_cpu_usage_seconds_total".into(),
            matching: 2,
            label: "name".into(),
            values: "`a` and `b`".into(),
        };
        assert_eq!(fault.to_string(), "2 series of container_cpu_usage_seconds_total match");
        assert_eq!(fault.hint(), "add a label that chooses one: `labels = { name = ... }`, one of `a` and `b`");
        let json = serde_json::to_string(&fault).unwrap();
        assert!(json.starts_with(r#"{"kind":"ambiguous","series""#), "{json}");
        assert_eq!(serde_json::from_str::<ScrapeFault>(&json).unwrap(), fault);
        assert!(ScrapeFault::Unauthorised { status: 401 }.hint().contains("\"Bearer ${NAME}\""));
    }
}
