//! A transaction as the original's record: ten fields, in alphabetical order.

use maxpay_engine::model::{Currency, Money, Timestamp, Transaction};
use serde::Serialize;
use serde_json::value::RawValue;

/// One record.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row<'a> {
    bill_num: &'a str,
    channel: &'a str,
    created_time: u64,
    currency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extras: Option<&'a RawValue>,
    id: String,
    money: String,
    status: &'static str,
    total_fee: u64,
}

impl<'a> From<&'a Transaction> for Row<'a> {
    fn from(record: &'a Transaction) -> Self {
        let status = record.original_status();
        Self {
            bill_num: record.bill_num.as_str(),
            channel: record.channel.as_str(),
            created_time: record.created_at.millis(),
            currency: record.currency().code().to_owned(),
            end_time: record.ended_at.filter(|_| status != "created").map(Timestamp::millis),
            extras: record.extras.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            id: record.id.to_string(),
            money: money(record.amount),
            status,
            total_fee: record.amount.minor(),
        }
    }
}

/// Display text: the full-width yen sign, a blank, and yuan.
fn money(amount: Money) -> String {
    if amount.currency() == Currency::CNY {
        format!("\u{ffe5} {}", amount.major())
    } else {
        format!("{} {}", amount.currency(), amount.major())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_with_the_full_width_yen_sign() {
        // U+FFE5, one blank, yuan with two decimals.
        for (fen, text) in [(1, "￥ 0.01"), (1000, "￥ 10.00"), (123_456, "￥ 1234.56")] {
            assert_eq!(money(Money::new(fen, Currency::CNY).expect("small")), text);
        }
        assert_eq!(money(Money::new(500, "JPY".parse().expect("a currency")).expect("small")), "JPY 500");
    }
}
