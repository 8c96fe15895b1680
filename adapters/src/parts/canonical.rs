//! Named values as one text: in a fixed order, and as the query of an address.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `key=value` pairs in alphabetical order of their keys, values percent-encoded, joined by `&`: the same pairs give
/// the same text, and two different sets of pairs never do.
#[must_use]
pub fn signing_text(pairs: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = pairs.iter().collect();
    sorted.sort();
    written(sorted)
}

/// Percent-encodes every byte but letters, digits, `-`, `.`, `_` and `~`.
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The pairs as a query, in the order given, values percent-encoded.
#[must_use]
pub fn query(pairs: &[(String, String)]) -> String {
    written(pairs)
}

fn written<'p>(pairs: impl IntoIterator<Item = &'p (String, String)>) -> String {
    let mut text = String::new();
    for (key, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(key);
        text.push('=');
        text.extend(utf8_percent_encode(value, RESERVED));
    }
    text
}

/// Reads a query or a form body. Total: what is not encoded stands for itself.
#[must_use]
pub fn read_query(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_reads_back() {
        // Any text survives the way into an address and out of it.
        let pairs: Vec<(String, String)> = [("a", "it will be ok!"), ("b", "1&2=3+4%20"), ("c", "支付"), ("d", "")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        assert_eq!(read_query(&query(&pairs)), pairs);
        assert!(query(&pairs).starts_with("a=it%20will%20be%20ok%21&b=1%262%3D3%2B4%2520&"));
    }

    #[test]
    fn the_signing_text_is_sorted_and_unambiguous() {
        // Alphabetical by key; a value that looks like two pairs is not read as two.
        let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
            list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(signing_text(&pairs(&[("b", "2"), ("a", "1")])), "a=1&b=2");
        assert_ne!(signing_text(&pairs(&[("a", "1&b=2")])), signing_text(&pairs(&[("a", "1"), ("b", "2")])));
    }
}
