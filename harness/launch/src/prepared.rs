//! What is made once for a run and used by each launch: programs, and the images that they are packed into.

use std::path::PathBuf;

use super::docker::ImageReady;

/// A program that is there.
#[derive(Debug, Clone)]
pub struct Program {
    pub path: PathBuf,
    /// Of its content, hex.
    pub sha256: String,
}

/// An image to start containers from.
#[derive(Debug, Clone)]
pub struct ImageToRun {
    pub image: ImageReady,
    /// The variable `PATH` inside; `None`: an image of the user, which has its own.
    pub path: Option<String>,
    /// A packed program has nothing of its own below `/tmp`.
    pub tmp: bool,
}

/// The program of a front's hop.
#[derive(Debug, Clone)]
pub struct ProxyProgram {
    pub program: Program,
    /// What it says of its version.
    pub version: Option<String>,
    /// Once it is packed for containers.
    pub image: Option<ImageToRun>,
}
