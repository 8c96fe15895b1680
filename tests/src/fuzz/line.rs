//! The lines of the pipe, JSON-RPC 2.0, to which nobody has shown a key.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use maxpay_engine::Engine;
use maxpay_transports::stdio::{self, StdioLimits};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;

use super::INPUT_MAX;

const LIMITS: StdioLimits = StdioLimits { line_bytes_max: 512, in_flight_max: 4, drain: Duration::from_secs(10) };

static HOST: LazyLock<(Runtime, Engine)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    (runtime, Engine::builder().memory().start().expect("an engine in memory starts"))
});

/// All that comes down the pipe.
pub fn check(bytes: &[u8]) {
    let (runtime, engine) = &*HOST;
    let (output, mut input) = tokio::io::duplex(INPUT_MAX);
    let mut answers = String::new();
    let talk = async {
        let served = stdio::serve(engine.clone(), bytes, output, LIMITS);
        tokio::join!(served, input.read_to_string(&mut answers))
    };
    let limited = async { tokio::time::timeout(Duration::from_secs(20), talk).await };
    let (report, read) = runtime.block_on(limited).expect("the pipe ends with its input");
    read.expect("answers are text");
    let report = report.expect("nothing breaks in memory");
    assert!(report.drained, "{report:?}");
    holds(bytes, report.lines, &answers);
}

/// Every line is counted; one that is answered is answered once, by one JSON object with a known id and no result but
/// a refusal.
fn holds(bytes: &[u8], lines: u64, answers: &str) {
    let mut given: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    given.pop_if(|last| last.is_empty());
    assert_eq!(lines, u64::try_from(given.len()).expect("few"), "{given:?}");
    // Lines without an answer are blank, or notifications, which are objects without an id.
    let blank = given.iter().filter(|line| line.iter().all(u8::is_ascii_whitespace) && line.len() <= 512).count();
    let mut count = 0;
    for line in answers.lines() {
        count += 1;
        let answer: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        let mut members: Vec<&str> = answer.as_object().expect("an object").keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["error", "id", "jsonrpc"], "{line}");
        assert_eq!(answer["jsonrpc"], "2.0");
        assert!(answer["id"].is_null() || answer["id"].is_string() || answer["id"].is_number(), "{line}");
        let (code, message) = (answer["error"]["code"].as_i64(), answer["error"]["message"].as_str());
        assert!(code.is_some_and(|code| (-32_768..=-32_000).contains(&code) && code != -32_603), "{line}");
        assert!(message.is_some_and(|message| !message.is_empty() && message.len() < 1000), "{line}");
    }
    assert!(count + blank <= given.len(), "{count} answers to {given:?}");
    let must = given.iter().filter(|line| line.len() <= 512 && wants_an_answer(line)).count();
    assert!(must <= count, "{count} answers, not {must}, to {given:?}");
}

/// Whether a line is surely no notification: it is no JSON, or it has an id.
fn wants_an_answer(line: &[u8]) -> bool {
    if line.iter().all(u8::is_ascii_whitespace) {
        return false;
    }
    let members = serde_json::from_slice::<BTreeMap<String, &RawValue>>(line);
    members.map_or(true, |members| members.contains_key("id"))
}
