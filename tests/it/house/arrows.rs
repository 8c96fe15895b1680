//! Who may know whom: `server → transports, adapters → engine`, and the rooms inside the engine.

use super::Rule;
use super::source::{Finding, Source, closing, words};

pub const RULES: &[Rule] = &[
    Rule {
        name: "the engine knows no transport, no adapter, no HTTP server and no HTTP client",
        check: |tree| {
            foreign(tree, |s| s.is_in("engine"), &["maxpay_transports", "maxpay_adapters", "actix_web", "reqwest"])
        },
        bad: &[
            ("engine/src/actors/router.rs", "use actix_web::web;"),
            ("engine/src/lib.rs", "fn f(client: reqwest::Client) {}"),
            ("engine/Cargo.toml", "[dependencies]\nactix-web.workspace = true"),
        ],
        good: &[("engine/src/lib.rs", "// not reqwest\nuse actix::Actor; const NAME: &str = \"reqwest\";")],
    },
    Rule {
        name: "adapters know no transport and do no I/O of their own",
        check: |tree| {
            let mut found = foreign(
                tree,
                |s| s.is_in("adapters"),
                &["maxpay_transports", "reqwest", "actix", "actix_web", "hyper"],
            );
            let pure = |s: &Source| s.is_in("adapters") && !s.is_test() && !has_own_ledger(s);
            for path in
                ["tokio::net", "tokio::fs", "tokio::io", "tokio::spawn", "std::fs", "std::net::Tcp", "std::net::Udp"]
            {
                found.extend(paths(tree, pure, path));
            }
            found
        },
        bad: &[
            ("adapters/src/alipay/request.rs", "use reqwest::Client;"),
            ("adapters/src/parts/pem.rs", "fn f() { std::fs::read(\"key\"); }"),
            ("adapters/src/wechat/mod.rs", "use tokio::net::TcpStream;"),
            ("adapters/Cargo.toml", "[dependencies]\nmaxpay-transports.workspace = true"),
        ],
        good: &[("adapters/src/simulator/ledger.rs", "fn f() { std::fs::create_dir_all(\"x\"); }")],
    },
    Rule {
        name: "transports know no adapter: the binary composes them",
        check: |tree| {
            foreign(tree, |s| s.is_in("transports") && !s.is_in("transports/server"), &["maxpay_adapters", "maxpay"])
        },
        bad: &[
            ("transports/src/http/notify.rs", "use maxpay_adapters::register;"),
            ("transports/Cargo.toml", "[dependencies]\nmaxpay-adapters.workspace = true"),
        ],
        good: &[("transports/server/src/main.rs", "use maxpay_adapters::register;")],
    },
    Rule {
        name: "inside the engine arrows point from actors to nouns",
        check: |tree| tree.iter().filter(|s| s.is_rust()).flat_map(room_arrows).collect(),
        bad: &[
            ("engine/src/model/app.rs", "use crate::store::Seq;"),
            ("engine/src/machine/refund.rs", "use crate::{clock::Clock, model::Money};"),
            ("engine/src/machine/transaction.rs", "fn f(now: super::super::clock::Now) {}"),
            ("engine/src/machine/mod.rs", "use super::store::Store;"),
            ("engine/src/store/codec.rs", "use crate::actors::router::Router;"),
            ("engine/src/channel/mod.rs", "use crate::machine::step;"),
        ],
        good: &[
            (
                "engine/src/machine/transaction.rs",
                "use crate::model::{Money, Status};\n/// See [`crate::store`].\nuse super::input;",
            ),
            ("engine/src/model/app.rs", "use super::Money;\n#[cfg(test)]\nmod tests { use crate::clock::System; }"),
            ("engine/src/actors/router.rs", "use crate::machine::step; use crate::store::Store;"),
        ],
    },
    Rule {
        name: "the machine is pure: no clock, no randomness, no I/O, no await",
        check: |tree| {
            let machine = |s: &Source| s.is_in("engine/src/machine") && !s.is_test();
            let mut found = Vec::new();
            for word in
                ["async", "await", "SystemTime", "Instant", "tokio", "actix", "getrandom", "tracing", "redb", "unsafe"]
            {
                found.extend(word_in(tree, machine, word));
            }
            for path in ["std::fs", "std::io", "std::net", "std::env", "std::thread", "std::process", "std::sync"] {
                found.extend(paths(tree, machine, path));
            }
            found
        },
        bad: &[
            ("engine/src/machine/resume.rs", "pub async fn resume() {}"),
            ("engine/src/machine/schedule.rs", "let now = std::time::Instant::now();"),
            ("engine/src/machine/schedule.rs", "use std::sync::Mutex;"),
        ],
        good: &[("engine/src/machine/mod.rs", "//! No `await` here.\nuse std::time::Duration;")],
    },
];

