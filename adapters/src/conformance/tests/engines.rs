//! What must be found of whole engines: what misleads one, what it does with new keys, tokens and a provider that comes
//! back, and what it keeps of a manifest.

use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::channel::{Call, CodeManifest, Context, Outcome, PayerInput};

use super::bent::{Bend, Bent};
use super::claims::{alipay, applepay, double, sandbox, unionpay, wechat};
use super::runs::reopened::Keys;
use super::{Candidate, Ear, Report, Sheet, codes, planted, runs, runtime};

#[test]
fn a_charge_that_is_told_wrongly_misleads_an_engine() {
    // Whoever takes a gateway's page for a refusal has a payer charged twice, and both sides' books show it.
    let bend = Bend::Reading(look_unknown_is_over);
    let candidate = Bent { inner: applepay(), code: "apple_pay", bend };
    let rules = codes(&candidate).remove(0);
    let mut sheet = Sheet::new("engine", None);
    runtime().block_on(runs::examine(&candidate, &rules, &Arc::new(Ear::default()), &mut sheet));
    let report = Report { candidate: candidate.name(), rows: sheet.rows };
    let wrong = |row: &&super::Row| row.case.starts_with("query of what was charged × executed, then 404");
    assert!(report.failures().any(|row| wrong(&row)), "{report}");
}

#[test]
fn what_an_engine_does_wrong_with_new_keys_and_tokens_is_found() {
    // An adapter that never fetches keys for a notification, or always does, and one that takes any token, each in a
    // whole engine.
    let ear = Arc::new(Ear::default());
    let certificates = "a notice under a new key is taken by its first repetition";
    let anybodys = "notices that anybody could have made cause few requests";
    let table = [
        (wechat(), "wx_native", Bend::NeverFetches, certificates),
        (wechat(), "wx_native", Bend::AlwaysFetches, anybodys),
        (applepay(), "apple_pay", Bend::Token(double), "refused before anything is asked"),
    ];
    for (inner, code, bend, case) in table {
        let candidate = Bent { inner, code, bend };
        let rules = codes(&candidate).remove(0);
        let mut sheet = Sheet::new("engine", None);
        let ran = runtime().block_on(async {
            if rules.authorize {
                runs::tokens::examine(&candidate, &rules, &ear, &mut sheet).await
            } else {
                runs::rotated::examine(&candidate, &rules, &ear, &mut sheet).await
            }
        });
        let report = Report { candidate: candidate.name(), rows: sheet.rows };
        assert!(report.failures().any(|row| row.case.contains(case)), "{case}: {ran:?}\n{report}");
    }
}

#[test]
fn a_provider_that_forgets_in_the_middle_of_traffic_is_found() {
    // One that comes back without its books, or without its new keys, fails what an engine had under way there, and
    // what it fails is about just that.
    let table = [
        (wechat(), "wx_native", Bend::Forgets, Keys::Old, "that was open, paid and told of is paid once", false),
        (sandbox(), "wx_native", Bend::Forgets, Keys::Old, "whose create was not answered", false),
        (applepay(), "apple_pay", Bend::Forgets, Keys::Old, "whose charge was not answered", false),
        (sandbox(), "wx_native", Bend::ForgetsKeys, Keys::New, "an account's settings are as before", true),
        (unionpay(), "unipay_app", Bend::ForgetsKeys, Keys::New, "an account's settings are as before", true),
    ];
    for (inner, code, bend, keys, case, old_keys_pass) in table {
        let candidate = Bent { inner, code, bend };
        let rules = codes(&candidate).remove(0);
        let examined = |keys| {
            let mut sheet = Sheet::new("engine", None);
            let ear = Arc::new(Ear::default());
            let ran = runtime().block_on(runs::reopened::examine(&candidate, &rules, &ear, &mut sheet, keys));
            (ran, Report { candidate: candidate.name(), rows: sheet.rows })
        };
        let (ran, report) = examined(keys);
        let found = ran.is_err() || report.failures().any(|row| row.case.contains(case));
        assert!(found, "{case}: {ran:?}\n{report}");
        if old_keys_pass {
            let (ran, report) = examined(Keys::Old);
            assert!(ran.is_ok() && report.is_passed(), "{case}: {ran:?}\n{report}");
        }
    }
}

