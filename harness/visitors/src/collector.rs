//! The ledger with a clock: what visitors and the operator do to it, and the lines of the record that come of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wsceiling_model::url::Url;
use wsceiling_model::visitors::{
    BrowserFamily, GeneratorSummary, GeneratorTick, Mark, MarkKind, PausedBy, Refusal, ServerRow, Setting, StoppedBy,
    Tick, VisitorsLine,
};

use crate::control::{Command, Rejected, Status};
use crate::ledger::{Ledger, Limits};
use crate::report::{Answer, Report};
use crate::token::{NoRandom, Tokens};
use crate::{POLL_MS, VALID_MS};

/// Time between two summaries in the record.
const SUMMARY_EVERY_MS: u64 = 10_000;
/// Most marks of a run; more changes are refused, so that nothing can fill the record.
const MARKS: usize = 1_000;
/// Longest note in characters.
const NOTE_MAX: usize = 200;

/// What is fixed for the whole run.
#[derive(Debug, Clone)]
pub struct Options {
    /// What visitors connect to.
    pub target: Url,
    /// Origins of pages that may take part; empty: any.
    pub sites: Vec<String>,
    /// The setting at the start.
    pub setting: Setting,
    /// Most bytes that one visitor sends and receives.
    pub byte_budget: u64,
    /// Pause after so long without anybody who watches; `None`: nobody needs to.
    pub attended: Option<Duration>,
    /// The target is on loopback: only browsers of this machine can reach it, and others would find their own machine there.
    pub only_here: bool,
    /// Bounds of the collector.
    pub limits: Limits,
}

/// Collects what visitors say, and tells each what to hold.
pub struct Collector {
    options: Options,
    tokens: Tokens,
    epoch: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    ledger: Ledger,
    /// The record so far.
    lines: Vec<VisitorsLine>,
    /// Lines that were given to the record.
    given: usize,
    marks: usize,
    paused: Option<PausedBy>,
    stopped: Option<StoppedBy>,
    watched_ms: u64,
    summary_ms: u64,
    notes: Vec<String>,
    /// What the generator said last; `None`: it was not asked for yet.
    generator: Option<GeneratorTick>,
    met: GeneratorSummary,
}

impl Collector {
    /// A collector whose clock starts now.
    pub fn new(options: Options) -> Result<Self, NoRandom> {
        let ledger = Ledger::new(options.setting, options.limits);
        let started = VisitorsLine::Mark(Mark { t_ms: 0, what: MarkKind::Started });
        let inner = Inner {
            ledger,
            lines: vec![started],
            given: 0,
            marks: 1,
            paused: None,
            stopped: None,
            watched_ms: 0,
            summary_ms: 0,
            notes: Vec::new(),
            generator: None,
            met: GeneratorSummary::default(),
        };
        Ok(Self { options, tokens: Tokens::new()?, epoch: Instant::now(), inner: Mutex::new(inner) })
    }

    /// What is fixed.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// When the clock of the record started.
    pub fn epoch(&self) -> Instant {
        self.epoch
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new visitor, of whom only the family of its browser is known.
    pub(crate) fn join(&self, family: BrowserFamily) -> Result<Answer, Refusal> {
        let mut inner = self.inner();
        let id = inner.ledger.join(self.now_ms(), family)?;
        let setting = inner.ledger.setting();
        drop(inner);
        Ok(Answer { token: Some(self.tokens.issue(id)), ..self.answer(setting, 0) })
    }

    /// A report, as it came.
    pub(crate) fn report(&self, body: &[u8]) -> Result<Answer, Refusal> {
        let report: Result<Report, _> = serde_json::from_slice(body);
        let visitor = report.as_ref().ok().map(|report| self.tokens.visitor(&report.token));
        let mut inner = self.inner();
        let (report, id) = match (report, visitor) {
            (Ok(report), Some(Some(id))) => (report, id),
            (Ok(_), _) => return Err(inner.ledger.refuse(Refusal::Forged)),
            (Err(_), _) => return Err(inner.ledger.refuse(Refusal::Malformed)),
        };
        let granted = inner.ledger.report(self.now_ms(), id, &report)?;
        let setting = inner.ledger.setting();
        drop(inner);
        Ok(self.answer(setting, granted))
    }

    /// Counts a request that was not even looked into.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Refusal {
        self.inner().ledger.refuse(refusal)
    }

