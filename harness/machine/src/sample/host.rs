//! The machine as a whole.
//!
//! Sources: `Documentation/filesystems/proc.rst`, `Documentation/accounting/psi.rst`, `man 5 proc_sys_fs`.

use super::context::{Context, Kept};
use super::pressure;
use super::row::Row;
use crate::environment::parse::{cpu_times, first_number, hex, keyed, lines, words};
use wsceiling_model::record::Metric;

/// Files of the machine.
pub(super) struct Host {
    stat: Kept,
    cpu_pressure: Kept,
    memory_pressure: Kept,
    meminfo: Kept,
    vmstat: Kept,
    file_nr: Kept,
    softnet: Kept,
    neighbours: Kept,
}

impl Host {
    pub(super) fn new() -> Self {
        Self {
            stat: Kept::new("/proc/stat"),
            cpu_pressure: Kept::new("/proc/pressure/cpu"),
            memory_pressure: Kept::new("/proc/pressure/memory"),
            meminfo: Kept::new("/proc/meminfo"),
            vmstat: Kept::new("/proc/vmstat"),
            file_nr: Kept::new("/proc/sys/fs/file-nr"),
            softnet: Kept::new("/proc/net/softnet_stat"),
            neighbours: Kept::new("/proc/net/stat/arp_cache"),
        }
    }

    pub(super) fn sample(&mut self, context: &mut Context, row: &mut Row) {
        let clock_tick_us = context.clock_tick_us;
        if let Some(times) = context.read(&mut self.stat).and_then(cpu_times) {
            let us = |ticks: u64| Some(ticks.saturating_mul(clock_tick_us));
            row.count(Metric::HostIdle, us(times.idle), "/proc/stat cpu idle + iowait");
            row.count(Metric::HostSteal, us(times.steal), "/proc/stat cpu steal");
            row.count(Metric::HostBusy, us(times.busy), "/proc/stat cpu user + nice + system + irq + softirq");
        }
        if let Some(percent) = context.read(&mut self.cpu_pressure).and_then(|text| pressure::avg10(text, "some")) {
            row.set(Metric::PsiCpuSome, percent, "/proc/pressure/cpu some avg10");
        }
        if let Some(percent) = context.read(&mut self.memory_pressure).and_then(|text| pressure::avg10(text, "full")) {
            row.set(Metric::PsiMemoryFull, percent, "/proc/pressure/memory full avg10");
        }
        let available_kib = context.read(&mut self.meminfo).and_then(|text| keyed(text, "MemAvailable"));
        let available = available_kib.map(|kib| kib.saturating_mul(1024));
        row.count(Metric::HostMemoryAvailable, available, "/proc/meminfo MemAvailable");
        let kills = context.read(&mut self.vmstat).and_then(|text| keyed(text, "oom_kill"));
        row.count(Metric::HostOomKills, kills, "/proc/vmstat oom_kill");
        let descriptors = context.read(&mut self.file_nr).and_then(first_number);
        row.count(Metric::HostDescriptors, descriptors, "/proc/sys/fs/file-nr");
        let dropped = context.read(&mut self.softnet).and_then(|text| column_sum(text, 0, 1));
        row.count(Metric::SoftnetDrops, dropped, "/proc/net/softnet_stat dropped");
        let full = context.read(&mut self.neighbours).and_then(table_fulls);
        row.count(Metric::NeighbourTableFulls, full, "/proc/net/stat/arp_cache table_fulls");
    }
}

/// Sum of a hexadecimal column, a line a CPU.
fn column_sum(text: &[u8], skip: usize, column: usize) -> Option<u64> {
    let values = lines(text).skip(skip).map(|line| words(line).nth(column).and_then(hex));
    values.fold(None, |sum, value| Some(sum.unwrap_or(0).saturating_add(value?)))
}

fn table_fulls(text: &[u8]) -> Option<u64> {
    let column = words(lines(text).next()?).position(|word| word == b"table_fulls")?;
    column_sum(text, 1, column)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_are_summed_over_cpus() {
        assert_eq!(column_sum(b"0000000d 00000001 0\n0000321b 0000000f 0\n", 0, 1), Some(16));
        assert_eq!(column_sum(b"", 0, 1), None);
        assert_eq!(table_fulls(b"entries  table_fulls\n00000003 00000002\n00000003 00000001\n"), Some(3));
        assert_eq!(table_fulls(b"entries\n00000003\n"), None);
    }

    proptest! {
        #[test]
        fn no_input_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (column_sum(&text, 0, 1), table_fulls(&text));
        }
    }
}
