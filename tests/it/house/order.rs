//! The order of the house: names, lengths, profiles, and what does not belong into a repository.

use super::Rule;
use super::source::{Finding, Source};

/// Lines a Rust file may have.
const LINES_MAX: usize = 400;

/// Files that are longer, each because it is one idea: one match with every arm written.
const LONG: &[&str] = &[];

pub const RULES: &[Rule] = &[
    Rule {
        name: "a file's name is the noun of its question",
        check: |tree| tree.iter().filter(|s| s.is_rust()).filter_map(vague_name).collect(),
        bad: &[
            ("engine/src/utils.rs", ""),
            ("adapters/src/common/mod.rs", ""),
            ("transports/src/http/helpers.rs", ""),
            ("engine/src/store/manager.rs", ""),
            ("engine/src/core/mod.rs", ""),
            ("engine/src/lib.rs", "mod core { }"),
        ],
        good: &[("engine/src/score.rs", "use core::fmt;"), ("adapters/src/parts/rsa.rs", "")],
    },
    Rule {
        name: "a file has 400 lines at most",
        check: too_long,
        bad: &[("engine/src/long.rs", LONG_TEXT)],
        good: &[("engine/src/short.rs", "fn f() {}\n"), ("Cargo.lock", LONG_TEXT)],
    },
    Rule {
        name: "every profile unwinds, because the router survives panics",
        check: |tree| tree.iter().filter(|s| s.has_end("toml")).flat_map(profiles_that_abort).collect(),
        bad: &[
            ("Cargo.toml", "[profile.dev]\npanic = \"unwind\""),
            ("Cargo.toml", "[profile.dev]\npanic = \"unwind\"\n[profile.release]\ndebug = true"),
            ("Cargo.toml", "[profile.dev]\npanic = \"unwind\"\n[profile.release]\npanic = \"abort\""),
            (
                "Cargo.toml",
                "[profile.dev]\npanic = \"unwind\"\n[profile.release]\npanic = \"unwind\"\n[profile.soak]\n",
            ),
            ("engine/Cargo.toml", "[profile.release]\npanic = \"abort\""),
        ],
        good: &[
            ("Cargo.toml", "[profile.dev]\npanic = \"unwind\"\n[profile.release]\npanic = \"unwind\""),
            ("engine/Cargo.toml", "[package]\nname = \"x\""),
        ],
    },
    Rule {
        name: "no test is switched off",
        check: |tree| {
            let off = |s: &&Source| s.is_rust() && s.all_code_without_spaces().contains("#[ignore");
            tree.iter().filter(off).map(|s| format!("{}: #[ignore]", s.path)).collect()
        },
        bad: &[
            ("tests/it/api.rs", "#[test]\n#[ignore]\nfn f() {}"),
            ("engine/src/lib.rs", "#[cfg(test)]\nmod tests { #[test] #[ignore = \"slow\"] fn f() {} }"),
        ],
        good: &[("tests/it/api.rs", "// #[ignore] is banned\nfn f() {}")],
    },
    Rule {
        name: "no path of one machine and no registry's host",
        check: |tree| tree.iter().filter(|s| s.path != "Cargo.lock").flat_map(machine_words).collect(),
        bad: &[
            ("README.md", concat!("see ", "/wo", "rk/notes")),
            (".ci/run", concat!("curl https://static.", "crates", ".io/x")),
            ("tests/it/api.rs", concat!("// npm from registry.", "npmjs", ".org")),
            ("README.md", concat!("cd ", "/ho", "me/me/maxpay")),
        ],
        good: &[
            ("README.md", "see engine/src/actors/work/ and ./work/notes"),
            ("Cargo.lock", concat!("crates", ".io")),
        ],
    },
    Rule {
        name: "the map and the README name only paths that are there",
        check: |tree| {
            let pages = tree.iter().filter(|s| ["README.md", "ARCHITECTURE.md"].contains(&s.path.as_str()));
            pages.flat_map(|page| paths_that_are_gone(page, tree)).collect()
        },
        bad: &[
            ("ARCHITECTURE.md", "1. The router (`engine/src/actors/gone.rs`) finds the actor."),
            ("ARCHITECTURE.md", "The router (`actors/router.rs`) is named from the middle."),
            ("README.md", "`benches/src/bin/gone` has the tables"),
            ("README.md", "`gone.toml` shows every setting"),
        ],
        good: &[
            (
                "README.md",
                "Read `README.md`, ask `/v1/ops` or `/openapi.json`, start `maxpay stdio`, see `journal.witness`.",
            ),
            ("README.md", "```\nlet key = SealingKey::from_file(Path::new(\"gone.toml\"))?;\n```\n"),
            ("engine/README.md", "`gone.rs`"),
        ],
    },
];

