//! The HTTP API of a Prometheus server, and of what speaks like one (VictoriaMetrics, Thanos, Mimir).
//!
//! API: <https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries>.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use wsceiling_model::record::{Metric, ScrapeFault};

use crate::http::{Answer, Client};
use crate::reading::{Number, Reading, short};

/// Asks for each number at once.
pub(crate) async fn read(client: &Client, queries: &BTreeMap<String, String>, every: Duration) -> Reading {
    let known = queries.iter().filter_map(|(name, query)| Some((Metric::from_name(name)?, query)));
    let asked = known.map(|(metric, query)| async move {
        // Without a bound a server goes on with a value that is five minutes old.
        let lookback_s = every.as_secs_f64() * 3.0;
        let more = format!("query={}&lookback_delta={lookback_s}s&step={lookback_s}s", encoded(query));
        (metric, client.get(&more, "application/json").await)
    });
    let mut reading = Reading::default();
    for (metric, answer) in join_all(asked).await {
        match answer.and_then(|answer| number(metric, &answer).map(|number| (number, answer.date_unix_s))) {
            Ok((number, date)) => {
                reading.clock_unix_s = date.or(reading.clock_unix_s);
                reading.add(number);
            }
            Err(fault) => reading.faults.push(fault),
        }
    }
    reading
}

/// The one number of an answer.
pub(crate) fn number(metric: Metric, answer: &Answer) -> Result<Number, ScrapeFault> {
    let name = metric.name().to_owned();
    let failed = |what: &str| ScrapeFault::QueryFailed { metric: name.clone(), what: short(what, 160) };
    if answer.content_type.contains("html") || answer.body.starts_with(b"<") {
        return Err(ScrapeFault::NotMetrics { looks: "HTML".to_owned() });
    }
    let json: Value =
        serde_json::from_slice(&answer.body).map_err(|_| ScrapeFault::NotMetrics { looks: "not JSON".into() })?;
    if json["status"] != "success" {
        return Err(failed(json["error"].as_str().unwrap_or("its status is not `success`")));
    }
    let data = &json["data"];
    let sample = match data["resultType"].as_str() {
        Some("scalar") => &data["result"],
        Some("vector") => match data["result"].as_array().map(Vec::as_slice) {
            Some([one]) => &one["value"],
            Some([]) => return Err(ScrapeFault::NoSeries { what: name }),
            Some(several) => {
                let what = format!("{} series come, and one is wanted: write sum(...) or max(...)", several.len());
                return Err(failed(&what));
            }
            None => return Err(failed("the answer has no result")),
        },
        _ => return Err(failed("the answer is neither a number nor series at one moment")),
    };
    let value =
        sample[1].as_str().and_then(|text| text.parse().ok()).ok_or_else(|| failed("its value is no number"))?;
    Ok(Number { metric, value, at_unix_s: sample[0].as_f64(), name })
}

/// A text as the value of a parameter (RFC 3986, 2.1).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Result<f64, ScrapeFault> {
        let answer = Answer { body: body.into(), ..Answer::default() };
        number(Metric::CpuUsage, &answer).map(|number| number.value)
    }

    #[test]
    fn one_number_is_read_and_everything_else_is_said() {
        let vector =
            |result: &str| format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#);
        let one = r#"{"metric":{},"value":[1700000000.5,"12.5"]}"#;
        assert_eq!(of(&vector(one)), Ok(12.5));
        assert_eq!(of(r#"{"status":"success","data":{"resultType":"scalar","result":[1,"3"]}}"#), Ok(3.0));
        assert!(of(&vector(r#"{"value":[1,"NaN"]}"#)).unwrap().is_nan());
        assert!(matches!(of(&vector("")), Err(ScrapeFault::NoSeries { .. })));
        let words = |body: &str| of(body).unwrap_err().to_string();
        assert!(words(&vector(&format!("{one},{one}"))).contains("2 series come, and one is wanted"));
        assert!(words(r#"{"status":"error","error":"parse error: no"}"#).ends_with("failed: parse error: no"));
        assert_eq!(words("<html>"), "what comes is HTML, not metrics");
        assert_eq!(words("{\"status\":"), "what comes is not JSON, not metrics");
        assert!(words(r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#).contains("at one moment"));
        assert!(words(&vector(r#"{"value":[1,2]}"#)).contains("its value is no number"));
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(encoded("1e6 * sum(a{b=\"c\"})"), "1e6%20%2A%20sum%28a%7Bb%3D%22c%22%7D%29");
    }
}
