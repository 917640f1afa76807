//! Servers in virtual time whose distribution of reply times is known from arithmetic, against what is counted.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::super::clock::SECOND_NS;
use super::super::scheduler::{GRACE_NS, Turn};
use super::super::table::{ConnectionTable, State};
use super::super::transport::Link;
use super::*;
use crate::ipc::{Window, WorkerConfig};
use crate::worker::tests::config;
use wsceiling_model::matrix::ThinkTime;

const MS: u64 = 1_000_000;

/// Start of the hold: whatever the opening leaves behind has settled.
const FROM: u64 = 100 * SECOND_NS;

/// Connections, the server, and the moment at which it answers what it receives at a moment.
struct World<S> {
    table: ConnectionTable,
    scheduler: Scheduler,
    counters: Counters,
    serve: S,
    answers: BinaryHeap<Reverse<(u64, Handle)>>,
}

impl<S: FnMut(u64) -> u64> World<S> {
    fn new(connections: u32, every: Duration, spread: ThinkTime, from: u64, serve: S) -> Self {
        let config = WorkerConfig { message_every: every, message_spread: spread, ..config() };
        let mut world = Self {
            table: ConnectionTable::new(1),
            scheduler: Scheduler::new(&config, fastrand::Rng::with_seed(11), u64::MAX / 2),
            counters: Counters::new(from),
            serve,
            answers: BinaryHeap::new(),
        };
        for _ in 0..connections {
            let handle = world.table.insert(Connection::connecting(Link::default(), 0, from, from));
            world.table.enter(handle.index, State::Open);
            world.scheduler.add_messages(handle, from);
        }
        world
    }

    fn send(&mut self, handle: Handle, now: u64) {
        let answer = (self.serve)(now);
        self.answers.push(Reverse((answer, handle)));
    }

    /// Lets time pass: whatever is due first happens first.
    fn run(&mut self, to: u64) {
        loop {
            let tick = self.scheduler.next_moment(&self.table);
            let answer = self.answers.peek().map_or(u64::MAX, |Reverse((moment, _))| *moment);
            let now = tick.min(answer);
            if now >= to {
                return;
            }
            if answer == now {
                if let Some(Reverse((_, handle))) = self.answers.pop() {
                    self.answer(handle, now);
                }
                continue;
            }
            match self.scheduler.next_message(tick, &self.table) {
                Turn::Later => panic!("nothing is due at {tick}"),
                Turn::Skipped => {}
                Turn::Blocked(due, handle) => {
                    park(self.table.at(handle.index), due, &self.scheduler, &mut self.counters);
                }
                Turn::Now(due, handle) => {
                    let intended = self.scheduler.ticks.next(due);
                    assert_eq!(intended, now, "it is sent when it is due");
                    ask(self.table.at(handle.index), intended, &mut self.counters);
                    self.send(handle, now);
                }
            }
        }
    }

    fn answer(&mut self, handle: Handle, now: u64) {
        let connection = self.table.at(handle.index);
        if answered(handle, connection, &mut self.scheduler, &mut self.counters, now) {
            self.send(handle, now);
        }
    }

    /// A hold and the second after it in which answers still count.
    fn hold(mut self, length: u64) -> Window {
        self.run(FROM);
        self.counters.begin_hold(FROM);
        let to = FROM + length;
        self.run(to);
        self.counters.begin_probe(to);
        self.scheduler.begin_probe(to, Duration::ZERO, Vec::new(), VecDeque::new());
        let end = to + GRACE_NS;
        // It is over now, but its end is not taken, so that only what is said and answered happens.
        self.scheduler.probe = None;
        self.run(end);
        let waiting: Vec<Handle> = self.table.in_state(State::Open).map(|(handle, _)| handle).collect();
        for handle in waiting {
            if let Some(unanswered) = Unanswered::of(self.table.at(handle.index), to) {
                unanswered.count(&mut self.scheduler, &mut self.counters, end);
            }
        }
        let window = self.counters.take(end);
        assert_eq!(window.reply.decode().unwrap().len(), window.messages_due, "each message due is accounted for");
        window
    }
}

/// Compares the percentiles of the replies with what they must be, in milliseconds: within 2 % or 1 ms.
fn assert_percentiles(window: &Window, expected: [f64; 4]) {
    let reply = window.reply.decode().unwrap();
    for (quantile, expected) in [0.5, 0.9, 0.99, 0.999].into_iter().zip(expected) {
        let measured = reply.value_at_quantile(quantile) as f64 / 1e3;
        let off = (measured - expected).abs();
        assert!(off <= 1.0 || off <= expected * 0.02, "p{}: {measured} ms, not {expected} ms", quantile * 100.0);
    }
}

#[test]
fn a_stall_of_a_second_is_in_the_percentiles_as_long_as_it_was() {
    let stall = FROM + 10 * SECOND_NS..FROM + 11 * SECOND_NS;
    let serve = move |now| if stall.contains(&now) { stall.end } else { now } + 300_000;
    let every = Duration::from_millis(100);
    let window = World::new(200, every, ThinkTime::Fixed, FROM - SECOND_NS, serve).hold(30 * SECOND_NS);
    assert_eq!((window.messages_due, window.messages_answered), (60_000, 60_000));
    // One in thirty was due in the stall, and waited for what was left of it.
    assert_percentiles(&window, [0.3, 0.3, 1000.0 - 0.01 * 30_000.0, 1000.0 - 0.001 * 30_000.0]);
}

