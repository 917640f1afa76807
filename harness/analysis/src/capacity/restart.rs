//! What it takes when all instances are started again and everybody comes back.

use serde::Serialize;

use super::set_up::SetUp;
use wsceiling_model::matrix::Size;

/// Share of the CPU that openings get at least, beside connections that are open already.
const LEAST_SHARE: f64 = 0.05;

/// A restart of everyone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Restart {
    /// Until everybody is back.
    pub seconds: f64,
    /// Connections that all instances open in a second.
    pub per_second: f64,
    /// The CPU of the size is what limits that; otherwise it is the rate that was measured, which may not be the most.
    pub by_cpu: bool,
}

/// How long `connections` take to come back to so many instances of a size. An instance opens as many in a second as it was
/// seen to, or fewer where its CPU is not enough for them and for half of the connections, the mean of the time:
///
/// ```text
/// rate = min(measured, (cpus - idle server - connections / 2 * CPU of a connection) / CPU of an opening)
/// ```
///
/// `None`: no step that passed says how fast they are opened.
pub(super) fn restart(
    set_up: &SetUp<'_>,
    size: &Size,
    cpus: Option<f64>,
    connections: f64,
    instances: u32,
) -> Option<Restart> {
    let measured = set_up.coefficients.opened_per_s?;
    let each = connections / f64::from(instances);
    let value = |known: Option<super::Known>| known.map_or(0.0, |known| known.value);
    let affordable = cpus.or(size.cpus).zip(set_up.coefficients.opening).map(|(cpus, opening)| {
        let all = cpus * 1e6;
        let taken = value(set_up.coefficients.cpu_idle) + each / 2.0 * value(set_up.coefficients.cpu);
        (all - taken).max(LEAST_SHARE * all) / opening.value.max(1e-9)
    });
    let rate = affordable.map_or(measured, |affordable| affordable.min(measured));
    let per_second = rate * f64::from(instances);
    Some(Restart { seconds: connections / per_second, per_second, by_cpu: rate < measured })
}
