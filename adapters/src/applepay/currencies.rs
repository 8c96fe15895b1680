//! Currencies by their ISO 4217 numbers, as tokens name them.

use maxpay_engine::model::Currency;

/// Letters and number of every currency that is taken.
const TABLE: [(&str, &str); 54] = [
    ("AED", "784"),
    ("ARS", "032"),
    ("AUD", "036"),
    ("BGN", "975"),
    ("BHD", "048"),
    ("BRL", "986"),
    ("CAD", "124"),
    ("CHF", "756"),
    ("CLP", "152"),
    ("CNY", "156"),
    ("COP", "170"),
    ("CRC", "188"),
    ("CZK", "203"),
    ("DKK", "208"),
    ("EUR", "978"),
    ("GBP", "826"),
    ("GEL", "981"),
    ("GTQ", "320"),
    ("HKD", "344"),
    ("HNL", "340"),
    ("HUF", "348"),
    ("ILS", "376"),
    ("ISK", "352"),
    ("JOD", "400"),
    ("JPY", "392"),
    ("KRW", "410"),
    ("KWD", "414"),
    ("KZT", "398"),
    ("MAD", "504"),
    ("MDL", "498"),
    ("MOP", "446"),
    ("MXN", "484"),
    ("MYR", "458"),
    ("NOK", "578"),
    ("NZD", "554"),
    ("OMR", "512"),
    ("PAB", "590"),
    ("PEN", "604"),
    ("PLN", "985"),
    ("PYG", "600"),
    ("QAR", "634"),
    ("RON", "946"),
    ("RSD", "941"),
    ("SAR", "682"),
    ("SEK", "752"),
    ("SGD", "702"),
    ("THB", "764"),
    ("TRY", "949"),
    ("TWD", "901"),
    ("UAH", "980"),
    ("USD", "840"),
    ("UYU", "858"),
    ("VND", "704"),
    ("ZAR", "710"),
];

/// The number of a currency, three digits. `None`: it is not taken.
pub(super) fn number(currency: Currency) -> Option<&'static str> {
    TABLE.iter().find(|(letters, _)| *letters == currency.code()).map(|(_, number)| *number)
}

/// All of them.
pub(super) fn all() -> Vec<Currency> {
    TABLE.iter().map(|(letters, _)| letters.parse().expect("three letters, written above")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_currency_and_no_number_stands_twice() {
        // One number a currency, one currency a number, in alphabetical order.
        let mut numbers: Vec<_> = TABLE.iter().map(|(_, number)| number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), TABLE.len());
        assert!(TABLE.windows(2).all(|two| two[0].0 < two[1].0));
        assert_eq!(number(Currency::CNY), Some("156"));
        assert_eq!(all().len(), TABLE.len());
    }
}
