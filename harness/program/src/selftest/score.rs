//! From verdicts to the diagnoser's accuracy: confusion matrix, accuracy, calibration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::limits::Kind;
use super::rates::{Bin, Share, brier, reliability};
use wsceiling_model::record::{Cause, Outcome};

/// Confidence at which a wrong cause is a fault whatever the accuracy.
pub const SURE: f64 = 0.85;
/// Confidence from which a cause is named, and not only suspected.
const NAMED: f64 = 0.60;
/// Share of the plain limits that must have been tried.
pub const COVERED: f64 = 0.75;

/// Share of the trials of a kind that must be right.
pub const fn bar(kind: Kind) -> f64 {
    match kind {
        Kind::Plain => 0.97,
        Kind::Decoys | Kind::Pairs => 0.90,
        Kind::Strangers | Kind::Remote => 0.95,
        Kind::Clean => 1.0,
    }
}

/// One trial of an injected limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The limit.
    pub limit: String,
    /// What it tests.
    pub kind: Kind,
    /// What was injected, for a person.
    pub what: String,
    /// Repetition.
    pub repeat: u32,
    /// The injected cause; `unknown`: what stops it is none of the causes.
    pub expected: Cause,
    /// What was found.
    pub found: Found,
    /// Confidence of the verdict.
    pub confidence: Option<f64>,
    /// Its sentence, or the reason of an outcome.
    pub sentence: String,
    /// It held all that was asked for, so that there was nothing to judge.
    pub reached: bool,
    /// Cores that programs other than the generator and the server used meanwhile: with many, causes of CPU are
    /// not what was injected.
    pub others_cores: Option<f64>,
    /// Folder of the run, relative to the selftest's own.
    pub run: String,
}

impl Row {
    /// Whether the injected cause was found. Where it is none of the causes, nothing may be named.
    pub fn right(&self) -> bool {
        let named = self.confidence.is_some_and(|confidence| confidence >= NAMED);
        self.found == Found::Cause(self.expected)
            || self.expected == Cause::Unknown && matches!(self.found, Found::Cause(_)) && !named && !self.reached
    }

    /// Says nothing about the verdicts: nothing was to be found, and the load ended by itself.
    const fn says_nothing(&self) -> bool {
        self.reached && matches!(self.kind, Kind::Clean)
    }

    fn name(&self) -> String {
        format!("{}.{}", self.limit, self.repeat)
    }
}

/// What a trial of a limit gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Found {
    /// The cause of its verdict.
    Cause(Cause),
    /// No verdict; how it ended.
    NotJudged(Outcome),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cause(cause) => cause.fmt(f),
            Self::NotJudged(outcome) => outcome.fmt(f),
        }
    }
}

impl From<Found> for String {
    fn from(found: Found) -> Self {
        found.to_string()
    }
}

impl TryFrom<String> for Found {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.to_string() == word).map(Self::NotJudged);
        word.parse().map(Self::Cause).ok().or(outcome).ok_or_else(|| format!("`{word}` is no cause and no outcome"))
    }
}

/// A limit that was not injected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotInjected {
    /// What it would have tested; `None`: no limit is for this cause.
    pub kind: Option<Kind>,
    /// The limit, or the cause that none is for.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What the trials of a kind gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfKind {
    /// The kind.
    pub kind: Kind,
    /// Trials that were right, of those that say something.
    pub right: Share,
    /// Lower bound of the true rate, at 95 %.
    pub at_least: f64,
    /// Clean trials that reached their end, and say nothing about false accusations.
    pub reached: usize,
    /// Limits that were tried, of those that were asked for.
    pub covered: Share,
}

impl OfKind {
    /// As good as it has to be, and tried often enough.
    pub fn passed(&self) -> bool {
        let right = self.right.value().is_none_or(|share| share >= bar(self.kind));
        right && (self.kind != Kind::Plain || self.covered.value().is_none_or(|share| share >= COVERED))
    }
}

/// Under what circumstances the trials were run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// What the injected numbers were drawn by, a word for each selftest that is part of it: a seed, or `usual`.
    pub seeds: Vec<String>,
    /// Revision of the workspace that was measured, with `+` where files differed from it.
    pub revision: Option<String>,
    /// Another program kept one core busy meanwhile.
    pub noise: bool,
    /// When it began, UTC.
    pub started: String,
    /// How long it took, seconds.
    pub took_s: f64,
    /// The machine and the versions that matter, each in a few words.
    pub machine: Vec<String>,
}

