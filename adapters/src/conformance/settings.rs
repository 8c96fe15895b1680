//! The part about the adapter as a whole: what its manifest says, and how it judges settings.

use std::collections::BTreeSet;
use std::time::Duration;

use maxpay_engine::channel::{CodeManifest, FieldError, Manifest, Recreate, SecretSettings};
use maxpay_engine::model::Mode;
use maxpay_engine::secrets::Secret;
use serde_json::{Map, Value};

use super::account::parted;
use super::desk::Desk;
use super::provider::Merchant;
use super::report::Sheet;

/// Names that an unsigned answer's proof may have.
const OUTCOMES: [&str; 12] = [
    "awaiting_payer",
    "succeeded",
    "declined",
    "closed",
    "not_found",
    "unpaid",
    "not_executed",
    "account_refused",
    "processing",
    "held",
    "paid_then_returned",
    "unknown",
];

/// A text that no setting can be.
const MARKER: &str = "never-to-be-shown-0123456789";

pub(super) fn examine(desk: &Desk<'_>, sheet: &mut Sheet) {
    let manifest = desk.adapter.manifest();
    whole(manifest, sheet);
    for rules in &manifest.codes {
        code(rules, sheet);
    }
    let again = desk.candidate.adapter();
    sheet.hold("the manifest is the same at every call", *again.manifest() == *manifest, || "it differs".to_owned());
    judged(desk, sheet);
    refused(desk, sheet);
}

fn whole(manifest: &Manifest, sheet: &mut Sheet) {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let name = manifest.adapter;
    let is_name = !name.is_empty() && name.bytes().all(plain);
    sheet.hold("the name is lower-case letters, digits and -", is_name, || format!("it is {name:?}"));
    sheet.hold("it serves some channel", !manifest.codes.is_empty(), || "there are no codes".to_owned());
    let codes: BTreeSet<_> = manifest.codes.iter().map(|rules| rules.code.to_string()).collect();
    sheet.hold("each code stands once", codes.len() == manifest.codes.len(), || "one stands twice".to_owned());
    let names: BTreeSet<_> = manifest.settings.iter().map(|field| field.name).collect();
    let once = names.len() == manifest.settings.len();
    sheet.hold("each setting stands once", once, || "one stands twice".to_owned());
    let told = manifest.settings.iter().all(|field| !field.doc.is_empty());
    sheet.hold("each setting is explained", told, || "one has no doc".to_owned());
    let unknown = manifest.unsigned.iter().find(|answer| !OUTCOMES.contains(&answer.proves));
    sheet.hold("unsigned answers prove outcomes by their names", unknown.is_none(), || format!("{unknown:?}"));
    let money = ["succeeded", "closed", "paid_then_returned", "awaiting_payer"];
    let proves = manifest.unsigned.iter().find(|answer| money.contains(&answer.proves));
    sheet.hold("no unsigned answer proves a payment or a close", proves.is_none(), || format!("{proves:?}"));
}

fn code(rules: &CodeManifest, sheet: &mut Sheet) {
    let name = &rules.code;
    let (least, most) = rules.amount_minor;
    let (shortest, longest) = rules.expiry;
    let fits = |refund: &maxpay_engine::channel::RefundRules| {
        refund.count_max > 0 && !refund.window.is_zero() && !refund.query.schedule.is_empty()
    };
    let table = [
        ("it takes some currency", !rules.currencies.is_empty()),
        ("its smallest amount is above nothing and not above its largest", 0 < least && least <= most),
        ("its default expiry lies within its bounds", (shortest..=longest).contains(&rules.expiry_default)),
        ("an order of its shortest expiry can be sent", rules.min_life < shortest),
        ("it asks again when an answer is missing", !rules.query.schedule.is_empty()),
        ("it asks again when a close is not confirmed", rules.close.as_ref().is_none_or(|it| !it.schedule.is_empty())),
        ("a call of it has a deadline", rules.call_deadline > Duration::ZERO),
        ("what is signed here is signed again", !rules.locally_signed || rules.recreate == Recreate::Resign),
        ("a subject fits in", rules.subject_bytes_max > 0),
        ("a create that is not executed is tried", rules.not_executed_max > 0),
        ("refunds have a count, a window and a schedule", rules.refund.as_ref().is_none_or(fits)),
    ];
    for (case, holds) in table {
        sheet.hold(format!("{name}: {case}"), holds, || "the manifest says otherwise".to_owned());
    }
}

fn judged(desk: &Desk<'_>, sheet: &mut Sheet) {
    let adapter = &*desk.adapter;
    let judge = |mode, merchant| judge(desk, mode, &desk.provider.settings(merchant));
    let first = judge(Mode::Test, Merchant::First);
    sheet.hold("good settings are taken", first.is_ok(), || format!("{first:?}"));
    let same = judge(Mode::Test, Merchant::First) == first;
    sheet.hold("the same settings name the same identity", same, || "they do not".to_owned());
    let other = judge(Mode::Test, Merchant::Other);
    sheet.hold("another merchant is another identity", other.is_ok() && other != first, || format!("{other:?}"));
    if adapter.manifest().test_mode_only {
        let live = judge(Mode::Live, Merchant::First);
        sheet.hold("live mode is refused", live.is_err(), || "it is taken".to_owned());
    }
}

/// Settings that lack one, or have nonsense in its place.
fn refused(desk: &Desk<'_>, sheet: &mut Sheet) {
    let good = desk.provider.settings(Merchant::First);
    for field in &desk.adapter.manifest().settings {
        let mut nonsense = good.clone();
        if field.needed {
            let mut without = good.clone();
            without.remove(field.name);
            let errors = judge(desk, Mode::Test, &without).err();
            sheet.hold(
                format!("{} is needed, and the error names it", field.name),
                errors.as_ref().is_some_and(|errors| errors.iter().any(|error| error.field == field.name)),
                || format!("{errors:?}"),
            );
        }
        nonsense.insert(field.name.to_owned(), format!("\u{1}{MARKER}").into());
        let errors = judge(desk, Mode::Test, &nonsense).err().unwrap_or_default();
        let shown = field.secret && format!("{errors:?}").contains(MARKER);
        sheet
            .hold(format!("an error about {} does not show what it was", field.name), !shown, || format!("{errors:?}"));
        let told = errors.iter().all(|error| !error.why.is_empty());
        sheet.hold(format!("an error about {} says why", field.name), told, || format!("{errors:?}"));
    }
    let empty = judge(desk, Mode::Test, &Map::new()).err().map_or(0, |errors| errors.len());
    let needed = desk.adapter.manifest().settings.iter().filter(|field| field.needed).count();
    sheet.hold("every setting that is missing is named at once", empty >= needed, || {
        format!("{empty} errors for {needed} settings")
    });
}

fn judge(desk: &Desk<'_>, mode: Mode, all: &Map<String, Value>) -> Result<String, Vec<FieldError>> {
    let account = parted(&*desk.adapter, all);
    let nothing = SecretSettings(std::iter::empty::<(String, Secret)>().collect());
    desk.adapter.validate(mode, &account.settings, account.secrets.first().unwrap_or(&nothing), desk.now())
}
