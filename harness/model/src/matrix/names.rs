//! Names: which are safe in ids and file names, and which known name was probably meant.

/// Longest name of a run, a target or a size.
pub const LONGEST: usize = 40;

/// Says why `name` may not become part of an id and of file names; `None`: it may.
pub fn unsafe_name(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    if name.is_empty() {
        Some("a name needs at least one character".to_owned())
    } else if name.len() > LONGEST {
        Some(format!("{} bytes, at most {LONGEST} fit", name.len()))
    } else if let Some(wrong) = name.chars().find(|c| !allowed(*c)) {
        Some(format!("`{}` is not allowed", wrong.escape_debug()))
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        Some("starts with neither a letter nor a digit".to_owned())
    } else if name.contains("..") {
        Some("`..` is not allowed".to_owned())
    } else {
        None
    }
}

/// The name made safe, as a proposal: `My Server` -> `my-server`.
pub fn safe_name(name: &str) -> Option<String> {
    let mut safe = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        let c = if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        if !(c == '-' && (safe.is_empty() || safe.ends_with('-'))) {
            safe.push(c);
        }
    }
    safe.truncate(LONGEST);
    let safe = safe.trim_start_matches('_').trim_end_matches(['-', '_']).to_owned();
    unsafe_name(&safe).is_none().then_some(safe)
}

/// The known name that `name` most likely stands for: at most a third of its letters differ.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let lower = name.to_lowercase();
    let limit = (name.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

/// `a`, `b` and `c`, each in backticks.
pub fn listed<'k>(names: impl IntoIterator<Item = &'k str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The hint for an unknown name: the nearest one, or all there are.
pub fn unknown_hint(name: &str, known: &[&str], what: &str) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("{what}: {}", listed(known.iter().copied())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safe_names_pass() {
        for name in ["echo", "bun-1.2", "a", "0x", "a_b", &"x".repeat(40)] {
            assert_eq!(unsafe_name(name), None, "{name}");
        }
    }

    #[test]
    fn names_that_could_leave_a_folder_or_break_an_id_do_not() {
        for name in ["", "..", "a..b", ".hidden", "-rf", "a/b", "A", "a b", "ä", "a\n", "_a", &"x".repeat(41)] {
            assert!(unsafe_name(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_safe_name_is_proposed_where_there_is_one() {
        assert_eq!(safe_name("My Server").as_deref(), Some("my-server"));
        assert_eq!(safe_name("../../etc").as_deref(), Some("etc"));
        assert_eq!(safe_name("..."), None);
    }

    #[test]
    fn the_nearest_name_is_close() {
        let known = ["step", "rate", "hold"];
        assert_eq!(nearest("stpe", known), Some("step"));
        assert_eq!(nearest("Hold", known), Some("hold"));
        assert_eq!(nearest("window", known), None);
        assert_eq!(nearest("x", ["a"]), None);
    }
}
