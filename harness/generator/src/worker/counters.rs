//! What a worker counts: in a window, and since its start.

use std::ops::Range;

use nix::errno::Errno;

use super::losses::{Loss, Losses};
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

/// Counters since the last report, and totals since the start. Failures and openings of the time between two windows belong
/// to the later one, so that nothing is lost. Messages of the load belong to the window in which they were due; a hold and
/// the probe after it are one for them, so that late answers count.
#[derive(Debug)]
pub struct Counters {
    totals: Status,
    /// Start of the window.
    from_ns: u64,
    /// Moments of the messages that count as load.
    load: Range<u64>,
    /// Those are of a hold that is under way or was not followed by its probe yet.
    holding: bool,
    due: u64,
    issued: u64,
    opened: u64,
    lost: u64,
    messages_due: u64,
    messages_sent: u64,
    messages_answered: u64,
    probes: u64,
    probes_answered: u64,
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
    /// Longest wait of what was answered in the window, whatever it belongs to.
    slowest_reply_ns: u64,
    connect: hdrhistogram::Histogram<u64>,
    handshake: hdrhistogram::Histogram<u64>,
    /// Made when the first keys are agreed.
    tls: Option<hdrhistogram::Histogram<u64>>,
    /// Made when a storm needs it.
    restored: Option<hdrhistogram::Histogram<u64>>,
    reply: hdrhistogram::Histogram<u64>,
    /// Made when the first probe is answered.
    probe: Option<hdrhistogram::Histogram<u64>>,
    lag: hdrhistogram::Histogram<u64>,
    /// Largest lag since the last status, in microseconds.
    pub lag_us_max: u64,
    failures: Vec<Failure>,
    losses: Losses,
}

