//! JUnit's XML, which CI systems show as tests.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::{RenderError, text};

/// A test case.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What it belongs to.
    pub class: String,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub status: Status,
    /// How long it took; `None`: not known.
    pub seconds: Option<f64>,
}

/// What became of a test case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It passed, with what was found.
    Passed(Option<String>),
    /// What is tested failed.
    Failed(String),
    /// It could not be tested, because of what is tested.
    Error(String),
    /// It was not tested.
    Skipped(String),
}

/// The document. Characters that XML has no place for are dropped.
pub(super) fn document(suite: &str, cases: Vec<Case>) -> Result<String, RenderError> {
    let mut report = Report::new("wsceiling");
    let mut all = TestSuite::new(text::one_line(suite));
    for case in cases {
        let (mut status, message) = match case.status {
            Status::Passed(found) => (TestCaseStatus::success(), found),
            Status::Failed(why) => (TestCaseStatus::non_success(NonSuccessKind::Failure), Some(why)),
            Status::Error(why) => (TestCaseStatus::non_success(NonSuccessKind::Error), Some(why)),
            Status::Skipped(why) => (TestCaseStatus::skipped(), Some(why)),
        };
        let message = message.map(|message| text::one_line(&message));
        let passed = matches!(status, TestCaseStatus::Success { .. });
        if let Some(message) = message.as_ref().filter(|_| !passed) {
            status.set_message(message.as_str());
        }
        let mut one = TestCase::new(text::one_line(&case.name), status);
        one.set_classname(text::one_line(&case.class));
        if let Some(seconds) = case.seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0) {
            // More than a year is no time of a trial.
            one.set_time(Duration::from_secs_f64(seconds.min(4e7)));
        }
        if let Some(message) = message.filter(|_| passed) {
            one.set_system_out(message);
        }
        all.add_test_case(one);
    }
    report.add_test_suite(all);
    report.to_string().map_err(|error| RenderError::Junit(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_counted_and_no_text_leaves_its_place() {
        let case = |name: &str, status| Case { class: "head".into(), name: name.into(), status, seconds: Some(1.5) };
        let cases = vec![
            case("a", Status::Passed(Some("8,000".into()))),
            case("b\"><x>", Status::Failed("more <memory> & \u{1b}[31m]]>\nthan \"before\"".into())),
            case("c", Status::Skipped("no engine".into())),
            Case { seconds: Some(f64::NAN), ..case("d", Status::Error("did not start".into())) },
        ];
        let xml = document("a\u{0} run", cases).unwrap();
        insta::assert_snapshot!("junit", xml);
        assert!(!xml.contains("<x>") && !xml.contains('\u{1b}') && !xml.contains('\u{0}'), "{xml}");
    }
}
