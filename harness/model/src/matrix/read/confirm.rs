//! `[targets.NAME.confirm]`: arguments by which an experiment sets what only the server itself can set.

use toml::Spanned;

use super::sink::Sink;
use super::table::Table;
use super::value::text;
use crate::matrix::diagnostics::Diagnostic;
use crate::matrix::{ConfirmArgs, VALUE};

pub(super) fn confirm(mut table: Table<'_, '_>, sink: &Sink) -> ConfirmArgs {
    let args = ConfirmArgs {
        backlog: pattern(&mut table, "backlog", r#"["--backlog", "{value}"]"#, sink),
        threads: pattern(&mut table, "threads", r#"["--threads", "{value}"]"#, sink),
        heap: pattern(&mut table, "heap", r#"["--max-old-space-size={value}"]"#, sink),
    };
    table.finish();
    args
}

fn pattern(table: &mut Table<'_, '_>, key: &'static str, example: &str, sink: &Sink) -> Vec<String> {
    let before = sink.faults();
    let Some(list) = table.list(key, example, text) else { return Vec::new() };
    let span = list.span();
    let words: Vec<String> = list.into_inner().into_iter().map(Spanned::into_inner).collect();
    let places: usize = words.iter().map(|word| word.matches(VALUE).count()).sum();
    if places != 1 && sink.faults() == before {
        let fault = Diagnostic::new(format!("`{}` has `{VALUE}` {places} times", table.path(key))).at(span);
        let fault = fault.label("the number of an experiment goes into one place");
        sink.fault(fault.hint(format!("write `{key} = {example}`")));
    }
    words
}
