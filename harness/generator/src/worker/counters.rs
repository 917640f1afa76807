//! What a worker counts: in a window, and since its start.

use nix::errno::Errno;

use crate::histogram;
use crate::ipc::{Failure, Histogram, Status, Window};
use wsceiling_model::record::{self, FailedAt, FailureReason};

/// Most different reasons in a window: a hostile server could invent them without end.
const REASONS_MAX: usize = 200;

/// What an errno says of a connection.
pub fn reason_of(errno: Errno) -> FailureReason {
    match errno {
        Errno::ECONNRESET | Errno::EPIPE => FailureReason::Reset,
        other => FailureReason::Errno(named(other)),
    }
}

/// An errno as the record has it.
pub(super) fn named(errno: Errno) -> record::Errno {
    record::Errno::from_name(&format!("{errno:?}"))
}

/// Counters since the last report, and totals since the start. Failures and openings of the time between two windows belong to the later one, so
/// that nothing is lost; messages count from the window's start.
#[derive(Debug)]
pub struct Counters {
    totals: Status,
    /// Start of the window.
    pub from_ns: u64,
    due: u64,
    issued: u64,
    opened: u64,
    lost: u64,
    /// See [`Window::messages_due`].
    pub messages_due: u64,
    /// See [`Window::messages_due`].
    pub messages_sent: u64,
    /// See [`Window::messages_due`].
    pub messages_answered: u64,
    /// See [`Window::closes`].
    pub closes: u64,
    /// See [`Window::closes`].
    pub closes_answered: u64,
    /// See [`Window::unasked`].
    pub unasked: u64,
    last_issued_ns: u64,
    last_opened_ns: u64,
    /// Whether a connect has failed for good in the window, and the upgrades accepted since.
    any_failed: bool,
    opened_after_failure: u64,
    connect: hdrhistogram::Histogram<u64>,
    handshake: hdrhistogram::Histogram<u64>,
    /// Made when the first keys are agreed.
    tls: Option<hdrhistogram::Histogram<u64>>,
    /// Made when a storm needs it.
    restored: Option<hdrhistogram::Histogram<u64>>,
    reply: hdrhistogram::Histogram<u64>,
    lag: hdrhistogram::Histogram<u64>,
    /// Largest lag since the last status, in microseconds.
    pub lag_us_max: u64,
    failures: Vec<Failure>,
}

impl Counters {
    /// Nothing counted yet.
    pub fn new(from_ns: u64) -> Self {
        Self {
            totals: Status::default(),
            from_ns,
            due: 0,
            issued: 0,
            opened: 0,
            lost: 0,
            messages_due: 0,
            messages_sent: 0,
            messages_answered: 0,
            closes: 0,
            closes_answered: 0,
            unasked: 0,
            last_issued_ns: 0,
            last_opened_ns: 0,
            any_failed: false,
            opened_after_failure: 0,
            connect: histogram::new(),
            handshake: histogram::new(),
            tls: None,
            restored: None,
            reply: histogram::new(),
            lag: histogram::new(),
            lag_us_max: 0,
            failures: Vec::new(),
        }
    }

    /// So many connects have become due.
    pub fn due(&mut self, connects: u64) {
        self.due += connects;
        self.totals.due += connects;
    }

    /// A connect that was due at `intended_ns` is issued now.
    pub fn issued(&mut self, intended_ns: u64, now_ns: u64) {
        self.late(intended_ns, now_ns);
        self.issued += 1;
        self.last_issued_ns = now_ns;
        self.totals.issued += 1;
    }

    /// A TCP connect took so long.
    pub fn connected(&mut self, took_ns: u64) {
        self.connect.saturating_record(took_ns / 1000);
    }

    /// The keys of a connection were agreed so long after its first flight.
    pub fn keyed(&mut self, took_ns: u64) {
        self.tls.get_or_insert_with(histogram::new).saturating_record(took_ns / 1000);
    }

    /// An upgrade is accepted now whose connect was intended for `intended_ns`.
    pub fn opened(&mut self, intended_ns: u64, now_ns: u64) {
        self.opened += 1;
        self.opened_after_failure += u64::from(self.any_failed);
        self.last_opened_ns = now_ns;
        self.handshake.saturating_record(now_ns.saturating_sub(intended_ns) / 1000);
    }

