//! What an operator notices of the settings: defaults, the example, and where a mistake is.

use std::collections::BTreeSet;

use super::*;

const EXAMPLE: &str = include_str!("../../../../maxpay.example.toml");

/// The settings whose default is "not set", which the example shows with a value all the same.
const NOT_SET: [&str; 8] = [
    "sealing_key_file",
    "public_url",
    "sandbox",
    "sign_max_age_client_ms",
    "webhook_allow_loopback_test",
    "provider_allow_private",
    "function_container_url",
    "arbiters",
];

/// The example's settings, name and line, without the `#` before them.
fn example_settings() -> Vec<(&'static str, &'static str)> {
    let shown = EXAMPLE.lines().filter_map(|line| line.strip_prefix('#'));
    shown.filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase())).map(name_of).collect()
}

fn name_of(line: &str) -> (&str, &str) {
    (line.split(" = ").next().expect("a split has a first part"), line)
}

/// Every name that settings know, in the words of their own error.
fn known_names() -> BTreeSet<String> {
    let error = wrong("no_such_setting = 1");
    let listed = error.split_once("expected one of").expect("the error lists the names").1.to_owned();
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn wrong(text: &str) -> String {
    Settings::parse(text).expect_err(text).to_string()
}

#[test]
fn the_example_as_it_stands_changes_nothing() {
    // An operator who copies the example gets the defaults of a settings file.
    assert_eq!(Settings::parse(EXAMPLE).expect("it is right"), Settings { from_file: true, ..Settings::default() });
}

#[test]
fn the_example_shows_every_setting_with_its_default() {
    // No setting is without its lines in the example, and no line there tells another default.
    let shown: BTreeSet<String> = example_settings().iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(shown, known_names());
    for (name, line) in example_settings() {
        let with_line = Settings::parse(line).expect(line);
        let default = Settings { from_file: true, ..Settings::default() };
        assert_eq!(with_line == default, !NOT_SET.contains(&name), "{line}");
    }
}

#[test]
fn the_example_works_with_every_line_on() {
    // The lines of the example do not contradict each other.
    let lines: Vec<&str> = example_settings().iter().map(|(_, line)| *line).collect();
    Settings::parse(&lines.join("\n")).expect("all of them together are right");
}

#[test]
fn a_mistake_is_told_with_its_line_and_column() {
    // Unknown names, wrong types and numbers out of bounds say where they are and what would be right.
    let table = [
        ("drain_ms = 1\nlisten_on = \"x\"", "line 2, column 1", "unknown field `listen_on`"),
        ("[server]\nlisten = \"127.0.0.1:1\"", "line 1, column 2", "unknown field `server`"),
        ("drain_ms = 1\ndrain_ms = 2", "line 2, column 1", "duplicate key"),
        ("\n\nlisten = \"localhost\"", "line 3, column 10", "invalid socket address syntax"),
        ("rate_per_second = 0", "line 1, column 19", "a nonzero u32"),
        ("webhook_deadline_ms = 99", "line 1, column 23", "a number from 100 to 60000"),
        ("webhook_deadline_ms = -1", "line 1, column 23", "a number from 100 to 60000"),
        ("webhook_deadline_ms = 4294967396", "line 1, column 23", "a number from 100 to 60000"),
        ("webhook_schedule_ms = [1, 0]", "line 1, column 23", "a number from 1 to 604800000"),
        ("trusted_proxy = []", "line 1, column 17", "a list of 1 to 64 networks"),
        ("trusted_proxy = [\"10.0.0.0/33\"]", "line 1, column 17", "a network like"),
        ("public_url = \"ftp://a\"", "line 1, column 14", "http or https URL"),
        ("public_url = \"https://a/?b\"", "line 1, column 14", "without query"),
        ("log_level = \"loud\"", "line 1, column 13", "unknown variant, expected one of `error`"),
        ("arbiters = 0.5", "line 1, column 12", "expected i64"),
        ("sandbox = 1", "line 1, column 11", "expected a boolean"),
        ("drain_ms =", "line 1, column 11", ""),
    ];
    for (text, place, reason) in table {
        let said = wrong(text);
        assert!(said.contains(place) && said.contains(reason), "{text}\nexpected {place}: {reason}\n{said}");
    }
    let gaps = vec!["1"; 33].join(",");
    assert!(wrong(&format!("webhook_schedule_ms = [{gaps}]")).contains("at most 30"));
}

#[test]
fn a_mistake_quotes_nothing_that_may_be_a_secret() {
    // Whatever stands on the wrong line, no error shows it, with all its causes and in its `Debug` too.
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let path = folder.path().join("maxpay.toml");
    for line in [
        "sealing_key = \"hushhush\"",
        "sealing_key = hushhush",
        "public_url = \"https://shop:hushhush@pay.example.com\"",
        "public_url = \"https://shop:hushhush@\"",
        "data_dir = [\"hushhush\"]",
        "sandbox = \"hushhush\"",
        "sandbox = \"hushhush, expected hushhush\"",
        "drain_ms = \"hushhush\"",
        "log_level = \"hushhush\"",
        "listen = \"hushhush\"",
        "trusted_proxy = [\"hushhush\"]",
        "trusted_proxy = \"hushhush\"",
        "webhook_schedule_ms = [\"hushhush\"]",
        "data_dir = \"hushhush",
        "data_dir = \"hush\" hushhush",
    ] {
        std::fs::write(&path, format!("drain_ms = 1\n{line}\n")).expect("it is writable");
        let error = Settings::check_file(&path).expect_err(line);
        let told = format!("{} {error:?}", crate::with_causes(&error));
        assert!(told.contains("line 2, column ") && !told.contains("hushhush"), "{line}: {told}");
    }
}

#[test]
fn the_command_line_wins_over_the_file() {
    // What is said at start is what holds, and the error of a file names it.
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let path = folder.path().join("maxpay.toml");
    std::fs::write(&path, "listen = \"127.0.0.1:1\"\ndata_dir = \"a\"\nsandbox = false").expect("it is writable");
    let mut args = ServeArgs { config: Some(path.clone()), ..ServeArgs::default() };
    let from_file = Settings::for_serve(&args).expect("the file is right");
    assert_eq!((from_file.listen.port(), from_file.sandbox()), (1, false));
    assert_eq!(from_file.sealing_key_file(), Path::new("a").join("sealing.key"));

    args.listen = Some(SocketAddr::from(([127, 0, 0, 1], 2)));
    args.data = Some("b".into());
    args.sandbox = true;
    let said = Settings::for_serve(&args).expect("the file is right");
    assert_eq!((said.listen.port(), said.data_dir.to_str(), said.sandbox()), (2, Some("b"), true));

    std::fs::write(&path, "listen = 1").expect("it is writable");
    assert!(Settings::for_serve(&args).expect_err("it is wrong").to_string().contains("maxpay.toml"));
    args.config = Some(folder.path().join("absent.toml"));
    assert!(matches!(Settings::for_serve(&args), Err(SettingsError::Unreadable { .. })));
}

#[test]
fn a_newcomer_gets_the_sandbox_and_nobody_else_by_accident() {
    // Without a settings file on loopback the sandbox runs; a settings file or another address turns it off.
    let none = ServeArgs::default();
    let newcomer = Settings::for_serve(&none).expect("defaults are right");
    assert!(newcomer.sandbox() && newcomer.webhook_allow_loopback_test() && newcomer.provider_allow_private());
    let operator = Settings::parse("").expect("an empty file is right");
    assert!(!operator.sandbox() && !operator.webhook_allow_loopback_test() && !operator.provider_allow_private());
    let elsewhere = Settings { listen: SocketAddr::from(([10, 0, 0, 1], 1)), ..Settings::default() };
    assert!(!elsewhere.sandbox() && !elsewhere.webhook_allow_loopback_test());
}

#[test]
fn keys_never_cross_a_network_in_the_clear_by_accident() {
    // Listening beyond loopback needs somebody who does the TLS, named in the settings.
    let args = ServeArgs { listen: Some(SocketAddr::from(([0, 0, 0, 0], 1))), ..ServeArgs::default() };
    assert!(matches!(Settings::for_serve(&args), Err(SettingsError::OpenPlaintext { .. })));
    let behind_proxy = Settings::parse("listen = \"0.0.0.0:1\"\ntrusted_proxy = [\"10.0.0.0/8\", \"::1\"]");
    let behind_proxy = behind_proxy.expect("it is right");
    // And an address that providers can reach.
    assert!(matches!(behind_proxy.refuse_open_plaintext(), Err(SettingsError::NoPublicUrl { .. })));
    let public = Settings::parse("public_url = \"https://pay.example.com\"").expect("it is right").public_url;
    let behind_proxy = Settings { public_url: public, ..behind_proxy };
    behind_proxy.refuse_open_plaintext().expect("a proxy is named");
    let trusts = |peer: &str| behind_proxy.trusted_proxy.trusts(peer.parse().expect("an address"));
    assert!(trusts("10.1.2.3") && trusts("::1") && trusts("::ffff:10.1.2.3"));
    assert!(!trusts("11.1.2.3") && !trusts("::2"));
}
