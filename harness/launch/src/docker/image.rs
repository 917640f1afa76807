//! Images: packed ones, and those of the user.

use std::path::Path;

use bollard::models::ImageInspect;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder, CreateImageOptionsBuilder};
use bollard::{Docker, body_full};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::super::label::{hex_sha256, safe_name};
use super::super::pack::{Packed, tar_of_folder};
use super::super::{LaunchError, Missing, log};
use super::{Engine, is_not_found, labels, readable};

/// An image that the engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReady {
    /// Its id (`sha256:...`), by which it is used.
    pub id: String,
    /// Its digest in a registry, else its id: what is recorded.
    pub digest: String,
    /// The tag, where this run has made it; it goes when the run ends.
    pub made_tag: Option<String>,
}

impl Engine {
    /// The image of a packed program; made where the engine does not have it yet.
    pub async fn packed_image(&self, target: &str, packed: Packed, run_id: &str) -> Result<ImageReady, LaunchError> {
        let tag = tag(target, &packed.sha256);
        if let Some(image) = self.known(&tag).await? {
            return Ok(image);
        }
        let changes = labels(run_id).into_iter().map(|(name, value)| format!("LABEL {name}=\"{value}\"")).collect();
        let (repository, version) = tag.split_once(':').unwrap_or((&tag, "latest"));
        let options =
            CreateImageOptionsBuilder::default().from_src("-").repo(repository).tag(version).changes(changes).build();
        let docker = self.docker.clone();
        let make = async move {
            let mut stream = Box::pin(docker.create_image(Some(options), Some(body_full(packed.tar.into())), None));
            while stream.try_next().await?.is_some() {}
            Ok(())
        };
        let made = self.pending.follow(make).await;
        made.map_err(|error| failed(&format!("cannot make an image of target `{target}`"), &error))?;
        self.made(tag).await
    }

    /// The image of a reference: the engine's, else pulled.
    pub async fn referenced_image(&self, reference: &str) -> Result<ImageReady, LaunchError> {
        if let Some(image) = self.known(reference).await? {
            return Ok(image);
        }
        // Without a tag the engine would pull every one of them.
        let (name, tag) = match reference.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (reference, "latest"),
        };
        let options = if reference.contains('@') {
            CreateImageOptionsBuilder::default().from_image(reference)
        } else {
            CreateImageOptionsBuilder::default().from_image(name).tag(tag)
        };
        let mut stream = Box::pin(self.docker.create_image(Some(options.build()), None, None));
        while let Some(progress) = stream.next().await {
            progress.map_err(|error| Missing::Image { reference: reference.to_owned(), why: readable(&error) })?;
        }
        self.known(reference).await?.ok_or_else(|| {
            LaunchError::failed(format!("image `{reference}` was pulled and is still not known to the engine"))
        })
    }

    /// The image that the engine builds from a folder with a Dockerfile.
    pub async fn built_image(&self, target: &str, folder: &Path, run_id: &str) -> Result<ImageReady, LaunchError> {
        if !folder.join("Dockerfile").is_file() {
            return Err(Missing::Dockerfile(folder.to_owned()).into());
        }
        let owned = folder.to_owned();
        let tar = tokio::task::spawn_blocking(move || tar_of_folder(&owned))
            .await
            .map_err(|error| LaunchError::failed(error.to_string()))?
            .map_err(LaunchError::failed)?;
        let tag = tag(target, &hex_sha256(&tar));
        if let Some(image) = self.known(&tag).await? {
            return Ok(image);
        }
        let labels = labels(run_id);
        let labels = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let options = BuildImageOptionsBuilder::default().t(&tag).rm(true).forcerm(true).labels(&labels).build();
        let build = build(self.docker.clone(), options, tar);
        self.pending.follow(build).await.map_err(|(why, output)| {
            let reason = format!("cannot build the image of {}: {why}", folder.display());
            LaunchError::Failed { reason, log_tail: log::last_lines(&output, 20) }
        })?;
        self.made(tag).await
    }

    async fn made(&self, tag: String) -> Result<ImageReady, LaunchError> {
        match self.known(&tag).await? {
            Some(image) => Ok(ImageReady { made_tag: Some(tag), ..image }),
            None => Err(LaunchError::failed(format!("the engine made the image {tag} and does not know it"))),
        }
    }

    async fn known(&self, reference: &str) -> Result<Option<ImageReady>, LaunchError> {
        match self.docker.inspect_image(reference).await {
            Ok(ImageInspect { id: Some(id), repo_digests, .. }) => {
                let digest = repo_digests.and_then(|all| all.into_iter().next()).unwrap_or_else(|| id.clone());
                Ok(Some(ImageReady { id, digest, made_tag: None }))
            }
            Ok(_) => Ok(None),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(failed(&format!("cannot look for the image {reference}"), &error)),
        }
    }
}

/// Builds an image to its end; the error is why, and what the build had said.
async fn build(docker: Docker, options: BuildImageOptions, tar: Vec<u8>) -> Result<(), (String, String)> {
    let mut stream = Box::pin(docker.build_image(options, None, Some(body_full(tar.into()))));
    let mut output = String::new();
    while let Some(progress) = stream.next().await {
        let fault = match progress {
            Ok(info) => {
                output.push_str(info.stream.as_deref().unwrap_or_default());
                info.error_detail.and_then(|detail| detail.message)
            }
            Err(error) => Some(readable(&error)),
        };
        if let Some(why) = fault {
            return Err((why, output));
        }
    }
    Ok(())
}

fn failed(what: &str, error: &bollard::errors::Error) -> LaunchError {
    LaunchError::failed(format!("{what}: {}", readable(error)))
}

/// `wsceiling/<target>:<16 digits of the content's hash>`.
fn tag(target: &str, sha256: &str) -> String {
    // A repository's name is lower case, and separators stand alone between letters or digits.
    let name = safe_name(target).to_lowercase();
    let words: Vec<_> = name.split(['.', '_', '-']).filter(|word| !word.is_empty()).collect();
    let name = if words.is_empty() { "target".to_owned() } else { words.join("-") };
    format!("wsceiling/{name}:{}", &sha256[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_valid_whatever_the_target_is_called() {
        let sha256 = hex_sha256(b"");
        assert_eq!(tag("echo", &sha256), "wsceiling/echo:e3b0c44298fc1c14");
        assert_eq!(tag("Bun__Server..2", &sha256), "wsceiling/bun-server-2:e3b0c44298fc1c14");
        assert_eq!(tag("..", &sha256), "wsceiling/target:e3b0c44298fc1c14");
    }
}