    /// A connection is open again, so long after the storm.
    pub fn restored(&mut self, took_ns: u64) {
        // It grows with what is recorded, so nothing is out of its range.
        let _ = self.restored.get_or_insert_with(histogram::long).record(took_ns / 1000);
    }

    /// A message is due at `intended_ns`. Counts where it belongs to the window, as its reply will.
    #[inline]
    pub fn asked(&mut self, intended_ns: u64, sent: bool) {
        if intended_ns >= self.from_ns {
            self.messages_due += 1;
            self.messages_sent += u64::from(sent);
        }
    }

    /// A reply to a message that was to be sent at `intended_ns`. Counts where the message belongs to the window.
    #[inline]
    pub fn answered(&mut self, intended_ns: u64, now_ns: u64) {
        if intended_ns >= self.from_ns {
            self.messages_answered += 1;
            self.reply.saturating_record(now_ns.saturating_sub(intended_ns) / 1000);
        }
    }

    /// Something that was due at `intended_ns` is done now.
    #[inline]
    pub fn late(&mut self, intended_ns: u64, now_ns: u64) {
        let lag_us = now_ns.saturating_sub(intended_ns) / 1000;
        self.lag.saturating_record(lag_us);
        self.lag_us_max = self.lag_us_max.max(lag_us);
    }

    /// A connection failed before it was open.
    pub fn failed(&mut self, at: FailedAt, reason: &FailureReason, now_ns: u64) {
        self.note(at, reason, now_ns);
        self.any_failed |= !reason.is_retried();
        self.totals.failed += 1;
    }

    /// An open connection is lost.
    pub fn lost(&mut self, reason: &FailureReason, now_ns: u64) {
        self.note(FailedAt::Open, reason, now_ns);
        self.lost += 1;
        self.totals.lost += 1;
    }

    /// Something failed, which need not have been the end of a connection.
    pub fn note(&mut self, at: FailedAt, reason: &FailureReason, now_ns: u64) {
        let known = |failures: &[Failure], reason: &FailureReason| {
            failures.iter().position(|known| known.at == at && known.reason == *reason)
        };
        let (reason, known) = match known(&self.failures, reason) {
            None if self.failures.len() >= REASONS_MAX => {
                (&FailureReason::ManyOthers, known(&self.failures, &FailureReason::ManyOthers))
            }
            known => (reason, known),
        };
        match known {
            Some(index) => self.failures[index].count += 1,
            None => self.failures.push(Failure { at, reason: reason.clone(), count: 1, first_ns: now_ns }),
        }
    }

    /// The most frequent failure of the window so far.
    fn top_failure(&self) -> Option<Failure> {
        let final_ones = self.failures.iter().filter(|failure| !failure.reason.is_retried());
        final_ones.max_by_key(|failure| failure.count).cloned()
    }

    /// The 99th percentile of the replies so far in the window, in microseconds.
    fn reply_us_p99(&self) -> Option<u64> {
        (!self.reply.is_empty()).then(|| self.reply.value_at_quantile(0.99))
    }

    /// The totals with what the window adds to them. `lag_us` is how late the status itself is.
    pub fn status(&mut self, now_ns: u64, lag_us: u64, (open, held): (u64, u64), live: bool) -> Status {
        let totals = &mut self.totals;
        // The first status is due as soon as the worker is configured, so it is never on time.
        let lag_us = if totals.now_ns == 0 { 0 } else { lag_us };
        totals.lag_us_max = std::mem::take(&mut self.lag_us_max).max(lag_us);
        (totals.now_ns, totals.open, totals.held) = (now_ns, open, held);
        if live {
            self.totals.top_failure = self.top_failure();
            self.totals.reply_us_p99 = self.reply_us_p99();
        }
        self.totals.clone()
    }

    /// Begins a window of messages.
    pub fn begin_messages(&mut self, now_ns: u64) {
        self.from_ns = now_ns;
        (self.messages_due, self.messages_sent, self.messages_answered) = (0, 0, 0);
        clear(&mut self.reply);
        clear(&mut self.lag);
    }

