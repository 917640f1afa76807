//! Removing what runs left at the engine, by label.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use bollard::errors::Error;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder,
};

use super::super::label::{LABEL, LABEL_HARNESS, LABEL_RUN, Life, Stamp};
use super::{Engine, is_not_found, readable};

/// Longest time that a drop waits for the engine.
const DROP_WAIT: Duration = Duration::from_secs(15);

/// Whose things are removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Those of one run of this very process.
    OwnRun(String),
    /// Those of every run whose harness is gone.
    TheDead,
}

/// What was removed, by name, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Containers.
    pub containers: Vec<String>,
    /// Networks.
    pub networks: Vec<String>,
    /// Image tags.
    pub images: Vec<String>,
    /// Things that were left alone because their run lives, or cannot be seen from here.
    pub left: Vec<String>,
    /// Removals that failed, with the reason.
    pub faults: Vec<String>,
}

impl Whose {
    /// Whether something with these labels is to go; `None`: it belongs to a run that lives or cannot be judged.
    fn takes(&self, labels: &HashMap<String, String>) -> Option<bool> {
        let stamp: Option<Stamp> = labels.get(LABEL_HARNESS).and_then(|text| text.parse().ok());
        match self {
            Self::OwnRun(run) => Some(stamp == Some(Stamp::own()) && labels.get(LABEL_RUN) == Some(run)),
            // Without a stamp there is no telling whose it is.
            Self::TheDead => (stamp?.life() == Life::Gone).then_some(true),
        }
    }
}

impl Engine {
    /// Removes containers, then networks, then image tags. Also the images' layers go, unless something else uses them.
    pub async fn sweep(&self, whose: &Whose) -> Swept {
        let mut swept = Swept::default();
        self.sweep_containers(whose, &mut swept).await;
        self.sweep_networks(whose, &mut swept).await;
        self.sweep_images(whose, &mut swept).await;
        swept
    }

    async fn sweep_containers(&self, whose: &Whose, swept: &mut Swept) {
        let options = ListContainersOptionsBuilder::default().all(true).filters(&by_label()).build();
        let listed = match self.docker.list_containers(Some(options)).await {
            Ok(listed) => listed,
            Err(error) => return swept.faults.push(format!("cannot list containers: {}", readable(&error))),
        };
        for container in listed {
            let id = container.id.unwrap_or_default();
            let name = container.names.and_then(|names| names.into_iter().next()).unwrap_or_else(|| id.clone());
            let name = format!("container {}", name.trim_start_matches('/'));
            if swept.judge(whose, &container.labels.unwrap_or_default(), &name) {
                let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
                let removed = self.docker.remove_container(&id, Some(options)).await;
                if swept.succeeded(&name, removed) {
                    swept.containers.push(name);
                }
            }
        }
    }

    async fn sweep_networks(&self, whose: &Whose, swept: &mut Swept) {
        let options = ListNetworksOptionsBuilder::default().filters(&by_label()).build();
        let listed = match self.docker.list_networks(Some(options)).await {
            Ok(listed) => listed,
            Err(error) => return swept.faults.push(format!("cannot list networks: {}", readable(&error))),
        };
        for network in listed {
            let name = format!("network {}", network.name.unwrap_or_default());
            if swept.judge(whose, &network.labels.unwrap_or_default(), &name) {
                let removed = self.docker.remove_network(&network.id.unwrap_or_default()).await;
                if swept.succeeded(&name, removed) {
                    swept.networks.push(name);
                }
            }
        }
    }

    async fn sweep_images(&self, whose: &Whose, swept: &mut Swept) {
        let options = ListImagesOptionsBuilder::default().filters(&by_label()).build();
        let listed = match self.docker.list_images(Some(options)).await {
            Ok(listed) => listed,
            Err(error) => return swept.faults.push(format!("cannot list images: {}", readable(&error))),
        };
        for image in listed {
            let ours = image.repo_tags.iter().filter(|tag| tag.starts_with("wsceiling/"));
            let tags: Vec<String> = ours.cloned().collect();
            let names = if tags.is_empty() { vec![image.id.clone()] } else { tags };
            for tag in names {
                let name = format!("image {tag}");
                if swept.judge(whose, &image.labels, &name) {
                    // Not by force: an image that a container of another, living run uses stays, tag and all.
                    let options = RemoveImageOptionsBuilder::default().build();
                    let removed = self.docker.remove_image(&tag, Some(options), None).await;
                    if matches!(&removed, Err(Error::DockerResponseServerError { status_code: 409, .. })) {
                        swept.left.push(name);
                    } else if swept.succeeded(&name, removed) {
                        swept.images.push(name);
                    }
                }
            }
        }
    }

    /// [`Self::sweep`] from where nothing can be awaited.
    pub fn sweep_blocking(&self, whose: Whose) {
        let host = self.host.clone();
        blocking(async move {
            if let Ok(engine) = Self::connect_to(&host).await {
                engine.sweep(&whose).await;
            }
        });
    }
}

impl Swept {
    fn judge(&mut self, whose: &Whose, labels: &HashMap<String, String>, name: &str) -> bool {
        let taken = whose.takes(labels);
        if taken.is_none() {
            self.left.push(name.to_owned());
        }
        taken == Some(true)
    }

    fn succeeded<T>(&mut self, name: &str, removed: Result<T, Error>) -> bool {
        match removed {
            Ok(_) => true,
            Err(error) if is_not_found(&error) => false,
            Err(error) => {
                self.faults.push(format!("cannot remove {name}: {}", readable(&error)));
                false
            }
        }
    }
}

fn by_label() -> HashMap<&'static str, Vec<String>> {
    HashMap::from([("label", vec![format!("{LABEL}=1")])])
}

/// Runs a piece of work to its end on a thread and a runtime of its own, for drops: they cannot await, and the runtime
/// that they happen in may be ending.
pub fn blocking(work: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::Builder::new().name("wsceiling-sweep".to_owned()).spawn(move || {
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            let _ = runtime.block_on(async { tokio::time::timeout(DROP_WAIT, work).await });
        }
    });
    let _ = thread.map(std::thread::JoinHandle::join);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(run: &str, stamp: &str) -> HashMap<String, String> {
        [(LABEL_RUN, run), (LABEL_HARNESS, stamp)].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn only_the_dead_are_swept_and_the_unknown_are_left() {
        let own = Stamp::own();
        let dead = Stamp { start: own.start + 1, ..own };
        let elsewhere = Stamp { namespace: own.namespace + 1, ..own };
        let takes = |stamp: &str| Whose::TheDead.takes(&labelled("r", stamp));
        assert_eq!(takes(&dead.to_string()), Some(true));
        assert_eq!(takes(&own.to_string()), None);
        assert_eq!(takes(&elsewhere.to_string()), None);
        assert_eq!(takes("nonsense"), None);
        assert_eq!(Whose::TheDead.takes(&HashMap::new()), None);
    }

    #[test]
    fn a_run_sweeps_only_what_it_made_itself() {
        let own = Stamp::own().to_string();
        let takes = |run: &str, stamp: &str| Whose::OwnRun("r".to_owned()).takes(&labelled(run, stamp));
        assert_eq!(takes("r", &own), Some(true));
        assert_eq!(takes("other", &own), Some(false));
        assert_eq!(takes("r", "1:1:1"), Some(false));
    }
}
