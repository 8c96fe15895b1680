//! A whole HTML page whose form submits itself, as some providers want the payer's browser to post to them.

use std::fmt::Write;

/// The page. Every character of names, values and the action that is not an ASCII letter or digit is escaped.
#[must_use]
pub fn page(action: &str, fields: &[(String, String)]) -> String {
    let mut html = String::from("<!DOCTYPE html><html><head><meta charset=\"utf-8\"><title>Payment</title></head>");
    html.push_str("<body onload=\"document.forms[0].submit()\">");
    write!(html, "<form action=\"{}\" method=\"post\">", escaped(action)).expect("a string takes any text");
    for (name, value) in fields {
        write!(html, "<input type=\"hidden\" name=\"{}\" value=\"{}\">", escaped(name), escaped(value))
            .expect("a string takes any text");
    }
    html.push_str("<noscript><button type=\"submit\">Continue</button></noscript></form></body></html>");
    html
}

/// The text with every character that is not an ASCII letter or digit as `&#…;`. Control characters, which HTML
/// cannot carry, become blanks.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() {
            out.push(letter);
        } else {
            let code = if letter.is_control() { u32::from(' ') } else { u32::from(letter) };
            write!(out, "&#{code};").expect("a string takes any text");
        }
    }
    out
}

/// The fields of a page that [`page`] made, as a browser would post them. `None`: it is no such page.
#[must_use]
pub fn read_page(html: &str) -> Option<Vec<(String, String)>> {
    let (_, form) = html.split_once("<form ")?;
    let mut fields = Vec::new();
    for input in form.split("<input type=\"hidden\" name=\"").skip(1) {
        let (name, rest) = input.split_once("\" value=\"")?;
        let (value, _) = rest.split_once('"')?;
        fields.push((unescaped(name)?, unescaped(value)?));
    }
    Some(fields)
}

fn unescaped(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("&#") {
        let (code, tail) = after.split_once(';')?;
        out.push_str(before);
        out.push(char::from_u32(code.parse().ok()?)?);
        rest = tail;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_the_form() {
        // Quotes, tags, entities and other alphabets stand for themselves and read back.
        let hostile = "\"><script>alert('x')</script>&amp;&#34; 支付`/=";
        let fields = vec![("a".to_owned(), hostile.to_owned()), ("sign".to_owned(), "a+b/c==".to_owned())];
        let html = page("http://sandbox.invalid/form?a=1&b=\"", &fields);
        assert!(!html.contains("<script") && !html.contains("支付") && !html.contains("a+b"), "{html}");
        assert_eq!(html.matches('<').count(), html.matches('>').count());
        assert_eq!(html.matches("<input").count(), 2);
        assert_eq!(read_page(&html), Some(fields));
    }

    #[test]
    fn control_characters_become_blanks() {
        // HTML cannot carry them.
        assert_eq!(escaped("a\0\r\nb"), "a&#32;&#32;&#32;b");
    }
}
