//! The exam examined: what is built in passes, and what is planted fails.

#[expect(clippy::wildcard_enum_match_arm, reason = "each plant strikes in one place and leaves the rest as it is")]
mod planted;

#[expect(clippy::wildcard_enum_match_arm, reason = "each bend strikes in one place and leaves the rest as it is")]
#[cfg(all(feature = "alipay", feature = "applepay", feature = "unionpay", feature = "wechat"))]
mod bent;
#[cfg(all(feature = "alipay", feature = "applepay", feature = "unionpay", feature = "wechat"))]
mod claims;
#[cfg(all(feature = "alipay", feature = "applepay", feature = "unionpay", feature = "wechat"))]
mod engines;

use super::*;
use crate::sandbox::simulator::SandboxCandidate;

#[test]
fn the_sandbox_passes() {
    // Every case of every code holds.
    examine(&SandboxCandidate).assert_passed();
}

#[test]
fn every_planted_fault_fails() {
    // Each adapter that is wrong in one way fails the case that is about that, and the same adapter without it none.
    let mut wrong = Vec::new();
    for plant in planted::Plant::ALL {
        let failures = failures(&planted::Candidate(plant));
        let is_found = match plant.fails() {
            None => failures.is_empty(),
            Some(case) => failures.iter().any(|row| row.contains(case)),
        };
        if !is_found {
            wrong.push(format!("{plant:?}: {:?} was to fail, {failures:#?} did", plant.fails()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_planted_misleads_an_engine_too() {
    // The part with an engine finds by itself what ends with the wrong books.
    for plant in [planted::Plant::ClosesPaid, planted::Plant::FailureIsDecline] {
        let candidate = planted::Candidate(plant);
        let ear = Arc::new(Ear::default());
        let mut sheet = Sheet::new("engine", None);
        let rules = &codes(&candidate)[0];
        runtime().block_on(runs::examine(&candidate, rules, &ear, &mut sheet));
        let report = Report { candidate: candidate.name(), rows: sheet.rows };
        assert!(!report.is_passed(), "{plant:?} passed\n{report}");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

fn failures(candidate: &planted::Candidate) -> Vec<String> {
    let ear = Arc::new(Ear::default());
    let rules = &codes(candidate)[0];
    let mut rows = runtime().block_on(async {
        let mut rows = sit(candidate, rules, &ear, "settings", SETTINGS, None).await;
        rows.extend(at_the_desk(candidate, rules, &ear).await);
        rows
    });
    rows.extend(secrecy(&ear));
    let report = Report { candidate: candidate.name(), rows };
    report.failures().map(|row| format!("{row}: {:?}", row.verdict)).collect()
}
