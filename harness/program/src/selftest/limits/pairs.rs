//! Two limits of one server, of which one is met first: at 70 % of the other at most. The expected cause is the first.

use super::{InjectedLimit, Kind, Need, Numbers};
use wsceiling_model::record::Cause;

/// Where the first limit is, as a share of the second, in hundredths.
const SHARE: std::ops::RangeInclusive<u32> = 45..=70;
/// Connections asked for, all in one step, and how many a second.
const MAX: u32 = 1000;
const RATE: u32 = 200;

/// A limit that a pair may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Descriptors,
    Memory,
    Cap,
    Pids,
    Lifetime,
    /// Of CPU: met in connections a second, and not in connections.
    Quota,
    Thread,
}

const HALVES: [Half; 7] =
    [Half::Descriptors, Half::Memory, Half::Cap, Half::Pids, Half::Lifetime, Half::Quota, Half::Thread];

/// The pairs of the usual numbers; a seed draws others.
const USUAL: [(Half, Half); 8] = [
    (Half::Memory, Half::Descriptors),
    (Half::Descriptors, Half::Memory),
    (Half::Cap, Half::Memory),
    (Half::Pids, Half::Descriptors),
    (Half::Quota, Half::Cap),
    (Half::Cap, Half::Quota),
    (Half::Lifetime, Half::Descriptors),
    (Half::Thread, Half::Memory),
];

const NAMES: [&str; 8] = ["pair-1", "pair-2", "pair-3", "pair-4", "pair-5", "pair-6", "pair-7", "pair-8"];

/// Two limits with their numbers: connections, or hundredths of the rate that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    first: (Half, u32),
    second: (Half, u32),
}

pub(super) fn limits(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let draw = |(name, usual)| drawn(usual, numbers).injected(name);
    let mut all: Vec<InjectedLimit> = NAMES.into_iter().zip(USUAL).map(draw).collect();
    all[0].quick = true;
    all
}

fn drawn((first, second): (Half, Half), numbers: &mut Numbers) -> Pair {
    let of = |half: Half| HALVES.iter().position(|one| *one == half).unwrap_or_default() as u32;
    // As far behind the first one as is drawn, so it is another one.
    let apart = (of(second) + 7 - of(first)) % 7;
    let first = HALVES[numbers.pick(of(first), 0..=6) as usize];
    let behind = numbers.pick(apart, 1..=6);
    let mut second = HALVES[((of(first) + behind) % 7) as usize];
    let (at, share) = (numbers.pick(350, 250..=450), numbers.pick(60, SHARE));
    if first.of_rate() && second.of_rate() {
        // A quota below one core always comes before the one thread: that is no pair to draw.
        second = Half::Cap;
    }
    Pair { first: (first, first.first_at(at)), second: (second, second.second_at(first, at, share)) }
}

impl Half {
    const fn cause(self) -> Cause {
        match self {
            Self::Descriptors => Cause::ServerDescriptors,
            Self::Memory => Cause::MemoryLimit,
            Self::Cap => Cause::ApplicationCap,
            Self::Pids => Cause::PidsLimit,
            Self::Lifetime => Cause::Lifetime,
            Self::Quota => Cause::CpuQuota,
            Self::Thread => Cause::SingleThread,
        }
    }

    /// Whether it limits connections a second.
    const fn of_rate(self) -> bool {
        matches!(self, Self::Quota | Self::Thread)
    }

    /// Where it stands as the first: a limit of rate at 40 % of what is asked for.
    const fn first_at(self, at: u32) -> u32 {
        if self.of_rate() { 40 } else { at }
    }

    /// Where it stands as the second. Behind a limit of rate it is beyond all that is asked for, and so is a lifetime:
    /// the step goes on after the first limit was met, and would meet it.
    const fn second_at(self, first: Self, at: u32, share: u32) -> u32 {
        if self.of_rate() {
            100 * 100 / share
        } else if matches!(self, Self::Lifetime) {
            3 * MAX * 100 / share
        } else if first.of_rate() {
            MAX * 100 / share
        } else {
            at * 100 / share
        }
    }

