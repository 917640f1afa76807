//! haproxy's own counters, over its stats socket: `show info` and `show stat`
//! (haproxy's management guide, sections 9.1 and 9.3).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::context::Context;
use super::processes::is_due;
use super::row::Row;
use wsceiling_model::record::Metric;

const INFO: &str = "haproxy show info";
const STAT: &str = "haproxy show stat";

/// Shortest time between two questions, and between two where it did not answer.
const EVERY: Duration = Duration::from_millis(250);
const AFTER_SILENCE: Duration = Duration::from_secs(1);
/// Longest wait for a part of the answer: the tick waits with it.
const WITHIN: Duration = Duration::from_millis(50);
/// Longest answer; a server takes some 500 bytes.
const MOST_BYTES: u64 = 1 << 20;

/// Asks one haproxy.
pub(super) struct HaproxyStats {
    address: SocketAddr,
    asked: Option<Instant>,
    every: Duration,
}

impl HaproxyStats {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, asked: None, every: EVERY }
    }

    pub(super) fn sample(&mut self, context: &Context, row: &mut Row) {
        if !is_due(self.asked, self.every, context.now) {
            return;
        }
        self.asked = Some(context.now);
        match ask(self.address) {
            Ok(answer) => {
                self.every = EVERY;
                report(&answer, row);
            }
            Err(_) => self.every = AFTER_SILENCE,
        }
    }
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut socket = TcpStream::connect_timeout(&address, WITHIN)?;
    socket.set_read_timeout(Some(WITHIN))?;
    socket.set_write_timeout(Some(WITHIN))?;
    socket.write_all(b"show info;show stat\n")?;
    let mut answer = Vec::new();
    socket.take(MOST_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn report(answer: &str, row: &mut Row) {
    let info = |name: &str| {
        answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.trim().parse::<u64>().ok())
    };
    row.count(Metric::FrontConnections, info("CurrConns"), INFO);
    row.count(Metric::FrontConnectionsLimit, info("Maxconn"), INFO);
    let Some(names) = answer.lines().find_map(|line| line.strip_prefix("# ")) else { return };
    let column = |name: &str| names.split(',').position(|word| word == name);
    let (Some(qcur), Some(scur), Some(slim)) = (column("qcur"), column("scur"), column("slim")) else { return };
    let mut queued = 0;
    let mut fullest: Option<(u64, u64)> = None;
    for line in answer.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        match (fields.first().copied(), fields.get(1).copied()) {
            (Some("front"), Some("FRONTEND")) => {
                row.count(Metric::FrontSessions, number(scur), STAT);
                row.count(Metric::FrontSessionsLimit, number(slim), STAT);
            }
            (Some("instances"), Some(name)) => {
                queued += number(qcur).unwrap_or(0);
                let full = number(scur).zip(number(slim)).filter(|(_, limit)| name != "BACKEND" && *limit > 0);
                // The greater share; compared crosswise, without a division.
                let fuller = |(now, limit): (u64, u64)| {
                    fullest.is_none_or(|(most, of)| {
                        u128::from(now) * u128::from(of) > u128::from(most) * u128::from(limit)
                    })
                };
                if let Some(full) = full.filter(|full| fuller(*full)) {
                    fullest = Some(full);
                }
            }
            _ => {}
        }
    }
    row.count(Metric::FrontQueue, Some(queued), STAT);
    if let Some((sessions, limit)) = fullest {
        row.count(Metric::FrontServerSessions, Some(sessions), STAT);
        row.count(Metric::FrontServerSessionsLimit, Some(limit), STAT);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &str = "Name: HAProxy\nMaxconn: 150\nHard_maxconn: 150\nCurrConns: 150\nMaxSessRate: 9\n\n\
        # pxname,svname,qcur,qmax,scur,smax,slim,stot,\n\
        front,FRONTEND,,,120,120,150,900,\n\
        instances,server-0,3,9,49,50,50,1,\n\
        instances,server-1,2,9,50,50,50,1,\n\
        instances,BACKEND,7,99,99,100,200,1,\n\n";

    #[test]
    fn the_counters_of_process_frontend_and_servers_are_found_by_name() {
        let mut row = Row::new();
        report(ANSWER, &mut row);
        let expected = [
            (Metric::FrontConnections, 150.0),
            (Metric::FrontConnectionsLimit, 150.0),
            (Metric::FrontSessions, 120.0),
            (Metric::FrontSessionsLimit, 150.0),
            (Metric::FrontServerSessions, 50.0),
            (Metric::FrontServerSessionsLimit, 50.0),
            (Metric::FrontQueue, 12.0),
        ];
        assert_eq!(row.take(), expected);
    }

    #[test]
    fn servers_without_a_limit_have_none() {
        let mut row = Row::new();
        report("# pxname,svname,qcur,qmax,scur,smax,slim,\ninstances,server-0,0,0,5,5,,\n", &mut row);
        assert_eq!(row.take(), [(Metric::FrontQueue, 0.0)]);
        report("nonsense", &mut row);
        assert_eq!(row.take(), []);
    }

    proptest! {
        #[test]
        fn no_answer_panics(text in ".{0,300}") {
            let mut row = Row::new();
            report(&text, &mut row);
            report(&format!("# pxname,svname,qcur,scur,slim\ninstances,{text}"), &mut row);
        }
    }
}
