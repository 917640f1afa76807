//! What the operator of a run with visitors sets, and may change while it lasts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::matrix::units::{self, UnitError};

/// The least and the most of each part of a setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SettingLimits {
    /// Connections of all visitors together.
    pub goal: u32,
    /// Connections of the generator beside them.
    pub generator: u32,
    /// Connections of one visitor; the snippet has the same limit of its own.
    pub per_visitor: u32,
    /// New connections a second, of all visitors together; of the generator too.
    pub rate_per_s: (f64, f64),
    /// Bytes of a message.
    pub message_bytes: (u32, u32),
    /// Time between two messages of a connection.
    pub message_every_ms: (u64, u64),
}

/// The limits of every setting.
pub const SETTING_LIMITS: SettingLimits = SettingLimits {
    goal: 10_000_000,
    generator: 1_000_000,
    per_visitor: 30,
    rate_per_s: (0.1, 100_000.0),
    message_bytes: (16, 4096),
    message_every_ms: (1_000, 3_600_000),
};

/// What is wanted of all visitors together, and of the generator beside them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Connections of all visitors together.
    pub goal: u32,
    /// Most connections of one visitor.
    pub per_visitor: u32,
    /// Most new connections a second, of all visitors together; the generator opens as many at most.
    pub rate_per_s: f64,
    /// What each connection says; `None`: nothing.
    pub message: Option<VisitorMessage>,
    /// Connections of the built-in generator, on top of the goal.
    #[serde(default)]
    pub generator: u32,
}

/// What a connection of a visitor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitorMessage {
    /// Bytes of a message.
    pub bytes: u32,
    /// Time between two messages of a connection.
    pub every_ms: u64,
}

/// What a change of the setting changes; the rest stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// See [`Setting::goal`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<u32>,
    /// See [`Setting::per_visitor`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_visitor: Option<u32>,
    /// See [`Setting::rate_per_s`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<f64>,
    /// See [`Setting::message`]; `Some(None)` in the sense of "say nothing" is [`Change::silence`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<VisitorMessage>,
    /// See [`Setting::generator`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator: Option<u32>,
    /// Connections say nothing from now on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub silence: bool,
}

/// Why a setting cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingError {
    /// Too many connections.
    #[error("a goal of {0} connections is too large (hint: at most {max})", max = SETTING_LIMITS.goal)]
    Goal(u32),
    /// Too many connections of the generator.
    #[error("{0} connections of the generator are too many (hint: at most {max})", max = SETTING_LIMITS.generator)]
    Generator(u32),
    /// Too few or too many for one visitor.
    #[error("{0} connections a visitor cannot be (hint: from 1 to {max}; 5 is what a visitor hardly notices)", max = SETTING_LIMITS.per_visitor)]
    PerVisitor(u32),
    /// Too slow or too fast.
    #[error("a rate of {0}/s cannot be (hint: from {low}/s to {high}/s)", low = SETTING_LIMITS.rate_per_s.0, high = SETTING_LIMITS.rate_per_s.1)]
    Rate(f64),
    /// Too short or too long.
    #[error("a message of {0} bytes cannot be (hint: from {low} to {high} bytes)", low = SETTING_LIMITS.message_bytes.0, high = SETTING_LIMITS.message_bytes.1)]
    Bytes(u64),
    /// Too often or too seldom.
    #[error("a message every {0} ms cannot be (hint: from 1s to 1h)")]
    Every(u64),
    /// No message.
    #[error("`{0}` is no message (hint: `64B every 20s`, or `none`)")]
    NoMessage(String),
    /// A part of a message cannot be read.
    #[error("the message cannot be read: {0} (hint: `64B every 20s`)")]
    Unit(#[from] UnitError),
}

impl Setting {
    /// Checks every part; the first that cannot be is the error.
    pub fn checked(self) -> Result<Self, SettingError> {
        let limits = SETTING_LIMITS;
        if self.goal > limits.goal {
            return Err(SettingError::Goal(self.goal));
        }
        if self.generator > limits.generator {
            return Err(SettingError::Generator(self.generator));
        }
        if !(1..=limits.per_visitor).contains(&self.per_visitor) {
            return Err(SettingError::PerVisitor(self.per_visitor));
        }
        if !(limits.rate_per_s.0..=limits.rate_per_s.1).contains(&self.rate_per_s) {
            return Err(SettingError::Rate(self.rate_per_s));
        }
        if let Some(message) = self.message {
            message.checked()?;
        }
        Ok(self)
    }

    /// The setting after a change.
    pub fn with(self, change: Change) -> Result<Self, SettingError> {
        let message = if change.silence { None } else { change.message.or(self.message) };
        Self {
            goal: change.goal.unwrap_or(self.goal),
            per_visitor: change.per_visitor.unwrap_or(self.per_visitor),
            rate_per_s: change.rate_per_s.unwrap_or(self.rate_per_s),
            message,
            generator: change.generator.unwrap_or(self.generator),
        }
        .checked()
    }
}

