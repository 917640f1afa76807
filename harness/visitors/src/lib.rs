//! Real visitors of a site as load: after they consented, their browsers hold a few connections each.
//!
//! | module | does |
//! |---|---|
//! | `snippet.js` | what a page of the site runs; at most [`SNIPPET_MAX`] bytes |
//! | `token` | who is a visitor of this collector, without knowing who it is |
//! | `proof` | what the target must say before anybody is told to connect to it |
//! | `report` | what a visitor says, and what it is told |
//! | `visitor` | what of a visitor's word is taken |
//! | `ledger` | who may hold how many connections; all counters |
//! | `bucket` | so many things a second |
//! | `collector` | the ledger with a clock, marks and the operator's commands |
//! | `serve`, `operator` | HTTP for visitors; HTTP for the operator, on loopback |
//! | `control` | the operator's commands, and what sends them |
//!
//! No address of a visitor is stored anywhere, and no cookie is set. `docs/visitors.md` says what visitors can be used for and
//! what protects them, the target and the numbers.

mod bucket;
mod collector;
pub mod control;
mod ledger;
mod operator;
mod proof;
pub mod report;
mod serve;
mod token;
mod visitor;

pub use collector::{Collector, Options};
pub use ledger::{Ledger, Limits};
pub use operator::{LivePage, Operator, is_loopback_host, serve_operator};
pub use proof::{PROOF_PATH, Proof, ProofAnswer};
pub use serve::serve_visitors;
pub use token::Tokens;

/// What pages load: `<script src="https://HOST/wsceiling.js">`.
pub const SNIPPET: &str = include_str!("snippet.js");

/// Most bytes of the snippet.
pub const SNIPPET_MAX: usize = 4096;

/// Time between two reports of a visitor; the snippet takes a fifth more or less.
pub const POLL_MS: u64 = 5_000;

/// Time after which a visitor without an answer closes everything: its dead man's switch. It counts from when the visitor
/// asked, so that all is closed within 15 s of the collector's end.
pub const VALID_MS: u64 = 14_000;

/// Time after which a visitor that says nothing is unknown; it has closed everything by then, if it still runs.
pub const SILENT_MS: u64 = 18_000;

/// Takes as many descriptors as the system allows this process, since each browser that reports needs one; how many.
pub fn raise_descriptors() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_snippet_is_small_and_has_its_limits_built_in() {
        assert!(SNIPPET.len() <= SNIPPET_MAX, "{} bytes", SNIPPET.len());
        let most = wsceiling_model::visitors::SETTING_LIMITS.per_visitor;
        assert!(SNIPPET.contains(&format!("HARD={most},")), "the snippet's own cap is the one of the setting");
        assert!(SNIPPET.contains("consent!==true") && SNIPPET.contains("credentials:\"omit\""));
        assert!(!SNIPPET.contains("cookie") && !SNIPPET.contains("localStorage"), "nothing is stored at the visitor");
    }

    #[test]
    fn everything_is_closed_before_a_visitor_is_unknown() {
        // The snippet looks twice a second.
        const { assert!(VALID_MS + 500 < 15_000 && VALID_MS + 500 < SILENT_MS) };
        // Two lost answers in a row close nothing.
        const { assert!(2 * (POLL_MS + POLL_MS / 5) < VALID_MS) };
    }
}
