//! Texts with `${NAME}` in them: values of environment variables, which no file, record or page ever has.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::keyword::recorded_as_text;

/// A text in which `${NAME}` stands for the value of an environment variable. The text as written is recorded and shown;
/// its value exists only where a request is made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct EnvText(String);

/// Why a text is no [`EnvText`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPlaceholder {
    /// `${` without `}`.
    #[error("`${{` has no closing brace")]
    Open,
    /// What is no name of a variable.
    #[error("`${{{0}}}` is no environment variable")]
    Name(String),
}

/// A variable that is not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable `{0}` is not set")]
pub struct MissingVariable(pub String);

/// Part of a text.
enum Piece<'a> {
    Plain(&'a str),
    Variable(&'a str),
}

impl EnvText {
    /// Names of the variables, as they stand.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        pieces(&self.0).into_iter().flatten().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name),
            Piece::Plain(_) => None,
        })
    }

    /// The text with each variable replaced by its value.
    ///
    /// # Errors
    /// The first variable that `value` does not know.
    pub fn fill(&self, value: impl Fn(&str) -> Option<String>) -> Result<String, MissingVariable> {
        let mut filled = String::new();
        for piece in pieces(&self.0).into_iter().flatten() {
            match piece {
                Piece::Plain(text) => filled.push_str(text),
                Piece::Variable(name) => {
                    filled.push_str(&value(name).ok_or_else(|| MissingVariable(name.to_owned()))?);
                }
            }
        }
        Ok(filled)
    }
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, BadPlaceholder> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or(BadPlaceholder::Open)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(allowed) {
            return Err(BadPlaceholder::Name(name.to_owned()));
        }
        pieces.push(Piece::Plain(before));
        pieces.push(Piece::Variable(name));
        rest = after;
    }
    pieces.push(Piece::Plain(rest));
    Ok(pieces)
}

impl fmt::Display for EnvText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for EnvText {
    type Err = BadPlaceholder;

    fn from_str(text: &str) -> Result<Self, BadPlaceholder> {
        pieces(text)?;
        Ok(Self(text.to_owned()))
    }
}

recorded_as_text!(EnvText);

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Option<String> {
        (name == "TOKEN_1").then(|| "s3cret".to_owned())
    }

    #[test]
    fn variables_are_replaced_and_everything_else_stays() {
        let text: EnvText = "Bearer ${TOKEN_1}, $x {y} ${TOKEN_1}".parse().unwrap();
        assert_eq!(text.variables().collect::<Vec<_>>(), ["TOKEN_1", "TOKEN_1"]);
        assert_eq!(text.fill(value), Ok("Bearer s3cret, $x {y} s3cret".to_owned()));
        assert_eq!(text.to_string(), "Bearer ${TOKEN_1}, $x {y} ${TOKEN_1}");
        assert_eq!("${OTHER}".parse::<EnvText>().unwrap().fill(value), Err(MissingVariable("OTHER".to_owned())));
    }

    #[test]
    fn what_is_no_variable_is_said() {
        for (text, wrong) in [
            ("${TOKEN", BadPlaceholder::Open),
            ("${}", BadPlaceholder::Name(String::new())),
            ("${1A}", BadPlaceholder::Name("1A".to_owned())),
            ("${a b}", BadPlaceholder::Name("a b".to_owned())),
        ] {
            assert_eq!(text.parse::<EnvText>(), Err(wrong), "{text}");
        }
    }
}