    /// Ends the window: what was counted, and everything starts again at `now_ns`. The caller adds what is open.
    pub fn take(&mut self, now_ns: u64) -> Window {
        let window = Window {
            from_ns: self.from_ns,
            to_ns: now_ns,
            due: self.due,
            issued: self.issued,
            opened: self.opened,
            lost: self.lost,
            messages_due: self.messages_due,
            messages_sent: self.messages_sent,
            messages_answered: self.messages_answered,
            closes: std::mem::take(&mut self.closes),
            closes_answered: std::mem::take(&mut self.closes_answered),
            unasked: self.unasked,
            last_issued_ns: self.last_issued_ns,
            last_opened_ns: self.last_opened_ns,
            opened_after_failure: std::mem::take(&mut self.opened_after_failure),
            connect: (&self.connect).into(),
            handshake: (&self.handshake).into(),
            tls: self.tls.take().map_or_else(Histogram::default, |tls| (&tls).into()),
            restored: self.restored.take().map_or_else(Histogram::default, |restored| (&restored).into()),
            reply: (&self.reply).into(),
            lag: (&self.lag).into(),
            failures: std::mem::take(&mut self.failures),
            ..Window::default()
        };
        (self.due, self.issued, self.opened, self.lost, self.unasked) = (0, 0, 0, 0, 0);
        self.any_failed = false;
        clear(&mut self.connect);
        clear(&mut self.handshake);
        self.begin_messages(now_ns);
        window
    }
}

/// Empties a histogram; one that is empty is left alone, because clearing touches all of its memory.
fn clear(histogram: &mut hdrhistogram::Histogram<u64>) {
    if !histogram.is_empty() {
        histogram.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_between_windows_are_in_the_next_and_earlier_replies_are_not() {
        let mut counters = Counters::new(0);
        counters.lost(&FailureReason::Eof, 5);
        counters.answered(7, 9);
        counters.begin_messages(10);
        counters.note(FailedAt::Open, &FailureReason::Eof, 12);
        counters.answered(9, 11);
        counters.answered(10, 1_000_010);
        let window = counters.take(20);
        assert_eq!((window.from_ns, window.to_ns, window.lost, window.messages_answered), (10, 20, 1, 1));
        let eof = Failure { at: FailedAt::Open, reason: FailureReason::Eof, count: 2, first_ns: 5 };
        assert_eq!(window.failures, [eof]);
        let reply = window.reply.decode().unwrap();
        assert_eq!((reply.len(), reply.max()), (1, 1000));
        let next = counters.take(30);
        assert_eq!((next.from_ns, next.lost, next.failures.len()), (20, 0, 0));
        assert!(next.reply.0.is_empty());
    }

    #[test]
    fn what_was_due_before_the_window_counts_neither_as_asked_nor_as_answered() {
        let mut counters = Counters::new(10);
        for (intended, sent) in [(9, true), (10, true), (11, false)] {
            counters.asked(intended, sent);
            counters.answered(intended, 20);
        }
        let window = counters.take(30);
        assert_eq!((window.messages_due, window.messages_sent, window.messages_answered), (2, 1, 2));
    }

    #[test]
    fn what_opens_after_the_first_failure_of_a_window_is_counted_apart() {
        let mut counters = Counters::new(0);
        counters.opened(1, 2);
        counters.failed(FailedAt::Handshake, &FailureReason::Http(429), 3);
        counters.opened(1, 4);
        counters.opened(1, 5);
        let window = counters.take(9);
        assert_eq!((window.opened, window.opened_after_failure), (3, 2));
        counters.opened(1, 10);
        assert_eq!(counters.take(11).opened_after_failure, 0);
    }

    #[test]
    fn invented_causes_do_not_grow_without_end() {
        let mut counters = Counters::new(0);
        for code in 0..10_000 {
            counters.note(FailedAt::Open, &FailureReason::close(code), 1);
        }
        let window = counters.take(2);
        assert_eq!(window.failures.len(), REASONS_MAX + 1);
        assert_eq!(window.failures.iter().map(|failure| failure.count).sum::<u64>(), 10_000);
    }

    #[test]
    fn causes_of_errnos_are_their_names() {
        assert_eq!(reason_of(Errno::EMFILE).to_string(), "errno EMFILE");
        assert_eq!(reason_of(Errno::EPIPE), FailureReason::Reset);
    }
}
