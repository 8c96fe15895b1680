//! The laws of the design that speak of places: one place for status, for a channel's name, for starting actors, for
//! showing a secret.

use super::Rule;
use super::arrows::word_in;
use super::source::{Finding, Source, closing, words};

pub const RULES: &[Rule] = &[
    Rule {
        name: "law 7: only the machine makes a new status",
        check: |tree| tree.iter().filter(|s| s.is_rust() && may_not_make_status(s)).flat_map(made_statuses).collect(),
        bad: &[
            ("engine/src/actors/transaction.rs", "record.status = next;"),
            ("engine/src/actors/transaction.rs", "let s = Status::Succeeded { late: false, paid_at: now };"),
            ("transports/src/http/notify.rs", "Transaction { status: Status::Created, ..old }"),
            ("engine/src/webhook/sender.rs", "delivery.state = DeliveryState::Delivered;"),
        ],
        good: &[
            ("engine/src/machine/transaction.rs", "record.status = Status::Closing;"),
            ("engine/src/actors/transaction.rs", "if record.status == Status::Closing {}"),
            (
                "engine/src/query.rs",
                "match s { Status::Succeeded { late, paid_at } => 1, Status::Failed { .. } | Status::Created => 2 }",
            ),
            ("engine/src/query.rs", "let Status::Failed { reason } = status else { return };"),
            ("transports/src/lib.rs", "resp.status = 200; let s = Reply { status: StatusCode::OK };"),
            ("engine/src/actors/x.rs", "#[cfg(test)]\nmod tests { fn f() { r.status = Status::Closing; } }"),
        ],
    },
    Rule {
        name: "law 7: each arm of the machine's table names the statuses that it is for",
        check: |tree| {
            let table = tree.iter().filter(|s| s.is_in("engine/src/machine/transaction") && !s.is_test());
            table.flat_map(|s| ways(s, &["(_, Input::", "(_, &Input::"])).collect()
        },
        bad: &[("engine/src/machine/transaction/mod.rs", "match (s, i) { (_, Input::Told(told)) => hear(told) }")],
        good: &[
            ("engine/src/machine/transaction/mod.rs", "match (s, i) { (any_status!(), Input::Due) => look() }"),
            ("engine/src/machine/transaction/mod.rs", "// never (_, Input::Due)"),
        ],
    },
    Rule {
        name: "law 8: TLS verification cannot be turned off",
        check: |tree| {
            let mut found = Vec::new();
            for word in [
                "danger_accept_invalid_certs",
                "danger_accept_invalid_hostnames",
                "tls_danger_accept_invalid_certs",
                "dangerous",
            ] {
                found.extend(word_in(tree, |_| true, word));
            }
            found
        },
        bad: &[("transports/src/client.rs", "builder.danger_accept_invalid_certs(true)")],
        good: &[("transports/src/client.rs", "// never danger_accept_invalid_certs")],
    },
    Rule {
        name: "the program proper has the default parts: only tests plant something, and nothing but tests knows them",
        check: |tree| tree.iter().filter(|s| s.is_rust() && !s.is_in("tests")).flat_map(planted).collect(),
        bad: &[
            ("transports/server/src/main.rs", "fn main() -> ExitCode { maxpay::main(&parts()) }"),
            (
                "transports/server/src/main.rs",
                "fn main() -> ExitCode { maxpay::main(&maxpay::TestParts { files: late(), ..Default::default() }) }",
            ),
            ("transports/server/src/serve.rs", "fn f() { let parts = TestParts { crash_points: at, store: None }; }"),
            ("transports/server/src/serve.rs", "fn f(parts: &mut TestParts) { parts.store = Some(around); }"),
            ("transports/server/src/lib.rs", "use maxpay_tests::under_test;"),
        ],
        good: &[
            ("transports/server/src/main.rs", "fn main() -> ExitCode { maxpay::main(&maxpay::TestParts::default()) }"),
            ("transports/server/src/serve.rs", "fn f(parts: &TestParts) { compose(parts); }"),
            ("transports/server/src/test_parts.rs", "pub struct TestParts { pub store: S }\nimpl TestParts { }"),
            ("tests/src/under_test/mod.rs", "fn f() { let parts = TestParts { store: around, ..default() }; }"),
        ],
    },
    Rule {
        name: "law 10: a secret is revealed in the answer that issues it and to who started the demo, nowhere else",
        check: |tree| word_in(tree, |s| !s.is_test() && !REVEALING.contains(&s.path.as_str()), "reveal_once"),
        bad: &[
            ("engine/src/query.rs", "key.reveal_once()"),
            ("transports/src/operations/deliveries.rs", "x.and_then(Secret::reveal_once)"),
        ],
        good: &[("engine/src/secrets.rs", "pub fn reveal_once(self) -> String {}")],
    },
    Rule {
        name: "law 12: a channel's name occurs only where the channel lives",
        check: |tree| tree.iter().filter(|s| s.is_rust() && !may_name_channels(s)).flat_map(channel_names).collect(),
        bad: &[
            ("engine/src/machine/transaction.rs", "if code == \"wx_native\" {}"),
            ("engine/src/model/account.rs", "enum Kind { Alipay }"),
            ("engine/src/webhook/payload.rs", "fn f() { g(\"ali_wap\") }"),
            ("transports/src/http/maxleap.rs", "fn is_unipay() {}"),
            ("adapters/src/parts/rsa.rs", "fn for_applepay() {}"),
            ("adapters/src/wechat/mod.rs", "use crate::alipay::Codes;"),
        ],
        good: &[
            ("engine/src/channel/manifest.rs", "//! UnionPay: txnTime.\nfn quali_ty(pineapple: u8) {}"),
            ("adapters/src/wechat/mod.rs", "const CODE: &str = \"wx_native\";"),
            ("adapters/src/sandbox/mod.rs", "const CODE: &str = \"wx_native\";"),
            ("engine/src/webhook/payload.rs", "fn f() { g(\"ali_app\") }"),
            ("engine/src/model/channel_code.rs", "#[cfg(test)]\nmod tests { const C: &str = \"wx_native\"; }"),
        ],
    },
    Rule {
        name: "actix fact 2: nobody uses actix's Supervisor",
        check: |tree| word_in(tree, |_| true, "Supervisor"),
        bad: &[("engine/src/actors/router.rs", "use actix::Supervisor;")],
        good: &[("engine/src/actors/router.rs", "/// Our Supervisor is the router.\nfn supervise() {}")],
    },
    Rule {
        name: "actix fact 7: one place puts actors on arbiters of the engine's; the others are born there",
        check: |tree| {
            let engine = || tree.iter().filter(|s| s.is_rust() && s.is_in("engine/src") && !s.is_test());
            let mut found: Vec<Finding> = engine().flat_map(|s| ways(s, &STARTS)).collect();
            if found.len() <= 1 {
                found.clear();
            }
            for source in engine() {
                let births = ways(source, &["::create(|", "::create(move |", "::start_default()"]);
                let may = usize::from(source.is_in("engine/src/actors"));
                found.extend(births.into_iter().skip(may));
            }
            found
        },
        bad: &[
            ("engine/src/actors/a.rs", "fn f() { Router.start(); } fn g() { Router::start_in_arbiter(h, m); }"),
            ("engine/src/actors/a.rs", "fn f() { A::start_in_arbiter(h, m); Actor::start(a); }"),
            ("engine/src/actors/a.rs", "fn f() { Self::create(|_| A); Self::create(|_| B); }"),
            ("engine/src/engine.rs", "fn f() { Router::create(|_| Router); }"),
        ],
        good: &[
            ("engine/src/actors/a.rs", "fn f() { A::start_in_arbiter(h, m); clock.start(at); }"),
            ("engine/src/actors/a.rs", "fn wake() { Self::create(|_| Self) }"),
        ],
    },
    Rule {
        name: "actix fact 8: nobody pauses tokio's clock",
        check: |tree| {
            let pauses = |s: &Source| {
                let code = s.code_without_spaces();
                ["time::pause(", "start_paused=true", "time::{pause"].iter().any(|way| code.contains(way))
            };
            tree.iter().filter(|s| s.is_rust() && pauses(s)).map(|s| s.at(0, "pauses tokio's clock")).collect()
        },
        bad: &[
            ("engine/src/clock.rs", "fn f() { tokio::time::pause(); }"),
            ("tests/it/webhooks.rs", "#[tokio::test(start_paused = true)]\nasync fn f() {}"),
        ],
        good: &[("engine/src/clock.rs", "// tokio::time::pause() is banned\nfn pause() {}")],
    },
];

