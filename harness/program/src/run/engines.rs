//! Engines elsewhere, for the metrics of remote targets: `scrape` asks, `launch` knows how.

use wsceiling_launch::{RemoteContainer, RemoteEngine};
use wsceiling_model::record::{ContainerSeen, ScrapeFault};
use wsceiling_scrape::{Container, EnginePlace, Engines, Later};

/// Reaches engines as the launcher does.
pub struct RemoteEngines;

struct Looked(RemoteContainer);

impl Engines for RemoteEngines {
    fn open<'a>(
        &'a self,
        place: &'a EnginePlace,
        container: &'a str,
    ) -> Later<'a, Result<Box<dyn Container>, ScrapeFault>> {
        let certificates = match (&place.ca, &place.cert, &place.key) {
            (Some(ca), Some(cert), Some(key)) => Some([ca.clone(), cert.clone(), key.clone()]),
            _ => None,
        };
        let engine = RemoteEngine { address: place.address.clone(), certificates };
        Box::pin(async move {
            let opened = RemoteContainer::open(&engine, container).await?;
            Ok(Box::new(Looked(opened)) as Box<dyn Container>)
        })
    }
}

impl Container for Looked {
    fn look(&mut self) -> Later<'_, Result<ContainerSeen, ScrapeFault>> {
        Box::pin(self.0.look())
    }
}
