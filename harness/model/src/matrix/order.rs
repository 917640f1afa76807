//! The order of the trials of a run.

use crate::keyword::keywords;

keywords! {
    /// In which order the trials of a run go; the seed of the run shuffles both.
    #[derive(Default)]
    pub enum Order {
        #[default]
        Rounds = "rounds", "Round by round, each a shuffle of all cells: a run that is cut short has every cell about equally often";
        Shuffled = "shuffled", "All trials of all cells in one shuffle: whatever drifts meanwhile falls on every cell by chance alone, so that an exact test may compare them";
    }
}

impl Order {
    /// Whether it is the order of a file that says nothing; the record leaves it out then.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
