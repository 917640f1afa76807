use super::*;
use wsceiling_model::record::{ContainerSeen, EventKind, Exit, Metric};

/// An engine whose container is killed for memory at the third look and is there again at the fourth; its connection
/// breaks once.
struct Scripted;

struct Scene {
    looks: u32,
}

static LOOKS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

impl Engines for Scripted {
    fn open<'a>(&'a self, place: &'a EnginePlace, name: &'a str) -> Later<'a, Result<Box<dyn Container>, ScrapeFault>> {
        Box::pin(async move {
            assert_eq!((place.address.as_str(), name), ("ssh://root@203.0.113.7", "shop-1"));
            let looks = LOOKS.load(std::sync::atomic::Ordering::Relaxed);
            Ok(Box::new(Scene { looks }) as Box<dyn Container>)
        })
    }
}

impl Container for Scene {
    fn look(&mut self) -> Later<'_, Result<ContainerSeen, ScrapeFault>> {
        Box::pin(async move {
            self.looks += 1;
            LOOKS.store(self.looks, std::sync::atomic::Ordering::Relaxed);
            let up = |cpu: f64, restarts, started: &str| ContainerSeen {
                values: vec![(Metric::CpuUsage, cpu)],
                started: Some(started.into()),
                restarts: Some(restarts),
                ..ContainerSeen::default()
            };
            let exit = Exit { code: None, signal: Some(9), oom_killed: Some(true), requested: false, t_ms: 0.0 };
            match self.looks {
                1 => Ok(up(100.0, 0, "a")),
                2 => Err(ScrapeFault::Engine { what: "the connection broke".into() }),
                3 => Ok(ContainerSeen { exit: Some(exit), ..ContainerSeen { values: vec![], ..up(0.0, 0, "a") } }),
                looks => Ok(up(f64::from(looks), 1, "b")),
            }
        })
    }
}

#[tokio::test]
async fn a_container_that_is_killed_and_started_again_tells_its_story() {
    let engine = Template::new("ssh://root@203.0.113.7").unwrap();
    let docker = source(Component::Instance(0), Reads::Docker { engine, container: "shop-1".into() });
    let (rows, told) = scraped(&ready(docker), Arc::new(Scripted), |rows| rows.len() >= 2).await;
    let cpu: Vec<f64> = rows.iter().map(|row| row.sample.values[0].1).take(2).collect();
    assert_eq!(cpu, [100.0, 104.0], "the counter goes on");
    assert_eq!(&*rows[0].sources[0].1, "docker ssh://203.0.113.7 shop-1 cpu_usage_us_total");
    let [ended, restarted] = &told.events[..] else { panic!("{told:?}") };
    assert!(matches!(&ended.what, EventKind::InstanceEnded { exit } if exit.oom_killed == Some(true)));
    assert!(matches!(restarted.what, EventKind::Restarted { .. }));
    assert_eq!(whys(&told.warnings), ["the engine: the connection broke"]);
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_said_by_the_check() {
    let engine = Template::new("unix:///nowhere").unwrap();
    let docker = source(Component::Instance(0), Reads::Docker { engine, container: "c".into() });
    let told = checked(docker).await;
    assert!(!told.gives_numbers());
    assert_eq!(
        told.to_string(),
        "instance-0 from docker unix:///nowhere c: no number\n  the engine: there is none\n  \
         hint: see that `docker -H ADDRESS ps` works from here, without asking for a password"
    );
}
