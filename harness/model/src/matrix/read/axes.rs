//! `[axes]`, `[[exclude]]` and `[[include]]`: lists of names and numbers, still unresolved.

use std::fmt::Display;

use toml::Spanned;
use toml::de::DeValue;

use super::problem::Parsed;
use super::sink::Span;
use super::table::Table;
use super::value::{integer32, one_of, text};
use crate::matrix::diagnostics::Diagnostic;
use crate::matrix::{Runtime, Scenario};

/// Most instances of a cell.
const MOST_INSTANCES: u32 = 256;

/// The value of the axis `front` that stands for no front.
pub(in crate::matrix) const NO_FRONT: &str = "none";

/// The values of an axis with the list's place.
pub(in crate::matrix) type Axis<T> = Spanned<Vec<Spanned<T>>>;

/// The `[axes]` table.
pub(in crate::matrix) struct Axes {
    /// The word `axes`.
    pub span: Span,
    pub target: Option<Axis<String>>,
    pub runtime: Option<Axis<Runtime>>,
    pub instances: Option<Axis<u32>>,
    pub front: Option<Axis<String>>,
    pub size: Option<Axis<String>>,
    pub scenario: Option<Axis<Scenario>>,
    /// `target` was not given at all.
    pub target_missing: bool,
}

/// One `[[exclude]]`: a cell that has one of the values of every given key is left out.
pub(in crate::matrix) struct Exclude {
    pub span: Span,
    pub target: Option<Vec<Spanned<String>>>,
    pub runtime: Option<Vec<Spanned<Runtime>>>,
    pub instances: Option<Vec<Spanned<u32>>>,
    pub front: Option<Vec<Spanned<String>>>,
    pub size: Option<Vec<Spanned<String>>>,
    pub scenario: Option<Vec<Spanned<Scenario>>>,
}

/// One `[[include]]`: a cell more.
pub(in crate::matrix) struct Include {
    pub span: Span,
    pub target: Option<Spanned<String>>,
    /// The target was not given at all.
    pub target_missing: bool,
    /// Every given key was read, so that a default stands for nothing that was meant.
    pub readable: bool,
    pub runtime: Option<Spanned<Runtime>>,
    pub instances: Option<Spanned<u32>>,
    pub front: Option<Spanned<String>>,
    pub size: Option<Spanned<String>>,
    pub scenario: Option<Spanned<Scenario>>,
}

fn instances(value: &DeValue<'_>) -> Parsed<u32> {
    integer32(1, MOST_INSTANCES)(value)
}

/// Reads an axis: a list with at least one value, none of them twice.
fn axis<T: PartialEq + Display>(
    table: &mut Table<'_, '_>,
    key: &'static str,
    example: &str,
    parse: impl Fn(&DeValue<'_>) -> Parsed<T>,
) -> Option<Axis<T>> {
    let sink = table.sink();
    let list = table.list(key, example, parse)?;
    if table.is_empty_list(key) {
        let fault = Diagnostic::new(format!("`{}` is empty", table.path(key))).at(list.span());
        sink.fault(
            fault.label("no cell can come of it").hint(format!("write `{key} = {example}`, or leave `{key}` out")),
        );
    }
    let span = list.span();
    let mut values: Vec<Spanned<T>> = Vec::new();
    for value in list.into_inner() {
        match values.iter().find(|known| known.get_ref() == value.get_ref()) {
            Some(first) => {
                let fault = Diagnostic::new(format!("`{}` has `{}` twice", table.path(key), value.get_ref()));
                sink.fault(fault.at(value.span()).context(first.span(), "first here").hint("remove one of them"));
            }
            None => values.push(value),
        }
    }
    Some(Spanned::new(span, values))
}

pub(super) fn axes(mut table: Table<'_, '_>) -> Axes {
    let axes = Axes {
        span: table.place.span.clone(),
        target_missing: !table.has("target"),
        target: axis(&mut table, "target", r#"["echo"]"#, text),
        runtime: axis(&mut table, "runtime", r#"["bare", "docker"]"#, one_of),
        instances: axis(&mut table, "instances", "[1, 2]", instances),
        front: axis(&mut table, "front", r#"["none", "nginx"]"#, text),
        size: axis(&mut table, "size", r#"["small"]"#, text),
        scenario: axis(&mut table, "scenario", r#"["idle", "echo"]"#, one_of),
    };
    table.finish();
    axes
}

pub(super) fn exclude(mut table: Table<'_, '_>) -> Exclude {
    let exclude = Exclude {
        span: table.place.span.clone(),
        target: table.one_or_list("target", text),
        runtime: table.one_or_list("runtime", one_of),
        instances: table.one_or_list("instances", instances),
        front: table.one_or_list("front", text),
        size: table.one_or_list("size", text),
        scenario: table.one_or_list("scenario", one_of),
    };
    table.finish();
    exclude
}

pub(super) fn include(mut table: Table<'_, '_>) -> Include {
    let mut include = Include {
        span: table.place.span.clone(),
        readable: true,
        target_missing: !table.has("target"),
        target: table.get_at("target", text),
        runtime: table.get_at("runtime", one_of),
        instances: table.get_at("instances", instances),
        front: table.get_at("front", text),
        size: table.get_at("size", text),
        scenario: table.get_at("scenario", one_of),
    };
    let read = [
        ("runtime", include.runtime.is_some()),
        ("instances", include.instances.is_some()),
        ("front", include.front.is_some()),
        ("size", include.size.is_some()),
        ("scenario", include.scenario.is_some()),
    ];
    include.readable = read.iter().all(|(key, read)| table.has(key) == *read);
    table.finish();
    include
}
