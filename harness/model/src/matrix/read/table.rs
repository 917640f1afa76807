//! A table of the document that remembers which keys were asked for, so that all others are unknown.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use super::sink::{Sink, Span};
use crate::matrix::diagnostics::Diagnostic;
use crate::matrix::names;

/// A value of the document with its bytes.
type Value<'i> = Spanned<DeValue<'i>>;

/// Where a table stands.
#[derive(Clone)]
pub(super) struct TablePlace {
    /// `load.message`; empty for the document.
    pub path: String,
    /// The key that opens it.
    pub span: Span,
}

/// A table being read.
pub(super) struct Table<'t, 'i> {
    keys: &'t DeTable<'i>,
    sink: &'t Sink,
    pub place: TablePlace,
    asked: Vec<&'static str>,
    misplaced: Vec<(&'static str, String)>,
}

impl<'t, 'i> Table<'t, 'i> {
    /// The document itself.
    pub fn root(table: &'t DeTable<'i>, sink: &'t Sink) -> Self {
        Self::new(table, sink, TablePlace { path: String::new(), span: 0..0 })
    }

    fn new(table: &'t DeTable<'i>, sink: &'t Sink, place: TablePlace) -> Self {
        Self { keys: table, sink, place, asked: Vec::new(), misplaced: Vec::new() }
    }

