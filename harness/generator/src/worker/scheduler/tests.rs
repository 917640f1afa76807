use std::time::Duration;

use super::super::clock::{RESOLUTION_NS, SECOND_NS};
use super::super::table::Connection;
use super::super::transport::Link;
use super::*;
use crate::worker::tests::config;
use wsceiling_model::matrix::ThinkTime;

const SEED: u64 = 3;

fn scheduler(every: Duration, spread: ThinkTime) -> Scheduler {
    let config = WorkerConfig { message_every: every, message_spread: spread, ..config() };
    // So late that it is never the next thing that is due.
    Scheduler::new(&config, fastrand::Rng::with_seed(SEED), u64::MAX / 2)
}

/// A table with so many open connections.
fn open(count: u32) -> (ConnectionTable, Vec<Handle>) {
    let mut table = ConnectionTable::new(1);
    let connection = || Connection::connecting(Link::default(), 0, 0, 0);
    let handles: Vec<Handle> = (0..count).map(|_| table.insert(connection())).collect();
    for handle in &handles {
        table.enter(handle.index, State::Open);
    }
    (table, handles)
}

#[test]
fn a_connection_says_something_every_think_time_until_it_is_closed() {
    let mut scheduler = scheduler(Duration::from_secs(2), ThinkTime::Fixed);
    let (mut table, handles) = open(1);
    scheduler.resume_messages(handles[0], 2 * SECOND_NS);
    assert_eq!(scheduler.next_message(2 * SECOND_NS - 1, &table), Turn::Later);
    assert_eq!(scheduler.next_message(5 * SECOND_NS, &table), Turn::Now(2 * SECOND_NS, handles[0]));
    assert_eq!(scheduler.next_message(5 * SECOND_NS, &table), Turn::Now(4 * SECOND_NS, handles[0]));
    assert_eq!(scheduler.next_message(5 * SECOND_NS, &table), Turn::Later);
    table.enter(0, State::Closing);
    assert_eq!(scheduler.next_message(9 * SECOND_NS, &table), Turn::Skipped);
    assert_eq!(scheduler.next_message(u64::MAX, &table), Turn::Later, "it is forgotten");
}

#[test]
fn connections_that_open_together_do_not_talk_together() {
    let mut scheduler = scheduler(Duration::from_secs(10), ThinkTime::Fixed);
    let (table, handles) = open(1000);
    for handle in &handles {
        scheduler.add_messages(*handle, 0);
    }
    scheduler.begin_hold(0, Duration::from_secs(1));
    // A tenth of the interval has a tenth of the messages, in each of its own tenths.
    for tenth in 1..=10 {
        let tick = tenth * SECOND_NS / 10;
        let said = std::iter::from_fn(|| match scheduler.next_message(tick, &table) {
            Turn::Now(due, _) => Some(due),
            _ => None,
        });
        assert!((2..=25).contains(&said.count()), "in tenth {tenth}");
    }
}

#[test]
fn a_connection_that_waits_leaves_the_schedule() {
    let mut scheduler = scheduler(Duration::from_secs(1), ThinkTime::Fixed);
    let (mut table, handles) = open(1);
    scheduler.resume_messages(handles[0], SECOND_NS);
    table.at(0).waiting = true;
    assert_eq!(scheduler.next_message(3 * SECOND_NS, &table), Turn::Blocked(SECOND_NS, handles[0]));
    assert_eq!(scheduler.next_message(3 * SECOND_NS, &table), Turn::Later);
}

#[test]
fn in_a_probe_the_load_is_silent_and_afterwards_it_is_where_it_would_have_been() {
    let mut scheduler = scheduler(Duration::from_secs(1), ThinkTime::Fixed);
    let (mut table, handles) = open(2);
    scheduler.resume_messages(handles[0], SECOND_NS - 1);
    scheduler.begin_probe(2 * SECOND_NS, Duration::ZERO, vec![Whom::Connection(handles[1])], VecDeque::new());
    // What was due before is said, late as it is.
    assert!(scheduler.is_behind());
    assert_eq!(scheduler.next_message(4 * SECOND_NS, &table), Turn::Now(SECOND_NS - 1, handles[0]));
    let second = 2 * SECOND_NS - 1;
    if scheduler.is_silent(scheduler.ticks.next(second)) {
        assert!(!scheduler.is_behind());
    } else {
        assert_eq!(scheduler.take_unsaid(), Some((second, handles[0])));
        scheduler.resume_messages(handles[0], 3 * SECOND_NS - 1);
    }
    table.at(0).waiting = true;
    while scheduler.next_message(4 * SECOND_NS, &table) == Turn::Skipped {}
    assert_eq!(scheduler.take_probe(2 * SECOND_NS), Some((2 * SECOND_NS, Whom::Connection(handles[1]))));
    assert!(scheduler.end_probe(4 * SECOND_NS));
    table.at(0).waiting = false;
    // Also what was due in the probe and is looked at only now.
    assert_eq!(scheduler.next_message(9 * SECOND_NS, &table), Turn::Now(5 * SECOND_NS - 1, handles[0]));
}

