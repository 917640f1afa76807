//! What a line may say. A history comes from a branch that others can push to, and its words end up on pages.

use jiff::{SignedDuration, Timestamp};

use super::{CellLine, Experiment, Header, Selftest};

/// Clocks may differ by so much.
const SKEW: SignedDuration = SignedDuration::from_hours(1);
/// Longest id and longest text.
const ID_MAX: usize = 200;
const TEXT_MAX: usize = 1_000;
/// Largest number: far above any that can be measured, and small enough to draw.
const NUMBER_MAX: f64 = 1e15;

/// A reason why it cannot be.
type Checked = Result<(), String>;

pub(super) fn header(header: &Header, now: Timestamp) -> Checked {
    if header.started > now.saturating_add(SKEW).unwrap_or(now) {
        return Err(format!("it began at {}, which has not come yet", header.started));
    }
    id("run", &header.run)?;
    if header.attempt == 0 {
        return Err("the attempt is 0".into());
    }
    if let Some(commit) = &header.commit {
        hex("commit", commit)?;
    }
    hex("matrix_sha256", &header.matrix_sha256)?;
    if let Some(job) = header.job.as_deref().filter(|job| !is_address(job)) {
        return Err(format!("`job` is `{}`, which is no https address", job.escape_debug()));
    }
    let machine = &header.machine;
    let facts = [&machine.cpu, &machine.cgroup, &machine.kernel, &machine.rustc, &machine.image, &header.reference];
    facts.into_iter().flatten().chain([&header.matrix, &header.wsceiling]).try_for_each(|value| text(value))
}

pub(super) fn cell(cell: &CellLine) -> Checked {
    cell_id("id", &cell.id)?;
    hex("series", &cell.series)?;
    let axes = &cell.axes;
    [&axes.target].into_iter().chain(&axes.front).chain(&axes.size).try_for_each(|name| id("axes", name))?;
    cell.reason.iter().try_for_each(|reason| text(reason))?;
    cell.limits.keys().try_for_each(|name| id("limits", name))?;
    share("confidence", cell.confidence)?;
    for (name, value) in
        [("ceiling", cell.ceiling), ("memory", cell.memory), ("cpu", cell.cpu), ("opening", cell.opening)]
    {
        number(name, value)?;
    }
    for trial in &cell.trials {
        for (name, value) in
            [("stopped", trial.stopped), ("memory", trial.memory), ("cpu", trial.cpu), ("opening", trial.opening)]
        {
            number(name, value)?;
        }
        if let Some((good, bad)) = trial.last_good.zip(trial.first_bad).filter(|(good, bad)| good >= bad) {
            return Err(format!("{good} connections were held and {bad} were too many"));
        }
    }
    Ok(())
}

pub(super) fn selftest(selftest: &Selftest) -> Checked {
    let counts = selftest.kinds.iter().chain(&selftest.confidence);
    if let Some(row) = counts.clone().find(|row| row.right > row.of) {
        return Err(format!("{} of {} were right", row.right, row.of));
    }
    let names = counts.map(|row| &row.name).chain(&selftest.seeds);
    names.chain(&selftest.sure_and_wrong).chain(&selftest.clean_accused).try_for_each(|word| text(word))
}

pub(super) fn experiment(experiment: &Experiment) -> Checked {
    cell_id("cell", &experiment.cell)?;
    hex("series", &experiment.series)?;
    hex("before", &experiment.before)?;
    hex("after", &experiment.after)?;
    share("p", Some(experiment.p))?;
    number("value_before", Some(experiment.value_before))?;
    number("value_after", Some(experiment.value_after))
}

/// A number that was measured is finite and not negative.
fn number(name: &str, value: Option<f64>) -> Checked {
    match value {
        Some(value) if !(0.0..=NUMBER_MAX).contains(&value) => Err(format!("`{name}` is {value}")),
        _ => Ok(()),
    }
}

fn share(name: &str, value: Option<f64>) -> Checked {
    match value {
        Some(value) if !(0.0..=1.0).contains(&value) => Err(format!("`{name}` is {value}")),
        _ => Ok(()),
    }
}