    fn answer(&self, setting: Setting, connections: u32) -> Answer {
        Answer {
            token: None,
            connections,
            rate_per_s: setting.rate_per_s.min(2.0),
            message_bytes: setting.message.map_or(0, |message| message.bytes),
            message_every_ms: setting.message.map_or(0, |message| message.every_ms),
            valid_ms: VALID_MS,
            poll_ms: POLL_MS,
            target: self.options.target.to_string(),
            byte_budget: self.options.byte_budget,
        }
    }

    /// Somebody watches at this moment.
    pub(crate) fn watched(&self) {
        self.inner().watched_ms = self.now_ms();
    }

    /// Does what the operator wants; what was done, in a line.
    pub fn command(&self, command: &Command) -> Result<String, Rejected> {
        let mut inner = self.inner();
        let now_ms = self.now_ms();
        inner.watched_ms = now_ms;
        if inner.stopped.is_some() {
            return Err(Rejected::Stopped);
        }
        // The end must always be possible.
        if inner.marks >= MARKS && *command != Command::Stop && *command != Command::Pause {
            return Err(Rejected::TooManyMarks(MARKS));
        }
        match command {
            Command::Set(change) => {
                let from = inner.ledger.setting();
                let to = from.with(*change)?;
                if to == from {
                    return Ok("nothing to change: it is set so already".to_owned());
                }
                inner.ledger.set(now_ms, to);
                inner.mark(now_ms, MarkKind::Changed { from, to });
                Ok("changed: visitors follow within 7 s".to_owned())
            }
            Command::Pause => {
                inner.pause(now_ms, PausedBy::Operator);
                Ok("paused: all is closed within 7 s".to_owned())
            }
            Command::Resume => match inner.paused {
                Some(PausedBy::Target) => Err(Rejected::TargetDenies),
                None => Ok("it runs already".to_owned()),
                Some(_) => {
                    inner.resume(now_ms);
                    Ok("resumed".to_owned())
                }
            },
            Command::Note { text } => {
                let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(NOTE_MAX).collect();
                let text = text.trim().to_owned();
                if text.is_empty() {
                    return Err(Rejected::EmptyNote);
                }
                inner.mark(now_ms, MarkKind::Note { text });
                Ok("noted".to_owned())
            }
            Command::Stop => {
                inner.stop(now_ms, StoppedBy::Operator);
                Ok("stopping: visitors close everything, and the report follows".to_owned())
            }
        }
    }

    /// Ends it, if it has not ended.
    pub fn stop(&self, by: StoppedBy) {
        let now_ms = self.now_ms();
        let mut inner = self.inner();
        if inner.stopped.is_none() {
            inner.stop(now_ms, by);
        }
    }

    /// Whether it was ended; visitors are still told to hold nothing.
    pub fn is_stopped(&self) -> bool {
        self.inner().stopped.is_some()
    }

    /// Whether the generator holds nothing, and every visitor has said that it holds nothing, or could not hold anything any
    /// more.
    pub fn all_have_ended(&self) -> bool {
        let inner = self.inner();
        inner.ledger.reserved() == 0 && inner.generator.is_none_or(|generator| generator.open == 0)
    }

    /// The setting that the generator follows: with no connections of it while paused. `None`: the run has ended.
    pub fn wanted_of_generator(&self) -> Option<Setting> {
        let inner = self.inner();
        inner.stopped.is_none().then(|| Setting { generator: inner.generator_goal(), ..inner.ledger.setting() })
    }

    /// What the generator says of itself: its counters, whose goal is not read, and what it met.
    pub fn generator_says(&self, counters: GeneratorTick, met: GeneratorSummary) {
        let mut inner = self.inner();
        (inner.generator, inner.met) = (Some(counters), met);
    }

    /// The target said whether it may be loaded.
    pub fn target_says(&self, yes: bool) {
        let now_ms = self.now_ms();
        let mut inner = self.inner();
        match (yes, inner.paused) {
            (false, paused) if paused != Some(PausedBy::Target) && inner.stopped.is_none() => {
                inner.pause(now_ms, PausedBy::Target);
            }
            // The operator decides whether it goes on.
            (true, Some(PausedBy::Target)) => inner.paused = Some(PausedBy::Operator),
            _ => {}
        }
    }

    /// Numbers of the server.
    pub fn server(&self, row: ServerRow) {
        self.inner().lines.push(VisitorsLine::Server(row));
    }