/// What puts something in the place of a part of the program.
fn planted(source: &Source) -> Vec<Finding> {
    let code = source.code_without_spaces();
    let mut found = Vec::new();
    let mut tell = |is: bool, what: &str| found.extend(is.then(|| source.at(0, what)));
    let main = source.path == "transports/server/src/main.rs";
    tell(
        main && !code.contains("maxpay::main(&maxpay::TestParts::default())"),
        "has other parts than the default ones",
    );
    let made = code.replace("structTestParts{", "").replace("implTestParts{", "");
    tell(made.contains("TestParts{"), "makes parts");
    tell(source.is_in("transports/server") && code.contains("&mutTestParts"), "changes parts");
    tell(!source.is_in("benches") && code.contains("maxpay_tests::"), "knows the tests");
    found
}

/// Who may show a secret: where it is defined, the answers that issue one, the demo app's start and ready file, and the
/// ready file of a simulator, which made its merchants' test keys itself.
const REVEALING: [&str; 7] = [
    "engine/src/secrets.rs",
    "transports/src/operations/apps.rs",
    "transports/src/operations/views/app.rs",
    "transports/src/operations/subscriptions.rs",
    "transports/server/src/demo.rs",
    "transports/server/src/ready.rs",
    "transports/server/src/simulate/issued.rs",
];

