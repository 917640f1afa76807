//! The server, or a provider before it, lets in only so many connections a second. It looks like a limit of number where the
//! load stops at the first refusal; what tells them apart is that the next second admits as many again.

use super::rule::{Candidate, Proof, Rule};
use crate::context::{Admissions, TrialContext};
use wsceiling_model::format;
use wsceiling_model::platforms::LimitKind;
use wsceiling_model::record::{Cause, FailedAt, Metric};

/// Share of the failures that must be refusals.
const REFUSED: f64 = 0.8;
/// Cores an instance may use and still have been free to accept more.
const IDLE: f64 = 0.5;
/// Share of those that came after the first refusal that must have been refused: who turns away a few of many has
/// another reason than their number in a second.
const HELD_BACK: f64 = 0.15;
/// How far two rates may be apart to be the same.
const SAME: f64 = 0.15;
/// 429 Too Many Requests (RFC 6585, section 4).
const TOO_MANY_REQUESTS: u16 = 429;

pub(super) const RULE: Rule = Rule {
    cause: Cause::RateLimit,
    consequences: &[Cause::ApplicationCap, Cause::AcceptQueue, Cause::SynQueue, Cause::ServerWaits],
    judge,
};

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let refused = trial.share(|error| {
        let before_open = matches!(error.at, FailedAt::Handshake | FailedAt::Connect);
        before_open && (error.reason.is_broken() || error.reason.http_status().is_some())
    });
    let instances = f64::from(trial.cell.instances.max(1));
    let idle = trial.server_cores().is_none_or(|cores| cores < IDLE * instances);
    if refused < REFUSED || !idle || trial.ended() {
        return None;
    }
    let said = trial.share(|error| error.reason.http_status() == Some(TOO_MANY_REQUESTS)) >= REFUSED;
    let admissions = trial.admissions();
    let rates: Vec<f64> = admissions.iter().filter_map(Admissions::per_second).collect();
    let held_back = admissions.first().is_some_and(|failed| failed.refused_share() >= HELD_BACK);
    let went_on = held_back && trial.keeps_letting_in();
    let stood = !admissions.is_empty() && admissions.iter().all(Admissions::stood);
    // The status says "too many" of anything, unless it comes with a time after which to try again (RFC 9110, 10.2.3); who lets nobody in any more has a limit of number.
    // Where the load ended with the first refusals, that word is all there is.
    let later = said && admissions.len() < 2 && trial.asked_to_retry() >= REFUSED;
    if !went_on && (!said || stood) && !later {
        return None;
    }
    let steady = match rates[..] {
        [one, other, ..] => (one - other).abs() <= SAME * one.max(other),
        _ => false,
    };
    let rate = rates.iter().sum::<f64>() / rates.len().max(1) as f64;
    let again = admissions.last().filter(|last| last.asked_again());
    let how = if !rates.is_empty() {
        format!("about {} a second were let in while the others were refused", format::number(rate))
    } else if let Some(again) = again.filter(|_| went_on) {
        let (opened, asked) = (format::whole(again.opened), format::whole(again.opened + again.refused));
        format!("asked again slowly a moment later, it let in {opened} of {asked}")
    } else if went_on {
        "it refused some, and let others in a moment later".to_owned()
    } else {
        "it answered 429 Too Many Requests".to_owned()
    };
    Some(Candidate {
        sentence: format!(
            "At {} the server refused connections for coming too fast, not for being too many: {how} ({}).{}",
            format::connections(trial.held_at_failure()),
            trial.symptom_words(),
            documented(trial, rate)
        ),
        fix:
            "open more slowly, or raise the limit of new connections per second in the server, the proxy before it or \
              the provider's settings; half the rate should raise the number held: that is the experiment"
                .into(),
        evidence: {
            let mut all = trial.failures_evidence();
            all.extend(admissions.iter().map(Admissions::evidence));
            all.extend(trial.instances().filter_map(|instance| trial.evidence(instance, Metric::CpuUsage)));
            all
        },
        proof: Proof {
            moved: went_on || said && !stood || later,
            arithmetic: steady && went_on,
            timely: true,
            explains: refused,
            onset_ms: trial.first_failure_ms,
        },
    })
}

