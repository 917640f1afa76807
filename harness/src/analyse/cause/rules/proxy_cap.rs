//! A proxy says that it is at its own limit of connections.

use super::{Candidate, Evidence, Facts, Proof, Rule, near, words};
use crate::record::signs;

pub(super) const RULE: Rule = Rule { cause: "proxy-cap", consequences: &["application-cap", "accept-queue"], judge };

fn judge(facts: &Facts<'_>) -> Option<Candidate> {
    let (component, line) = facts.log_line(signs::PROXY_CAP)?;
    let held = facts.held_at_failure();
    // `4096 worker_connections are not enough`: two of them a proxied connection, two more for the listeners.
    let cap = line
        .split_whitespace()
        .zip(line.split_whitespace().skip(1))
        .find_map(|(number, word)| (word == "worker_connections").then(|| number.parse::<f64>().ok()).flatten());
    Some(Candidate {
        short: format!("{component} at its own limit of connections"),
        sentence: format!("At {} {component} was at its own limit of connections.", words::connections(held)),
        fix: "raise the proxy's limit (nginx worker_connections, two a proxied connection; haproxy maxconn)".into(),
        evidence: vec![Evidence {
            component,
            name: "log".into(),
            before: None,
            after: Some(line.to_owned()),
            source: "log of the instance".into(),
        }],
        proof: Proof {
            moved: true,
            arithmetic: cap.is_some_and(|cap| near(held, (cap - 2.0) / 2.0)),
            timely: true,
            explains: facts.share(|error| super::facts::is_broken(error) || super::facts::is_timeout(error)),
            onset_ms: facts.first_failure_ms,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fail, cause, script};
    use crate::record::Stage;

    #[test]
    fn nginx_says_so_and_its_arithmetic_matches() {
        // H4: worker_connections 1000 holds 499.
        let fail = || Fail::plateau(499).error(Stage::Handshake, "reset", 1037).error(Stage::Handshake, "eof", 464);
        let script = || script().load(2000, 2000).fail(fail());
        let verdict = script().log("[alert] 1000 worker_connections are not enough").verdict();
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("proxy-cap", 0.85));
        assert_ne!(cause(script().log("ready")), "proxy-cap");
    }
}
