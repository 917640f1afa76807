//! What server is in a folder, and how would it be measured? From the texts of its files to a [`Guess`], and from the guess to
//! the text of a matrix file. Nothing is opened, started or asked here: the caller reads the files.
//!
//! Parts: one file for each language (`node` has Bun and Deno too) and two for containers; `source` looks for the port and the
//! path in code, `command` takes scripts apart, `choose` decides between what was found, `matrix` writes the file, `words` says
//! what was seen and what could not be told.

mod choose;
mod command;
mod compose;
mod docker;
mod folder;
mod go;
mod guess;
mod manifest;
mod matrix;
mod node;
mod php;
mod python;
mod ruby;
mod rust;
mod source;
mod words;
mod yaml;

pub use choose::guess;
pub use folder::Folder;
pub use guess::{Clue, Guess, Kind, Port, Question, Seen, Server, Start, Unread};
pub use matrix::matrix;
