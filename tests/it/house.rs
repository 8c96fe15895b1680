//! The house test: reads the tree as text and holds what no compiler holds, the arrows between rooms, the laws that
//! speak of places, and the order of the house.

mod arrows;
mod laws;
mod order;
mod source;

use source::{Finding, Source};

/// Something that holds for the whole tree.
struct Rule {
    /// What holds.
    name: &'static str,
    /// Every place where it does not.
    check: fn(&[Source]) -> Vec<Finding>,
    /// Files that would break it, path and text, each on its own.
    bad: &'static [(&'static str, &'static str)],
    /// Files that come close and do not.
    good: &'static [(&'static str, &'static str)],
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    arrows::RULES.iter().chain(laws::RULES).chain(order::RULES)
}

#[test]
fn the_house_is_in_order() {
    // No file of the tree breaks a rule.
    let tree = source::tree();
    let mut findings = Vec::new();
    for rule in rules() {
        findings.extend((rule.check)(&tree).into_iter().map(|finding| format!("{}\n    {finding}", rule.name)));
    }
    assert!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn every_rule_can_fail() {
    // Each rule finds what breaks it, and leaves alone what only looks like it.
    for rule in rules() {
        assert!(!rule.bad.is_empty(), "nothing shows that this can fail: {}", rule.name);
        for (path, text) in rule.bad {
            let found = (rule.check)(&[Source::imagined(path, text)]);
            assert!(!found.is_empty(), "{}\n  did not find\n{path}: {text}", rule.name);
        }
        for (path, text) in rule.good {
            let found = (rule.check)(&[Source::imagined(path, text)]);
            assert!(found.is_empty(), "{}\n  found {found:?} in\n{path}: {text}", rule.name);
        }
    }
}
