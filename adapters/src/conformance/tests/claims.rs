//! What must be found of claims, of what goes back, of a provider's restart and of tokens.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use maxpay_engine::channel::{Call, CodeManifest, Context, Outcome, Paid, RefundIntent, RefundRules, VoidRules};
use maxpay_engine::model::{Intent, Money, NamedAction};

use super::bent::{Bend, Bent};
use super::{Candidate, Ear, PARTS, Report, codes, runtime, sit};
use crate::alipay::simulator::{AlipayCandidate, KeyMode};
use crate::applepay::simulator::ApplePayCandidate;
use crate::sandbox::simulator::SandboxCandidate;
use crate::unionpay::simulator::UnionPayCandidate;
use crate::wechat::simulator::{KeyKind, WeChatCandidate};

/// What is bent, in whom, in which part of the exam it is found, and by which case.
type Bending = (fn() -> Box<dyn Candidate>, &'static str, Bend, &'static str, &'static str);

pub(super) fn sandbox() -> Box<dyn Candidate> {
    Box::new(SandboxCandidate)
}

pub(super) fn alipay() -> Box<dyn Candidate> {
    Box::new(AlipayCandidate(KeyMode::PublicKey))
}

pub(super) fn wechat() -> Box<dyn Candidate> {
    Box::new(WeChatCandidate(KeyKind::Certificates))
}

pub(super) fn unionpay() -> Box<dyn Candidate> {
    Box::new(UnionPayCandidate)
}

pub(super) fn applepay() -> Box<dyn Candidate> {
    Box::new(ApplePayCandidate)
}

const DAY: Duration = Duration::from_hours(24);

const CLAIMS: &[Bending] = &[
    (wechat, "wx_native", Bend::Claim(|it| it.subject_bytes_max = 300), "claims", "a subject of 300 bytes is taken"),
    (alipay, "ali_qrcode", Bend::Claim(|it| it.expiry.0 = Duration::ZERO), "claims", "of the shortest life is taken"),
    (
        alipay,
        "ali_qrcode",
        Bend::Claim(|it| it.min_life = Duration::ZERO),
        "claims",
        "leaves min_life before its expiry is taken",
    ),
    (alipay, "ali_qrcode", Bend::Claim(|it| it.action_lifetime = None), "claims", "says how long it is usable"),
    (sandbox, "wx_h5", Bend::Reading(never_again), "claims", "is made anew by the same create"),
    (alipay, "ali_qrcode", Bend::Asking(later), "claims", "an order of the longest life ends when it says"),
    (unionpay, "unipay_web", Bend::Claim(|it| it.needs.clear()), "claims", "with nothing but what is needed"),
    (wechat, "wx_h5", Bend::Claim(|it| it.action_lifetime = None), "claims", "says how long it is usable"),
    (wechat, "wx_h5", Bend::Claim(|it| it.action_lifetime = Some(DAY)), "claims", "says how long it is usable"),
    (sandbox, "wx_native", Bend::Reading(a_minute_only), "claims", "says how long it is usable"),
    (wechat, "wx_h5", Bend::Reading(never_again), "claims", "is made anew by the same create"),
    (
        alipay,
        "ali_qrcode",
        Bend::Whole(|it| it.material_kept = Some(DAY)),
        "claims",
        "material that grew old is fetched anew",
    ),
    (alipay, "ali_qrcode", Bend::Reading(forgotten_in_weeks), "claims", "a payment is known"),
    (wechat, "wx_native", Bend::LearnsAnything, "claims", "material × executed, reply cut"),
    (applepay, "apple_pay", Bend::Reading(any_session), "charges", "wallet session × executed, reply a page"),
];

const LIMITS: &[Bending] = &[
    (alipay, "ali_qrcode", Bend::Reading(held_is_over), "limits", "no money is told as held"),
    (wechat, "wx_native", Bend::Reading(held_is_over), "limits", "a refund that got stuck is told as held"),
    (wechat, "wx_native", Bend::Claim(|it| refunds(it).min_gap = Duration::ZERO), "limits", "are taken 0 s apart"),
    (wechat, "wx_native", Bend::Reading(unknown_is_over), "limits", "comes too soon is not told as over"),
    (
        wechat,
        "wx_native",
        Bend::Claim(|it| refunds(it).count_max = 51),
        "limits",
        "51 refunds of one payment are taken",
    ),
    (wechat, "wx_native", Bend::Claim(|it| refunds(it).window = DAY * 400), "limits", "on the last of 400 days"),
    (alipay, "ali_qrcode", Bend::Reading(refund_unknown_at_first), "limits", "known once truth_from has passed"),
    (alipay, "ali_qrcode", Bend::Claim(|it| refunds(it).window = DAY * 400), "limits", "on the last of 400 days"),
    (applepay, "apple_pay", Bend::Claim(|it| refunds(it).window = DAY * 400), "limits", "on the last of 400 days"),
    (
        applepay,
        "apple_pay",
        Bend::Claim(|it| refunds(it).count_max = 51),
        "limits",
        "51 refunds of one payment are taken",
    ),
    (unionpay, "unipay_app", Bend::Reading(forgotten_in_weeks), "limits", "a refund is known"),
    (
        unionpay,
        "unipay_app",
        Bend::Claim(|it| it.void = Some(cut(8, 23 * 60 + 30))),
        "limits",
        "a minute before its cut-off",
    ),
    (
        unionpay,
        "unipay_app",
        Bend::Claim(|it| it.void = Some(cut(0, 23 * 60))),
        "limits",
        "a minute before its cut-off",
    ),
    (unionpay, "unipay_app", Bend::Reading(decline_is_unknown), "limits", "after its cut-off is declined"),
    (
        applepay,
        "apple_pay",
        Bend::Claim(|it| it.void = Some(cut(0, 23 * 60 + 30))),
        "limits",
        "a minute before its cut-off",
    ),
];

const FAULTS: &[Bending] = &[
    (applepay, "apple_pay", Bend::Renumbers, "requests", "the same refund gives the same bytes"),
    (unionpay, "unipay_app", Bend::Asking(for_one_minor), "requests", "a refund says its amount"),
    (wechat, "wx_native", Bend::Anonymous, "refunds", "the answer to a query of a refund, read as one about another"),
    (wechat, "wx_native", Bend::Reading(unknown_is_over), "refund faults", "refund × executed, then 503"),
    (alipay, "ali_qrcode", Bend::Reading(unknown_is_done), "refund faults", "refund × 404 before execution"),
    (applepay, "apple_pay", Bend::Reading(unknown_is_over), "refund faults", "void × executed, reply cut"),
    (
        unionpay,
        "unipay_app",
        Bend::Reading(look_unknown_is_not_found),
        "refund faults",
        "query of a void × executed, then 404",
    ),
    (applepay, "apple_pay", Bend::Renumbers, "refund faults", "refund × executed, reply lost"),
];

const REOPENING: &[Bending] = &[
    (wechat, "wx_native", Bend::Forgets, "reopening", "it has the same books"),
    (alipay, "ali_app", Bend::Forgets, "reopening", "it tells of a payment from before"),
    (applepay, "apple_pay", Bend::Forgets, "reopening", "it has the same books"),
    (applepay, "apple_pay", Bend::Token(double), "charges", "a token for another amount is refused"),
    (applepay, "apple_pay", Bend::Token(in_another), "charges", "of another currency is refused"),
];

#[test]
fn every_bent_claim_is_found() {
    // Each candidate with one thing bent fails the case that is about that.
    found(CLAIMS);
}

#[test]
fn every_bent_limit_is_found() {
    // The same of what goes back.
    found(LIMITS);
}

#[test]
fn every_wrong_reading_of_a_fault_is_found() {
    // The same of refunds, voids and their queries under faults.
    found(FAULTS);
}

#[test]
fn a_provider_that_forgets_and_a_token_for_another_amount_are_found() {
    // The same of a provider's restart and of tokens.
    found(REOPENING);
}

fn found(table: &[Bending]) {
    let mut wrong = Vec::new();
    let mut straight = BTreeSet::new();
    for (candidate, code, bend, part, case) in table {
        let failures = |bend| {
            let candidate = Bent { inner: candidate(), code, bend };
            let rules = codes(&candidate).remove(0);
            let (_, run) = PARTS.into_iter().find(|(name, _)| name == part).expect("a part of that name");
            let ear = Arc::new(Ear::default());
            let rows = runtime().block_on(sit(&candidate, &rules, &ear, part, run, Some(&rules)));
            let report = Report { candidate: candidate.name(), rows };
            report.failures().map(|row| format!("{row}: {:?}", row.verdict)).collect::<Vec<_>>()
        };
        if straight.insert((*code, *part)) {
            let failures = failures(Bend::Straight);
            if !failures.is_empty() {
                wrong.push(format!("{code}, {part}: as it is {failures:#?} failed"));
            }
        }
        let failures = failures(*bend);
        if !failures.iter().any(|row| row.contains(case)) {
            wrong.push(format!("{code}, {part}: {case:?} was to fail, {failures:#?} did"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn refunds(rules: &mut CodeManifest) -> &mut RefundRules {
    rules.refund.as_mut().expect("refunds")
}

fn cut(hours_ahead: u64, minutes: u64) -> VoidRules {
    let utc_offset = Duration::from_secs(hours_ahead * 3_600);
    VoidRules { utc_offset, cut_off: Duration::from_secs(minutes * 60) }
}

/// How long ago the number was given that is asked about.
fn age(context: &Context<'_>) -> Duration {
    context.subject.map_or(Duration::ZERO, |subject| context.now.since(subject.numbered_at))
}

fn later(call: &Call) -> Option<Call> {
    let Call::Create { code, intent, original_api } = call else { return None };
    let intent = Intent { expires_at: intent.expires_at.after(DAY), ..intent.clone() };
    Some(Call::Create { code: code.clone(), intent, original_api: *original_api })
}

fn a_minute_only(_: &Call, told: &Outcome, context: &Context<'_>) -> Option<Outcome> {
    let Outcome::AwaitingPayer(actions) = told else { return None };
    let usable_until = Some(context.now.after(Duration::from_mins(1)));
    let ending = |action: &NamedAction| NamedAction { usable_until, ..action.clone() };
    Some(Outcome::AwaitingPayer(actions.iter().map(ending).collect()))
}

fn never_again(call: &Call, _: &Outcome, context: &Context<'_>) -> Option<Outcome> {
    let again = matches!(call, Call::Create { .. }) && age(context) > Duration::from_mins(4);
    again.then(|| Outcome::Unknown("it was there before".to_owned()))
}

fn forgotten_in_weeks(call: &Call, _: &Outcome, context: &Context<'_>) -> Option<Outcome> {
    let asks = matches!(call, Call::Query { .. } | Call::QueryRefund { .. });
    (asks && age(context) > DAY * 20).then_some(Outcome::NotFound)
}

fn refund_unknown_at_first(call: &Call, _: &Outcome, context: &Context<'_>) -> Option<Outcome> {
    let early = matches!(call, Call::QueryRefund { .. }) && age(context) < Duration::from_mins(2);
    early.then_some(Outcome::NotFound)
}

fn held_is_over(_: &Call, told: &Outcome, _: &Context<'_>) -> Option<Outcome> {
    matches!(told, Outcome::Held(_)).then(|| Outcome::Declined("no".to_owned()))
}

fn decline_is_unknown(_: &Call, told: &Outcome, _: &Context<'_>) -> Option<Outcome> {
    matches!(told, Outcome::Declined(_)).then(|| Outcome::Unknown("no".to_owned()))
}

/// What cannot be read of a refund or a void is taken for a refusal.
fn unknown_is_over(call: &Call, told: &Outcome, _: &Context<'_>) -> Option<Outcome> {
    let back = matches!(call, Call::Refund { .. } | Call::Void { .. });
    (back && matches!(told, Outcome::Unknown(_))).then(|| Outcome::Declined("no".to_owned()))
}

fn unknown_is_done(call: &Call, told: &Outcome, _: &Context<'_>) -> Option<Outcome> {
    let (Call::Refund { refund, .. }, Outcome::Unknown(_)) = (call, told) else { return None };
    let paid = Paid { trade_number: "1".to_owned(), amount: refund.amount, paid_at: None };
    Some(Outcome::Succeeded(paid))
}

fn look_unknown_is_not_found(call: &Call, told: &Outcome, _: &Context<'_>) -> Option<Outcome> {
    let look = matches!(call, Call::QueryRefund { .. });
    (look && matches!(told, Outcome::Unknown(_))).then_some(Outcome::NotFound)
}

fn any_session(call: &Call, told: &Outcome, _: &Context<'_>) -> Option<Outcome> {
    let session = matches!(call, Call::PayerSession { .. });
    (session && matches!(told, Outcome::Unknown(_))).then(|| Outcome::AwaitingPayer(Vec::new()))
}

/// Every refund asks for the same.
fn for_one_minor(call: &Call) -> Option<Call> {
    let Call::Refund { code, refund } = call else { return None };
    let amount = Money::new(1, refund.amount.currency()).expect("small");
    Some(Call::Refund { code: code.clone(), refund: RefundIntent { amount, ..refund.clone() } })
}

pub(super) fn double(intent: &Intent) -> Intent {
    Intent { amount: intent.amount.checked_add(intent.amount).expect("small"), ..intent.clone() }
}

/// The same number of minor units of the first other currency.
fn in_another(intent: &Intent) -> Intent {
    let currencies = ApplePayCandidate.adapter().manifest().codes[0].currencies.clone();
    let other = currencies.into_iter().find(|it| *it != intent.amount.currency()).expect("another");
    Intent { amount: Money::new(intent.amount.minor(), other).expect("small"), ..intent.clone() }
}
