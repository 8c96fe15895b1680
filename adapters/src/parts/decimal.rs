//! Amounts in major units, as some dialects write them: `0.01`. No float anywhere.

use maxpay_engine::model::{Currency, Money};

/// Reads an amount in major units, with exactly the decimal places of the currency. `None`: it is not one.
///
/// The other way is [`Money::major`].
#[must_use]
pub fn read_major(text: &str, currency: Currency) -> Option<Money> {
    let places = usize::from(currency.exponent());
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if places > 0 => (whole, fraction),
        None if places == 0 => (text, ""),
        Some(_) | None => return None,
    };
    let plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let shaped = !whole.is_empty() && fraction.len() == places && plain(whole) && plain(fraction);
    if !shaped || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    Money::new(format!("{whole}{fraction}").parse().ok()?, currency).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_in_major_units() {
        // The amount vectors: minor units, currency, text; each reads back to itself.
        let table = [
            (0, "CNY", "0.00"),
            (1, "CNY", "0.01"),
            (100, "CNY", "1.00"),
            (1999, "CNY", "19.99"),
            (9_007_199_254_740_991, "CNY", "90071992547409.91"),
            (1, "JPY", "1"),
            (500, "JPY", "500"),
            (1, "KWD", "0.001"),
            (1234, "KWD", "1.234"),
            (1000, "USD", "10.00"),
        ];
        for (minor, code, text) in table {
            let currency: Currency = code.parse().expect("a currency");
            let money = Money::new(minor, currency).expect("in range");
            assert_eq!(money.major(), text);
            assert_eq!(read_major(text, currency), Some(money), "{text} {code}");
        }
    }

    #[test]
    fn anything_else_is_no_amount() {
        // One spelling only, with the currency's own number of places.
        let table = [
            ("1", "CNY"),
            ("1.0", "CNY"),
            ("1.000", "CNY"),
            ("01.00", "CNY"),
            ("-1.00", "CNY"),
            ("+1.00", "CNY"),
            (".01", "CNY"),
            ("1.", "CNY"),
            ("1.0a", "CNY"),
            ("1,00", "CNY"),
            ("", "CNY"),
            ("1e2", "JPY"),
            ("1.0", "JPY"),
            ("1.00", "KWD"),
            ("90071992547409.92", "CNY"),
            ("99999999999999999999999.00", "CNY"),
            ("１.00", "CNY"),
            (" 1.00", "CNY"),
        ];
        for (text, code) in table {
            assert_eq!(read_major(text, code.parse().expect("a currency")), None, "{text} {code}");
        }
    }
}