/// The rooms of the engine and what each may know; a room may always know itself.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    // What an adapter is handed: values, the entropy door, and its account's secrets.
    ("channel", &["model", "clock", "secrets"]),
    ("machine", &["model", "channel"]),
    ("secrets", &["model", "clock"]),
    ("store", &["model", "error", "clock"]),
    ("api", &["model", "channel", "secrets", "webhook", "error"]),
    ("webhook", &["model", "channel", "machine", "secrets", "clock", "error"]),
];

fn has_own_ledger(source: &Source) -> bool {
    let of_a_simulator = source.path.ends_with("/simulator.rs") || source.path.contains("/simulator/");
    of_a_simulator || ["adapters/src/sandbox", "adapters/src/conformance"].iter().any(|room| source.is_in(room))
}

/// Crates named in code, or in a manifest, where they must not be known.
fn foreign(tree: &[Source], here: fn(&Source) -> bool, crates: &[&str]) -> Vec<Finding> {
    let mut found = Vec::new();
    for name in crates {
        found.extend(word_in(tree, here, name));
        let package = name.replace('_', "-");
        for source in tree.iter().filter(|s| here(s) && s.path.ends_with("Cargo.toml")) {
            // Tests may compose what the crate itself must not know.
            let normal = source.text.split("[dev-dependencies]").next().unwrap_or_default();
            for (number, line) in normal.lines().enumerate() {
                let named = line.split(['.', ' ', '=']).next().unwrap_or_default();
                if named == package {
                    found.push(format!("{}:{}: {line}", source.path, number + 1));
                }
            }
        }
    }
    found
}

/// Where a word stands in the code of these files.
pub fn word_in(tree: &[Source], here: impl Fn(&Source) -> bool, word: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in tree.iter().filter(|source| source.is_rust() && here(source)) {
        let code = source.code();
        found.extend(words(&code, word).map(|at| source.at(at, word)));
    }
    found
}

/// Where a path like `std::fs` is written, as such or by a group as in `std::{fs, io}`.
fn paths(tree: &[Source], here: impl Fn(&Source) -> bool, path: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let (root, rest) = path.split_once("::").expect("a path has two parts");
    for source in tree.iter().filter(|source| source.is_rust() && here(source)) {
        let code = source.code();
        for (at, path_in_code) in paths_from(&code, root) {
            if path_in_code.starts_with(rest) {
                found.push(source.at(at, path));
            }
        }
    }
    found
}

/// What follows `root::`, groups taken apart one level deep.
fn paths_from<'a>(code: &'a str, root: &'a str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for at in words(code, root) {
        let Some(rest) = code[at + root.len()..].strip_prefix("::") else { continue };
        let start = code.len() - rest.len();
        if rest.starts_with('{') {
            let group = &code[start + 1..closing(code, start)];
            let mut depth = 0_usize;
            for part in group.split(|c: char| {
                match c {
                    '{' => depth += 1,
                    '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                c == ',' && depth == 0
            }) {
                found.push((at, part.trim_start()));
            }
        } else {
            found.push((at, rest));
        }
    }
    found
}

/// Names of other rooms that a room of the engine must not know.
fn room_arrows(source: &Source) -> Vec<Finding> {
    let Some(inside) = source.path.strip_prefix("engine/src/") else { return Vec::new() };
    let inside = inside.trim_end_matches(".rs").trim_end_matches("/mod");
    let room = inside.split('/').next().unwrap_or_default();
    let Some((_, known)) = ROOMS.iter().find(|(name, _)| *name == room) else { return Vec::new() };
    if source.is_test() {
        return Vec::new();
    }
    let code = source.code();
    // From a module at depth n, n times `super` is the crate.
    let to_crate = vec!["super"; inside.split('/').count()].join("::");
    let mut found = Vec::new();
    for root in ["crate", to_crate.as_str()] {
        for (at, path) in paths_from(&code, root) {
            let name: String = path.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let is_room = name.starts_with(|first: char| first.is_ascii_lowercase()) && name != "super";
            if is_room && name != room && !known.contains(&name.as_str()) {
                found.push(source.at(at, &format!("{room} must not know {name}")));
            }
        }
    }
    found
}
