//! Forms, queries, amounts and moments, as the dialects write them.

use maxpay_adapters::parts::{beijing, canonical, decimal, form};
use maxpay_engine::model::Currency;

/// First byte `q`: a query. `p`: a page with a form. `d`: an amount or a moment.
pub fn check(bytes: &[u8]) {
    let (Some(kind), Ok(text)) = (bytes.first(), std::str::from_utf8(bytes.get(1..).unwrap_or_default())) else {
        return;
    };
    match kind {
        b'q' => query(text),
        b'p' => page(text),
        b'd' => number(text),
        _ => {}
    }
}

/// Pairs with plain names survive the way into a query and a page and out of it; nothing breaks out of a page.
fn query(text: &str) {
    let mut pairs = canonical::read_query(text);
    assert!(pairs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= 3 * text.len());
    let html = form::page(text, &pairs);
    assert_eq!(html.matches('<').count(), html.matches('>').count());
    assert_eq!((html.matches("<input").count(), html.matches("<form").count()), (pairs.len(), 1));
    let carried = |text: &str| text.replace(char::is_control, " ");
    let blank = pairs.iter().map(|(name, value)| (carried(name), carried(value)));
    assert_eq!(form::read_page(&html), Some(blank.collect()));
    pairs.retain(|(name, _)| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(canonical::read_query(&canonical::query(&pairs)), pairs);
    let mut sorted = pairs.clone();
    sorted.sort();
    assert_eq!(canonical::read_query(&canonical::signing_text(&pairs)), sorted);
}

/// A page of anybody's is read within its own length, or is none.
fn page(text: &str) {
    if let Some(fields) = form::read_page(text) {
        assert!(fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= text.len());
    }
}

/// What reads has one spelling: it is written as it was.
fn number(text: &str) {
    for code in ["CNY", "JPY", "KWD"] {
        if let Some(amount) = decimal::read_major(text, code.parse::<Currency>().expect("a currency")) {
            assert_eq!(amount.major(), text);
        }
    }
    if let Some(moment) = beijing::read_spaced(text) {
        assert_eq!(beijing::spaced(moment), text);
    }
    if let Some(moment) = beijing::read_packed(text) {
        assert_eq!(beijing::packed(moment), text);
    }
}
