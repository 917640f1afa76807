//! Histories merged as sets: of files by their names and bytes, so that the order of merging does not matter and nothing is
//! ever overwritten.
//!
//! The same run twice with the same bytes is one file. With different bytes none of both can be believed: both leave
//! `runs/` and are kept in `refused/` under a name with their digest, where every later merge finds them. So a run that
//! was refused once stays refused, whichever history comes next.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::sha256;
use crate::night::RUNS;

/// Folder of the files that were refused.
pub const REFUSED: &str = "refused";
/// Digits of a digest in a file's name.
const DIGITS: usize = 16;
/// How a file of a history ends.
const SUFFIX: &str = ".jsonl";

/// The files of a history by their paths in it (`runs/2026/11/....jsonl`). Any other file is none of it.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A run that histories have with different bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// The file that it would have.
    pub file: String,
    /// Where each of the different ones is kept.
    pub kept: Vec<String>,
}

/// Whether a path is that of a file of a history.
pub fn is_of_history(path: &str) -> bool {
    let below =
        [RUNS, REFUSED].iter().any(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')));
    below && path.ends_with(SUFFIX) && !path.split('/').any(|step| step.is_empty() || step == "." || step == "..")
}

/// The union of histories, and what is refused in it.
pub fn union<'a>(histories: impl IntoIterator<Item = &'a Files>) -> (Files, Vec<Refused>) {
    // Name of the run -> digest -> bytes.
    let mut runs: BTreeMap<String, BTreeMap<String, &[u8]>> = BTreeMap::new();
    let mut refused: BTreeSet<String> = BTreeSet::new();
    for (path, bytes) in histories.into_iter().flatten().filter(|(path, _)| is_of_history(path)) {
        let digest = sha256(bytes)[..DIGITS].to_owned();
        let name = match path.strip_prefix(REFUSED) {
            Some(rest) => {
                let name = format!("{RUNS}{}", without_digest(rest));
                refused.insert(name.clone());
                name
            }
            None => path.clone(),
        };
        runs.entry(name).or_default().insert(digest, bytes);
    }
    let mut files = Files::new();
    let mut told = Vec::new();
    for (name, variants) in runs {
        if variants.len() == 1 && !refused.contains(&name) {
            files.extend(variants.into_values().map(|bytes| (name.clone(), bytes.to_vec())));
            continue;
        }
        let mut kept = Vec::new();
        for (digest, bytes) in variants {
            let path = refused_path(&name, &digest);
            files.insert(path.clone(), bytes.to_vec());
            kept.push(path);
        }
        told.push(Refused { file: name, kept });
    }
    (files, told)
}

/// Where a refused file of a run is kept.
fn refused_path(name: &str, digest: &str) -> String {
    let rest = name.strip_prefix(RUNS).unwrap_or(name);
    format!("{REFUSED}{}-{digest}{SUFFIX}", rest.strip_suffix(SUFFIX).unwrap_or(rest))
}

/// The path of a refused file without its digest.
fn without_digest(path: &str) -> String {
    let stem = path.strip_suffix(SUFFIX).unwrap_or(path);
    let cut = stem.rsplit_once('-').filter(|(_, digest)| digest.len() == DIGITS).map_or(stem, |(name, _)| name);
    format!("{cut}{SUFFIX}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(of: &[(&str, &str)]) -> Files {
        of.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    const A: &str = "runs/2026/11/a-1-1.jsonl";
    const B: &str = "runs/2026/11/b-2-1.jsonl";
    const C: &str = "runs/2026/12/c-3-1.jsonl";

    #[test]
    fn any_order_of_merging_gives_the_same_bytes() {
        let parts = [
            files(&[(A, "one"), (B, "two"), ("README.md", "not of it")]),
            files(&[(A, "one"), (C, "three")]),
            files(&[(B, "another two"), (C, "three")]),
        ];
        let all = union(&parts);
        for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            assert_eq!(union(order.map(|at| &parts[at])), all, "{order:?}");
            // Pair by pair, as clones that push one after the other do.
            let (first, _) = union(order.map(|at| &parts[at]).into_iter().take(2));
            assert_eq!(union([&first, &parts[order[2]]]), all, "{order:?}");
        }
        assert_eq!(union([&all.0]), all, "a merge of itself changes nothing");
        assert_eq!(union([&all.0, &all.0]), all);
    }

    #[test]
    fn equal_bytes_are_kept_once_and_different_ones_are_both_refused() {
        let (kept, refused) = union([&files(&[(A, "one")]), &files(&[(A, "one")])]);
        assert_eq!((kept, refused), (files(&[(A, "one")]), Vec::new()));
        let (kept, refused) = union([&files(&[(A, "one"), (B, "two")]), &files(&[(A, "other")])]);
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].file, A);
        assert!(!kept.contains_key(A) && kept.contains_key(B));
        let texts: BTreeSet<&[u8]> = refused[0].kept.iter().map(|path| kept[path].as_slice()).collect();
        assert_eq!(texts, BTreeSet::from([b"one".as_slice(), b"other".as_slice()]));
        assert!(refused[0].kept.iter().all(|path| path.starts_with("refused/2026/11/a-1-1-")));
    }

    #[test]
    fn a_run_that_was_refused_stays_refused() {
        let (kept, _) = union([&files(&[(A, "one")]), &files(&[(A, "other")])]);
        let (again, refused) = union([&kept, &files(&[(A, "one")])]);
        assert_eq!((again, refused.len()), (kept, 1));
    }

    #[test]
    fn only_files_of_nights_are_of_a_history() {
        for path in [A, "refused/2026/11/a-1-1-0123456789abcdef.jsonl"] {
            assert!(is_of_history(path), "{path}");
        }
        for path in ["README.md", "runs.jsonl", "runs/x.txt", "runs/../x.jsonl", "runs//x.jsonl", "other/runs/x.jsonl"]
        {
            assert!(!is_of_history(path), "{path}");
        }
    }
}
