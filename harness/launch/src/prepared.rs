//! What is made once for a run and used by each launch: programs, and the images that they are packed into.

use std::path::{Path, PathBuf};

use super::docker::ImageReady;
use super::io_error::describe;
use super::label::hex_sha256_of_file;
use super::{LaunchError, Launcher, pack};

/// A program that is there.
#[derive(Debug, Clone)]
pub struct Program {
    pub path: PathBuf,
    /// Of its content, hex.
    pub sha256: String,
}

impl Program {
    /// The program of a file.
    pub fn at(path: PathBuf) -> Result<Self, LaunchError> {
        let failed = |error| LaunchError::failed(format!("cannot read {}: {}", path.display(), describe(&error)));
        let sha256 = hex_sha256_of_file(&path).map_err(failed)?;
        Ok(Self { path, sha256 })
    }

    /// The harness's own program.
    pub fn own() -> Result<Self, LaunchError> {
        let failed = |error| LaunchError::failed(format!("cannot find the own program: {}", describe(&error)));
        Self::at(std::env::current_exe().map_err(failed)?)
    }
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

impl Launcher {
    /// Packs a program, with more files relative to `folder`, into an image of that name.
    pub(super) async fn pack(
        &mut self,
        name: &str,
        program: &Path,
        files: &[PathBuf],
        folder: &Path,
    ) -> Result<ImageToRun, LaunchError> {
        let engine = self.engine_or_missing()?;
        let (program, files, folder) = (program.to_owned(), files.to_owned(), folder.to_owned());
        let packed = tokio::task::spawn_blocking(move || pack::pack(&program, &files, &folder)).await;
        let packed = packed.unwrap_or_else(|error| Err(error.to_string())).map_err(LaunchError::failed)?;
        let (path, tmp) = (Some(packed.path.clone()), !packed.uses_tmp);
        let image = engine.packed_image(name, packed, &self.run_id).await?;
        Ok(ImageToRun { image, path, tmp })
    }
}