/// The platform's documented rate, where about that many were let in.
fn documented(trial: &TrialContext<'_>, rate: f64) -> String {
    let mut limits = trial.distance.iter().flat_map(|distance| distance.limits(LimitKind::NewPerSecond));
    let row = limits.find(|(_, limit)| rate > 0.0 && (rate - limit.value).abs() <= SAME * limit.value);
    row.map_or(String::new(), |(platform, limit)| {
        let (title, value) = (&platform.title, format::whole(limit.value));
        format!(" {title} documents {value} a second for each {} ({}).", limit.scope, limit.reference())
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, remote, script};
    use crate::verdict::EvidenceName;
    use wsceiling_model::record::{Answer, Cause, FailedAt};

    /// 500 asked for in a second, `open` let in, of them `after` after the first refusal.
    fn refused(status: &str, open: u32, after: u64) -> Script {
        let fail = Fail::plateau(open).error(FailedAt::Handshake, status, u64::from(1000 - open)).opened_after(after);
        script().load(1000, 1000).rate(500.0).fail(fail)
    }

    #[test]
    fn who_goes_on_letting_some_in_has_a_limit_of_rate() {
        let verdict = refused("http 429", 450, 290).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::RateLimit, 0.60), "{verdict:?}");
        assert_eq!(cause(refused("http 503", 450, 290)), Cause::RateLimit);
        assert_eq!(cause(refused("reset", 450, 290)), Cause::RateLimit);
    }

    #[test]
    fn who_lets_nobody_in_any_more_has_a_limit_of_number() {
        assert_eq!(cause(refused("http 503", 500, 0)), Cause::ApplicationCap);
        assert_eq!(cause(refused("http 429", 500, 0)), Cause::ApplicationCap);
    }

    #[test]
    fn who_says_when_to_try_again_has_a_limit_of_rate_unless_the_next_second_says_otherwise() {
        let headers = [("retry-after".to_owned(), "1".to_owned())].into();
        let answer = Answer { count: 500, status: 429, phrase: "Too Many Requests".into(), code: None, headers };
        let verdict = refused("http 429", 500, 0).answered(answer.clone()).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::RateLimit, 0.60), "{verdict:?}");
        let fail = |open: u32| {
            let failed = 1000 - u64::from(open);
            Fail::plateau(open).error(FailedAt::Handshake, "http 429", failed).opened_after(0)
        };
        let twice = script().load(500, 1000).rate(500.0).good(500).fail(fail(600)).fail(fail(600));
        assert_eq!(cause(twice.answered(answer)), Cause::ApplicationCap);
    }

    #[test]
    fn who_turns_a_few_away_at_random_has_no_limit_of_rate() {
        assert_eq!(cause(refused("reset", 980, 900)), Cause::Unknown);
    }

    #[test]
    fn the_next_second_admits_as_many_again() {
        // The step was over before the second was: the step past the edge shows it.
        let edge = |open: u32| {
            let fail = |open: u32, failed: u64, after| {
                Fail::plateau(open).error(FailedAt::Handshake, "http 429", failed).opened_after(after)
            };
            script().load(200, 400).rate(500.0).fail(fail(150, 50, 0)).fail(fail(open, 400 - u64::from(open), 0))
        };
        assert_eq!(cause(edge(300)), Cause::RateLimit);
        // It may even let all of them in, over two of its seconds.
        assert_eq!(cause(edge(400)), Cause::RateLimit);
        assert_eq!(cause(edge(150)), Cause::ApplicationCap);
    }

    /// The load ended with the first 90 refusals; asked again for 20, `let_in` of them were let in.
    fn ended_early(status: &str, let_in: u32) -> Script {
        let fail = Fail::plateau(90).error(FailedAt::Handshake, status, 90).opened_after(0);
        remote("render").load(600, 1200).rate(300.0).fail(fail).again(20, let_in, status)
    }

    #[test]
    fn where_the_load_ended_with_the_first_refusals_those_that_are_asked_again_tell() {
        let verdict = ended_early("http 503", 20).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::RateLimit, 0.60), "{verdict:?}");
        assert!(verdict.sentence.contains("it let in 20 of 20"), "{}", verdict.sentence);
        assert_eq!(cause(ended_early("reset", 19)), Cause::RateLimit);
        // A number lets nobody in, or as many as have left; with two processes, of which one is full, about half of them.
        for let_in in [0, 3, 10] {
            assert_eq!(cause(ended_early("http 503", let_in)), Cause::ApplicationCap, "{let_in}");
            assert_eq!(cause(ended_early("http 429", let_in)), Cause::ApplicationCap, "{let_in}");
        }
        let verdict = ended_early("http 503", 0).verdict();
        let asked = verdict.evidence.iter().find(|evidence| evidence.name == EvidenceName::OpenedAfterRefusal);
        assert_eq!(asked.and_then(|asked| asked.after.as_deref()), Some("0"), "{verdict:?}");
    }

    #[test]
    fn the_word_of_a_status_does_not_stand_against_those_that_are_asked_again() {
        let headers = [("retry-after".to_owned(), "1".to_owned())].into();
        let answer = Answer { count: 90, status: 429, phrase: "Too Many Requests".into(), code: None, headers };
        assert_eq!(cause(ended_early("http 429", 20).answered(answer.clone())), Cause::RateLimit);
        assert_eq!(cause(ended_early("http 429", 0).answered(answer)), Cause::ApplicationCap);
    }

    #[test]
    fn several_processes_that_fill_up_one_after_the_other_have_a_limit_of_number() {
        // nginx with two workers: the second goes on while the first refuses, until it is full too.
        let fail =
            |failed: u64, after| Fail::plateau(400).error(FailedAt::Handshake, "reset", failed).opened_after(after);
        let full = script().load(600, 800).rate(500.0).fail(fail(200, 150)).fail(fail(400, 0));
        assert_eq!(cause(full), Cause::ApplicationCap);
    }
}
