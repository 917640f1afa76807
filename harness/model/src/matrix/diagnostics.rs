//! Faults and warnings of a matrix file, rendered with the line and a caret under the place, in rustc's look.

use std::fmt;
use std::ops::{Deref, Range};
use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str};
use serde::Serialize;

/// One thing to say about the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// What is wrong, with the key or the name.
    pub message: String,
    /// Words beside the caret; may be empty.
    pub label: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Bytes of the file it is about; `None`: the file as a whole.
    pub span: Option<Range<usize>>,
    /// Another place that belongs to it, with its words.
    pub context: Option<(Range<usize>, String)>,
    /// Line of [`Self::span`], from 1.
    pub line: Option<usize>,
    /// Column of [`Self::span`] in characters, from 1.
    pub column: Option<usize>,
    /// It says that something is not there, which may only be because it could not be read.
    #[serde(skip)]
    pub(super) absence: bool,
}

impl Diagnostic {
    /// A diagnostic about the file as a whole.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// Puts the caret under these bytes.
    #[must_use]
    pub fn at(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }

    /// Writes beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Marks it as one about something that is not there.
    #[must_use]
    pub(super) fn absence(mut self) -> Self {
        self.absence = true;
        self
    }

    /// Shows a second place.
    #[must_use]
    pub fn context(mut self, span: Range<usize>, words: impl Into<String>) -> Self {
        self.context = Some((span, words.into()));
        self
    }
}

/// Diagnostics with the file they are about.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listing {
    path: String,
    text: String,
    list: Vec<Diagnostic>,
}

impl Listing {
    fn new(path: &Path, text: &str, mut list: Vec<Diagnostic>) -> Self {
        for diagnostic in &mut list {
            diagnostic.span = diagnostic.span.take().map(|span| inside(text, span));
            diagnostic.context = diagnostic.context.take().map(|(span, words)| (inside(text, span), words));
            if let Some(span) = &diagnostic.span {
                let before = &text[..span.start];
                diagnostic.line = Some(before.matches('\n').count() + 1);
                diagnostic.column = Some(before.rsplit('\n').next().unwrap_or("").chars().count() + 1);
            }
        }
        list.sort_by_key(|diagnostic| diagnostic.span.as_ref().map(|span| (span.start, span.end)));
        list.dedup();
        Self { path: path.display().to_string(), text: text.to_owned(), list }
    }

    fn render(&self, level: &Level<'static>, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let each = self.list.iter().map(|one| renderer.render(&[self.group(level, one)]));
        each.collect::<Vec<_>>().join("\n\n")
    }

    fn group<'a>(&'a self, level: &Level<'a>, one: &'a Diagnostic) -> Group<'a> {
        let title = level.clone().primary_title(normalize_untrusted_str(&one.message));
        let group = match &one.span {
            None => title.element(Origin::path(self.path.as_str())),
            Some(span) => {
                let caret = AnnotationKind::Primary.span(span.clone());
                let caret = if one.label.is_empty() { caret } else { caret.label(normalize_untrusted_str(&one.label)) };
                let mut snippet = Snippet::source(self.text.as_str()).path(self.path.as_str()).annotation(caret);
                if let Some((span, words)) = &one.context {
                    let second = AnnotationKind::Context.span(span.clone());
                    snippet = snippet.annotation(second.label(normalize_untrusted_str(words)));
                }
                title.element(snippet)
            }
        };
        match &one.hint {
            Some(hint) => group.element(Level::HELP.message(normalize_untrusted_str(hint))),
            None => group,
        }
    }
}

/// The bytes of `span` that the text has, on whole characters.
fn inside(text: &str, span: Range<usize>) -> Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start);
    start..floor(span.end).max(start)
}

/// Everything that is wrong with a matrix file, in its order; at least one fault where [`super::parse`] returned it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Listing);

impl Faults {
    pub(super) fn new(path: &Path, text: &str, list: Vec<Diagnostic>) -> Self {
        Self(Listing::new(path, text, list))
    }

    /// The one fault of a matrix file that cannot be read.
    pub fn unreadable(path: &Path, why: &str, hint: &str) -> Self {
        Self::whole(path, &format!("failed to read the matrix: {why}"), hint)
    }

    /// One fault of a text as a whole, of which nothing is shown.
    pub fn whole(path: &Path, what: &str, hint: &str) -> Self {
        Self::new(path, "", vec![Diagnostic::new(what).hint(hint)])
    }

    /// All faults with line, caret and hint, then their number. No newline at the end.
    pub fn render(&self, color: bool) -> String {
        let count = match self.len() {
            1 => "1 fault".to_owned(),
            n => format!("{n} faults"),
        };
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let last = format!("`{}` cannot be used: {count}", normalize_untrusted_str(&self.0.path));
        let last = renderer.render(&[Group::with_title(Level::ERROR.primary_title(last))]);
        format!("{}\n\n{last}", self.0.render(&Level::ERROR, color))
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Faults {}

impl Deref for Faults {
    type Target = [Diagnostic];

    fn deref(&self) -> &[Diagnostic] {
        &self.0.list
    }
}

/// What is questionable about a valid matrix file, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warnings(Listing);

impl Warnings {
    pub(super) fn new(path: &Path, text: &str, list: Vec<Diagnostic>) -> Self {
        Self(Listing::new(path, text, list))
    }

    /// All warnings with line, caret and hint; empty where there is none. No newline at the end.
    pub fn render(&self, color: bool) -> String {
        self.0.render(&Level::WARNING, color)
    }
}

impl fmt::Display for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Deref for Warnings {
    type Target = [Diagnostic];

    fn deref(&self) -> &[Diagnostic] {
        &self.0.list
    }
}