    /// Path of a key of this table: `load.step`.
    pub fn path(&self, key: &str) -> String {
        if self.place.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place.path) }
    }

    /// Whether the key is there, well formed or not.
    pub fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Whether the key holds a list without items.
    pub fn is_empty_list(&self, key: &str) -> bool {
        self.keys.get(key).and_then(|value| value.get_ref().as_array()).is_some_and(|items| items.is_empty())
    }

    /// Whether the key holds a table.
    pub fn is_table(&self, key: &str) -> bool {
        self.keys.get(key).is_some_and(|value| value.get_ref().is_table())
    }

    /// Where the key stands.
    pub fn key_span(&self, key: &str) -> Option<Span> {
        self.keys.get_key_value(key).map(|(key, _)| key.span())
    }

    fn entry(&mut self, key: &'static str) -> Option<&'t Value<'i>> {
        self.asked.push(key);
        self.keys.get(key)
    }

    /// Where faults go.
    pub fn sink(&self) -> &'t Sink {
        self.sink
    }

    /// Reports a problem of a key's value.
    pub fn problem(&self, key: &str, span: Span, problem: Problem) {
        self.sink.fault(problem.diagnostic(&self.path(key), span));
    }

    /// Reads a value; `None` where it is absent or was reported.
    pub fn get<T>(&mut self, key: &'static str, parse: impl Fn(&DeValue<'i>) -> Result<T, Problem>) -> Option<T> {
        self.get_at(key, parse).map(Spanned::into_inner)
    }

    /// Reads a value with its place.
    pub fn get_at<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&DeValue<'i>) -> Result<T, Problem>,
    ) -> Option<Spanned<T>> {
        let value = self.entry(key)?;
        match parse(value.get_ref()) {
            Ok(parsed) => Some(Spanned::new(value.span(), parsed)),
            Err(problem) => {
                self.problem(key, value.span(), problem);
                None
            }
        }
    }

    /// Reads a list; items that are wrong are reported one by one and left out.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        example: &str,
        parse: impl Fn(&DeValue<'i>) -> Result<T, Problem>,
    ) -> Option<Spanned<Vec<Spanned<T>>>> {
        let value = self.entry(key)?;
        let Some(items) = value.get_ref().as_array() else {
            let problem = Problem::wrong_type("a list", value.get_ref()).hint(format!("write `{key} = {example}`"));
            self.problem(key, value.span(), problem);
            return None;
        };
        Some(Spanned::new(value.span(), self.items(key, items.iter(), parse)))
    }

    /// Reads one value or a list of them.
    pub fn one_or_list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&DeValue<'i>) -> Result<T, Problem>,
    ) -> Option<Vec<Spanned<T>>> {
        let value = self.entry(key)?;
        match value.get_ref().as_array() {
            Some(items) => Some(self.items(key, items.iter(), parse)),
            None => Some(self.items(key, std::iter::once(value), parse)),
        }
    }

    fn items<'v, T>(
        &self,
        key: &str,
        items: impl Iterator<Item = &'v Value<'i>>,
        parse: impl Fn(&DeValue<'i>) -> Result<T, Problem>,
    ) -> Vec<Spanned<T>>
    where
        'i: 'v,
    {
        let mut parsed = Vec::new();
        for item in items {
            match parse(item.get_ref()) {
                Ok(value) => parsed.push(Spanned::new(item.span(), value)),
                Err(problem) => self.problem(key, item.span(), problem),
            }
        }
        parsed
    }

    /// Reads a table of strings, with the place of each key.
    pub fn strings(&mut self, key: &'static str, parse: impl Fn(&DeValue<'i>) -> Result<String, Problem>) -> Strings {
        let mut strings = BTreeMap::new();
        let Some(table) = self.table(key) else { return strings };
        for (name, value) in table.keys {
            match parse(value.get_ref()) {
                Ok(text) => {
                    strings.insert(name.get_ref().to_string(), Spanned::new(value.span(), text));
                }
                Err(problem) => table.problem(name.get_ref(), value.span(), problem),
            }
        }
        strings
    }

    /// A table below this one.
    pub fn table(&mut self, key: &'static str) -> Option<Table<'t, 'i>> {
        self.asked.push(key);
        let (name, value) = self.keys.get_key_value(key)?;
        let place = TablePlace { path: self.path(key), span: name.span() };
        self.below(key, value, place)
    }

    fn below(&self, key: &str, value: &'t Value<'i>, place: TablePlace) -> Option<Table<'t, 'i>> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(Table::new(table, self.sink, place));
        }
        let problem = Problem::wrong_type("a table", value.get_ref());
        self.problem(key, value.span(), problem.hint(format!("write `[{}]` and its keys below", self.path(key))));
        None
    }

    /// Tables by name: `[targets.NAME]`.
    pub fn named_tables(&mut self, key: &'static str) -> Vec<(String, Span, Table<'t, 'i>)> {
        let Some(all) = self.table(key) else { return Vec::new() };
        let mut tables = Vec::new();
        for (name, value) in all.keys {
            let text = name.get_ref().to_string();
            let place = TablePlace { path: all.path(&text), span: name.span() };
            if let Some(table) = all.below(&text, value, place) {
                tables.push((text, name.span(), table));
            }
        }
        tables
    }

    /// A list of tables: `[[exclude]]`.
    pub fn tables(&mut self, key: &'static str) -> Vec<Table<'t, 'i>> {
        let Some(value) = self.entry(key) else { return Vec::new() };
        let path = self.path(key);
        let Some(items) = value.get_ref().as_array() else {
            let problem = Problem::wrong_type("a list of tables", value.get_ref());
            self.problem(key, value.span(), problem.hint(format!("write `[[{path}]]` with two brackets")));
            return Vec::new();
        };
        let below = |item: &'t Value<'i>| self.below(key, item, TablePlace { path: path.clone(), span: item.span() });
        items.iter().filter_map(below).collect()
    }

    /// Keys that users look for here but that belong elsewhere.
    pub fn misplaced(&mut self, keys: &[&'static str], belongs: &str) {
        self.misplaced.extend(keys.iter().map(|key| (*key, belongs.to_owned())));
    }

    /// Reports every key that was never asked for.
    pub fn finish(self) {
        for (key, value) in self.keys {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let place = match self.place.path.as_str() {
                "" => "at the top of the file".to_owned(),
                path => format!("in `[{path}]`"),
            };
            let fault = Diagnostic::new(format!("unknown key `{name}` {place}")).at(key.span());
            let misplaced = self.misplaced.iter().find(|(key, _)| *key == name);
            let fault = match (misplaced, names::nearest(name, self.asked.iter().copied())) {
                _ if value.get_ref().is_table()
                    && ["targets.", "sizes.", "fronts."].iter().any(|it| self.place.path.starts_with(it)) =>
                {
                    fault.label("a name with a dot stands in quotes: `[targets.\"bun-1.2\"]`")
                }
                (Some((_, belongs)), _) if belongs.contains(' ') => fault.label(format!("only {belongs} have it")),
                (Some((_, belongs)), _) => fault.label(format!("belongs to `[{belongs}]`")),
                (None, Some(near)) => fault.label(format!("did you mean `{near}`?")),
                (None, None) => fault.label("not known here"),
            };
            let mut known = self.asked.clone();
            known.sort_unstable();
            self.sink.fault(fault.hint(format!("known here: {}", names::listed(known))));
        }
    }
}

/// Strings by key, each with its place.
pub(super) type Strings = BTreeMap<String, Spanned<String>>;

/// Puts a value that was given in the place of a default.
pub(super) fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
