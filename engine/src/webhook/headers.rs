//! Which headers a merchant may have sent along.

/// How many a subscription has at most.
pub const HEADERS_MAX: usize = 16;
/// Bytes of a name at most.
pub const NAME_MAX: usize = 256;
/// Bytes of a value at most.
pub const VALUE_MAX: usize = 4096;

/// Headers that belong to the connection, to the framing of the body, or to us.
const FORBIDDEN: [&str; 21] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "metadata",
    "metadata-flavor",
    "origin",
    "priority",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];

/// Ours, a proxy's, and those that cloud metadata services and storage take orders from.
const FORBIDDEN_PREFIXES: [&str; 9] =
    ["maxpay-", "webhook-", "proxy-", "sec-", "x-amz-", "x-aws-", "x-azure-", "x-goog-", "x-google-"];

/// Headers that are not sent, and why. Says nothing of their values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// More than [`HEADERS_MAX`].
    #[error("at most {HEADERS_MAX} headers")]
    TooMany,
    /// The name is empty, too long, or has other characters than HTTP allows.
    #[error("header {0}: a name is 1 to {NAME_MAX} letters, digits and hyphens or the like")]
    Name(usize),
    /// The value is too long, or has control or non-ASCII characters, or white space at an end.
    #[error("header {0}: a value is at most {VALUE_MAX} printable ASCII characters, without white space at its ends")]
    Value(String),
    /// It is ours to set, or could change what the request is.
    #[error("header {0} cannot be set")]
    Forbidden(String),
    /// It is there twice.
    #[error("header {0} is there twice")]
    Twice(String),
}

/// Checks names and values as the merchant wrote them.
pub fn check(headers: &[(String, String)]) -> Result<(), HeaderError> {
    if headers.len() > HEADERS_MAX {
        return Err(HeaderError::TooMany);
    }
    for (index, (name, value)) in headers.iter().enumerate() {
        check_name(index, name)?;
        check_value(name, value)?;
        if headers[..index].iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(name)) {
            return Err(HeaderError::Twice(name.clone()));
        }
    }
    Ok(())
}

fn check_name(index: usize, name: &str) -> Result<(), HeaderError> {
    // RFC 9110, section 5.6.2: token.
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(token) {
        return Err(HeaderError::Name(index + 1));
    }
    let lower = name.to_ascii_lowercase();
    // Some servers read an underscore as a hyphen.
    let folded = lower.replace('_', "-");
    let forbidden =
        FORBIDDEN.contains(&folded.as_str()) || FORBIDDEN_PREFIXES.iter().any(|prefix| folded.starts_with(prefix));
    if forbidden { Err(HeaderError::Forbidden(lower)) } else { Ok(()) }
}

fn check_value(name: &str, value: &str) -> Result<(), HeaderError> {
    let printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let trimmed = value.trim() == value;
    if value.len() <= VALUE_MAX && printable && trimmed { Ok(()) } else { Err(HeaderError::Value(name.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Result<(), HeaderError> {
        check(&[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn ordinary_headers_pass() {
        // What merchants use to know us by, in any case, an empty value included.
        let long = "v".repeat(VALUE_MAX);
        for (name, value) in
            [("Authorization", "Bearer a b"), ("X-Api-Key", "k"), ("X-Empty", ""), ("Cookie", "a=b"), ("x", &long)]
        {
            assert_eq!(one(name, value), Ok(()), "{name}");
        }
    }

    #[test]
    fn nothing_of_ours_or_of_the_connection_is_set() {
        // Forbidden in any case and with underscores for hyphens.
        let names = [
            "Host",
            "CONTENT-LENGTH",
            "Content_Length",
            "transfer-encoding",
            "Connection",
            "content-type",
            "User-Agent",
            "maxpay-event",
            "MaxPay_Event",
            "Webhook-Id",
            "webhook-signature",
            "Proxy-Authorization",
            "X-Amz-Date",
            "x-goog-user",
            "X-Azure-Ref",
            "Metadata-Flavor",
            "X-aws-ec2-metadata-token",
            "Expect",
            "TE",
            "Upgrade",
        ];
        for name in names {
            assert!(matches!(one(name, "v"), Err(HeaderError::Forbidden(_))), "{name}");
        }
    }

    #[test]
    fn nothing_splits_a_request() {
        // No line breaks, control characters, or characters outside ASCII, in names or values.
        for name in ["", "a b", "a:b", "a\r\nb", "é", "a\0", &"n".repeat(NAME_MAX + 1)] {
            assert_eq!(one(name, "v"), Err(HeaderError::Name(1)), "{name:?}");
        }
        for value in ["a\r\nb: c", "a\nb", "a\0", "é", " a", "a ", "\ta", &"v".repeat(VALUE_MAX + 1)] {
            let error = one("x-key", value).expect_err("refused");
            assert_eq!(error, HeaderError::Value("x-key".into()), "{value:?}");
        }
    }

    #[test]
    fn there_are_few_and_each_once() {
        // At most sixteen, and no name twice in any spelling of its case.
        let some = |count: usize| (0..count).map(|n| (format!("x-{n}"), "v".to_owned())).collect::<Vec<_>>();
        assert_eq!(check(&some(HEADERS_MAX)), Ok(()));
        assert_eq!(check(&some(HEADERS_MAX + 1)), Err(HeaderError::TooMany));
        let twice = [("X-Key".to_owned(), "a".to_owned()), ("x-key".to_owned(), "b".to_owned())];
        assert_eq!(check(&twice), Err(HeaderError::Twice("x-key".into())));
    }
}