/// What the selftest found about the diagnosis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Under what circumstances.
    pub about: About,
    /// All trials.
    pub rows: Vec<Row>,
    /// What was not injected.
    pub not_injected: Vec<NotInjected>,
    /// Trials for each pair of injected and found cause.
    pub confusion: BTreeMap<String, BTreeMap<String, usize>>,
    /// Each kind by itself.
    pub kinds: Vec<OfKind>,
    /// Share of the trials that were right; `None` without a trial that says something.
    pub accuracy: Option<f64>,
    /// Stated confidence against the share that was right, lowest first.
    pub reliability: Vec<Bin>,
    /// Mean squared difference of confidence and outcome.
    pub brier: Option<f64>,
    /// Wrong causes at [`SURE`] or above, as `limit.repeat`.
    pub sure_and_wrong: Vec<String>,
    /// Clean cells that were accused, as `limit.repeat`.
    pub clean_accused: Vec<String>,
    /// The diagnosis is as good as it has to be.
    pub passed: bool,
}

impl Score {
    /// Scores the trials.
    pub fn new(about: About, rows: Vec<Row>, not_injected: Vec<NotInjected>) -> Self {
        let mut confusion: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for row in &rows {
            *confusion.entry(row.expected.to_string()).or_default().entry(row.found.to_string()).or_default() += 1;
        }
        let kinds: Vec<OfKind> = Kind::ALL.into_iter().filter_map(|kind| of_kind(kind, &rows, &not_injected)).collect();
        let saying = || rows.iter().filter(|row| !row.says_nothing());
        let accuracy = Share::count(saying().map(Row::right)).value();
        let verdicts: Vec<(f64, bool)> = saying().filter_map(|row| Some((row.confidence?, row.right()))).collect();
        let sure_and_wrong: Vec<String> = rows.iter().filter(|row| sure_and_wrong(row)).map(Row::name).collect();
        let accused = rows.iter().filter(|row| row.kind == Kind::Clean && !row.right());
        let clean_accused: Vec<String> = accused.map(Row::name).collect();
        let passed = !rows.is_empty()
            && kinds.iter().all(OfKind::passed)
            && sure_and_wrong.is_empty()
            && clean_accused.is_empty();
        Self {
            about,
            reliability: reliability(&verdicts),
            brier: brier(&verdicts),
            rows,
            not_injected,
            confusion,
            kinds,
            accuracy,
            sure_and_wrong,
            clean_accused,
            passed,
        }
    }

    /// Several selftests as one: all that was seen, scored together.
    pub fn pooled(scores: Vec<Self>) -> Self {
        let mut about = About::default();
        let (mut rows, mut not_injected) = (Vec::new(), Vec::new());
        for score in scores {
            let one = score.about;
            let new = one.seeds.into_iter().filter(|seed| !about.seeds.contains(seed)).collect::<Vec<_>>();
            about.seeds.extend(new);
            about.took_s += one.took_s;
            about.noise |= one.noise;
            // Of several revisions none is named, for the page would claim what it does not show.
            let same = rows.is_empty() || about.revision == one.revision;
            about.revision = one.revision.filter(|_| same);
            (about.started, about.machine) = (one.started, one.machine);
            rows.extend(score.rows);
            not_injected.extend(score.not_injected);
        }
        rows.sort_by_key(|row: &Row| row.kind);
        let mut seen = BTreeSet::new();
        not_injected.retain(|item: &NotInjected| item.kind.is_some() || seen.insert(item.name.clone()));
        Self::new(about, rows, not_injected)
    }

    /// Wrong causes at [`SURE`] or above.
    pub fn sure_rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| sure_and_wrong(row))
    }

    /// The trials of each limit, in the order in which they were injected.
    pub fn by_limit(&self) -> Vec<&[Row]> {
        self.rows.chunk_by(|a, b| a.limit == b.limit && a.what == b.what).collect()
    }

    /// Causes that are a column of the confusion matrix: injected ones first, in order, then what was found besides.
    pub fn columns(&self) -> Vec<&str> {
        let injected: BTreeSet<&str> = self.confusion.keys().map(String::as_str).collect();
        let found: BTreeSet<&str> = self.confusion.values().flat_map(|row| row.keys().map(String::as_str)).collect();
        let besides = found.difference(&injected).copied().collect::<Vec<_>>();
        injected.into_iter().chain(besides).collect()
    }
}

fn sure_and_wrong(row: &Row) -> bool {
    !row.right() && row.confidence.is_some_and(|confidence| confidence >= SURE)
}