/// Safe as a part of a file's name.
fn id(name: &str, value: &str) -> Checked {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let first = value.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && value.len() <= ID_MAX && value.bytes().all(allowed) {
        return Ok(());
    }
    Err(format!("`{name}` is `{}`; hint: names are letters, digits, `.`, `_` and `-`", shown(value)))
}

/// Safe as the name of a page, also where capitals do not count.
fn cell_id(name: &str, value: &str) -> Checked {
    id(name, value)?;
    if value.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(format!("`{name}` is `{}`; hint: ids of cells have no capitals", shown(value)));
    }
    Ok(())
}

fn hex(name: &str, value: &str) -> Checked {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if (7..=64).contains(&value.len()) && value.bytes().all(is_hex) {
        return Ok(());
    }
    Err(format!("`{name}` is `{}`; hint: it is 7 to 64 hexadecimal digits", shown(value)))
}

fn text(value: &str) -> Checked {
    if value.len() <= TEXT_MAX && !value.chars().any(char::is_control) {
        return Ok(());
    }
    Err(format!("a text is `{}`", shown(value)))
}

/// An address that a page may link.
fn is_address(address: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\');
    address.len() <= TEXT_MAX && address.starts_with("https://") && address.bytes().all(plain)
}

fn shown(value: &str) -> String {
    value.chars().take(40).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::super::tests::night;
    use super::super::{Metric, Right};
    use super::*;

    #[track_caller]
    fn refused(checked: &Checked, says: &str) {
        assert!(checked.as_ref().is_err_and(|why| why.contains(says)), "{says}: {checked:?}");
    }

    #[test]
    fn a_header_that_others_wrote_is_safe_on_a_page() {
        let good = night().header;
        let now = good.started;
        let check = |change: &dyn Fn(&mut Header)| {
            let mut changed = good.clone();
            change(&mut changed);
            header(&changed, now)
        };
        assert_eq!(check(&|_| ()), Ok(()));
        assert_eq!(check(&|header| header.started += SKEW), Ok(()), "clocks differ");
        refused(&check(&|header| header.attempt = 0), "attempt is 0");
        refused(&check(&|header| header.matrix_sha256 = "none".into()), "`matrix_sha256`");
        refused(&check(&|header| header.job = Some("https://x/\"onclick".into())), "no https address");
        refused(&check(&|header| header.machine.kernel = Some("6\u{1b}[31m".into())), "a text is");
        refused(&check(&|header| header.run = "x".repeat(201)), "`run` is");
    }

    #[test]
    fn a_cell_that_others_wrote_is_safe_on_a_page() {
        let good = night().cells.remove(0);
        let check = |change: &dyn Fn(&mut CellLine)| {
            let mut changed = good.clone();
            change(&mut changed);
            cell(&changed)
        };
        assert_eq!(check(&|_| ()), Ok(()));
        refused(&check(&|cell| cell.id = "Echo".into()), "no capitals");
        refused(&check(&|cell| cell.axes.size = Some("<b>".into())), "`axes`");
        refused(&check(&|cell| cell.reason = Some("a\nb".into())), "a text is");
        refused(&check(&|cell| cell.trials[0].first_bad = Some(4_000)), "4000 were too many");
    }

    #[test]
    fn shares_and_experiments_are_what_can_be() {
        let row = |right, of| Right { name: "plain".into(), right, of };
        let test = |row| Selftest {
            seeds: Vec::new(),
            passed: true,
            kinds: vec![row],
            confidence: Vec::new(),
            sure_and_wrong: Vec::new(),
            clean_accused: Vec::new(),
        };
        assert_eq!(selftest(&test(row(9, 9))), Ok(()));
        refused(&selftest(&test(row(10, 9))), "10 of 9");
        let good = Experiment {
            cell: "echo".into(),
            series: "0123456".into(),
            metric: Metric::Cpu,
            before: "0123456".into(),
            after: "1234567".into(),
            value_before: 1.0,
            value_after: 2.0,
            p: 0.01,
            confirmed: true,
        };
        assert_eq!(experiment(&good), Ok(()));
        refused(&experiment(&Experiment { p: 1.5, ..good.clone() }), "`p`");
        refused(&experiment(&Experiment { before: "HEAD".into(), ..good.clone() }), "`before`");
        refused(&experiment(&Experiment { value_before: -1.0, ..good }), "`value_before`");
    }
}
