//! Who answered an upgrade, and with what: a fingerprint of the response, so that the edge of a platform is told from the
//! server behind it. It has no cookies, no identifiers and no secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A response to an upgrade.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// How many upgrades were answered with it.
    pub count: u64,
    /// The HTTP status.
    pub status: u16,
    /// The reason phrase of the status line, shortened; empty: it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub phrase: String,
    /// The error code of a platform in the beginning of the body: `H11`, `PT01`, `error code 1015`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What it has of the headers in [`HEADERS`], names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// How much of a header's value is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The value, shortened.
    Value,
    /// That it is there; the value is an identifier, which would be another one each time.
    Presence,
    /// Scheme, host and port of an address; its path and query may be secret.
    Origin,
}

/// What stands for the value of a header of which only the presence is kept.
pub const PRESENT: &str = "present";

/// The headers that are kept, in lower case.
pub const HEADERS: [(&str, Keep); 33] = [
    ("server", Keep::Value),
    ("via", Keep::Value),
    ("location", Keep::Origin),
    ("retry-after", Keep::Value),
    ("x-powered-by", Keep::Value),
    ("x-cache", Keep::Value),
    ("x-served-by", Keep::Presence),
    // Cloudflare.
    ("cf-ray", Keep::Presence),
    ("cf-mitigated", Keep::Value),
    // Render.
    ("x-render-origin-server", Keep::Value),
    ("rndr-id", Keep::Presence),
    ("x-render-routing", Keep::Value),
    // Railway.
    ("x-railway-edge", Keep::Value),
    ("x-railway-request-id", Keep::Presence),
    ("x-railway-fallback", Keep::Value),
    // Fly.io.
    ("fly-request-id", Keep::Presence),
    ("fly-cache-status", Keep::Value),
    // Heroku.
    ("heroku-error-code", Keep::Value),
    ("nel", Keep::Presence),
    // DigitalOcean App Platform.
    ("x-do-app-origin", Keep::Presence),
    ("x-do-orig-status", Keep::Value),
    // Google.
    ("x-cloud-trace-context", Keep::Presence),
    ("x-google-backends", Keep::Presence),
    // AWS.
    ("x-amzn-requestid", Keep::Presence),
    ("x-amzn-trace-id", Keep::Presence),
    ("x-amzn-errortype", Keep::Value),
    ("apigw-requestid", Keep::Presence),
    ("x-amz-cf-id", Keep::Presence),
    // Azure.
    ("x-azure-ref", Keep::Presence),
    ("x-ms-request-id", Keep::Presence),
    // Others.
    ("x-vercel-id", Keep::Presence),
    ("x-envoy-upstream-service-time", Keep::Presence),
    ("x-envoy-overloaded", Keep::Value),
];

impl Answer {
    /// Whether two are the same but for their number.
    pub fn is_like(&self, other: &Self) -> bool {
        let Self { count: _, status, phrase, code, headers } = self;
        (*status, phrase, code, headers) == (other.status, &other.phrase, &other.code, &other.headers)
    }

    /// Adds answers together, those that are alike as one; at most `most` of them, the most frequent first.
    pub fn merge(all: impl IntoIterator<Item = Self>, most: usize) -> Vec<Self> {
        let mut merged: Vec<Self> = Vec::new();
        for answer in all {
            match merged.iter_mut().find(|known| known.is_like(&answer)) {
                Some(known) => known.count += answer.count,
                None => merged.push(answer),
            }
        }
        merged.sort_by_key(|answer| std::cmp::Reverse(answer.count));
        merged.truncate(most);
        merged
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_lower_case_each_once_and_none_carries_a_secret() {
        for (at, (name, _)) in HEADERS.iter().enumerate() {
            assert_eq!(*name, name.to_lowercase());
            assert!(HEADERS[at + 1..].iter().all(|(other, _)| other != name), "{name} twice");
            assert!(!["set-cookie", "authorization", "proxy-authenticate", "www-authenticate"].contains(name));
        }
    }

    #[test]
    fn answers_that_are_alike_are_one_and_the_most_frequent_come_first() {
        let answer = |count, status| Answer { count, status, ..Answer::default() };
        let merged = Answer::merge([answer(1, 502), answer(3, 503), answer(4, 502), answer(1, 429)], 2);
        assert_eq!(merged, [answer(5, 502), answer(3, 503)]);
    }
}
