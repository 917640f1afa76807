//! Logs of instances.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, fallocate};

use super::label::safe_name;
use wsceiling_model::record::log_patterns;

/// Most bytes of a log's end that are read for its last lines.
const TAIL_BYTES: u64 = 64 * 1024;
/// Most characters of a line that are kept.
const LINE_CHARS: usize = 500;
/// Most bytes of a log that are searched, and of a line.
const SEARCHED_BYTES: u64 = 64 << 20;
const LINE_BYTES: u64 = 64 << 10;
/// Most lines that are kept because they name a limit.
const SIGNS_MAX: usize = 64;

/// Bytes of a log that are kept: half of them from its start, half from its end.
const KEPT_BYTES: u64 = 64 << 20;

/// Frees the disk that the middle of a long log takes, while its writer goes on appending. Where the file system cannot do
/// that, the log is as long as it is until it is cut.
pub fn free_middle(path: &Path) {
    let bytes = length(path);
    if bytes <= 2 * KEPT_BYTES {
        return;
    }
    let half = KEPT_BYTES / 2;
    let Ok(file) = OpenOptions::new().write(true).open(path) else { return };
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let middle = bytes - 2 * half;
    let _ = fallocate(&file, flags, half.cast_signed(), middle.cast_signed());
}

/// Cuts the middle out of a long log that nobody writes any more, and says so in its place.
pub fn cut_middle(path: &Path) -> std::io::Result<()> {
    let bytes = length(path);
    if bytes <= KEPT_BYTES {
        return Ok(());
    }
    let half = KEPT_BYTES / 2;
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let note = format!("\n[{} bytes of this log were left out here]\n", bytes - 2 * half);
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(bytes - half))?;
    std::io::Read::by_ref(&mut file).take(half).read_to_end(&mut end)?;
    file.set_len(half)?;
    file.seek(SeekFrom::Start(half))?;
    file.write_all(note.as_bytes())?;
    file.write_all(&end)
}

/// Path of an instance's log.
pub fn path(logs: &Path, name: &str, index: u32) -> PathBuf {
    logs.join(format!("{}.log", safe_name(&format!("{name}-{index}"))))
}

/// Opens a log for appending; its folder is made where it is missing.
pub fn open(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// The last lines of a log, at most `lines`; an unreadable log has none.
pub fn tail(path: &Path, lines: usize) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    last_lines(&String::from_utf8_lossy(&read().unwrap_or_default()), lines)
}

/// Bytes in a log now; 0 where there is none.
pub fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |facts| facts.len())
}

/// Lines that name a limit, each with the number of `marks` (lengths of the log at moments, rising) that had passed
/// before it was written: between two marks the first of each kind. Only the log's first 64 MiB are searched.
pub fn signs(path: &Path, marks: &[u64]) -> Vec<(usize, String)> {
    let Ok(file) = File::open(path) else { return Vec::new() };
    let mut reader = BufReader::new(file.take(SEARCHED_BYTES));
    let mut wanted: Vec<&str> = log_patterns::all().collect();
    let (mut found, mut line) = (Vec::new(), Vec::new());
    let (mut at, mut passed) = (0, 0);
    while found.len() < SIGNS_MAX {
        line.clear();
        // A line without an end must not take all memory: what is longer counts as several.
        let read = match reader.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(read) => read as u64,
        };
        let marks_passed = marks.partition_point(|mark| *mark <= at);
        if marks_passed > passed {
            (passed, wanted) = (marks_passed, log_patterns::all().collect());
        }
        at += read;
        let text = String::from_utf8_lossy(&line);
        let lower = text.to_lowercase();
        let before = wanted.len();
        wanted.retain(|sign| !lower.contains(sign));
        if wanted.len() < before {
            found.push((passed, text.trim_end().chars().take(LINE_CHARS).collect()));
        }
    }
    found
}

/// The last lines of a text, each cut to a readable length.
pub fn last_lines(text: &str, lines: usize) -> Vec<String> {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| line.chars().take(LINE_CHARS).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_end_of_a_log_of_any_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder.path().join("logs"), "echo-bare.1.0", 2);
        assert!(path.ends_with("logs/echo-bare.1.0-2.log"));
        let text = (0..20_000).map(|line| format!("line {line}")).collect::<Vec<_>>().join("\n");
        std::io::Write::write_all(&mut open(&path).unwrap(), text.as_bytes()).unwrap();
        assert_eq!(tail(&path, 2), ["line 19998", "line 19999"]);
        assert!(tail(&folder.path().join("missing"), 5).is_empty());
        assert!(tail(&path, 0).is_empty());
    }

    #[test]
    fn of_a_long_log_the_start_and_the_end_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chatty.log");
        let mut file = open(&path).unwrap();
        file.write_all(b"the first line\n").unwrap();
        // A hole takes no disk, so that the test does not either.
        file.set_len(5 * KEPT_BYTES).unwrap();
        file.write_all(b"\nbefore it is cut\n").unwrap();
        free_middle(&path);
        file.write_all(b"the last line\n").unwrap();
        assert!(length(&path) > 5 * KEPT_BYTES, "its writer goes on where it was");
        cut_middle(&path).unwrap();
        assert!(length(&path) < KEPT_BYTES + 100);
        assert_eq!(tail(&path, 2), ["before it is cut", "the last line"]);
        let text = std::fs::read(&path).unwrap();
        assert!(text.starts_with(b"the first line\n"));
        let note = b"bytes of this log were left out here]";
        assert!(text.windows(note.len()).any(|part| part == note));
        cut_middle(&path).unwrap();
    }

    #[test]
    fn a_sign_is_found_wherever_it_stands_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.log");
        let trace = " 1: 0xb76dc5 node::OOMErrorHandler\n".repeat(400);
        let fatal = "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory";
        std::fs::write(&path, format!("ok\n\n{fatal}\n{trace}{fatal}\naccept: Too many open files (os error 24)\n"))
            .unwrap();
        let lines = |marks: &[u64]| signs(&path, marks);
        let emfile = "accept: Too many open files (os error 24)";
        assert_eq!(lines(&[]), [(0, fatal.to_owned()), (0, emfile.to_owned())]);
        // Once more after a mark: what was said before it says nothing of what came later.
        let second = std::fs::read_to_string(&path).unwrap().rfind(fatal).unwrap() as u64;
        assert_eq!(lines(&[2, second]), [(1, fatal.to_owned()), (2, fatal.to_owned()), (2, emfile.to_owned())]);
        assert!(signs(&folder.path().join("missing"), &[]).is_empty());
        std::fs::write(&path, vec![b'x'; 300_000]).unwrap();
        assert!(lines(&[]).is_empty());
    }

    #[test]
    fn a_log_cannot_leave_its_folder_and_bytes_that_are_not_text_are_survived() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), "../../x", 0);
        assert_eq!(path.parent(), Some(folder.path()));
        std::fs::write(&path, b"ok\n\xff\xfe\n").unwrap();
        assert_eq!(tail(&path, 5), ["ok", "\u{fffd}\u{fffd}"]);
        assert_eq!(last_lines(&"x".repeat(9000), 1)[0].len(), LINE_CHARS);
    }
}