/// What an engine keeps of a manifest is held against the claims of the one that it should have been given.
type Kept = (fn() -> Box<dyn Candidate>, &'static str, fn(&mut CodeManifest), &'static [&'static str]);

const KEPT: &[Kept] = &[
    (sandbox, "wx_jsapi", |it| it.needs.clear(), &["an order without Openid"]),
    (sandbox, "wx_h5", |it| it.needs = vec![PayerInput::H5Type], &["an order without ClientIp"]),
    (sandbox, "wx_h5", |it| it.needs = vec![PayerInput::ClientIp], &["an order without H5Type"]),
    (alipay, "ali_web", |it| it.needs.clear(), &["an order without ReturnUrl"]),
    (wechat, "wx_native", |it| it.amount_minor.0 = 0, &[]),
    (wechat, "wx_native", |it| it.amount_minor.1 += 1, &["more than its largest amount"]),
    (wechat, "wx_native", |it| it.subject_bytes_max += 1, &["too long a subject"]),
    (wechat, "wx_native", |it| it.expiry.0 /= 2, &["too short a life"]),
    (wechat, "wx_native", |it| it.expiry.1 *= 2, &["too long a life"]),
    (
        wechat,
        "wx_native",
        |it| it.currencies.push("JPY".parse().expect("a currency")),
        &["a currency that it does not take"],
    ),
    (wechat, "wx_native", |it| it.group = "other", &["it is found by its group"]),
    (
        wechat,
        "wx_native",
        |it| it.query.awaiting_schedule = vec![Duration::from_mins(1)],
        &["while only the payer is awaited"],
    ),
    (wechat, "wx_native", |it| it.query.schedule[1] *= 2, &["while an answer is missing"]),
    (unionpay, "unipay_web", |it| it.query.schedule[1] *= 2, &["while an answer is missing"]),
    (applepay, "apple_pay", |it| it.query.schedule[3] *= 2, &["while an answer is missing"]),
    (alipay, "ali_app", |it| closes(it)[2] *= 2, &["while a close is not confirmed", "after the closing moment"]),
    (alipay, "ali_qrcode", |it| it.not_executed_max = 4, &["a create that was not executed is tried 3 times"]),
    (wechat, "wx_native", |it| it.call_deadline *= 2, &["an answer counts until call_deadline"]),
    (applepay, "apple_pay", |it| it.call_deadline /= 2, &["an answer counts until call_deadline"]),
    (alipay, "ali_web", |it| it.call_deadline *= 2, &["an answer counts until call_deadline"]),
];

fn closes(rules: &mut CodeManifest) -> &mut [Duration] {
    &mut rules.close.as_mut().expect("a close").schedule
}

#[test]
fn an_engine_that_keeps_another_manifest_is_found() {
    // Exactly the case that is about what differs fails; the engine itself takes no amount of nothing.
    for (inner, code, claim, cases) in KEPT {
        let straight = codes(&Bent { inner: inner(), code, bend: Bend::Straight }).remove(0);
        let candidate = Bent { inner: inner(), code, bend: Bend::Claim(*claim) };
        let mut sheet = Sheet::new("engine", None);
        let ear = Arc::new(Ear::default());
        let ran = runtime().block_on(async {
            runs::door::examine(&candidate, &straight, &ear, &mut sheet).await?;
            runs::pace::examine(&candidate, &straight, &ear, &mut sheet).await
        });
        let report = Report { candidate: candidate.name(), rows: sheet.rows };
        let failed: Vec<_> = report.failures().map(|row| row.case.clone()).collect();
        let exact = failed.len() == cases.len() && failed.iter().zip(*cases).all(|(row, case)| row.starts_with(case));
        assert!(ran.is_ok() && exact, "{code}, {cases:?}: {ran:?}\n{report}");
    }
}

#[test]
fn whoever_acknowledges_what_it_cannot_verify_is_found() {
    // A notice under keys that are not saved yet would never come again.
    let candidate = planted::Candidate(planted::Plant::AcknowledgesLies);
    let rules = codes(&candidate).remove(0);
    let mut sheet = Sheet::new("engine", None);
    let ear = Arc::new(Ear::default());
    let ran = runtime().block_on(runs::reopened::examine(&candidate, &rules, &ear, &mut sheet, Keys::New));
    let report = Report { candidate: candidate.name(), rows: sheet.rows };
    assert!(report.failures().any(|row| row.case.contains("only if it is booked")), "{ran:?}\n{report}");
}

#[test]
fn an_answer_that_names_no_order_misleads_an_engine() {
    // Whoever does not tell the engine which order an answer is about has it believe another order's.
    let candidate = Bent { inner: wechat(), code: "wx_native", bend: Bend::Anonymous };
    let rules = codes(&candidate).remove(0);
    let mut sheet = Sheet::new("engine", None);
    let ear = Arc::new(Ear::default());
    let ran = runtime().block_on(runs::swapped::examine(&candidate, &rules, &ear, &mut sheet));
    let report = Report { candidate: candidate.name(), rows: sheet.rows };
    let wrong = |row: &super::Row| row.case.starts_with("the answer about another order settles nothing");
    assert!(report.failures().any(wrong), "{ran:?}\n{report}");
}

/// A charge that a query does not tell of is taken for one that was refused.
fn look_unknown_is_over(call: &Call, told: &Outcome, _: &Context<'_>) -> Option<Outcome> {
    let look = matches!(call, Call::Query { .. });
    (look && matches!(told, Outcome::Unknown(_))).then(|| Outcome::Declined("no".to_owned()))
}