impl Change {
    /// Sets what connections say, by the text of `--message`.
    pub fn set_message(&mut self, text: &str) -> Result<(), SettingError> {
        self.message = VisitorMessage::parse(text)?;
        self.silence = self.message.is_none();
        Ok(())
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl VisitorMessage {
    /// Reads `64B every 20s`; `none` is no message.
    pub fn parse(text: &str) -> Result<Option<Self>, SettingError> {
        let text = text.trim();
        if text == "none" {
            return Ok(None);
        }
        let no_message =
            || SettingError::NoMessage(text.chars().take(40).collect::<String>().escape_debug().to_string());
        let (bytes, every) = text.split_once(" every ").ok_or_else(no_message)?;
        let bytes = units::parse_bytes(bytes)?;
        let every_ms = u64::try_from(units::parse_duration(every)?.as_millis()).unwrap_or(u64::MAX);
        let bytes = u32::try_from(bytes).map_err(|_| SettingError::Bytes(bytes))?;
        Self { bytes, every_ms }.checked().map(Some)
    }

    fn checked(self) -> Result<Self, SettingError> {
        let limits = SETTING_LIMITS;
        if !(limits.message_bytes.0..=limits.message_bytes.1).contains(&self.bytes) {
            return Err(SettingError::Bytes(u64::from(self.bytes)));
        }
        if !(limits.message_every_ms.0..=limits.message_every_ms.1).contains(&self.every_ms) {
            return Err(SettingError::Every(self.every_ms));
        }
        Ok(self)
    }
}

impl fmt::Display for VisitorMessage {
    /// As [`Self::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let every = units::format_duration(std::time::Duration::from_millis(self.every_ms));
        write!(f, "{} every {every}", units::format_bytes(u64::from(self.bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Setting = Setting { goal: 100, per_visitor: 5, rate_per_s: 50.0, message: None, generator: 0 };

    #[test]
    fn a_message_is_read_as_it_is_written() {
        let message = VisitorMessage::parse("64B every 20s").unwrap().unwrap();
        assert_eq!((message.bytes, message.every_ms), (64, 20_000));
        assert_eq!(VisitorMessage::parse(&message.to_string()), Ok(Some(message)));
        assert_eq!(VisitorMessage::parse(" none "), Ok(None));
        for (text, says) in [
            ("64B", "hint: `64B every 20s`"),
            ("64 every 20s", "cannot be read"),
            ("1MiB every 20s", "from 16 to 4096 bytes"),
            ("8B every 20s", "from 16 to 4096 bytes"),
            ("64B every 10ms", "from 1s to 1h"),
        ] {
            let said = VisitorMessage::parse(text).unwrap_err().to_string();
            assert!(said.contains(says), "{text}: {said}");
        }
    }

    #[test]
    fn a_change_leaves_the_rest_and_is_checked() {
        let change = Change { goal: Some(7), ..Change::default() };
        assert_eq!(FIRST.with(change), Ok(Setting { goal: 7, ..FIRST }));
        let change = Change { generator: Some(300), ..Change::default() };
        assert_eq!(FIRST.with(change), Ok(Setting { generator: 300, ..FIRST }));
        let mut change = Change::default();
        assert!(change.is_empty());
        change.set_message("64B every 2s").unwrap();
        let talking = FIRST.with(change).unwrap();
        assert_eq!(talking.message.map(|message| message.bytes), Some(64));
        change.set_message("none").unwrap();
        assert_eq!(talking.with(change).unwrap().message, None);
        for change in [
            Change { per_visitor: Some(31), ..Change::default() },
            Change { per_visitor: Some(0), ..Change::default() },
            Change { goal: Some(u32::MAX), ..Change::default() },
            Change { generator: Some(1_000_001), ..Change::default() },
            Change { rate_per_s: Some(f64::NAN), ..Change::default() },
            Change { rate_per_s: Some(0.0), ..Change::default() },
            Change { goal: Some(SETTING_LIMITS.goal + 1), ..Change::default() },
            Change { rate_per_s: Some(SETTING_LIMITS.rate_per_s.1 * 1.01), ..Change::default() },
            Change { message: Some(VisitorMessage { bytes: 64, every_ms: 1 }), ..Change::default() },
            Change { message: Some(VisitorMessage { bytes: 64, every_ms: 3_600_001 }), ..Change::default() },
        ] {
            assert!(FIRST.with(change).is_err(), "{change:?}");
        }
        let more = Change { goal: Some(SETTING_LIMITS.goal), ..Change::default() };
        assert_eq!(talking.with(more), Ok(Setting { goal: SETTING_LIMITS.goal, ..talking }), "it goes on talking");
    }
}
