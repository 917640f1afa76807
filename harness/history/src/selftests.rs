//! The selftests of the last nights as one: how often the diagnosis is right, with intervals.

use serde::Serialize;

use crate::history::History;
use crate::interval::Share;
use crate::night::{Right, Selftest};
use crate::rules::Rules;

/// The selftests of some nights.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pooled {
    /// Nights with a selftest.
    pub nights: usize,
    /// Selftests that were as good as they have to be, of all.
    pub passed: Share,
    /// Right trials of all kinds.
    pub right: Share,
    /// The same by kind, in the order in which they appear.
    pub kinds: Vec<Row>,
    /// The same by the confidence that was stated.
    pub confidence: Vec<Row>,
    /// What was wrong and sure, or clean and accused: index of the night, and the trial.
    pub faults: Vec<(usize, String)>,
}

/// A row of a table of shares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Of what.
    pub name: String,
    /// The share that was right.
    pub share: Share,
}

/// Pools the selftests of the last nights that have one; `None`: none has.
pub fn pooled(history: &History, rules: &Rules) -> Option<Pooled> {
    let mut with: Vec<usize> = (0..history.nights.len()).rev().filter(|at| !of(history, *at).is_empty()).collect();
    with.truncate(rules.nights);
    with.reverse();
    let all = || with.iter().flat_map(|at| of(history, *at));
    let passed = all().filter(|selftest| selftest.passed).count() as u64;
    let kinds = rows(all().flat_map(|selftest| &selftest.kinds));
    let faults = with.iter().flat_map(|at| {
        let wrong = of(history, *at).iter().flat_map(|one| one.sure_and_wrong.iter().chain(&one.clean_accused));
        wrong.map(|name| (*at, name.clone()))
    });
    (!with.is_empty()).then(|| Pooled {
        nights: with.len(),
        passed: Share::new(passed, all().count() as u64),
        right: Share::new(kinds.iter().map(|row| row.share.count).sum(), kinds.iter().map(|row| row.share.of).sum()),
        confidence: rows(all().flat_map(|selftest| &selftest.confidence)),
        faults: faults.collect(),
        kinds,
    })
}

fn of(history: &History, night: usize) -> &[Selftest] {
    &history.nights[night].selftests
}

/// Sums by name.
fn rows<'a>(counts: impl Iterator<Item = &'a Right>) -> Vec<Row> {
    let mut sums: Vec<(&str, u64, u64)> = Vec::new();
    for count in counts {
        let (right, of) = (u64::from(count.right), u64::from(count.of));
        match sums.iter_mut().find(|(name, ..)| *name == count.name) {
            Some(sum) => (sum.1, sum.2) = (sum.1 + right, sum.2 + of),
            None => sums.push((&count.name, right, of)),
        }
    }
    sums.into_iter().map(|(name, right, of)| Row { name: name.to_owned(), share: Share::new(right, of) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{Plan, demo};

    #[test]
    fn thirty_nights_are_pooled_with_their_interval() {
        let history = History::of(demo(&Plan::quiet(1, 100)));
        let found = pooled(&history, &Rules::default()).unwrap();
        assert_eq!((found.nights, found.passed.of), (30, 30));
        assert_eq!(found.kinds[0].share.of, 30 * 9);
        assert!(found.right.low < found.right.high && found.right.low > 0.9, "{found:?}");
        assert_eq!(found.faults.len() as u64, found.passed.of - found.passed.count, "red nights are told");
        assert_eq!(pooled(&History::default(), &Rules::default()), None);
    }
}