#[test]
fn in_broadcast_publishes_are_silent_in_a_probe() {
    let mut scheduler = scheduler(Duration::from_secs(1), ThinkTime::Fixed);
    let first_ns = scheduler.first_publish(7);
    assert!((7..7 + 10 * SECOND_NS).contains(&first_ns));
    scheduler.add_publishes(3, SECOND_NS);
    scheduler.begin_probe(2 * SECOND_NS, Duration::ZERO, Vec::new(), VecDeque::new());
    assert!(scheduler.is_behind());
    assert_eq!(scheduler.take_unsaid_publish(), Some((SECOND_NS, 3)));
    assert!(!scheduler.is_behind() && scheduler.take_unsaid_publish().is_none());
    assert_eq!(scheduler.next_publish(11 * SECOND_NS), Turn::Skipped);
    assert_eq!(scheduler.next_publish(11 * SECOND_NS), Turn::Later);
    assert!(scheduler.end_probe(11 * SECOND_NS));
    assert_eq!(scheduler.next_publish(30 * SECOND_NS), Turn::Now(21 * SECOND_NS, 3));
}

#[test]
fn connects_that_were_asked_for_come_before_replacements() {
    let mut scheduler = scheduler(Duration::from_secs(1), ThinkTime::Fixed);
    scheduler.replacements.push_back((5, 3));
    scheduler.opening = Some(Opening::new(1, 1.0, 10));
    assert!(scheduler.is_busy());
    assert_eq!(scheduler.take_connect(10), Some(Connect::Asked(10)));
    assert_eq!(scheduler.take_connect(10), Some(Connect::Replacement(5, 3)));
    assert_eq!(scheduler.take_connect(10), None);
    scheduler.settle();
    assert!(scheduler.opening.is_some_and(|opening| opening.is_settled()));
}

#[test]
fn a_timeout_counts_only_for_the_state_in_which_it_began() {
    let mut scheduler = scheduler(Duration::from_secs(1), ThinkTime::Fixed);
    let mut table = ConnectionTable::new(1);
    let handles: Vec<Handle> = (0..3).map(|_| table.insert(Connection::connecting(Link::default(), 0, 0, 0))).collect();
    for handle in &handles {
        scheduler.begin_timeout(State::Connecting, 0, *handle);
    }
    table.enter(handles[0].index, State::Upgrading);
    scheduler.begin_timeout(State::Upgrading, 0, handles[0]);
    table.enter(handles[1].index, State::Open);
    let limit = 10 * SECOND_NS;
    assert_eq!(scheduler.timed_out(limit - 1, &table), None);
    assert_eq!(scheduler.timed_out(limit, &table), Some((State::Connecting, handles[2])));
    table.remove(handles[2].index);
    assert_eq!(scheduler.timed_out(limit, &table), Some((State::Upgrading, handles[0])));
    table.enter(handles[0].index, State::Closing);
    assert_eq!(scheduler.timed_out(limit, &table), None);
}

#[test]
fn a_life_is_over_once_and_lives_are_random() {
    let mut scheduler = scheduler(Duration::from_secs(1), ThinkTime::Fixed);
    let (_, handles) = open(2);
    for handle in &handles {
        scheduler.add_life(*handle, 0);
    }
    assert_eq!(scheduler.take_expired(0), None);
    let (first, second) = (scheduler.take_expired(u64::MAX).unwrap(), scheduler.take_expired(u64::MAX).unwrap());
    assert!(first.0 < second.0 && first.1 != second.1);
    assert_eq!(scheduler.take_expired(u64::MAX), None);
}

#[test]
fn the_next_moment_is_that_of_whatever_is_due_first() {
    let mut scheduler = scheduler(Duration::from_secs(9), ThinkTime::Fixed);
    let (table, handles) = open(1);
    let next = |scheduler: &mut Scheduler| {
        let moment = scheduler.next_moment(&table);
        assert_eq!(moment, scheduler.ticks.next(moment), "it is a tick");
        moment.div_ceil(RESOLUTION_NS) * RESOLUTION_NS / SECOND_NS
    };
    scheduler.status_ns = 20 * SECOND_NS;
    assert_eq!(next(&mut scheduler), 20);
    scheduler.resume_messages(handles[0], 10 * SECOND_NS);
    assert_eq!(next(&mut scheduler), 10);
    scheduler.replacements.push_back((8 * SECOND_NS, 0));
    assert_eq!(next(&mut scheduler), 8);
    scheduler.opening = Some(Opening::new(1, 1.0, 6 * SECOND_NS));
    assert_eq!(next(&mut scheduler), 6);
    scheduler.ramp_down = Some(RampDown::new(0, 1.0, 4 * SECOND_NS, handles.clone()));
    assert_eq!(next(&mut scheduler), 4);
    scheduler.begin_hold(0, Duration::from_secs(2));
    assert_eq!(next(&mut scheduler), 2);
    scheduler.begin_probe(0, Duration::ZERO, Vec::new(), VecDeque::new());
    assert_eq!(next(&mut scheduler), GRACE_NS / SECOND_NS);
}
