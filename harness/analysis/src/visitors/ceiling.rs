//! How many connections were held: at least so many, about so many, or so many until most were lost at once.

use wsceiling_model::visitors::Tick;

/// Time for which connections must stay fewer than granted before that is a plateau: two reports of each visitor, and the
/// time in which one opens what it may.
const PLATEAU_MS: u64 = 25_000;
/// Share of the granted connections that may be missing.
const MISSING: f64 = 0.02;
/// How far connections may move on a plateau.
const FLAT: f64 = 0.05;
/// Time in which connections are lost at once: reports of all visitors tell of it within one poll.
const AT_ONCE_MS: u64 = 10_000;
/// Share of the open connections whose loss is a collapse.
const COLLAPSE: f64 = 0.2;
/// Fewer connections than this say nothing about a server.
const FEW: u32 = 10;

/// How many connections the server held, by visitors' word and the generator's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum VisitorsCeiling {
    /// No connection was ever open.
    Nothing,
    /// So many were open, and nothing shows that more cannot be.
    AtLeast {
        /// Connections.
        connections: u32,
        /// Why there were no more.
        because: LoadEnd,
    },
    /// They were told to hold more, and more could not be had.
    Plateau {
        /// Connections: the median of the plateau.
        connections: u32,
        /// What they were told to hold meanwhile.
        granted: u32,
        /// When it began.
        from_ms: u64,
        /// When it ended.
        to_ms: u64,
    },
    /// So many were open when many were lost at once.
    Collapse {
        /// Connections before.
        connections: u32,
        /// Lost within ten seconds.
        lost: u64,
        /// When it was told.
        from_ms: u64,
    },
}

/// Why there was no more load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadEnd {
    /// The goal was reached.
    Goal,
    /// There were too few visitors for it.
    Visitors,
    /// It had not come further when it ended.
    Time,
}

impl VisitorsCeiling {
    /// When the server met it.
    pub fn from_ms(&self) -> Option<u64> {
        match self {
            Self::Plateau { from_ms, .. } | Self::Collapse { from_ms, .. } => Some(*from_ms),
            Self::Nothing | Self::AtLeast { .. } => None,
        }
    }
}

/// A moment with the generator's connections, connects and losses among those of the visitors.
pub fn together(tick: &Tick) -> Tick {
    let generator = tick.generator.unwrap_or_default();
    Tick {
        goal: tick.goal.saturating_add(generator.goal),
        granted: tick.granted.saturating_add(generator.granted),
        open: tick.open.saturating_add(generator.open),
        failed: tick.failed + generator.failed,
        lost: tick.lost + generator.lost,
        ..*tick
    }
}

/// The first moment with the most connections open: later ones may be of visitors that have not told yet that they closed.
pub fn peak(ticks: &[Tick]) -> Option<&Tick> {
    ticks.iter().reduce(|most, tick| if tick.open > most.open { tick } else { most }).filter(|tick| tick.open > 0)
}

/// Reads the ceiling from the counters over time.
pub fn ceiling(ticks: &[Tick]) -> VisitorsCeiling {
    let Some(peak) = peak(ticks) else {
        return plateau(ticks).unwrap_or(VisitorsCeiling::Nothing);
    };
    let found = [collapse(ticks), plateau(ticks)].into_iter().flatten();
    // The one with more connections says what the server can hold.
    let connections = |found: &VisitorsCeiling| match found {
        VisitorsCeiling::Plateau { connections, .. } | VisitorsCeiling::Collapse { connections, .. } => *connections,
        _ => 0,
    };
    if let Some(found) = found.max_by_key(connections)
        && f64::from(connections(&found)) >= f64::from(peak.open) * (1.0 - FLAT)
    {
        return found;
    }
    VisitorsCeiling::AtLeast { connections: peak.open, because: load_end(peak) }
}

fn load_end(peak: &Tick) -> LoadEnd {
    if f64::from(peak.open) >= f64::from(peak.goal) * (1.0 - MISSING) {
        LoadEnd::Goal
    } else if peak.generator.is_some_and(|generator| generator.granted < generator.goal) {
        // It opens at the run's rate, and was not done.
        LoadEnd::Time
    } else if f64::from(peak.granted) < f64::from(peak.goal) * (1.0 - MISSING) {
        LoadEnd::Visitors
    } else {
        LoadEnd::Time
    }
}

/// Whether fewer are open than visitors were told to hold.
fn is_short(tick: &Tick) -> bool {
    tick.goal > 0
        && tick.granted >= FEW
        && f64::from(tick.open + tick.unknown) < f64::from(tick.granted) * (1.0 - MISSING)
}

fn troubles(tick: &Tick) -> u64 {
    tick.failed + tick.stuck + tick.lost
}

/// The highest plateau: short for long enough, failures all the while, and as many at its end as in its middle.
fn plateau(ticks: &[Tick]) -> Option<VisitorsCeiling> {
    let runs = ticks.chunk_by(|a, b| is_short(a) && is_short(b)).filter(|run| is_short(&run[0]));
    let found = runs.filter_map(|run| {
        let (first, last) = (run.first()?, run.last()?);
        // What is being opened is short too; the second half is past that.
        let middle = first.t_ms.midpoint(last.t_ms);
        let late: Vec<&Tick> = run.iter().filter(|tick| tick.t_ms >= middle).collect();
        let mut open: Vec<u32> = late.iter().map(|tick| tick.open).collect();
        open.sort_unstable();
        let median = open[open.len() / 2];
        let spread = f64::from(open[open.len() - 1] - open[0]);
        let flat = spread <= (f64::from(median) * FLAT).max(2.0);
        let failing = troubles(last) > troubles(late.first()?);
        let reached = run.iter().find(|tick| f64::from(tick.open) >= f64::from(median) * (1.0 - FLAT))?;
        (last.t_ms - first.t_ms >= PLATEAU_MS && flat && failing).then_some(VisitorsCeiling::Plateau {
            connections: median,
            granted: last.granted,
            from_ms: reached.t_ms,
            to_ms: last.t_ms,
        })
    });
    found.max_by_key(|found| match found {
        VisitorsCeiling::Plateau { connections, .. } => *connections,
        _ => 0,
    })
}

/// The largest loss at once. Visitors that leave close their connections and lose none.
fn collapse(ticks: &[Tick]) -> Option<VisitorsCeiling> {
    let mut before = 0;
    let found = (0..ticks.len()).filter_map(|at| {
        let now = &ticks[at];
        while now.t_ms - ticks[before].t_ms > AT_ONCE_MS {
            before += 1;
        }
        let then = &ticks[before];
        let lost = now.lost.saturating_sub(then.lost);
        let many = then.open >= FEW && lost as f64 >= f64::from(then.open) * COLLAPSE;
        // Connections that are opened again and lost again are a plateau with churn, not a collapse.
        let fell = f64::from(now.open) <= f64::from(then.open) * (1.0 - COLLAPSE);
        (many && fell).then_some(VisitorsCeiling::Collapse { connections: then.open, lost, from_ms: then.t_ms })
    });
    found.max_by_key(|found| match found {
        VisitorsCeiling::Collapse { connections, .. } => *connections,
        _ => 0,
    })
}
