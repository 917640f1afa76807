//! `load --metrics`: numbers of the server, read from where it runs while the load lasts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::{USAGE, color_stderr};
use crate::run::engines::RemoteEngines;
use wsceiling_generator::load::server::PartSeen;
use wsceiling_model::matrix::{Faults, MetricSource, parse_metrics, units};
use wsceiling_model::record::{Component, Metric};
use wsceiling_scrape::{Engines, Row, Scraper, Source};

/// Longest time that every source gets to be read once before anything is connected.
const FIRST_WITHIN: Duration = Duration::from_secs(5);
/// Largest file of sources in bytes.
const FILE_MAX: u64 = 1 << 20;

/// The sources that the options name, ready to be asked; what is wrong with them is said, and the exit code returned.
pub(in crate::cli) fn sources(values: &[String]) -> Result<Vec<Source>, u8> {
    let mut ready = Vec::new();
    for value in values {
        let (sources, folder) = parsed(value).map_err(|faults| {
            eprintln!("{}", faults.render(color_stderr()));
            USAGE
        })?;
        ready.extend(wsceiling_scrape::prepare(&sources, folder).map_err(|errors| {
            for error in &errors {
                eprintln!("error: {error}");
            }
            USAGE
        })?);
    }
    Ok(ready)
}

/// The sources of one option, and the folder that their paths are relative to.
fn parsed(value: &str) -> Result<(Vec<MetricSource>, &Path), Faults> {
    let here = Path::new(".");
    if is_inline(value) {
        let option = Path::new("--metrics");
        let text = inline(value).map_err(|why| Faults::whole(option, &why, INLINE_HINT))?;
        return Ok((parse_metrics(&text, option)?, here));
    }
    let path = Path::new(value);
    let unreadable = |why: &str| Faults::whole(path, &format!("failed to read the sources: {why}"), INLINE_HINT);
    let length = std::fs::metadata(path).map_err(|error| unreadable(&error.to_string()))?.len();
    if length > FILE_MAX {
        return Err(unreadable("it is larger than 1 MiB"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error.to_string()))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(here);
    Ok((parse_metrics(&text, path)?, folder))
}

const INLINE_HINT: &str =
    "write `part=host,prometheus=http://10.0.0.2:9100/metrics`, or the name of a file with tables `[[metrics]]`";

/// Whether it is `KEY=VALUE,...` and no name of a file.
fn is_inline(value: &str) -> bool {
    value.split_once('=').is_some_and(|(key, _)| is_key(key))
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '-')
}

/// `part=host,prometheus=http://...` as the table that a file would have.
fn inline(value: &str) -> Result<String, String> {
    let mut text = "[[metrics]]\n".to_owned();
    for pair in value.split(',') {
        let (key, value) = pair
            .split_once('=')
            .filter(|(key, _)| is_key(key))
            .ok_or_else(|| format!("`{}` is no KEY=VALUE; a comma ends a value", pair.escape_debug()))?;
        if value.chars().any(char::is_control) {
            return Err(format!("the value of `{key}` has a control character"));
        }
        let quoted = format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        let written = if key == "command" { format!("[{quoted}]") } else { quoted };
        // Writing into memory does not fail.
        let _ = writeln!(text, "{key} = {written}");
    }
    Ok(text)
}

/// What to say of sources that are read too seldom for the shortest hold.
pub(super) fn too_seldom(sources: &[Source], hold: Duration) -> impl Iterator<Item = String> {
    let slow = sources.iter().filter(move |source| source.every * 3 > hold);
    slow.map(move |source| {
        let (hold, every) = (units::format_duration(hold), units::format_duration(source.every));
        format!("warning: a hold of {hold} spans fewer than three readings of {}, one each {every}", source.name)
    })
}

/// Sources that are being read.
pub(super) struct Watch {
    scraper: Scraper,
    seen: Arc<Mutex<Seen>>,
    sources: Vec<Source>,
}

impl Watch {
    /// Starts reading, and waits until each source was asked once. Needs a tokio runtime.
    pub(super) async fn start(sources: Vec<Source>) -> Self {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let into = Arc::clone(&seen);
        let engines: Arc<dyn Engines> = Arc::new(RemoteEngines);
        let add = move |row: Row| into.lock().unwrap_or_else(PoisonError::into_inner).add(&row);
        let scraper = Scraper::start(&sources, Instant::now(), &engines, add);
        let begun = async {
            while !scraper.has_begun() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // What fails is told at the end.
        let _ = tokio::time::timeout(FIRST_WITHIN, begun).await;
        Self { scraper, seen, sources }
    }

    /// Ends it: what was read of each part, and what there is to say beside the numbers.
    pub(super) async fn stop(self) -> (Vec<PartSeen>, Vec<String>) {
        let Self { scraper, seen, sources } = self;
        let scraped = scraper.stop().await;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut parts: BTreeMap<Component, PartSeen> = BTreeMap::new();
        for source in &sources {
            let part = parts.entry(source.component).or_insert_with(|| seen.part(source.component));
            part.sources.push(source.name.clone());
        }
        let events = scraped.events.iter().map(|event| {
            let whose = event.component.map(|component| format!("{component} ")).unwrap_or_default();
            format!("{whose}{} after {:.1} s", event.what, event.t_ms / 1e3)
        });
        let notes = events.chain(scraped.warnings.iter().map(ToString::to_string)).collect();
        (parts.into_values().collect(), notes)
    }
}

/// What was read so far.
#[derive(Debug, Default)]
struct Seen {
    series: BTreeMap<(Component, Metric), Series>,
}

/// One number over time.
#[derive(Debug, Default)]
struct Series {
    first: Option<(f64, f64)>,
    last: Option<(f64, f64)>,
    min: f64,
    max: f64,
    /// Largest rise for each millisecond between two readings.
    steepest: Option<f64>,
    count: u64,
}

impl Series {
    fn add(&mut self, t_ms: f64, value: f64) {
        self.count += 1;
        if self.first.is_none() {
            (self.first, self.min, self.max) = (Some((t_ms, value)), value, value);
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if let Some((before_ms, before)) = self.last
            && t_ms > before_ms
        {
            let rise = (value - before) / (t_ms - before_ms);
            self.steepest = Some(self.steepest.map_or(rise, |steepest| steepest.max(rise)));
        }
        self.last = Some((t_ms, value));
    }

    /// Rise for each millisecond from the first reading to the last.
    fn slope(&self) -> Option<f64> {
        let ((from_ms, from), (to_ms, to)) = (self.first?, self.last?);
        (to_ms > from_ms).then(|| (to - from) / (to_ms - from_ms))
    }
}

impl Seen {
    fn add(&mut self, row: &Row) {
        for (metric, value) in &row.sample.values {
            self.series.entry((row.sample.component, *metric)).or_default().add(row.sample.t_ms, *value);
        }
    }