const STARTS: [&str; 3] = [".start()", "Actor::start(", "::start_in_arbiter("];

const STATUSES: [&str; 7] = ["Created", "Submitting", "AwaitingPayer", "Closing", "Succeeded", "Failed", "Closed"];

fn may_not_make_status(source: &Source) -> bool {
    !source.is_in("engine/src/machine") && !source.is_in("tests") && !source.is_test()
}

fn made_statuses(source: &Source) -> Vec<Finding> {
    let code = source.code();
    let mut found = Vec::new();
    for (at, _) in code.match_indices(".status") {
        let rest = code[at + ".status".len()..].trim_start();
        let value = rest.strip_prefix('=').filter(|value| !value.starts_with(['=', '>']));
        if value.is_some_and(|value| !value.trim_start().starts_with(|c: char| c.is_ascii_digit())) {
            found.push(source.at(at, "a status is set"));
        }
    }
    for (at, _) in code.match_indices(".state") {
        let rest = code[at + ".state".len()..].trim_start();
        if rest.strip_prefix('=').is_some_and(|value| value.trim_start().starts_with("DeliveryState::")) {
            found.push(source.at(at, "a delivery's state is set"));
        }
    }
    for at in words(&code, "Status") {
        let before = code[..at].trim_end();
        let variant = code[at..].strip_prefix("Status::").unwrap_or_default();
        let name = STATUSES.iter().find(|name| words(variant, name).next() == Some(0));
        let Some(name) = name else { continue };
        let end = at + "Status::".len() + name.len();
        let in_field = before.ends_with("status:") || before.ends_with("status: crate::model::");
        let has_fields = !["Created", "Closing"].contains(name);
        if in_field && !is_pattern(&code, end) || has_fields && is_construction(&code, end) {
            found.push(source.at(at, "a status is made"));
        }
    }
    found
}

/// Whether a variant that ends at `end` is followed by fields with values: `{ late: false }`, and is no pattern.
fn is_construction(code: &str, end: usize) -> bool {
    let rest = code[end..].trim_start();
    let open = code.len() - rest.len();
    rest.starts_with('{') && !code[open..closing(code, open)].contains("..") && !is_pattern(code, end)
}

/// Whether what ends at `end`, or the block behind it, is followed by what follows patterns.
fn is_pattern(code: &str, end: usize) -> bool {
    let mut rest = code[end..].trim_start();
    if rest.starts_with('{') {
        let open = code.len() - rest.len();
        rest = code[(closing(code, open) + 1).min(code.len())..].trim_start();
    }
    let assigned = rest.starts_with('=') && !rest.starts_with("==");
    assigned || rest.starts_with('|') || rest.starts_with("if ")
}

fn may_name_channels(source: &Source) -> bool {
    let own_place = ["adapters/src/sandbox", "tests", "benches"].iter().any(|room| source.is_in(room));
    own_place || source.path == "adapters/src/lib.rs" || source.is_test()
}

/// Names that stand elsewhere, file and name, each because the original's wire fixes it.
const NAMED_ELSEWHERE: &[(&str, &str)] = &[
    // A test send says what the original console's said: one fen by this channel.
    ("engine/src/webhook/payload.rs", "\"ali_app\""),
];

/// The names of channels in code and strings; a channel's own name is at home in its own folder.
fn channel_names(source: &Source) -> Vec<Finding> {
    const NAMES: [(&str, &str); 10] = [
        ("alipay", "alipay"),
        ("ali_", "alipay"),
        ("\"ali\"", "alipay"),
        ("wechat", "wechat"),
        ("weixin", "wechat"),
        ("wx_", "wechat"),
        ("\"wx\"", "wechat"),
        ("unipay", "unionpay"),
        ("unionpay", "unionpay"),
        ("apple", "applepay"),
    ];
    let code = source.code_and_strings();
    let lower = code.to_ascii_lowercase();
    let mut found = Vec::new();
    for (name, home) in NAMES {
        if source.is_in(&format!("adapters/src/{home}")) {
            continue;
        }
        for (at, _) in lower.match_indices(name) {
            let starts_word = !code[..at].ends_with(|before: char| before.is_ascii_alphabetic())
                || code[at..].starts_with(|first: char| first.is_ascii_uppercase());
            let fixed = |(file, text): &(&str, &str)| {
                source.path == *file && code[..at].ends_with('"') && code[at - 1..].starts_with(text)
            };
            if starts_word && !NAMED_ELSEWHERE.iter().any(fixed) {
                found.push(source.at(at, name));
            }
        }
    }
    found
}

fn ways(source: &Source, ways: &[&str]) -> Vec<Finding> {
    let code = source.code();
    ways.iter().flat_map(|way| code.match_indices(way)).map(|(at, way)| source.at(at, way)).collect()
}
