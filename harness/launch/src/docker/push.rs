//! The image of the workers in a registry, from which every node of a swarm takes it.

use bollard::query_parameters::{PushImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::StreamExt as _;

use super::super::LaunchError;
use super::super::label::PREFIX;
use super::image::ImageReady;
use super::{Engine, readable};

/// Digits of an image's id that its tag has.
const DIGITS: usize = 16;

/// The tag in a registry of an image with that id; `clean` knows it by its start.
fn tag(id: &str) -> String {
    let hash = id.rsplit(':').next().unwrap_or(id);
    format!("{PREFIX}{}", hash.get(..DIGITS).unwrap_or(hash))
}

/// Whether a reference is of an image that [`Engine::push`] tagged.
pub(super) fn is_pushed(reference: &str) -> bool {
    reference.rsplit_once(':').is_some_and(|(_, tag)| tag.starts_with(PREFIX))
}

impl Engine {
    /// Pushes an image into a registry; returns the reference, with its digest, by which every node takes the same bytes.
    pub async fn push(&self, image: &ImageReady, registry: &str) -> Result<String, LaunchError> {
        let tag = tag(&image.id);
        let failed = |what: &str, error: &bollard::errors::Error| {
            LaunchError::failed(format!(
                "cannot {what} the image of the workers {registry}:{tag}: {}; is a registry there that takes it without a \
                 login, and does every node know it as insecure, if it has no TLS (`insecure-registries`)?",
                readable(error)
            ))
        };
        let options = TagImageOptionsBuilder::default().repo(registry).tag(&tag).build();
        self.docker.tag_image(&image.id, Some(options)).await.map_err(|error| failed("tag", &error))?;
        let options = PushImageOptionsBuilder::default().tag(&tag).build();
        let (docker, repository) = (self.docker.clone(), registry.to_owned());
        let push = async move {
            let mut stream = Box::pin(docker.push_image(&repository, Some(options), None));
            while let Some(progress) = stream.next().await {
                progress?;
            }
            Ok(())
        };
        self.pending.follow(push).await.map_err(|error| failed("push", &error))?;
        let seen = self.docker.inspect_image(&image.id).await.map_err(|error| failed("find", &error))?;
        let digests = seen.repo_digests.unwrap_or_default();
        let own = digests.into_iter().find(|digest| digest.rsplit_once('@').is_some_and(|(name, _)| name == registry));
        own.ok_or_else(|| LaunchError::failed(format!("{registry} took the image of the workers and names no digest")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_is_known_by_its_tag() {
        let reference = format!("127.0.0.1:5000/name:{}", tag("sha256:0123456789abcdef0123"));
        assert_eq!(reference, "127.0.0.1:5000/name:wsceiling-0123456789abcdef");
        assert!(is_pushed(&reference));
        assert!(!is_pushed("127.0.0.1:5000/wsceiling-x") && !is_pushed("user/image:1"));
    }
}