#[test]
fn delays_below_the_interval_are_measured_as_they_are() {
    let mut random = fastrand::Rng::with_seed(5);
    let serve = move |now| now + random.u64(..80 * MS);
    let every = Duration::from_millis(100);
    let window = World::new(1000, every, ThinkTime::Fixed, FROM - SECOND_NS, serve).hold(20 * SECOND_NS);
    assert_percentiles(&window, [40.0, 72.0, 79.2, 79.92]);
}

/// Messages at random moments and random delays of 0.3 of the mean interval: each connection is a queue (M/M/1), in which
/// the time from due to answered is exponential with the mean delay / 0.7.
#[test]
fn messages_that_queue_up_behind_each_other_wait_as_long_as_queueing_theory_says() {
    let mut random = fastrand::Rng::with_seed(5);
    let serve = move |now| now + (30.0 * MS as f64 * -(1.0 - random.f64()).ln()) as u64;
    let every = Duration::from_millis(100);
    let window = World::new(1000, every, ThinkTime::Exponential, FROM - 5 * SECOND_NS, serve).hold(200 * SECOND_NS);
    assert_percentiles(&window, [0.5_f64, 0.1, 0.01, 0.001].map(|share| -30.0 / 0.7 * share.ln()));
}

#[test]
fn what_is_never_answered_has_waited_until_the_end() {
    let silent_from = FROM + 6 * SECOND_NS;
    let serve = move |now| if now < silent_from { now + 300_000 } else { u64::MAX };
    let every = Duration::from_millis(100);
    let window = World::new(200, every, ThinkTime::Fixed, FROM - SECOND_NS, serve).hold(10 * SECOND_NS);
    assert_eq!((window.messages_due, window.messages_answered), (20_000, 12_000));
    assert_eq!(window.messages_sent, 12_200, "each connection has sent one more");
    // 40 % were due in the last 4 s, and have waited 1 to 5 s.
    assert_percentiles(&window, [0.3, 4000.0, 4900.0, 4990.0]);
}

#[test]
fn a_connection_that_has_caught_up_is_back_in_its_schedule() {
    let stall = FROM + SECOND_NS..FROM + 2 * SECOND_NS;
    let serve = move |now| if stall.contains(&now) { stall.end } else { now } + 300_000;
    let every = Duration::from_millis(100);
    let mut world = World::new(5, every, ThinkTime::Fixed, FROM - SECOND_NS, serve);
    world.run(FROM + 4 * SECOND_NS);
    world.counters.begin_hold(FROM + 4 * SECOND_NS);
    world.run(FROM + 5 * SECOND_NS);
    let window = world.counters.take(FROM + 5 * SECOND_NS);
    assert_eq!(window.messages_due, 50);
    assert!(window.reply.decode().unwrap().max() < 400);
}

#[test]
fn a_lost_connection_leaves_what_was_due_until_then() {
    let every = Duration::from_millis(100);
    let mut world = World::new(1, every, ThinkTime::Fixed, FROM, |_| u64::MAX);
    world.counters.begin_hold(FROM);
    world.run(FROM + SECOND_NS);
    let handle = world.table.in_state(State::Open).map(|(handle, _)| handle).next().unwrap();
    let left = Unanswered::of(world.table.at(handle.index), FROM + SECOND_NS).unwrap();
    left.count(&mut world.scheduler, &mut world.counters, FROM + 3 * SECOND_NS);
    let window = world.counters.take(FROM + 3 * SECOND_NS);
    let reply = window.reply.decode().unwrap();
    assert_eq!((window.messages_due, window.messages_sent, reply.len()), (10, 1, 10));
    assert!(reply.min() >= 2_000_000 && reply.max() <= 3_000_500, "{} to {}", reply.min(), reply.max());
}

#[test]
fn a_probe_that_finds_a_connection_waiting_asks_it_once_it_is_answered() {
    let every = Duration::from_secs(3600);
    let mut world = World::new(1, every, ThinkTime::Fixed, FROM, |now| now + SECOND_NS);
    let handle = world.table.in_state(State::Open).map(|(handle, _)| handle).next().unwrap();
    // It still waits for its first word when the hold begins.
    ask(world.table.at(handle.index), FROM, &mut world.counters);
    let hold = FROM + 100 * MS;
    world.counters.begin_hold(hold);
    world.counters.begin_probe(hold + 100 * MS);
    world.scheduler.begin_probe(hold + 100 * MS, Duration::ZERO, Vec::new(), VecDeque::new());
    let due = hold + 150 * MS;
    assert!(!probe(world.table.at(handle.index), due, &world.scheduler, &mut world.counters));
    world.answer(handle, due + 200 * MS);
    world.answer(handle, due + 300 * MS);
    let window = world.counters.take(due + SECOND_NS);
    assert_eq!((window.messages_due, window.messages_answered), (0, 0));
    assert_eq!((window.probes, window.probes_answered), (1, 1));
    let asked = window.probe.decode().unwrap();
    assert!((299_000..=300_500).contains(&asked.max()), "{}", asked.max());
}
