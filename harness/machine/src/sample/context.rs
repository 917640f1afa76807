//! What every reader of a tick shares: the kernel, one buffer, and the right to keep files open.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use nix::unistd::{SysconfVar, sysconf};

use crate::environment::kernel::Kernel;
use crate::environment::parse;

/// Room for one file. The longest that is read every tick, `netstat`, has 4 KiB.
const BUFFER_BYTES: usize = 64 << 10;

/// The kernel hands out at most a page of a file of records at once, so only a read far below that is surely the end.
const SURELY_THE_END_BYTES: usize = 2 << 10;

/// What the readers share during a tick.
pub(super) struct Context {
    pub(super) kernel: Kernel,
    /// Moment of the tick.
    pub(super) now: Instant,
    /// Microseconds of a clock tick of `/proc/PID/stat`.
    pub(super) clock_tick_us: u64,
    /// Bytes of a page of `/proc/PID/statm`.
    pub(super) page_bytes: u64,
    /// `/proc/PID/fd` tells the number of descriptors as its size (Linux 6.2 and newer).
    pub(super) descriptor_folders_have_sizes: bool,
    buffer: Vec<u8>,
    may_keep: Rc<Cell<usize>>,
}

/// A file that is read every tick. Its descriptor is kept where there is room: opening costs more than reading.
pub(super) struct Kept {
    path: PathBuf,
    state: State,
    permit: Option<Permit>,
}

enum State {
    New,
    Open(File),
    /// It was not there or it vanished with its process or cgroup, and will not come back.
    Gone,
}

/// The right to keep one descriptor open; given back on drop.
struct Permit(Rc<Cell<usize>>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

impl Context {
    pub(super) fn new(kernel: Kernel) -> Self {
        // A quarter of the descriptors of this process: the launcher and the generator's pipes need some as well.
        let limits = kernel.read("/proc/self/limits").unwrap_or_default();
        let soft = parse::limit(&limits, "Max open files").map_or(Some(1024), |(soft, _)| soft).unwrap_or(65_536);
        let positive = |var, default| sysconf(var).ok().flatten().filter(|n| *n > 0).map_or(default, |n| n as u64);
        Self {
            now: Instant::now(),
            clock_tick_us: 1_000_000 / positive(SysconfVar::CLK_TCK, 100),
            page_bytes: positive(SysconfVar::PAGE_SIZE, 4096),
            descriptor_folders_have_sizes: descriptor_folders_have_sizes(&kernel),
            buffer: vec![0; BUFFER_BYTES],
            may_keep: Rc::new(Cell::new((soft / 4) as usize)),
            kernel,
        }
    }

    /// Reads a kept file from its start; `None` where it is not there, not readable or gone.
    pub(super) fn read(&mut self, kept: &mut Kept) -> Option<&[u8]> {
        let (kernel, buffer) = (&self.kernel, &mut self.buffer);
        let length = kept.with(&self.may_keep, |path| kernel.open(path), |file| read_whole(file, buffer))?;
        Some(&self.buffer[..length])
    }

    /// Reads a file once.
    pub(super) fn read_once(&mut self, path: impl AsRef<Path>) -> Option<&[u8]> {
        let file = self.kernel.open(path).ok()?;
        let length = read_whole(&file, &mut self.buffer).ok()?;
        Some(&self.buffer[..length])
    }

    /// Size of a kept folder, as `stat` tells it.
    pub(super) fn size(&mut self, kept: &mut Kept) -> Option<u64> {
        let kernel = &self.kernel;
        let open = |path: &Path| OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(kernel.path(path));
        kept.with(&self.may_keep, open, |file| file.metadata().map(|facts| facts.len()))
    }
}

impl Kept {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), state: State::New, permit: None }
    }

    /// Whether the file was missing, or vanished.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Uses the file, opened where it is not open; `None` where either fails.
    fn with<T>(
        &mut self,
        may_keep: &Rc<Cell<usize>>,
        open: impl FnOnce(&Path) -> io::Result<File>,
        used: impl FnOnce(&File) -> io::Result<T>,
    ) -> Option<T> {
        if let State::New = self.state {
            match open(&self.path) {
                Ok(file) => self.keep(file, may_keep),
                Err(error) => {
                    self.fail(&error);
                    return None;
                }
            }
        }
        let State::Open(file) = &self.state else { return None };
        let result = used(file);
        if self.permit.is_none() {
            self.state = State::New;
        }
        result.map_err(|error| self.fail(&error)).ok()
    }

    fn keep(&mut self, file: File, may_keep: &Rc<Cell<usize>>) {
        if self.permit.is_none() && may_keep.get() > 0 {
            may_keep.set(may_keep.get() - 1);
            self.permit = Some(Permit(Rc::clone(may_keep)));
        }
        self.state = State::Open(file);
    }

    /// A shortage of our own is no property of the file; everything else is final.
    fn fail(&mut self, error: &io::Error) {
        let shortage = matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EINTR));
        self.state = if shortage { State::New } else { State::Gone };
        self.permit = None;
    }
}

