//! How old a row of the catalogue was when a run began.

/// Days from which a row is old: prices and limits may have changed.
const OLD: i64 = 90;
/// Days from which a row is too old to be used.
const TOO_OLD: i64 = 365;

/// The age of a row in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// Not older than 90 days.
    Fresh(i64),
    /// Older than 90 days: to be shown with a warning.
    Old(i64),
    /// Older than 365 days: not to be used.
    TooOld(i64),
    /// One of the dates cannot be read: not to be used.
    Unknown,
}

impl Age {
    /// The age of what was seen on one day (`2026-11-24`) when a run started (RFC 3339). What was seen after it counts as
    /// fresh: an old run is rendered with its own copy of the row.
    pub fn at(seen: &str, started: &str) -> Self {
        match days_between(seen, started) {
            None => Self::Unknown,
            Some(days) if days > TOO_OLD => Self::TooOld(days),
            Some(days) if days > OLD => Self::Old(days),
            Some(days) => Self::Fresh(days.max(0)),
        }
    }

    /// The days, where they are known.
    pub const fn days(self) -> Option<i64> {
        match self {
            Self::Fresh(days) | Self::Old(days) | Self::TooOld(days) => Some(days),
            Self::Unknown => None,
        }
    }

    /// Whether the row may be used.
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Fresh(_) | Self::Old(_))
    }

    /// What to say about it; `None`: it is fresh.
    pub fn warning(self) -> Option<String> {
        match self {
            Self::Fresh(_) => None,
            Self::Old(days) => Some(format!("seen {days} days before the run: it may have changed")),
            Self::TooOld(days) => Some(format!("seen {days} days before the run: not used, it is over a year old")),
            Self::Unknown => Some("of an unknown day: not used".to_owned()),
        }
    }
}

/// Days from one date to another; both begin with `YYYY-MM-DD`. `None`: one of them does not.
pub fn days_between(from: &str, to: &str) -> Option<i64> {
    Some(day_number(to)? - day_number(from)?)
}

/// Days since 1970-01-01 in the Gregorian calendar (Howard Hinnant, `days_from_civil`).
fn day_number(date: &str) -> Option<i64> {
    let mut parts = date.get(..10)?.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1970..=9999).contains(&year) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_over_months_and_leap_years() {
        assert_eq!(days_between("1970-01-01", "1970-01-02"), Some(1));
        assert_eq!(days_between("2024-02-28", "2024-03-01"), Some(2));
        assert_eq!(days_between("2025-03-01", "2026-03-01T10:00:00Z"), Some(365));
        assert_eq!([days_between("2026-13-01", "2026-01-01"), days_between("soon", "2026-01-01")], [None, None]);
    }

    #[test]
    fn a_row_is_fresh_for_90_days_and_used_for_a_year() {
        let at = |started| Age::at("2026-01-01", started);
        assert_eq!(
            [at("2025-12-01"), at("2026-01-01"), at("2026-04-01")],
            [Age::Fresh(0), Age::Fresh(0), Age::Fresh(90)]
        );
        assert_eq!(
            [at("2026-04-02"), at("2027-01-01"), at("2027-01-02")],
            [Age::Old(91), Age::Old(365), Age::TooOld(366)]
        );
        assert!(at("2026-04-02").is_usable() && !at("2027-01-02").is_usable() && !at("?").is_usable());
        assert_eq!(at("2026-04-01").warning(), None);
        assert!(at("2027-01-02").warning().unwrap().contains("not used"));
    }
}