    /// Why numbers of the server are missing.
    pub fn note(&self, notes: Vec<String>) {
        self.inner().notes.extend(notes);
    }

    /// Once a second: looks at the clock, and gives the lines that the record still lacks.
    pub fn tick(&self) -> Vec<VisitorsLine> {
        let now_ms = self.now_ms();
        let mut inner = self.inner();
        let absent =
            self.options.attended.is_some_and(|most| now_ms.saturating_sub(inner.watched_ms) > most.as_millis() as u64);
        if absent && inner.paused.is_none() && inner.stopped.is_none() {
            inner.pause(now_ms, PausedBy::Absence);
        }
        let tick = inner.tick(now_ms);
        inner.lines.push(VisitorsLine::Tick(tick));
        if now_ms.saturating_sub(inner.summary_ms) >= SUMMARY_EVERY_MS {
            inner.sum_up(now_ms);
        }
        inner.new_lines()
    }

    /// The last lines: the counters and the summary as they are.
    pub fn finish(&self) -> Vec<VisitorsLine> {
        let now_ms = self.now_ms();
        let mut inner = self.inner();
        let tick = inner.tick(now_ms);
        inner.lines.push(VisitorsLine::Tick(tick));
        inner.sum_up(now_ms);
        inner.new_lines()
    }

    /// Looks at the record so far, with a summary as of now.
    pub fn look<R>(&self, look: impl FnOnce(&[VisitorsLine]) -> R) -> R {
        let lines = {
            let inner = self.inner();
            let summary = VisitorsLine::Summary(inner.summary(self.now_ms()));
            let mut lines = inner.lines.clone();
            lines.push(summary);
            lines
        };
        look(&lines)
    }

    /// How it is.
    pub fn status(&self) -> Status {
        let now_ms = self.now_ms();
        let mut inner = self.inner();
        let tick = inner.tick(now_ms);
        Status {
            target: self.options.target.to_string(),
            setting: inner.ledger.setting(),
            paused: inner.paused,
            stopped: inner.stopped,
            tick,
            summary: inner.summary(now_ms),
        }
    }
}

impl Inner {
    fn mark(&mut self, t_ms: u64, what: MarkKind) {
        self.marks += 1;
        self.lines.push(VisitorsLine::Mark(Mark { t_ms, what }));
    }

    fn pause(&mut self, now_ms: u64, by: PausedBy) {
        // A second one changes nothing, but that the target's word is the stronger one.
        if self.paused.is_none() || by == PausedBy::Target {
            self.mark(now_ms, MarkKind::Paused { by });
            self.paused = Some(by);
        }
        self.ledger.run(false);
    }

    fn resume(&mut self, now_ms: u64) {
        self.paused = None;
        self.ledger.run(true);
        self.mark(now_ms, MarkKind::Resumed);
    }

    fn stop(&mut self, now_ms: u64, by: StoppedBy) {
        self.stopped = Some(by);
        self.ledger.run(false);
        self.mark(now_ms, MarkKind::Stopped { by });
    }

    /// Connections that are wanted of the generator at this moment.
    fn generator_goal(&self) -> u32 {
        if self.ledger.is_running() { self.ledger.setting().generator } else { 0 }
    }

    fn tick(&mut self, now_ms: u64) -> Tick {
        let goal = self.generator_goal();
        let mut tick = self.ledger.tick(now_ms);
        if goal > 0 || self.generator.is_some() {
            let said = self.generator.unwrap_or_default();
            tick.generator = Some(GeneratorTick { goal, granted: said.granted.min(goal), ..said });
        }
        tick
    }

    fn summary(&self, now_ms: u64) -> wsceiling_model::visitors::Summary {
        let mut summary = self.ledger.summary(now_ms);
        summary.notes.clone_from(&self.notes);
        summary.generator.clone_from(&self.met);
        summary
    }

    fn sum_up(&mut self, now_ms: u64) {
        self.summary_ms = now_ms;
        let summary = self.summary(now_ms);
        self.lines.push(VisitorsLine::Summary(summary));
    }

    fn new_lines(&mut self) -> Vec<VisitorsLine> {
        let new = self.lines[self.given..].to_vec();
        // Only the last summary counts.
        let last = self.lines.len().saturating_sub(new.len());
        self.lines.retain({
            let mut at = 0;
            move |line| {
                at += 1;
                at > last || !matches!(line, VisitorsLine::Summary(_))
            }
        });
        self.given = self.lines.len();
        new
    }
}
