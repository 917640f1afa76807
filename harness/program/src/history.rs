//! Where the files of a history meet the disk: reading and adding them, and making the night of a run folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::selftest::score::Score;
use wsceiling_analysis::{Analysis, Findings};
use wsceiling_history::from_run::{self, About};
use wsceiling_history::night::{RUNS, Right, Selftest};
use wsceiling_history::union::{Files, REFUSED, is_of_history};
use wsceiling_history::{Night, union::union};
use wsceiling_model::record::TrialRecord;
use wsceiling_runfolder::{RecordError, Run};

/// What became of a file that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is new.
    New,
    /// It was there already, with the same bytes.
    Kept,
}

/// Reads the files of a history. A folder that is not there is a history without a night; links are not followed.
///
/// # Errors
/// When something below it cannot be read.
pub fn read(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    for part in [RUNS, REFUSED] {
        collect(folder, part, &mut files)?;
    }
    Ok(files)
}

fn collect(folder: &Path, below: &str, files: &mut Files) -> Result<()> {
    let path = folder.join(below);
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("failed to read {}", path.display())),
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("failed to read {}", path.display()))?;
        let Some(name) = entry.file_name().to_str().map(|name| format!("{below}/{name}")) else { continue };
        let kind = entry.file_type().with_context(|| format!("failed to read {}", entry.path().display()))?;
        if kind.is_dir() {
            collect(folder, &name, files)?;
        } else if kind.is_file() && is_of_history(&name) {
            let bytes = fs::read(entry.path()).with_context(|| format!("failed to read {}", entry.path().display()))?;
            files.insert(name, bytes);
        }
    }
    Ok(())
}

/// Adds a file. One that is there is never overwritten.
///
/// # Errors
/// When another one of this name is there, or it cannot be written.
pub fn add(folder: &Path, name: &str, bytes: &[u8]) -> Result<Added> {
    let path = folder.join(name);
    match fs::read(&path) {
        Ok(known) if known == bytes => return Ok(Added::Kept),
        Ok(_) => anyhow::bail!(
            "{} is there with other bytes, and a night is never overwritten; hint: a run is measured once, so one of both is \
             wrong",
            path.display()
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("failed to read {}", path.display())),
    }
    write(&path, bytes).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(Added::New)
}

/// Writes a new file as a whole: a run that is killed meanwhile leaves no torn one.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    crate::files::write(&part, bytes)?;
    fs::rename(&part, path)
}

/// Merges histories into the first. Gives what is refused, and how many files are new in the first.
///
/// # Errors
/// When a folder cannot be read, or the first not be written.
pub fn merge(folders: &[PathBuf]) -> Result<(Vec<wsceiling_history::union::Refused>, usize)> {
    let Some((into, others)) = folders.split_first() else { return Ok((Vec::new(), 0)) };
    for folder in others {
        ensure!(folder.is_dir(), "{} is no folder; hint: a history is a folder with `runs/`", folder.display());
    }
    let all: Vec<Files> = folders.iter().map(|folder| read(folder)).collect::<Result<_>>()?;
    let (files, refused) = union(&all);
    let mut new = 0;
    for (name, bytes) in &files {
        new += usize::from(add(into, name, bytes)? == Added::New);
    }
    // What was refused is kept under another name by now.
    for name in all[0].keys().filter(|name| !files.contains_key(*name)) {
        let path = into.join(name);
        fs::remove_file(&path).with_context(|| format!("failed to remove {}", path.display()))?;
    }
    Ok((refused, new))
}

/// Where this run was made, from the variables that GitHub sets for a job.
pub fn about(variable: impl Fn(&str) -> Option<String>) -> About {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let run = variable("GITHUB_RUN_ID");
    let attempt = variable("GITHUB_RUN_ATTEMPT").and_then(|attempt| attempt.parse().ok()).unwrap_or(1);
    let job = || {
        let (server, repository) = (variable("GITHUB_SERVER_URL")?, variable("GITHUB_REPOSITORY")?);
        Some(format!("{server}/{repository}/actions/runs/{}/attempts/{attempt}", run.as_deref()?))
    };
    let image = || {
        let version = variable("ImageVersion")?;
        Some(variable("ImageOS").map_or_else(|| version.clone(), |os| format!("{os} {version}")))
    };
    About {
        job: job().filter(|address| address.starts_with("https://")),
        image: image(),
        commit: variable("GITHUB_SHA"),
        reference: variable("GITHUB_REF"),
        run: run.unwrap_or_else(|| "local".to_owned()),
        attempt,
    }
}

/// The night of a run folder, with the selftests of these folders.
///
/// # Errors
/// When a folder is no run folder or no selftest, or damaged.
pub fn night(run: &Path, selftests: &[PathBuf], about: &About) -> Result<Night> {
    let run = Run::open(run)?;
    let (findings, each) = findings_of_each(&run)?;
    let mut night = from_run::night(&findings, &each, about)?;
    night.selftests = selftests.iter().map(|folder| selftest(folder)).collect::<Result<_>>()?;
    Ok(night)
}

