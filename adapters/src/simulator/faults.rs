//! Faults of the way between us and a provider, planned by a test. Kept in memory only.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use maxpay_engine::model::CallKind;

/// At most so many rules wait in a plan; a rule beyond them is refused.
const RULES_MAX: usize = 1024;

/// On which side of the execution a fault falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The provider has done nothing.
    BeforeExecution,
    /// The provider has done what was asked, durably.
    AfterExecution,
}

/// What is seen instead of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// No byte of the request left. Always before the execution.
    NotSent,
    /// No answer.
    Lost,
    /// The answer, so much later. Always after the execution.
    Late(Duration),
    /// The request arrives twice; the second answer is seen. Always after the execution.
    Duplicated,
    /// An unsigned answer of this status, as a gateway before the provider makes them.
    Status(u16),
    /// Status 200 and bytes that mean nothing.
    Garbage,
    /// The answer without its signature. Always after the execution.
    Unsigned,
    /// The answer under a key that is not the provider's. Always after the execution.
    Forged,
    /// A signed *busy*: proof that nothing was executed. Always before the execution.
    Busy,
}

/// One planned fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Only for this kind of call; `None`: any.
    pub call: Option<CallKind>,
    /// Only for this number; `None`: any.
    pub number: Option<String>,
    /// On which side of the execution.
    pub when: When,
    /// What is seen.
    pub how: How,
    /// For so many calls.
    pub times: u32,
}

/// The faults that are planned, used up in the order they were added.
#[derive(Debug, Default)]
pub struct FaultPlan {
    rules: Mutex<Vec<Rule>>,
}

impl FaultPlan {
    /// Plans a fault. `false`: the plan is full, and the rule was not taken.
    pub fn add(&self, rule: Rule) -> bool {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if rules.len() >= RULES_MAX {
            return false;
        }
        rules.push(rule);
        true
    }

    /// Forgets every planned fault.
    pub fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The fault for this call, used up by one.
    pub fn take(&self, call: CallKind, number: &str) -> Option<(When, How)> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let at = rules.iter().position(|rule| {
            rule.times > 0
                && rule.call.is_none_or(|wanted| wanted == call)
                && rule.number.as_ref().is_none_or(|wanted| wanted == number)
        })?;
        let found = (rules[at].when, rules[at].how);
        rules[at].times -= 1;
        if rules[at].times == 0 {
            rules.remove(at);
        }
        Some(match found.1 {
            How::NotSent | How::Busy => (When::BeforeExecution, found.1),
            How::Late(_) | How::Duplicated | How::Unsigned | How::Forged => (When::AfterExecution, found.1),
            How::Lost | How::Status(_) | How::Garbage => found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_used_up() {
        // A rule strikes the calls it names, as often as it says, and no others.
        let plan = FaultPlan::default();
        let rule = Rule {
            call: Some(CallKind::Query),
            number: Some("a".to_owned()),
            when: When::AfterExecution,
            how: How::Lost,
            times: 2,
        };
        assert!(plan.add(rule));
        assert_eq!(plan.take(CallKind::Create, "a"), None);
        assert_eq!(plan.take(CallKind::Query, "b"), None);
        for _ in 0..2 {
            assert_eq!(plan.take(CallKind::Query, "a"), Some((When::AfterExecution, How::Lost)));
        }
        assert_eq!(plan.take(CallKind::Query, "a"), None);
    }
}