    /// A few words.
    fn words(self, at: u32) -> String {
        match self {
            Self::Descriptors => format!("descriptors for {at} connections"),
            Self::Memory => format!("memory for about {at}"),
            Self::Cap => format!("a cap of {at} (503)"),
            Self::Pids => format!("{at} processes and threads, a thread for each connection"),
            Self::Lifetime => format!("a lifetime that allows {at}"),
            Self::Quota => format!("a CPU quota for {at} % of the rate"),
            Self::Thread => format!("one thread that does {at} % of the rate"),
        }
    }
}

impl Pair {
    fn has(self, half: Half) -> bool {
        self.first.0 == half || self.second.0 == half
    }

    fn injected(self, name: &'static str) -> InjectedLimit {
        let ((first, at), (second, later)) = (self.first, self.second);
        let what = format!("{}, before {}", first.words(at), second.words(later));
        let mut args = Vec::new();
        let mut limit = InjectedLimit::new(name, first.cause(), what);
        for (half, at) in [self.first, self.second] {
            match half {
                // The runtime has about a dozen of its own.
                Half::Descriptors => limit = limit.size(format!("nofile = {}", at + 12)),
                Half::Memory => {
                    args.push(format!("--state {}", 64 << 10));
                    limit = limit.needs(Need::Cgroups).size(format!("memory = \"{}KiB\"", 2048 + at * self.each_kib()));
                }
                Half::Cap => args.push(format!("--cap {at} --at-cap refuse")),
                Half::Pids => {
                    args.push("--thread-per-connection".to_owned());
                    limit = limit.needs(Need::Cgroups).size(format!("pids = {at}"));
                }
                Half::Lifetime => args.push(format!("--lifetime {}", u64::from(at) * 1_000_000 / u64::from(RATE))),
                Half::Quota => {
                    // A quarter of a core, and as much work as makes it enough for the share.
                    args.push(format!("--accept-work {}", 250_000 * 100 / (RATE * at)));
                    limit = limit.needs(Need::Cgroups).size("cpus = 0.25");
                }
                Half::Thread => {
                    args.push(format!("--accept-work {}", 1_000_000 * 100 / (RATE * at)));
                    limit = limit.needs(Need::Cores(2));
                }
            }
        }
        limit = limit.planted(args.join(" ")).load(format!("max = {MAX}")).load(format!("step = {MAX}"));
        limit.kind = Kind::Pairs;
        limit.load(format!("rate = \"{RATE}/s\""))
    }

    /// KiB of a connection: its state, what the kernel and the server add, and a stack.
    fn each_kib(self) -> u32 {
        if self.has(Half::Pids) { 92 } else { 69 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(seed: Option<u64>) -> Vec<Pair> {
        let mut numbers = Numbers::new(seed);
        USUAL.into_iter().map(|usual| drawn(usual, &mut numbers)).collect()
    }

    #[test]
    fn without_a_seed_they_are_the_usual_ones_and_the_same_seed_draws_the_same() {
        let halves: Vec<_> = pairs(None).iter().map(|pair| (pair.first.0, pair.second.0)).collect();
        assert_eq!(halves, USUAL);
        assert_eq!(pairs(Some(3)), pairs(Some(3)));
        assert_ne!(pairs(Some(3)), pairs(Some(4)));
    }

    #[test]
    fn two_different_limits_are_drawn_and_the_first_is_clearly_met_first() {
        for pair in (0..500).flat_map(|seed| pairs(Some(seed))) {
            let ((first, at), (second, later)) = (pair.first, pair.second);
            assert_ne!(first, second);
            // What is asked for meets the first one, and what it meets is at most 70 % of the second.
            let met = if first.of_rate() { MAX } else { at };
            let used = if second.of_rate() { 100 } else { met };
            assert!(at < if first.of_rate() { 100 } else { MAX / 2 }, "{pair:?}");
            assert!(f64::from(used) <= 0.71 * f64::from(later), "{pair:?}");
        }
    }

    #[test]
    fn every_limit_is_drawn_as_the_first_and_as_the_second() {
        let all: Vec<Pair> = (0..50).flat_map(|seed| pairs(Some(seed))).collect();
        for half in HALVES {
            assert!(all.iter().any(|pair| pair.first.0 == half), "{half:?}");
            assert!(all.iter().any(|pair| pair.second.0 == half), "{half:?}");
        }
    }
}
