//! What the parts of `wsceiling` exchange: the [`matrix`] that a user writes, the [`plan`] of its trials, and the types
//! of a [`record`], also of a run with [`visitors`]. Nothing here reads a file, a clock or the machine, and nothing needs a runtime.

mod component;
pub mod format;
mod keyword;
pub mod matrix;
pub mod plan;
pub mod platforms;
pub mod record;
mod trial_id;
pub mod url;
pub mod visitors;
mod wall;