impl Counters {
    /// Nothing counted yet.
    pub fn new(from_ns: u64) -> Self {
        Self {
            totals: Status::default(),
            from_ns,
            load: from_ns..u64::MAX,
            holding: false,
            due: 0,
            issued: 0,
            opened: 0,
            lost: 0,
            messages_due: 0,
            messages_sent: 0,
            messages_answered: 0,
            probes: 0,
            probes_answered: 0,
            closes: 0,
            closes_answered: 0,
            unasked: 0,
            last_issued_ns: 0,
            last_opened_ns: 0,
            any_failed: false,
            opened_after_failure: 0,
            slowest_reply_ns: 0,
            connect: histogram::new(),
            handshake: histogram::new(),
            tls: None,
            restored: None,
            reply: histogram::new(),
            probe: None,
            lag: histogram::new(),
            lag_us_max: 0,
            failures: Vec::new(),
            losses: Losses::default(),
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
        record(&mut self.connect, took_ns);
    }

    /// The keys of a connection were agreed so long after its first flight.
    pub fn keyed(&mut self, took_ns: u64) {
        record(self.tls.get_or_insert_with(histogram::new), took_ns);
    }

    /// An upgrade is accepted now whose connect was intended for `intended_ns`.
    pub fn opened(&mut self, intended_ns: u64, now_ns: u64) {
        self.opened += 1;
        self.opened_after_failure += u64::from(self.any_failed);
        self.last_opened_ns = now_ns;
        record(&mut self.handshake, now_ns.saturating_sub(intended_ns));
    }

    /// A connection is open again, so long after the storm.
    pub fn restored(&mut self, took_ns: u64) {
        record(self.restored.get_or_insert_with(histogram::new), took_ns);
    }

    /// Moments of the messages that count as load: those of the window, or of the hold that a probe follows on.
    pub fn load(&self) -> Range<u64> {
        self.load.clone()
    }

    /// Whether a hold, or the probe after it, is under way.
    pub fn is_holding(&self) -> bool {
        self.holding
    }

    /// A message that was due at `intended_ns` is sent.
    #[inline]
    pub fn asked(&mut self, intended_ns: u64) {
        let counts = u64::from(self.load.contains(&intended_ns));
        self.messages_due += counts;
        self.messages_sent += counts;
    }

    /// So many messages are due at `intended_ns`, and cannot be sent then.
    pub fn message_due(&mut self, intended_ns: u64, messages: u64) {
        self.messages_due += if self.load.contains(&intended_ns) { messages } else { 0 };
    }

    /// So many messages that were counted as due at `intended_ns` are sent.
    pub fn message_sent(&mut self, intended_ns: u64, messages: u64) {
        self.messages_sent += if self.load.contains(&intended_ns) { messages } else { 0 };
    }

    /// A reply to a message that was to be sent at `intended_ns`. Counts where the message belongs to the window.
    #[inline]
    pub fn answered(&mut self, intended_ns: u64, now_ns: u64) {
        self.slowest_reply_ns = self.slowest_reply_ns.max(now_ns.saturating_sub(intended_ns));
        if self.load.contains(&intended_ns) {
            self.messages_answered += 1;
            record(&mut self.reply, now_ns.saturating_sub(intended_ns));
        }
    }

    /// Nobody answered so many messages that were due at `intended_ns`: they have waited until `end_ns`.
    pub fn unanswered(&mut self, intended_ns: u64, end_ns: u64, messages: u64) {
        if self.load.contains(&intended_ns) {
            // It grows with what is recorded, so nothing is out of its range.
            let _ = self.reply.record_n(end_ns.saturating_sub(intended_ns) / 1000, messages);
        }
    }

    /// So many messages of the probe are sent.
    pub fn probed(&mut self, messages: u64) {
        self.probes += messages;
    }

    /// A reply to a message of a probe. It does not count once that probe is over.
    pub fn probe_answered(&mut self, intended_ns: u64, now_ns: u64) {
        self.slowest_reply_ns = self.slowest_reply_ns.max(now_ns.saturating_sub(intended_ns));
        if intended_ns >= self.load.end {
            self.probes_answered += 1;
            self.probe_unanswered(intended_ns, now_ns, 1);
        }
    }

    /// Nobody answered so many messages of a probe: they have waited until `end_ns`.
    pub fn probe_unanswered(&mut self, intended_ns: u64, end_ns: u64, messages: u64) {
        if intended_ns >= self.load.end {
            let probe = self.probe.get_or_insert_with(histogram::new);
            let _ = probe.record_n(end_ns.saturating_sub(intended_ns) / 1000, messages);
        }
    }

    /// Something that was due at `intended_ns` is done now.
    #[inline]
    pub fn late(&mut self, intended_ns: u64, now_ns: u64) {
        let lag_ns = now_ns.saturating_sub(intended_ns);
        record(&mut self.lag, lag_ns);
        self.lag_us_max = self.lag_us_max.max(lag_ns / 1000);
    }

    /// A connection failed before it was open.
    pub fn failed(&mut self, at: FailedAt, reason: &FailureReason, now_ns: u64) {
        self.note(at, reason, now_ns);
        self.any_failed |= !reason.is_retried();
        self.totals.failed += 1;
    }

    /// An open connection is lost.
    pub fn lost(&mut self, reason: &FailureReason, loss: Loss, now_ns: u64) {
        self.note(FailedAt::Open, reason, now_ns);
        self.losses.add(reason, loss);
        self.lost += 1;
        self.totals.lost += 1;
    }

    /// Whether any open connection was lost so far.
    pub fn any_lost(&self) -> bool {
        self.totals.lost > 0
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

    /// Begins the window of an opening. What was due since the last window belongs to it, but for what follows on a hold
    /// without a probe.
    pub fn begin_opening(&mut self, from_ns: u64) {
        self.from_ns = from_ns;
        if self.holding {
            self.begin_load(from_ns);
        }
    }

    /// Begins the window of a hold.
    pub fn begin_hold(&mut self, now_ns: u64) {
        self.from_ns = now_ns;
        self.begin_load(now_ns);
        self.holding = true;
    }

    /// Begins the window of a probe: what is due from now on is no load, and what was due since the hold began still is.
    pub fn begin_probe(&mut self, now_ns: u64) {
        self.from_ns = now_ns;
        self.load.end = now_ns;
        self.holding = true;
    }

    /// The hold and its probe are over: what is due from now on belongs to what comes next.
    pub fn begin_load(&mut self, now_ns: u64) {
        self.load = now_ns..u64::MAX;
        self.holding = false;
        self.clear_messages();
    }

    fn clear_messages(&mut self) {
        (self.messages_due, self.messages_sent, self.messages_answered) = (0, 0, 0);
        (self.probes, self.probes_answered, self.probe) = (0, 0, None);
        clear(&mut self.reply);
        clear(&mut self.lag);
    }

    /// Ends the window: what was counted, and the next one starts at `now_ns`. Which messages count as load stays as it is.
    /// The caller adds what is open.
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
            probes: self.probes,
            probes_answered: self.probes_answered,
            closes: std::mem::take(&mut self.closes),
            closes_answered: std::mem::take(&mut self.closes_answered),
            unasked: self.unasked,
            last_issued_ns: self.last_issued_ns,
            last_opened_ns: self.last_opened_ns,
            opened_after_failure: std::mem::take(&mut self.opened_after_failure),
            slowest_reply_us: std::mem::take(&mut self.slowest_reply_ns) / 1000,
            connect: (&self.connect).into(),
            handshake: (&self.handshake).into(),
            tls: self.tls.take().map_or_else(Histogram::default, |tls| (&tls).into()),
            restored: self.restored.take().map_or_else(Histogram::default, |restored| (&restored).into()),
            reply: (&self.reply).into(),
            probe: self.probe.take().map_or_else(Histogram::default, |probe| (&probe).into()),
            lag: (&self.lag).into(),
            failures: std::mem::take(&mut self.failures),
            losses: self.losses.take(),
            ..Window::default()
        };
        (self.due, self.issued, self.opened, self.lost, self.unasked) = (0, 0, 0, 0, 0);
        self.any_failed = false;
        clear(&mut self.connect);
        clear(&mut self.handshake);
        self.from_ns = now_ns;
        self.clear_messages();
        window
    }
}

