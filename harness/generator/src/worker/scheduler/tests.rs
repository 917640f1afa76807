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
    scheduler.add_messages(handles[0], 0);
    assert_eq!(scheduler.next_message(2 * SECOND_NS - 1, &table), Turn::Later);
    assert_eq!(scheduler.next_message(5 * SECOND_NS, &table), Turn::Now(2 * SECOND_NS, handles[0]));
    assert_eq!(scheduler.next_message(5 * SECOND_NS, &table), Turn::Now(4 * SECOND_NS, handles[0]));
    assert_eq!(scheduler.next_message(5 * SECOND_NS, &table), Turn::Later);
    table.enter(0, State::Closing);
    assert_eq!(scheduler.next_message(9 * SECOND_NS, &table), Turn::Skipped);
    assert_eq!(scheduler.next_message(u64::MAX, &table), Turn::Later, "it is forgotten");
}

#[test]
fn nothing_new_is_said_in_the_quiet_part_of_a_hold() {
    let mut scheduler = scheduler(Duration::from_secs(1), ThinkTime::Fixed);
    let (table, handles) = open(1);
    scheduler.add_messages(handles[0], SECOND_NS - 1);
    let hold = scheduler.begin_hold(0, Duration::from_secs(2), None, &table);
    assert!(!hold.spread && hold.is_quiet(2 * SECOND_NS - 1));
    assert_eq!(scheduler.next_message(2 * SECOND_NS, &table), Turn::Skipped);
    assert_eq!(scheduler.next_message(3 * SECOND_NS, &table), Turn::Now(3 * SECOND_NS - 1, handles[0]));
}

#[test]
fn a_short_hold_hears_from_every_connection_once() {
    let mut scheduler = scheduler(Duration::from_secs(60), ThinkTime::Fixed);
    let (table, handles) = open(4);
    for handle in &handles {
        scheduler.add_messages(*handle, 0);
    }
    let hold = scheduler.begin_hold(0, Duration::from_secs(1), None, &table);
    assert_eq!(scheduler.unsaid_messages(hold.quiet_ns, &table), 4);
    let mut said: Vec<u64> = Vec::new();
    while let Turn::Now(due, _) = scheduler.next_message(hold.quiet_ns, &table) {
        said.push(due);
    }
    assert_eq!(said, [0, 200_000_000, 400_000_000, 600_000_000]);
    assert_eq!(scheduler.unsaid_messages(hold.quiet_ns, &table), 0);
}

#[test]
fn random_think_times_do_not_leave_a_connection_silent_for_a_hold() {
    let mut scheduler = scheduler(Duration::from_secs(1), ThinkTime::Exponential);
    let (table, handles) = open(50);
    for handle in &handles {
        scheduler.add_messages(*handle, 0);
    }
    let hold = scheduler.begin_hold(0, Duration::from_secs(2), None, &table);
    assert_eq!(scheduler.unsaid_messages(hold.quiet_ns, &table), 50);
}

#[test]
fn in_broadcast_it_is_the_publishes_that_are_spread() {
    let mut scheduler = scheduler(Duration::from_secs(1), ThinkTime::Fixed);
    let (table, _) = open(0);
    let first_ns = scheduler.first_publish(7);
    assert!((7..7 + 10 * SECOND_NS).contains(&first_ns));
    for room in 0..2 {
        scheduler.add_publishes(room, first_ns);
    }
    let hold = scheduler.begin_hold(0, Duration::from_secs(1), Some(2), &table);
    assert_eq!(scheduler.unsaid_publishes(hold.quiet_ns).count(), 2);
    assert_eq!(scheduler.next_publish(SECOND_NS), Turn::Now(0, 0));
    assert_eq!(scheduler.next_publish(SECOND_NS), Turn::Now(400_000_000, 1));
    assert_eq!(scheduler.next_publish(SECOND_NS), Turn::Later);
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
    scheduler.add_messages(handles[0], SECOND_NS);
    assert_eq!(next(&mut scheduler), 10);
    scheduler.replacements.push_back((8 * SECOND_NS, 0));
    assert_eq!(next(&mut scheduler), 8);
    scheduler.opening = Some(Opening::new(1, 1.0, 6 * SECOND_NS));
    assert_eq!(next(&mut scheduler), 6);
    scheduler.ramp_down = Some(RampDown::new(0, 1.0, 4 * SECOND_NS, handles.clone()));
    assert_eq!(next(&mut scheduler), 4);
    scheduler.hold = Some(Hold { quiet_ns: SECOND_NS, to_ns: 2 * SECOND_NS, spread: false });
    assert_eq!(next(&mut scheduler), 2);
}
