//! Words of the first page that depend on where the servers run: the machine that it describes is then the client's.

use wsceiling_analysis::CellFindings;
use wsceiling_model::matrix::Runtime;

/// What a report answers, and about which machine.
pub fn lead(cells: &[CellFindings]) -> &'static str {
    match runs_elsewhere(cells) {
        Elsewhere::None => {
            "How many WebSocket connections each setup holds on this machine, what each connection costs, and what stops it."
        }
        Elsewhere::Some => {
            "How many WebSocket connections each setup holds, what each connection costs, and what stops it. What is remote \
             runs elsewhere: of it the machine above is the client."
        }
        Elsewhere::All => {
            "How many WebSocket connections each setup holds, what each connection costs, and what stops it. The servers run \
             elsewhere: the machine above is the client."
        }
    }
}

/// What happens after a step that failed.
pub fn after_failure(cells: &[CellFindings]) -> &'static str {
    match runs_elsewhere(cells) {
        Elsewhere::All => "After a failed step the client connects anew",
        Elsewhere::None | Elsewhere::Some => "After a failed step the server is restarted",
    }
}

/// How many of the servers the harness did not start.
#[derive(Debug, PartialEq)]
enum Elsewhere {
    None,
    Some,
    All,
}

fn runs_elsewhere(cells: &[CellFindings]) -> Elsewhere {
    let remote = cells.iter().filter(|cell| cell.cell.runtime == Runtime::Remote).count();
    match remote {
        0 => Elsewhere::None,
        all if all == cells.len() => Elsewhere::All,
        _ => Elsewhere::Some,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_servers_elsewhere_the_machine_is_the_clients() {
        let mut cells = crate::fixture::findings().cells;
        assert!(lead(&cells).contains("on this machine") && after_failure(&cells).ends_with("the server is restarted"));
        cells[0].cell.runtime = Runtime::Remote;
        assert!(lead(&cells).contains("What is remote runs elsewhere") && after_failure(&cells).contains("restarted"));
        for cell in &mut cells {
            cell.cell.runtime = Runtime::Remote;
        }
        assert!(lead(&cells).contains("the machine above is the client") && after_failure(&cells).contains("anew"));
    }

    #[test]
    fn nobody_knows_the_limits_of_a_server_elsewhere_unless_its_size_says_so() {
        let mut cell = crate::fixture::findings().cells.remove(0);
        (cell.cell.runtime, cell.cell.size, cell.size) = (Runtime::Remote, None, None);
        assert!(!crate::describe::set_up(&cell).contains("no\u{a0}limits"));
        cell.cell.runtime = Runtime::Bare;
        assert!(crate::describe::set_up(&cell).contains("no\u{a0}limits"));
    }
}
