//! What is wrong with a value, before it is known which key has it.

use toml::de::DeValue;

use super::sink::Span;
use crate::matrix::diagnostics::Diagnostic;

/// Result of a parser.
pub(super) type Parsed<T> = Result<T, Problem>;

/// What is wrong with a value; the key's path is put in front.
pub(super) struct Problem {
    message: String,
    label: String,
    hint: Option<String>,
}

impl Problem {
    /// `message` follows the key's path: `must be ...`.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), label: String::new(), hint: None }
    }

    /// The value is of another type than it must be.
    pub fn wrong_type(wanted: &str, value: &DeValue<'_>) -> Self {
        let found = match value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a decimal number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        Self::new(format!("must be {wanted}, not {found}")).label(format!("expected {wanted}"))
    }

    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As a diagnostic about the key at `path`.
    pub fn diagnostic(self, path: &str, span: Span) -> Diagnostic {
        let diagnostic = Diagnostic::new(format!("`{path}` {}", self.message)).at(span).label(self.label);
        match self.hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        }
    }
}
