//! The words for what became of a number or a cell. They are made here and nowhere else.

use std::fmt;

use serde::Serialize;

/// What became of a number or a cell in a night, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// No change that is larger than the noise.
    Same,
    /// Too few nights of sentinels to know what a change is.
    NoiseUnknown,
    /// Suspected, and an experiment on today's machine did not show it, but something beside the code changed.
    Seam,
    /// It would be suspected, but a control moved, too.
    MachineNight,
    /// An experiment showed that the new code is better.
    ConfirmedBetter,
    /// The history suspects it, and no experiment showed it.
    Suspected,
    /// There is no number.
    NotMeasured,
    /// An experiment showed that the new code is worse.
    ConfirmedWorse,
}

impl Word {
    /// All of them, in the order of a page's key.
    pub const ALL: [Self; 8] = [
        Self::ConfirmedWorse,
        Self::ConfirmedBetter,
        Self::Suspected,
        Self::Seam,
        Self::MachineNight,
        Self::NotMeasured,
        Self::NoiseUnknown,
        Self::Same,
    ];

    /// The words for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::NoiseUnknown => "noise not known yet",
            Self::Seam => "the seam, not your code",
            Self::MachineNight => "machine night",
            Self::ConfirmedBetter => "confirmed better",
            Self::Suspected => "suspected but not confirmed",
            Self::NotMeasured => "not measured",
            Self::ConfirmedWorse => "confirmed worse",
        }
    }

    /// Its name in files and style sheets.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::NoiseUnknown => "noise-unknown",
            Self::Seam => "seam",
            Self::MachineNight => "machine-night",
            Self::ConfirmedBetter => "confirmed-better",
            Self::Suspected => "suspected",
            Self::NotMeasured => "not-measured",
            Self::ConfirmedWorse => "confirmed-worse",
        }
    }

    /// What it means, in a sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Same => "no change that is larger than the noise",
            Self::NoiseUnknown => "there are too few nights of sentinels to tell a change from noise",
            Self::Seam => {
                "the old code shows it as well, now that the kernel, the compiler, the image or the harness changed"
            }
            Self::MachineNight => "the control moved as well, so the machine explains it",
            Self::ConfirmedBetter => "old and new code were measured side by side, and the new one is better",
            Self::Suspected => "the history shows a change, and no experiment has shown that the code makes it",
            Self::NotMeasured => "there is no number, for the reason given",
            Self::ConfirmedWorse => "old and new code were measured side by side, and the new one is worse",
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_one_name_in_all_files() {
        for word in Word::ALL {
            assert_eq!(serde_json::to_value(word).unwrap(), word.slug());
            assert_eq!(Word::ALL.iter().filter(|other| other.text() == word.text()).count(), 1);
        }
    }
}
