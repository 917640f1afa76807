//! Words and numbers of kernel files. They are bytes, not text: a process may carry any name. Nothing here panics or
//! guesses: what does not parse is absent.

/// Lines of a file.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// Words of a line.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// A decimal number without sign.
pub fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// A hexadecimal number without prefix.
pub fn hex(word: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()
}

/// First number of a file.
pub fn first_number(text: &[u8]) -> Option<u64> {
    words(text).next().and_then(number)
}

/// The number behind a key, in files of `key value` or `key: value` lines.
pub fn keyed(text: &[u8], key: &str) -> Option<u64> {
    lines(text).find_map(|line| {
        let mut words = words(line);
        let name = words.next()?;
        let name = name.strip_suffix(b":").unwrap_or(name);
        if name == key.as_bytes() { number(words.next()?) } else { None }
    })
}

/// Soft and hard limit of a row of `/proc/PID/limits`; `None` in the place of `unlimited`.
pub fn limit(text: &[u8], name: &str) -> Option<(Option<u64>, Option<u64>)> {
    let rest = lines(text).find_map(|line| line.strip_prefix(name.as_bytes()))?;
    let mut values = words(rest).map(|word| if word == b"unlimited" { Some(None) } else { number(word).map(Some) });
    Some((values.next()??, values.next()??))
}

/// Ports of `ip_local_reserved_ports`: `8080,9000-9010`. Parts that are no range are left out.
pub fn port_ranges(text: &str) -> Vec<(u16, u16)> {
    let range = |part: &str| match part.trim().split_once('-') {
        Some((first, last)) => Some((first.parse().ok()?, last.parse().ok()?)),
        None => part.trim().parse().ok().map(|port| (port, port)),
    };
    text.split(',').filter_map(range).collect()
}

/// Times of all CPUs together, in ticks. Guests' time is part of `user` already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuTimes {
    /// Idle, or waiting for disks alone.
    pub idle: u64,
    /// Working, interrupts included.
    pub busy: u64,
    /// Taken by the hypervisor.
    pub steal: u64,
}

/// First line of `/proc/stat`: user nice system idle iowait irq softirq steal guest `guest_nice`.
pub fn cpu_times(text: &[u8]) -> Option<CpuTimes> {
    let line = lines(text).next()?.strip_prefix(b"cpu ")?;
    let times: Vec<u64> = words(line).map_while(number).collect();
    let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = times[..] else { return None };
    let sum = |parts: &[u64]| parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(*part));
    Some(CpuTimes { idle: sum(&[idle, iowait])?, busy: sum(&[user, nice, system, irq, softirq])?, steal })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_digits_only_and_never_overflows() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(number(b"18446744073709551616"), None);
        assert_eq!(number(b"-1"), None);
        assert_eq!(number(b""), None);
        assert_eq!(hex(b"0000000a"), Some(10));
        assert_eq!(hex(b"xyz"), None);
    }

    #[test]
    fn keys_are_whole_words() {
        let text = b"rss_huge 1\nrss 2\nMemAvailable:  3 kB\n";
        assert_eq!(keyed(text, "rss"), Some(2));
        assert_eq!(keyed(text, "MemAvailable"), Some(3));
        assert_eq!(keyed(text, "Mem"), None);
    }

    #[test]
    fn limits_are_read_by_name_and_unlimited_is_no_number() {
        let text = b"Limit   Soft Limit  Hard Limit Units\nMax open files   1024   20000   files\n\
            Max cpu time  unlimited  unlimited seconds\n";
        assert_eq!(limit(text, "Max open files"), Some((Some(1024), Some(20000))));
        assert_eq!(limit(text, "Max cpu time"), Some((None, None)));
        assert_eq!(limit(text, "Max processes"), None);
    }

    #[test]
    fn reserved_ports_are_ports_and_ranges() {
        assert_eq!(port_ranges("8080,9000-9010"), [(8080, 8080), (9000, 9010)]);
        assert_eq!(port_ranges(""), []);
        assert_eq!(port_ranges("x,7-,99999,1"), [(1, 1)]);
    }

    #[test]
    fn waiting_for_disks_is_idle_and_interrupts_are_busy() {
        let times = cpu_times(b"cpu  10 1 5 1000 50 2 3 7 4 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n").unwrap();
        assert_eq!(times, CpuTimes { idle: 1050, busy: 21, steal: 7 });
        assert_eq!(cpu_times(b"cpu  10 1 5 1000\n"), None);
        assert_eq!(cpu_times(b"cpu0 1 1 1 1 1 1 1 1\n"), None);
    }

    proptest! {
        #[test]
        fn no_input_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (cpu_times(&text), first_number(&text), keyed(&text, "a"), limit(&text, "Max"), hex(&text));
            let _ = port_ranges(&String::from_utf8_lossy(&text));
        }
    }
}
