//! `[fronts.NAME]`: a kind and the settings that this kind has.

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::problem::Problem;
use super::sink::Span;
use super::table::{Table, set};
use super::value::{duration, filled_text, integer, integer32, one_of, text};
use crate::matrix::diagnostics::Diagnostic;
use crate::matrix::{Front, FrontKind};

/// A day: longer than any trial.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A described front, with the places that later checks point at.
pub(in crate::matrix) struct Described {
    pub span: Span,
    pub front: Front,
    /// Where its size is named.
    pub size: Option<Spanned<String>>,
    pub ports: Option<Span>,
    pub sources: Option<Span>,
}

/// Reads `[fronts.NAME]`.
pub(super) fn front(name: &str, span: &Span, mut table: Table<'_, '_>) -> Described {
    let sink = table.sink();
    let before = sink.faults();
    let kind = table.get("kind", one_of);
    let named = name.parse().ok();
    if kind.is_none() && sink.faults() == before && named.is_none() {
        let fault = Diagnostic::new(format!("front `{name}` has no `kind`")).at(span.clone()).absence();
        let fault = fault.label("only a front named like a kind needs none");
        sink.fault(fault.hint(format!("add `kind = {}", kinds_as_values())));
    }
    let Some(kind) = kind.or(named) else {
        // Without its kind nobody can say which keys it may have.
        return described(name, span, FrontKind::Relay);
    };
    let mut found = described(name, span, kind);
    let front = &mut found.front;
    let mut table = OfKind { kind, table };
    front.backlog = table.get("backlog", integer32(1, 65_535));
    front.nofile = table.get("nofile", integer(64, 1 << 30));
    set(&mut front.spread, table.get("spread", one_of));
    found.sources = table.table.key_span("sources");
    set(&mut front.sources, table.get("sources", integer32(1, 250)));
    found.ports = table.table.key_span("ports");
    front.ports = table.get("ports", integer32(1, 64_000));
    found.size = table.get_at("size", text);
    front.size = found.size.as_ref().map(|size| size.get_ref().clone());
    front.program = table.get("program", filled_text);
    front.workers = table.get("workers", integer32(1, 64));
    set(&mut front.idle_timeout, table.get("idle_timeout", duration(Duration::from_secs(1), LONGEST)));
    set(&mut front.worker_connections, table.get("worker_connections", integer32(8, 10_000_000)));
    front.maxconn = table.get("maxconn", integer32(1, 10_000_000));
    front.frontend_maxconn = table.get("frontend_maxconn", integer32(1, 10_000_000));
    front.server_maxconn = table.get("server_maxconn", integer32(1, 10_000_000));
    set(&mut front.queue_timeout, table.get("queue_timeout", duration(Duration::from_millis(10), LONGEST)));
    table.table.finish();
    found
}

/// `"nginx"`, "haproxy" or "relay"`: what stands behind `kind = `.
fn kinds_as_values() -> String {
    let quoted: Vec<String> = FrontKind::ALL.iter().map(|kind| format!("\"{kind}\"")).collect();
    let [first, middle @ .., last] = quoted.as_slice() else { return quoted.concat() };
    format!("{first}`, {} or {last}", middle.join(", "))
}

/// The table of a front, which has the keys of its kind. Those of other kinds are named with the kinds that have them.
struct OfKind<'t, 'i> {
    kind: FrontKind,
    table: Table<'t, 'i>,
}

impl<'i> OfKind<'_, 'i> {
    fn get<T>(&mut self, key: &'static str, parse: impl Fn(&DeValue<'i>) -> Result<T, Problem>) -> Option<T> {
        self.get_at(key, parse).map(Spanned::into_inner)
    }

    fn get_at<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&DeValue<'i>) -> Result<T, Problem>,
    ) -> Option<Spanned<T>> {
        if self.kind.has(key) {
            return self.table.get_at(key, parse);
        }
        let having: Vec<&str> = FrontKind::ALL.iter().filter(|kind| kind.has(key)).map(|kind| kind.name()).collect();
        let kinds = match having.split_last() {
            Some((last, others)) if !others.is_empty() => format!("kinds {} and {last}", others.join(", ")),
            _ => format!("kind {}", having.concat()),
        };
        self.table.misplaced(&[key], &format!("fronts of the {kinds}"));
        None
    }
}

fn described(name: &str, span: &Span, kind: FrontKind) -> Described {
    Described { span: span.clone(), front: Front::new(name, kind), size: None, ports: None, sources: None }
}