/// Records a time, in microseconds.
#[inline]
fn record(histogram: &mut hdrhistogram::Histogram<u64>, took_ns: u64) {
    // It grows with what is recorded, so nothing is out of its range.
    let _ = histogram.record(took_ns / 1000);
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
        counters.lost(&FailureReason::Eof, Loss { age_ms: 7, quiet_ms: 3, silent: false }, 5);
        counters.answered(7, 9);
        counters.begin_hold(10);
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
        for intended in [9, 10, 11] {
            counters.asked(intended);
            counters.answered(intended, 20);
        }
        counters.message_due(12, 1);
        let window = counters.take(30);
        assert_eq!((window.messages_due, window.messages_sent, window.messages_answered), (3, 2, 2));
    }

    #[test]
    fn a_hold_and_its_probe_are_one_for_the_load_and_probes_count_apart() {
        let mut counters = Counters::new(0);
        counters.begin_hold(100);
        counters.asked(150);
        counters.asked(160);
        counters.answered(150, 170);
        let hold = counters.take(200);
        assert_eq!((hold.messages_due, hold.messages_sent, hold.messages_answered), (2, 2, 1));
        // Between the hold and its probe the load goes on.
        counters.asked(201);
        counters.begin_probe(210);
        counters.answered(160, 220);
        counters.unanswered(201, 5_000_201, 1);
        counters.asked(215);
        counters.answered(215, 230);
        counters.probed(2);
        counters.probe_answered(216, 3_000_216);
        counters.probe_unanswered(217, 9_000_217, 1);
        assert!(counters.is_holding());
        let probe = counters.take(300);
        assert_eq!((probe.messages_due, probe.messages_sent, probe.messages_answered), (1, 1, 1));
        assert_eq!((probe.probes, probe.probes_answered), (2, 1));
        let (reply, asked) = (probe.reply.decode().unwrap(), probe.probe.decode().unwrap());
        assert_eq!((reply.len(), reply.max() / 10, asked.len(), asked.max() / 10), (2, 500, 2, 900));
        counters.begin_load(300);
        counters.answered(201, 400);
        counters.probe_answered(217, 400);
        let next = counters.take(500);
        assert_eq!((next.messages_answered, next.probes_answered, counters.is_holding()), (0, 0, false));
    }

    #[test]
    fn what_follows_on_a_hold_without_a_probe_is_counted_anew() {
        let mut counters = Counters::new(0);
        counters.begin_hold(100);
        counters.take(200);
        counters.asked(201);
        counters.begin_opening(210);
        counters.asked(211);
        assert_eq!(counters.take(300).messages_due, 1);
    }

    #[test]
    fn a_wait_of_an_hour_is_recorded_as_one() {
        let mut counters = Counters::new(1);
        let hour = 3_600_000_000_000;
        counters.answered(1, hour);
        counters.unanswered(1, hour, 3);
        let reply = counters.take(hour).reply.decode().unwrap();
        assert!(reply.len() == 4 && reply.max() >= 3_600_000_000 - 1, "{}", reply.max());
    }

    #[test]
    fn the_slowest_reply_of_a_window_counts_whatever_it_answers() {
        let mut counters = Counters::new(0);
        counters.answered(1_000, 4_001_000);
        // Due before the hold.
        counters.begin_hold(5_000_000);
        counters.answered(4_500_000, 9_500_000);
        assert_eq!(counters.take(10_000_000).slowest_reply_us, 5000);
        counters.begin_probe(11_000_000);
        counters.probe_answered(11_000_000, 12_000_000);
        assert_eq!(counters.take(20_000_000).slowest_reply_us, 1000);
        assert_eq!(counters.take(30_000_000).slowest_reply_us, 0);
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
