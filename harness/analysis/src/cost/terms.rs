//! What CPU is spent on, and which of it the load tells apart.

use super::result::Traffic;
use crate::least_squares::{Row, TERMS, Terms, inflation};

/// Connections times seconds: an idle connection.
pub(super) const IDLE: usize = 0;
/// Messages.
pub(super) const MESSAGE: usize = 1;
/// Openings.
pub(super) const OPENING: usize = 2;
/// Seconds: the server itself.
pub(super) const BASELINE: usize = 3;

/// Terms are not told apart if the variance of a coefficient is this many times what it would be without the others. At 30
/// an error of 3 % in each of 20 windows is one of 4 % in the coefficient; text books warn from 10 (Kutner et al., Applied
/// Linear Statistical Models, 2005, section 10.5), about the mean, where it is smaller than about the origin.
const INFLATION: f64 = 30.0;

/// Terms are one and the same above this; what is left of them is rounding.
const SINGULAR: f64 = 1e4;

/// Which terms the load tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// Terms that are fitted. Where some are one, the first of them, for all of them.
    pub fitted: Terms,
    /// Terms that are one with another, also those that are fitted.
    pub merged: Terms,
    /// Messages are one with idle connections, and with nothing else.
    pub together: bool,
    /// Terms of which the cost under some load within the range of the windows is fitted: [`Self::fitted`], with messages
    /// where they are nearly, not exactly, one with idle connections.
    pub for_load: Terms,
}

impl Told {
    /// Whether the coefficient is that of this term alone.
    pub(super) fn knows(&self, term: usize) -> bool {
        self.fitted[term] && !self.merged[term]
    }
}

/// Which terms the rows tell apart.
pub(super) fn told(rows: &[Row]) -> Told {
    let mut fitted: Terms = std::array::from_fn(|term| rows.iter().any(|row| row.x[term] > 0.0));
    let mut merged = [false; TERMS];
    let mut together = false;
    let all_inflated = inflation(rows, fitted);
    loop {
        let before = inflation(rows, fitted);
        let Some(dropped) = [MESSAGE, BASELINE, OPENING].into_iter().find(|term| before[*term] > INFLATION) else {
            break;
        };
        fitted[dropped] = false;
        let after = inflation(rows, fitted);
        let partner: Terms =
            std::array::from_fn(|term| fitted[term] && before[term] > INFLATION && after[term] <= INFLATION);
        together |= dropped == MESSAGE && partner == std::array::from_fn(|term| term == IDLE);
        merged[dropped] = true;
        (0..TERMS).for_each(|term| merged[term] |= partner[term]);
    }
    together &= !merged[BASELINE];
    let mut for_load = fitted;
    for_load[MESSAGE] |= together && all_inflated[MESSAGE] <= SINGULAR;
    Told { fitted, merged, together, for_load }
}

/// What is not told apart and what would, a sentence each.
pub(super) fn untold(told: &Told, messages_per_s: f64, configured: Traffic) -> Vec<String> {
    let mut sentences = Vec::new();
    if messages_per_s <= 0.0 && configured.messages_per_s > 0.0 {
        sentences.push(
            "No message of the load was sent while connections were held, so what a message costs is not known. A `hold` \
             that is longer than `message.every` would tell."
                .to_owned(),
        );
    } else if told.merged[MESSAGE] && told.together {
        sentences.push(format!(
            "In all windows there were about {} messages per second and connection, so an idle connection and its messages are \
             not told apart. A `message.every` several times as long as `hold` would: most connections then send nothing \
             in the hold and are asked in the short probe after it.",
            wsceiling_model::format::number(messages_per_s)
        ));
    } else if told.merged[MESSAGE] {
        sentences.push(
            "Messages came in proportion to something else in every window, so what a message costs is not known. Another \
             `message.every`, or a longer `hold`, would tell."
                .to_owned(),
        );
    }
    if told.merged[BASELINE] && told.merged[IDLE] {
        sentences.push(
            "All steps that passed had as many connections, so connections are not told apart from what the server uses \
             without them. A smaller `step` would tell."
                .to_owned(),
        );
    } else if told.merged[BASELINE] || told.merged[OPENING] {
        sentences.push(
            "Openings are not told apart from what the server uses without connections. A lower `rate`, or a shorter \
             `sample_every`, would give each opening samples of its own."
                .to_owned(),
        );
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(xs: &[[f64; TERMS]]) -> Vec<Row> {
        xs.iter().map(|x| Row { x: *x, y: 1.0, sigma: x.iter().sum::<f64>() }).collect()
    }

    /// Openings of 100, and holds of so many seconds and messages a connection.
    fn steps(levels: &[f64], seconds: f64, messages: f64) -> Vec<Row> {
        let each = levels
            .iter()
            .flat_map(|open| [[open * 0.2, 0.0, 100.0, 0.2], [open * seconds, open * messages, 0.0, seconds]]);
        rows(&each.collect::<Vec<_>>())
    }

    #[test]
    fn a_staircase_with_probes_tells_all_four_apart() {
        let mut with_probes = steps(&[100.0, 200.0, 300.0], 1.0, 0.2);
        with_probes.extend(rows(&[[10.0, 80.0, 0.0, 0.1], [20.0, 160.0, 0.0, 0.1], [30.0, 240.0, 0.0, 0.1]]));
        let told = told(&with_probes);
        assert_eq!((told.fitted, told.merged), ([true; TERMS], [false; TERMS]));
        assert!(untold(&told, 0.2, Traffic::default()).is_empty());
    }

    #[test]
    fn messages_in_proportion_to_connections_are_one_with_them() {
        let mut windows = steps(&[100.0, 200.0, 300.0], 1.0, 0.2);
        for row in &mut windows {
            row.x[MESSAGE] = row.x[IDLE] * 0.2;
        }
        let told = told(&windows);
        assert!(
            told.together && !told.knows(IDLE) && !told.knows(MESSAGE) && told.knows(OPENING) && told.knows(BASELINE)
        );
        assert!(told.fitted[IDLE]);
        let why = untold(&told, 0.2, Traffic::default());
        assert!(why.len() == 1 && why[0].contains("0.200 messages per second"), "{why:?}");
    }

    #[test]
    fn steps_of_one_size_do_not_tell_connections_from_the_server() {
        let told = told(&steps(&[100.0, 100.0], 1.0, 1.0));
        assert!(!told.knows(IDLE) && !told.knows(BASELINE) && !told.together, "{told:?}");
        assert!(untold(&told, 1.0, Traffic::default()).iter().any(|why| why.contains("smaller `step`")));
    }

    #[test]
    fn openings_without_samples_of_their_own_are_one_with_the_server() {
        let each = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0].map(|open| [open * 100.0, (open * 7.0) % 5.0 * 90.0, 100.0, 1.0]);
        let told = told(&rows(&each));
        assert!(!told.knows(OPENING) && !told.knows(BASELINE), "{told:?}");
        let why = untold(&told, 1.0, Traffic::default());
        assert!(why.iter().any(|why| why.contains("sample_every")), "{told:?} {why:?}");
    }

    #[test]
    fn without_a_message_nothing_is_known_of_messages() {
        let told = told(&steps(&[100.0, 200.0, 300.0], 1.0, 0.0));
        assert!(!told.knows(MESSAGE) && told.knows(IDLE) && told.knows(BASELINE));
        let configured = Traffic { messages_per_s: 0.1, openings_per_s: 0.0 };
        assert!(untold(&told, 0.0, configured)[0].starts_with("No message"));
    }
}
