//! Names of what happens to visitors and their reports.

use crate::keyword::keywords;

keywords! {
    /// Families of browsers, which share their limits.
    pub enum BrowserFamily {
        Chromium = "chromium", "Chrome, Edge, Opera, Brave and their relatives.";
        Firefox = "firefox", "Firefox.";
        Safari = "safari", "Safari, and every browser on iOS.";
        Other = "other", "Anything else, or not told.";
    }
}

keywords! {
    /// Why a report, or a visitor, was not taken.
    pub enum Refusal {
        Forged = "forged", "Its token was not signed by this collector.";
        Forgotten = "forgotten", "Its visitor was silent for too long, and begins anew.";
        Replayed = "replayed", "Its number is not above that of the last report of its visitor.";
        Huge = "huge", "It is longer than a report can be.";
        Malformed = "malformed", "It is no report.";
        TooFast = "too-fast", "It came too soon after the last one.";
        TooMany = "too-many", "There are as many visitors, or as many new ones at once, as are let in.";
        WrongSite = "wrong-site", "It came from a page of another site.";
        NotHere = "not-here", "A target on loopback is for browsers of this machine only.";
    }
}

keywords! {
    /// What a report claimed that cannot be; the excess was cut off and not counted.
    pub enum Lie {
        Open = "open", "More open connections than it was ever told to hold.";
        Attempts = "attempts", "More connects than the snippet can make in the time.";
        Messages = "messages", "More messages than the snippet can send in the time.";
        Fell = "fell", "A counter went back.";
        Sums = "sums", "Numbers that contradict each other: more lost than opened, more answers than messages.";
    }
}

keywords! {
    /// Who paused a run.
    pub enum PausedBy {
        Operator = "operator", "The operator.";
        Absence = "absence", "Nobody watched, and the run asks that somebody does.";
        Target = "target", "The target no longer says that it may be loaded.";
    }
}

keywords! {
    /// Who ended a run.
    pub enum StoppedBy {
        Operator = "operator", "The operator.";
        Signal = "signal", "A signal, or the end of its terminal.";
    }
}

/// What a family of browsers documents of its own limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrowserLimit {
    /// Most WebSocket connections of the whole browser to one host.
    pub to_a_host: Option<u32>,
    /// Most WebSocket connections of the whole browser.
    pub in_all: Option<u32>,
    /// Where that is written.
    pub source: &'static str,
}

impl BrowserFamily {
    /// The limits of its own that a browser has; `None`: not found, so nothing is said.
    pub fn limit(self) -> Option<BrowserLimit> {
        match self {
            Self::Chromium => Some(BrowserLimit {
                to_a_host: Some(255),
                in_all: Some(256),
                source: "Chromium, net/socket/client_socket_pool_manager.cc (seen 2026-11-24)",
            }),
            Self::Firefox => Some(BrowserLimit {
                to_a_host: None,
                in_all: Some(200),
                source: "Firefox, network.websocket.max-connections (seen 2026-11-24)",
            }),
            Self::Safari | Self::Other => None,
        }
    }

    /// The family by a `User-Agent` header, of which nothing else is kept.
    pub fn of_user_agent(text: &str) -> Self {
        let has = |word| text.contains(word);
        if has("iPhone") || has("iPad") {
            Self::Safari
        } else if has("Firefox/") {
            Self::Firefox
        } else if has("Chrome/") || has("Chromium/") {
            Self::Chromium
        } else if has("Safari/") && has("Version/") {
            Self::Safari
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_told_by_the_header() {
        for (text, family) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", BrowserFamily::Firefox),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0 Safari/537.36",
                BrowserFamily::Chromium,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
                BrowserFamily::Safari,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/123.0 Mobile/15E148 Safari/604.1",
                BrowserFamily::Safari,
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/124.0 Mobile/15E148 Safari/604.1",
                BrowserFamily::Safari,
            ),
            ("Mozilla/5.0 (Linux) AppleWebKit/537.36 (KHTML, like Gecko) Safari/537.36", BrowserFamily::Other),
            ("curl/8.0", BrowserFamily::Other),
            ("", BrowserFamily::Other),
        ] {
            assert_eq!(BrowserFamily::of_user_agent(text), family, "{text}");
        }
    }
    #[test]
    fn limits_of_browsers_are_those_that_they_document() {
        let limits = |family: BrowserFamily| family.limit().map(|limit| (limit.to_a_host, limit.in_all));
        assert_eq!(limits(BrowserFamily::Chromium), Some((Some(255), Some(256))));
        assert_eq!(limits(BrowserFamily::Firefox), Some((None, Some(200))));
        assert_eq!((limits(BrowserFamily::Safari), limits(BrowserFamily::Other)), (None, None));
    }
}
