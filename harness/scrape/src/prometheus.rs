//! Prometheus text over HTTP: an exporter's, or the application's own.

use std::collections::BTreeMap;

use wsceiling_model::record::{Component, ScrapeFault};

use crate::http::{Answer, Client};
use crate::known;
use crate::reading::Reading;
use crate::text;

/// The text that is asked for: the classic format.
const ACCEPT: &str = "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5, */*;q=0.1";

/// Reads one address.
pub(crate) async fn read(client: &Client, part: Component, labels: &BTreeMap<String, String>) -> Reading {
    match client.get("", ACCEPT).await {
        Ok(answer) => Reading { clock_unix_s: answer.date_unix_s, ..numbers(&answer, part, labels) },
        Err(fault) => Reading::failed(fault),
    }
}

/// The numbers of an answer.
pub(crate) fn numbers(answer: &Answer, part: Component, labels: &BTreeMap<String, String>) -> Reading {
    match read_text(answer) {
        Err(fault) => Reading::failed(fault),
        Ok((text, open_metrics)) => match text::series(text, open_metrics, known::is_wanted) {
            Ok((found, total)) => known::numbers(&found, total, part, labels),
            // Without the line itself: who knows what an address gives.
            Err(text::BadLine { line, what }) => {
                Reading::failed(ScrapeFault::Malformed { line, what: what.to_owned() })
            }
        },
    }
}

fn read_text(answer: &Answer) -> Result<(&str, bool), ScrapeFault> {
    let not_metrics = |looks: &str| Err(ScrapeFault::NotMetrics { looks: looks.to_owned() });
    if answer.encoded {
        return not_metrics("a compressed body, which was not asked for");
    }
    let Ok(text) = std::str::from_utf8(&answer.body) else { return not_metrics("not text") };
    let first = text.trim_start();
    if answer.content_type.contains("html") || first.starts_with('<') {
        return not_metrics("HTML");
    }
    if answer.content_type.contains("json") || first.starts_with('{') || first.starts_with('[') {
        return not_metrics("JSON");
    }
    if answer.content_type.contains("protobuf") {
        return not_metrics("the binary form of metrics");
    }
    let truncated = ScrapeFault::Truncated { bytes: answer.body.len() as u64 };
    let open_metrics = answer.content_type.contains("openmetrics");
    // Both formats end each line, and OpenMetrics says where it ends: what is missing was cut off.
    if (!text.is_empty() && !text.ends_with('\n')) || (open_metrics && !text.trim_end().ends_with("# EOF")) {
        return Err(truncated);
    }
    Ok((text, open_metrics))
}
