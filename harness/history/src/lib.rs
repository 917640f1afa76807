//! The memory of a site: one small file a night, merged as a set, and what the nights say together.
//!
//! From the bottom up: [`night`] is the file of one night, [`from_run`] makes it from the findings of a run, and [`union()`]
//! merges folders of such files. [`History`] reads them and lines the cells up by their [`series`]. [`noise`] says from cells
//! that run twice a night how much nothing at all differs, [`fence`] and [`change_points`] look for what does, and [`judge()`]
//! puts the words to it. [`trend`] has what is drawn, [`Assessment`] all of it, and [`demo`] a history made from a
//! seed.
//!
//! History nominates, it does not convict: whether a suspect is guilty says an [`experiment`] on one machine in one night. Nothing here opens a file, reads a clock or draws an unseeded random number.

pub mod assessment;
pub mod change_points;
pub mod demo;
mod digest;
pub mod experiment;
pub mod fence;
pub mod from_run;
pub mod history;
pub mod interval;
pub mod judge;
pub mod night;
pub mod noise;
pub mod robust;
pub mod rules;
pub mod selftests;
pub mod series;
pub mod trend;
pub mod union;

pub use assessment::Assessment;
pub use history::{History, Place, Series};
pub use judge::{Judgement, Word, judge};
pub use night::{Fault, Metric, Night};
pub use rules::Rules;
pub use union::union;
