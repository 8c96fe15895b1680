//! The fuzz targets, on their kept inputs and on a fixed number of others made from them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use maxpay_tests::fuzz::mutation::Mutation;
use maxpay_tests::fuzz::{self, INPUT_MAX, Target, codec};

#[test]
fn rows_and_keys_of_the_store_hold() {
    // What decodes can be shown and encodes again; what is damaged, lies or stands under another key is refused.
    run("codec", 40_000);
}

#[test]
fn groups_of_the_journal_hold() {
    // A group reads back as exactly what was written, under its own number and in its own store; all else is refused.
    run("group", 20_000);
}

#[test]
fn bodies_of_the_original_hold() {
    // A body is refused with a code and a text, or is the same when it is written down again.
    run("original", 20_000);
}

#[test]
fn signs_hold() {
    // A sign lets its request in exactly when a key that it may claim made it, in time.
    run("sign", 10_000);
}

#[test]
fn cursors_hold() {
    // What a list gave reads back there; every other text is refused by name.
    run("cursor", 20_000);
}

#[test]
fn lines_of_the_pipe_hold() {
    // Every line that wants an answer has one, as JSON-RPC says; without a key it is a refusal.
    run("line", 3_000);
}

#[test]
fn what_a_provider_sends_holds() {
    // Without the key nothing is proved; with it, what the body says and nothing more.
    run("notification", 10_000);
}

#[test]
fn what_alipay_sends_holds() {
    // Without the key nothing is proved or learned; with it, what the text says and nothing more.
    run("alipay", 2_000);
}

#[test]
fn what_wechat_pay_sends_holds() {
    // The same of v3, and of lists of certificates.
    run("wechat", 2_000);
}

#[test]
fn what_wechat_pay_sends_in_v2_holds() {
    // The same of v2; a sealed refund is a hint and no more.
    run("wechat_v2", 10_000);
}

#[test]
fn what_unionpay_sends_holds() {
    // The same of UnionPay, and no merchant of the same authority can sign for it.
    run("unionpay", 2_000);
}

#[test]
fn tokens_sessions_and_answers_of_apple_pay_hold() {
    // A changed token is refused or the same; an answer says nothing without the key.
    run("applepay", 5_000);
}

#[test]
fn signatures_of_tokens_hold() {
    // No bytes but Apple's make a token count.
    run("cms", 5_000);
}

#[test]
fn archives_hold() {
    // What opens gives the key that its certificate belongs to, after a bounded time.
    run("pkcs12", 500);
}

#[test]
fn certificates_and_keys_hold() {
    // What reads reads back, and only what its issuer signed leads to a root.
    run("x509", 5_000);
}

#[test]
fn xml_holds() {
    // One level, nothing expands, and what was read is written as something that reads as the same.
    run("xml", 10_000);
}

#[test]
fn forms_amounts_and_moments_hold() {
    // What is written reads back, and nothing breaks out of a page.
    run("form", 20_000);
}

#[test]
fn every_kind_of_record_is_tried() {
    // A golden file of a kind that the target does not know is a record that nobody fuzzes.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/src/store/golden");
    let mut kinds = 0;
    for entry in std::fs::read_dir(folder).expect("the golden files are there") {
        let path = entry.expect("the folder is readable").path();
        let row = std::fs::read(&path).expect("the file is readable");
        assert!(codec::knows(row[1]), "{}: nobody tries kind {}", path.display(), row[1]);
        kinds += 1;
    }
    assert!(kinds > 0, "{folder} is empty");
}

#[test]
fn inputs_read_back() {
    // An input is kept as the line that a failing test prints, whatever its bytes.
    let every: Vec<u8> = (0..=u8::MAX).collect();
    for input in [every.as_slice(), b"", b"\\x", b"\"'\\"] {
        assert_eq!(fuzz::read(&fuzz::written(input)).as_deref(), Some(input));
    }
    for line in ["", "b\"", "\"a\"", "b\"\\x4\"", "b\"\\q\"", "b\"a"] {
        assert_eq!(fuzz::read(line), None, "{line}");
    }
}

/// Runs a target on its kept inputs, on the same repeated to the greatest length, and on `made` others.
fn run(name: &str, made: usize) {
    let target = fuzz::named(name);
    let kept = target.kept();
    for input in &kept {
        check(target, input);
        let long: Vec<u8> = input.iter().copied().cycle().take(INPUT_MAX).collect();
        check(target, &long);
    }
    let mutation = Mutation::new(1);
    for _ in 0..made {
        check(target, &mutation.of(&kept));
    }
}

fn check(target: Target, input: &[u8]) {
    let held = catch_unwind(AssertUnwindSafe(|| (target.check)(input)));
    // As a line of `tests/fuzz`, where it belongs before the fix.
    assert!(held.is_ok(), "{} does not hold for\n{}", target.name, fuzz::written(input));
}
