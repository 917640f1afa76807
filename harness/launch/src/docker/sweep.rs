//! Removing what runs left at the engine, by label.

use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant};

use bollard::errors::Error;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder,
};

use super::super::Cleaned;
use super::super::label::{LABEL, LABEL_HARNESS, LABEL_RUN, Life, Stamp};
use super::push::is_pushed;
use super::{Engine, is_not_found, readable};

/// Longest time that a drop waits for the engine.
const DROP_WAIT: Duration = Duration::from_secs(60);
/// Longest time that a sweep waits for answers to what a stopped run had asked for.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// Longest wait for a swarm to know that nobody uses a network any more.
const UNUSED_WITHIN: Duration = Duration::from_secs(20);
/// How often is looked whether a network is unused, and gone.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Whose things are removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Those of one run of this very process.
    OwnRun(String),
    /// Those of every run whose harness is gone.
    TheDead,
}

/// What runs leave at the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Service,
    Container,
    Network,
    Image,
}

/// Something with this program's label.
struct Thing {
    kind: Kind,
    id: String,
    /// With the word for its kind: `network NAME`.
    name: String,
    labels: HashMap<String, String>,
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
    /// Removes services of a swarm, then containers, then networks, then image tags. Also the images' layers go, unless something else uses them.
    pub async fn sweep(&self, whose: &Whose) -> Cleaned {
        let mut cleaned = Cleaned::default();
        // What a slow engine was asked for comes after a look at what there is.
        let _ = tokio::time::timeout(ANSWER_WAIT, self.pending.settled()).await;
        for kind in [Kind::Service, Kind::Container, Kind::Network, Kind::Image] {
            match self.list(kind).await {
                Ok(things) => {
                    for thing in things {
                        self.remove(thing, whose, &mut cleaned).await;
                    }
                }
                Err(fault) => cleaned.faults.push(fault),
            }
        }
        cleaned
    }

    async fn list(&self, kind: Kind) -> Result<Vec<Thing>, String> {
        match kind {
            Kind::Service => self.services().await,
            Kind::Container => self.containers().await,
            Kind::Network => self.networks().await,
            Kind::Image => self.images().await,
        }
    }

    async fn services(&self) -> Result<Vec<Thing>, String> {
        let listed = self.labelled_services(&by_label()).await;
        let listed = listed.map_err(|error| format!("cannot list services: {}", readable(&error)))?;
        let things = listed.into_iter().map(|service| {
            let spec = service.spec.unwrap_or_default();
            let name = format!("service {}", spec.name.unwrap_or_default());
            let labels = spec.labels.unwrap_or_default();
            Thing { kind: Kind::Service, id: service.id.unwrap_or_default(), name, labels }
        });
        Ok(things.collect())
    }

    async fn containers(&self) -> Result<Vec<Thing>, String> {
        let options = ListContainersOptionsBuilder::default().all(true).filters(&by_label()).build();
        let listed = self.docker.list_containers(Some(options)).await;
        let listed = listed.map_err(|error| format!("cannot list containers: {}", readable(&error)))?;
        let things = listed.into_iter().map(|container| {
            let id = container.id.unwrap_or_default();
            let name = container.names.and_then(|names| names.into_iter().next()).unwrap_or_else(|| id.clone());
            let name = format!("container {}", name.trim_start_matches('/'));
            Thing { kind: Kind::Container, id, name, labels: container.labels.unwrap_or_default() }
        });
        Ok(things.collect())
    }

    async fn networks(&self) -> Result<Vec<Thing>, String> {
        let options = ListNetworksOptionsBuilder::default().filters(&by_label()).build();
        let listed = self.docker.list_networks(Some(options)).await;
        let listed = listed.map_err(|error| format!("cannot list networks: {}", readable(&error)))?;
        let things = listed.into_iter().map(|network| {
            let name = format!("network {}", network.name.unwrap_or_default());
            let labels = network.labels.unwrap_or_default();
            Thing { kind: Kind::Network, id: network.id.unwrap_or_default(), name, labels }
        });
        Ok(things.collect())
    }

    /// A thing for each tag of an image.
    async fn images(&self) -> Result<Vec<Thing>, String> {
        let options = ListImagesOptionsBuilder::default().filters(&by_label()).build();
        let listed = self.docker.list_images(Some(options)).await;
        let listed = listed.map_err(|error| format!("cannot list images: {}", readable(&error)))?;
        let things = listed.into_iter().flat_map(|image| {
            let mut tags = image.repo_tags;
            tags.retain(|tag| tag.starts_with("wsceiling/") || is_pushed(tag));
            let tags = if tags.is_empty() { vec![image.id] } else { tags };
            tags.into_iter().map(move |tag| Thing {
                kind: Kind::Image,
                name: format!("image {tag}"),
                id: tag,
                labels: image.labels.clone(),
            })
        });
        Ok(things.collect())
    }

    async fn remove(&self, Thing { kind, id, name, labels }: Thing, whose: &Whose, cleaned: &mut Cleaned) {
        match whose.takes(&labels) {
            None => return cleaned.left.push(name),
            Some(false) => return,
            Some(true) => {}
        }
        let removed = match kind {
            Kind::Container => {
                let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
                self.docker.remove_container(&id, Some(options)).await
            }
            Kind::Service if self.remove_service(&id).await => Ok(()),
            Kind::Service => self.docker.delete_service(&id).await,
            Kind::Network => self.remove_network(&id).await,
            // Not by force: an image that a container of another, living run uses stays, tag and all.
            Kind::Image => {
                let options = RemoveImageOptionsBuilder::default().build();
                self.docker.remove_image(&id, Some(options), None).await.map(drop)
            }
        };
        match removed {
            Ok(()) => cleaned.removed.push(name),
            Err(error) if is_not_found(&error) => {}
            Err(Error::DockerResponseServerError { status_code: 409, .. }) if kind == Kind::Image => {
                cleaned.left.push(name);
            }
            Err(error) => cleaned.faults.push(format!("cannot remove {name}: {}", readable(&error))),
        }
    }

    /// Removes a network. One of a swarm is in use until the swarm knows that the last task or container in it has gone, and
    /// the engine lists it for a moment after it was removed.
    async fn remove_network(&self, id: &str) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            match self.docker.remove_network(id).await {
                Err(Error::DockerResponseServerError { message, .. })
                    if message.contains("in use by") && begun.elapsed() < UNUSED_WITHIN =>
                {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        while begun.elapsed() < UNUSED_WITHIN && self.lists_network(id).await {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn lists_network(&self, id: &str) -> bool {
        let filters = HashMap::from([("id", vec![id.to_owned()])]);
        let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
        self.docker.list_networks(Some(options)).await.is_ok_and(|listed| !listed.is_empty())
    }

    /// [`Self::sweep`] from where nothing can be awaited.
    pub fn sweep_blocking(&self, whose: Whose) {
        let (host, pending) = (self.host.clone(), self.pending.clone());
        blocking(async move {
            let _ = tokio::time::timeout(ANSWER_WAIT, pending.settled()).await;
            if let Ok(engine) = Self::connect_to(&host).await {
                engine.sweep(&whose).await;
            }
        });
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
        let elsewhere = Stamp { machine: own.machine ^ 1, ..own };
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