/// More lines than a file may have.
const LONG_TEXT: &str = {
    const BYTES: [u8; LINES_MAX + 1] = [b'\n'; LINES_MAX + 1];
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => panic!("line ends are text"),
    }
};

fn vague_name(source: &Source) -> Option<Finding> {
    const VAGUE: [&str; 8] = ["util", "utils", "helper", "helpers", "common", "manager", "core", "misc"];
    let in_path = source.path.split('/').map(|part| part.trim_end_matches(".rs")).find(|part| VAGUE.contains(part));
    let code = source.code();
    let inline = || VAGUE.into_iter().find(|name| code.contains(&format!("mod {name} ")));
    in_path.or_else(inline).map(|name| format!("{}: {name}", source.path))
}

fn too_long(tree: &[Source]) -> Vec<Finding> {
    let lines = |source: &Source| source.text.lines().count();
    let long = |source: &&Source| source.is_rust() && lines(source) > LINES_MAX;
    let unlisted = tree.iter().filter(long).filter(|source| !LONG.contains(&source.path.as_str()));
    let mut found: Vec<Finding> = unlisted.map(|source| format!("{}: {} lines", source.path, lines(source))).collect();
    // A file that became short leaves the list.
    let listed = tree.iter().filter(|source| LONG.contains(&source.path.as_str()));
    found.extend(listed.filter(|source| !long(source)).map(|source| format!("{}: is not long any more", source.path)));
    found
}

/// Profiles without `panic = "unwind"`; the workspace must have one for development and one for release.
fn profiles_that_abort(source: &Source) -> Vec<Finding> {
    let mut profiles: Vec<(&str, bool)> = Vec::new();
    let mut in_profile = false;
    for line in source.text.lines().map(str::trim) {
        if line.starts_with('[') {
            in_profile = line.starts_with("[profile.") && !line.contains(".package");
            if in_profile {
                profiles.push((line, false));
            }
        } else if in_profile && line == "panic = \"unwind\"" {
            profiles.last_mut().expect("a profile has begun").1 = true;
        }
    }
    let aborting = profiles.iter().filter(|(_, unwinds)| !unwinds).map(|(name, _)| format!("{}: {name}", source.path));
    let mut found: Vec<Finding> = aborting.collect();
    if source.path == "Cargo.toml" {
        let missing = ["[profile.dev]", "[profile.release]"]
            .into_iter()
            .filter(|wanted| !profiles.iter().any(|(name, _)| name == wanted));
        found.extend(missing.map(|name| format!("{}: there is no {name}", source.path)));
    }
    found
}

/// What stands between single backticks and looks like a path of the tree, from its root, and is none.
fn paths_that_are_gone(page: &Source, tree: &[Source]) -> Vec<Finding> {
    const FOLDERS: [&str; 6] = ["engine/", "adapters/", "transports/", "benches/", "tests/", ".ci/"];
    const ENDS: [&str; 3] = [".rs", ".md", ".toml"];
    let is_there = |path: &str| {
        let path = path.trim_end_matches('/');
        tree.iter().any(|source| source.path == path || source.is_in(path))
    };
    let mut in_block = false;
    let mut found = Vec::new();
    let mut at = 0;
    for line in page.text.split_inclusive('\n') {
        in_block ^= line.trim_start().starts_with("```");
        let spans = line.split('`').skip(1).step_by(2).filter(|_| !in_block);
        let is_path = |span: &&str| {
            FOLDERS.iter().any(|folder| span.starts_with(folder)) || ENDS.iter().any(|end| span.ends_with(end))
        };
        found.extend(spans.filter(is_path).filter(|path| !is_there(path)).map(|path| page.at(at, path)));
        at += line.len();
    }
    found
}

fn machine_words(source: &Source) -> Vec<Finding> {
    const FOLDERS: [&str; 4] =
        [concat!("/wo", "rk/"), concat!("/fa", "rm/"), concat!("/ho", "me/"), concat!("/ro", "ot/")];
    const HOSTS: [&str; 4] = [
        concat!("crates", ".io"),
        concat!("registry.", "npmjs"),
        concat!("py", "pi.org"),
        concat!("deb.", "debian.org"),
    ];
    let mut found = Vec::new();
    for folder in FOLDERS {
        // Inside a longer path it is somebody's folder, not the machine's.
        let is_absolute = |at: usize| {
            !source.text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || ['_', '.', '-', '}', '*'].contains(&c))
        };
        found.extend(
            source.text.match_indices(folder).filter(|(at, _)| is_absolute(*at)).map(|(at, what)| source.at(at, what)),
        );
    }
    for host in HOSTS {
        found.extend(source.text.match_indices(host).map(|(at, what)| source.at(at, what)));
    }
    found
}