/// The findings of a run, and of each repetition as if the run had no other. The samples are read once.
fn findings_of_each(run: &Run) -> Result<(Findings, BTreeMap<u32, Findings>), RecordError> {
    let own = |record: &&TrialRecord| !record.trial.confirm;
    let repeats: BTreeSet<u32> = run.trials.iter().filter(own).map(|record| record.trial.repeat).collect();
    let of = |repeat: u32| -> Vec<TrialRecord> {
        run.trials.iter().filter(own).filter(|record| record.trial.repeat == repeat).cloned().collect()
    };
    let trials: BTreeMap<u32, Vec<TrialRecord>> = repeats.into_iter().map(|repeat| (repeat, of(repeat))).collect();
    let mut all = Analysis::new(&run.header, &run.trials);
    let mut each: BTreeMap<u32, Analysis<'_>> =
        trials.iter().map(|(repeat, trials)| (*repeat, Analysis::new(&run.header, trials))).collect();
    run.samples(|trial, samples| {
        all.samples(trial, samples);
        if let Some(alone) = each.get_mut(&trial.repeat) {
            alone.samples(trial, samples);
        }
    })?;
    let each = each.into_iter().map(|(repeat, analysis)| (repeat, analysis.finish())).collect();
    Ok((all.finish(), each))
}

/// What a finished selftest found.
fn selftest(folder: &Path) -> Result<Selftest> {
    let path = folder.join("selftest.json");
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let score: Score =
        serde_json::from_str(&text).with_context(|| format!("{} is of another version", path.display()))?;
    let right = |name: String, right: usize, of: usize| Right { name, right: right as u32, of: of as u32 };
    let kinds = score.kinds.iter().map(|kind| right(kind.kind.name().to_owned(), kind.right.right, kind.right.of));
    let bins =
        score.reliability.iter().map(|bin| right(format!("{:.2}", bin.confidence), bin.share.right, bin.share.of));
    Ok(Selftest {
        seeds: score.about.seeds.clone(),
        passed: score.passed,
        kinds: kinds.collect(),
        confidence: bins.collect(),
        sure_and_wrong: score.sure_and_wrong.clone(),
        clean_accused: score.clean_accused.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_added_once_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let name = "runs/2026/11/x-1-1.jsonl";
        assert_eq!(add(folder.path(), name, b"one\n").unwrap(), Added::New);
        assert_eq!(add(folder.path(), name, b"one\n").unwrap(), Added::Kept);
        let error = add(folder.path(), name, b"two\n").unwrap_err().to_string();
        assert!(error.contains("is there with other bytes"), "{error}");
        fs::write(folder.path().join("README.md"), "no night").unwrap();
        fs::write(folder.path().join("runs/notes.txt"), "no night").unwrap();
        assert_eq!(read(folder.path()).unwrap(), Files::from([(name.to_owned(), b"one\n".to_vec())]));
        assert!(read(&folder.path().join("nowhere")).unwrap().is_empty());
    }

    #[test]
    fn what_two_histories_have_differently_leaves_both() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        add(a.path(), "runs/2026/11/x-1-1.jsonl", b"one\n").unwrap();
        add(a.path(), "runs/2026/11/y-2-1.jsonl", b"both\n").unwrap();
        add(b.path(), "runs/2026/11/x-1-1.jsonl", b"two\n").unwrap();
        add(b.path(), "runs/2026/11/z-3-1.jsonl", b"three\n").unwrap();
        let both = [a.path().to_path_buf(), b.path().to_path_buf()];
        let (refused, new) = merge(&both).unwrap();
        assert_eq!((refused.len(), new), (1, 3), "the third night, and both that are refused");
        assert!(!a.path().join("runs/2026/11/x-1-1.jsonl").exists());
        merge(&[b.path().to_path_buf(), a.path().to_path_buf()]).unwrap();
        assert_eq!(read(a.path()).unwrap(), read(b.path()).unwrap());
        assert_eq!(merge(&both).unwrap().1, 0);
    }

    #[test]
    fn a_job_is_known_by_what_github_sets() {
        let set = |name: &str| {
            let value = match name {
                "GITHUB_RUN_ID" => "4711",
                "GITHUB_RUN_ATTEMPT" => "2",
                "GITHUB_SERVER_URL" => "https://github.com",
                "GITHUB_REPOSITORY" => "me/mine",
                "GITHUB_SHA" => "0123456789",
                "ImageOS" => "ubuntu24",
                "ImageVersion" => "20261110.1",
                "GITHUB_REF" => "",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let found = about(set);
        assert_eq!(found.job.as_deref(), Some("https://github.com/me/mine/actions/runs/4711/attempts/2"));
        assert_eq!((found.attempt, found.reference, found.image.as_deref()), (2, None, Some("ubuntu24 20261110.1")));
        let alone = about(|_| None);
        assert_eq!((alone.run.as_str(), alone.attempt, alone.job), ("local", 1, None));
    }
}