fn read_whole(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], length as u64) {
            Ok(0) => break,
            Ok(read) => {
                length += read;
                if read < SURELY_THE_END_BYTES {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Older kernels say 0, other file systems something else; both are told apart by counting our own once.
fn descriptor_folders_have_sizes(kernel: &Kernel) -> bool {
    if !kernel.is_real() {
        return false;
    }
    let size = std::fs::metadata("/proc/self/fd").map_or(0, |facts| facts.len());
    let count = kernel.numbered("/proc/self/fd").len() as u64;
    // Other threads may open a few in between; the folder of ext4 would say 4096.
    size > 0 && size.abs_diff(count) < 64.max(count / 4)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::sample::tree::Tree;

    #[test]
    fn a_kept_file_is_read_anew_from_its_start() {
        let tree = Tree::new();
        tree.write("/a", "first");
        let mut context = Context::new(tree.kernel());
        let mut kept = Kept::new("/a");
        assert_eq!(context.read(&mut kept), Some(&b"first"[..]));
        tree.write("/a", "2nd");
        assert_eq!(context.read(&mut kept), Some(&b"2nd"[..]));
    }

    #[test]
    fn a_missing_file_is_gone_for_good() {
        let tree = Tree::new();
        let mut context = Context::new(tree.kernel());
        let mut kept = Kept::new("/a");
        assert_eq!(context.read(&mut kept), None);
        tree.write("/a", "late");
        assert_eq!(context.read(&mut kept), None);
        assert!(kept.is_gone());
    }

    #[test]
    fn without_room_files_are_opened_each_time_and_room_is_given_back() {
        let tree = Tree::new();
        tree.write("/a", "a");
        tree.write("/b", "b");
        let mut context = Context::new(tree.kernel());
        context.may_keep.set(1);
        let (mut a, mut b) = (Kept::new("/a"), Kept::new("/b"));
        assert!(context.read(&mut a).is_some() && context.read(&mut b).is_some());
        assert!(a.permit.is_some() && b.permit.is_none());
        assert!(context.read(&mut b).is_some());
        drop(a);
        assert_eq!(context.may_keep.get(), 1);
    }

    #[test]
    fn long_files_are_read_whole_up_to_the_buffer() {
        let tree = Tree::new();
        tree.write("/long", vec![b'x'; 10_000]);
        tree.write("/endless", vec![b'x'; 2 * BUFFER_BYTES]);
        let mut context = Context::new(tree.kernel());
        assert_eq!(context.read_once("/long").map(<[u8]>::len), Some(10_000));
        assert_eq!(context.read_once("/endless").map(<[u8]>::len), Some(BUFFER_BYTES));
        assert_eq!(context.read_once(Path::new("/none")), None);
    }
}
