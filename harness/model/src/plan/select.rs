//! Selecting cells of a plan by id.

use super::Plan;
use crate::matrix::names;

/// A cell id that the plan does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no cell matches `{id}`\nhint: {hint}")]
pub struct UnknownId {
    /// The id or pattern as given.
    pub id: String,
    /// The nearest id, where one is near.
    pub nearest: Option<String>,
    /// What to write instead.
    pub hint: String,
}

impl Plan {
    /// The trials of some cells, in the order of this plan. `*` in an id stands for any characters: `echo-*`,
    /// `*-docker-*`. No id at all selects everything.
    ///
    /// # Errors
    /// The first id that matches no cell.
    pub fn only(&self, ids: &[String]) -> Result<Self, UnknownId> {
        if ids.is_empty() {
            return Ok(self.clone());
        }
        for id in ids {
            if !self.trials.iter().any(|trial| matches(id, &trial.cell)) {
                return Err(self.unknown(id));
            }
        }
        let wanted = |cell: &str| ids.iter().any(|id| matches(id, cell));
        let trials = self.trials.iter().filter(|trial| wanted(&trial.cell)).cloned().collect();
        Ok(Self { trials, seed: self.seed })
    }

    fn unknown(&self, id: &str) -> UnknownId {
        let mut cells: Vec<&str> = self.trials.iter().map(|trial| trial.cell.as_str()).collect();
        cells.sort_unstable();
        cells.dedup();
        let begins = || cells.iter().copied().find(|cell| cell.starts_with(id.trim_end_matches('*')));
        let nearest = names::nearest(id, cells.iter().copied());
        let hint = match (nearest, begins()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(_)) if !id.contains('*') && !id.is_empty() => format!("`{id}*` selects all that begin so"),
            _ if cells.len() <= 12 => format!("cells are {}", names::listed(cells.iter().copied())),
            _ => format!("`plan` lists all {} cells", cells.len()),
        };
        UnknownId { id: id.to_owned(), nearest: nearest.map(str::to_owned), hint }
    }
}

/// Whether `pattern`, with `*` for any characters, matches all of `text`.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let pieces: Vec<&str> = rest.split('*').collect();
    let Some((last, middle)) = pieces.split_last() else { return false };
    for piece in middle {
        match left.find(piece) {
            Some(at) => left = &left[at + piece.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::super::tests::matrix;
    use super::*;

    fn only(ids: &[&str]) -> Result<Plan, UnknownId> {
        Plan::new(&matrix("")).only(&ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text) in
            [("a*", "abc"), ("*c", "abc"), ("a*c", "abc"), ("*b*", "abc"), ("*", ""), ("a**c", "abc")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("a", "abc"), ("b*", "abc"), ("*b", "abc"), ("a*bc*c", "abc"), ("", "abc"), ("ab*bc", "abc")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn one_cell_keeps_its_repeats_and_order() {
        let all = Plan::new(&matrix(""));
        let plan = only(&["echo-docker-x2"]).unwrap();
        let expected: Vec<_> = all.trials.into_iter().filter(|trial| trial.cell == "echo-docker-x2").collect();
        assert_eq!(plan.trials, expected);
        assert_eq!(plan.trials.len(), 3);
    }

    #[test]
    fn patterns_add_up_and_no_id_selects_all() {
        assert_eq!(only(&["app-*"]).unwrap().trials.len(), 12);
        assert_eq!(only(&["app-*", "*-x1"]).unwrap().trials.len(), 18);
        assert_eq!(only(&[]).unwrap().trials.len(), 24);
    }

    #[test]
    fn an_unknown_id_names_the_nearest_or_how_to_find_it() {
        let unknown = only(&["echo-dcoker-x1"]).unwrap_err();
        assert_eq!(unknown.nearest.as_deref(), Some("echo-docker-x1"));
        assert_eq!(unknown.to_string(), "no cell matches `echo-dcoker-x1`\nhint: did you mean `echo-docker-x1`?");
        assert_eq!(only(&["echo"]).unwrap_err().hint, "`echo*` selects all that begin so");
        assert!(only(&["nginx"]).unwrap_err().hint.starts_with("cells are `app-bare-x1`"));
        assert!(only(&["echo-bare-x1", "zzz*"]).is_err());
    }
}