/// `None`: nothing of the kind was asked for.
fn of_kind(kind: Kind, rows: &[Row], not_injected: &[NotInjected]) -> Option<OfKind> {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.kind == kind).collect();
    let tried = rows.chunk_by(|a, b| a.limit == b.limit && a.what == b.what).count();
    let missing = not_injected.iter().filter(|item| item.kind == Some(kind)).count();
    let right = Share::count(rows.iter().filter(|row| !row.says_nothing()).map(|row| row.right()));
    (tried + missing > 0).then(|| OfKind {
        kind,
        right,
        at_least: right.at_least(),
        reached: rows.iter().filter(|row| row.says_nothing()).count(),
        covered: Share { right: tried, of: tried + missing },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: Kind, expected: Cause, found: Cause, confidence: f64) -> Row {
        Row {
            limit: format!("limit-{expected}"),
            kind,
            what: String::new(),
            repeat: 1,
            expected,
            found: Found::Cause(found),
            confidence: Some(confidence),
            sentence: String::new(),
            reached: found == Cause::None,
            others_cores: None,
            run: String::new(),
        }
    }

    fn score(rows: Vec<Row>) -> Score {
        Score::new(About::default(), rows, Vec::new())
    }

    fn many(kind: Kind, number: usize) -> Vec<Row> {
        (0..number).map(|_| row(kind, Cause::Crash, Cause::Crash, 0.85)).collect()
    }

    #[test]
    fn a_few_wrong_verdicts_that_were_not_sure_pass_and_one_that_was_sure_does_not() {
        let mut rows = many(Kind::Plain, 39);
        rows.push(row(Kind::Plain, Cause::Hang, Cause::Unknown, 0.3));
        assert!(score(rows.clone()).passed, "{:?}", score(rows));
        rows[39].confidence = Some(0.85);
        let score = score(rows);
        assert!(!score.passed);
        assert_eq!(score.sure_and_wrong, ["limit-hang.1"]);
    }

    #[test]
    fn each_kind_has_a_bar_of_its_own_and_one_does_not_make_up_for_another() {
        let with = |kind, wrong: usize| {
            let mut rows = many(Kind::Plain, 200);
            rows.extend(many(kind, 20 - wrong));
            rows.extend((0..wrong).map(|_| row(kind, Cause::Hang, Cause::Unknown, 0.3)));
            score(rows).passed
        };
        assert!(with(Kind::Decoys, 2) && !with(Kind::Decoys, 3));
        assert!(with(Kind::Pairs, 2) && !with(Kind::Pairs, 3));
        assert!(with(Kind::Strangers, 1) && !with(Kind::Strangers, 2));
    }

    #[test]
    fn clean_cells_that_reach_their_end_are_counted_apart_and_one_that_is_accused_fails_it() {
        let mut rows: Vec<Row> = (0..99).map(|_| row(Kind::Clean, Cause::None, Cause::None, 0.85)).collect();
        let clean = score(rows.clone());
        assert!(clean.passed);
        assert_eq!((clean.kinds[0].right.of, clean.kinds[0].reached, clean.accuracy, clean.brier), (0, 99, None, None));
        rows.push(row(Kind::Clean, Cause::None, Cause::CpuSaturated, 0.3));
        assert_eq!(score(rows).clean_accused, ["limit-none.1"]);
    }

    #[test]
    fn what_was_not_tried_is_not_covered_and_too_little_of_the_plain_ones_fails_it() {
        let missing = |kind, number: usize| {
            let item = |index| NotInjected { kind: Some(kind), name: format!("limit-{index}"), reason: String::new() };
            let rows = vec![row(kind, Cause::Crash, Cause::Crash, 0.85), row(kind, Cause::Hang, Cause::Hang, 0.85)];
            Score::new(About::default(), rows, (0..number).map(item).collect())
        };
        assert!(missing(Kind::Plain, 0).passed);
        let score = missing(Kind::Plain, 2);
        assert_eq!(score.kinds[0].covered, Share { right: 2, of: 4 });
        assert!(!score.passed);
        assert!(missing(Kind::Strangers, 2).passed);
    }

    #[test]
    fn where_the_reason_is_none_of_ours_nothing_may_be_named() {
        let found = |cause, confidence| row(Kind::Decoys, Cause::Unknown, cause, confidence).right();
        assert!(found(Cause::Unknown, 0.3) && found(Cause::ApplicationCap, 0.3));
        assert!(!found(Cause::ApplicationCap, 0.6) && !found(Cause::None, 0.85));
    }

    #[test]
    fn selftests_are_pooled_from_what_they_wrote() {
        let first = Score::new(About { seeds: vec!["usual".into()], ..About::default() }, many(Kind::Plain, 3), vec![]);
        let mut rows = many(Kind::Plain, 2);
        rows[0].found = Found::NotJudged(Outcome::TimedOut);
        let second = Score::new(About { seeds: vec!["7".into()], ..About::default() }, rows, vec![]);
        let again = |score: &Score| serde_json::from_str::<Score>(&serde_json::to_string(score).unwrap()).unwrap();
        assert_eq!(again(&second).rows, second.rows);
        let pooled = Score::pooled(vec![again(&first), again(&second)]);
        assert_eq!(pooled.kinds[0].right, Share { right: 4, of: 5 });
        assert_eq!(pooled.about.seeds, ["usual", "7"], "each seed once");
    }

    #[test]
    fn nothing_injected_is_no_success() {
        assert!(!score(Vec::new()).passed);
    }

    #[test]
    fn columns_begin_with_what_was_injected() {
        let score = score(vec![
            row(Kind::Plain, Cause::Hang, Cause::AcceptQueue, 0.6),
            row(Kind::Plain, Cause::Crash, Cause::Crash, 0.85),
        ]);
        assert_eq!(score.columns(), ["crash", "hang", "accept-queue"]);
    }
}