    /// The numbers of a part, still without its sources.
    fn part(&self, component: Component) -> PartSeen {
        let of = |metric: Metric| self.series.get(&(component, metric));
        let first = |metric| of(metric).and_then(|series| series.first).map(|(_, value)| value);
        let max = |metric| of(metric).map(|series| series.max);
        let (cpu, descriptors) = match component {
            Component::Host => (Metric::HostBusy, Metric::HostDescriptors),
            _ => (Metric::CpuUsage, Metric::Descriptors),
        };
        // Microseconds of CPU for each millisecond are thousandths of a core.
        let cores = |rise: f64| rise / 1e3;
        let own = self.series.iter().filter(|((whose, _), _)| *whose == component);
        PartSeen {
            part: component.to_string(),
            sources: Vec::new(),
            readings: own.map(|(_, series)| series.count).max().unwrap_or(0),
            cpu_cores: of(cpu).and_then(Series::slope).map(cores),
            cpu_max_cores: of(cpu).and_then(|series| series.steepest).map(cores),
            memory_before_bytes: first(Metric::MemoryCurrent),
            memory_max_bytes: max(Metric::MemoryCurrent),
            memory_available_before_bytes: first(Metric::HostMemoryAvailable),
            memory_available_min_bytes: of(Metric::HostMemoryAvailable).map(|series| series.min),
            descriptors_max: max(descriptors),
            descriptors_limit: max(Metric::DescriptorLimit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsceiling_model::record::Sample;

    #[test]
    fn an_option_is_the_table_that_a_file_would_have() {
        let (sources, _) = parsed("part=host,prometheus=http://10.0.0.2:9100/metrics,every=500ms").unwrap();
        assert_eq!(sources[0].part, Component::Host);
        assert_eq!(sources[0].to_string(), "prometheus http://10.0.0.2:9100/metrics");
        assert_eq!(sources[0].every, Duration::from_millis(500));
        let (sources, _) = parsed("part=front,command=./metrics.sh").unwrap();
        assert_eq!(sources[0].to_string(), "command ./metrics.sh");
        let wrong = |value: &str| parsed(value).unwrap_err().to_string();
        assert!(wrong("part=hosst,prometheus=http://a/").contains("cannot be `hosst`"));
        assert!(wrong("part=host").contains("does not say what to read"));
        assert!(wrong("part=host,prometheus=http://a/?b,c").contains("a comma ends a value"));
        assert!(wrong("part=host,port=1").contains("unknown key"));
        assert!(wrong("no/such/file.toml").contains("no/such/file.toml"));
    }

    #[test]
    fn a_file_has_the_same_tables_and_its_own_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("metrics.toml");
        std::fs::write(
            &file,
            "[[metrics]]\npart = \"instance-0\"\nprometheus = \"http://h/metrics\"\nlabels = { job = \"shop\" }\n",
        )
        .unwrap();
        let (sources, of) = parsed(file.to_str().unwrap()).unwrap();
        assert_eq!((sources.len(), of), (1, folder.path()));
        std::fs::write(&file, "[targets.shop]\n").unwrap();
        let said = parsed(file.to_str().unwrap()).unwrap_err().to_string();
        assert!(said.contains("no `[[metrics]]`") && said.contains("unknown key `targets`"), "{said}");
    }

    #[test]
    fn numbers_over_time_become_averages_and_extremes() {
        let mut seen = Seen::default();
        let instance = Component::Instance(0);
        for (t_ms, cpu_us, memory, descriptors) in
            [(0.0, 0.0, 10.0, 5.0), (1000.0, 100_000.0, 30.0, 9.0), (2000.0, 1_000_000.0, 20.0, 7.0)]
        {
            let values =
                vec![(Metric::CpuUsage, cpu_us), (Metric::MemoryCurrent, memory), (Metric::Descriptors, descriptors)];
            seen.add(&Row { sample: Sample { t_ms, component: instance, values }, sources: Vec::new() });
        }
        let part = seen.part(instance);
        assert_eq!((part.part.as_str(), part.readings), ("instance-0", 3));
        assert_eq!((part.cpu_cores, part.cpu_max_cores), (Some(0.5), Some(0.9)));
        assert_eq!((part.memory_before_bytes, part.memory_max_bytes), (Some(10.0), Some(30.0)));
        assert_eq!((part.descriptors_max, part.descriptors_limit), (Some(9.0), None));
        assert_eq!(seen.part(Component::Host), PartSeen { part: "host".into(), ..PartSeen::default() });
    }
}
