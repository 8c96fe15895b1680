//! Orders that are signed here and reach the provider in the payer's hands: the Alipay look-alikes and the form.
//!
//! The shapes are the recorded ones (maxleap.md section 1.3). The `sign_type` says what the real channel's says, so
//! that a client which looks at it sees nothing unusual; what stands in `sign` is HMAC-SHA256 under the account's key.

use maxpay_engine::model::{Currency, Money, Timestamp};
use maxpay_engine::secrets::Secret;

use crate::parts::digest::{base64_text, hmac_sha256, same};
use crate::parts::{canonical, decimal, form};

use super::wire::{FORM, GATEWAY};

/// What a locally signed order says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignedOrder {
    pub channel: &'static str,
    pub merchant_id: String,
    pub number: String,
    pub amount: Money,
    pub subject: String,
    pub notify_url: String,
    pub return_url: Option<String>,
    pub show_url: Option<String>,
    pub expires_at: Timestamp,
}

const ALI_SERVICES: [(&str, &str); 3] = [
    ("ali_app", "mobile.securitypay.pay"),
    ("ali_web", "create_direct_pay_by_user"),
    ("ali_wap", "alipay.wap.create.direct.pay.by.user"),
];
const UNIPAY_WEB: &str = "unipay_web";

impl SignedOrder {
    /// The text that the payer's device needs: an order text, an address or a page.
    pub fn text(&self, secret: &Secret, base_url: &str) -> String {
        if self.channel == UNIPAY_WEB {
            let mut fields = self.form_fields();
            fields.push(("signature".to_owned(), signature(self.channel, &fields, secret)));
            return form::page(&format!("{base_url}{FORM}"), &fields);
        }
        let mut pairs = self.ali_pairs();
        let sign = signature(self.channel, &pairs, secret);
        let sign_type = if self.channel == "ali_app" { "RSA" } else { "MD5" };
        pairs.push(("sign_type".to_owned(), sign_type.to_owned()));
        if self.channel == "ali_app" {
            pairs.push(("sign".to_owned(), canonical::percent_encoded(&sign)));
            pairs.sort();
            return pairs.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect::<Vec<_>>().join("&");
        }
        pairs.push(("sign".to_owned(), sign));
        pairs.sort();
        format!("{base_url}{GATEWAY}?{}", canonical::query(&pairs))
    }

    fn ali_pairs(&self) -> Vec<(String, String)> {
        let service = ALI_SERVICES.iter().find(|(channel, _)| *channel == self.channel).map_or("", |(_, name)| *name);
        let mut pairs = vec![
            ("_input_charset", "utf-8".to_owned()),
            ("it_b_pay", self.expires_at.to_string()),
            ("notify_url", quotable_url(&self.notify_url)),
            ("out_trade_no", self.number.clone()),
            ("partner", self.merchant_id.clone()),
            ("payment_type", "1".to_owned()),
            ("seller_id", self.merchant_id.clone()),
            ("service", service.to_owned()),
            // Order texts have no way to write a quotation mark inside a value.
            ("subject", printable(&self.subject).replace('"', "'")),
            ("total_fee", self.amount.major()),
        ];
        pairs.extend(self.return_url.iter().map(|url| ("return_url", quotable_url(url))));
        if self.channel == "ali_web" {
            pairs.extend(self.show_url.iter().map(|url| ("show_url", quotable_url(url))));
        }
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    fn form_fields(&self) -> Vec<(String, String)> {
        let mut fields = vec![
            ("backUrl", self.notify_url.clone()),
            ("channelType", "07".to_owned()),
            ("currencyCode", "156".to_owned()),
            ("encoding", "UTF-8".to_owned()),
            ("merId", self.merchant_id.clone()),
            ("orderDesc", printable(&self.subject)),
            ("orderId", self.number.clone()),
            ("payTimeout", self.expires_at.to_string()),
            ("txnAmt", self.amount.minor().to_string()),
            ("txnType", "01".to_owned()),
        ];
        fields.extend(self.return_url.iter().map(|url| ("frontUrl", url.clone())));
        fields.into_iter().map(|(key, value)| (key.to_owned(), printable(&value))).collect()
    }

    /// The named values of an order text, an address or a page, as the payer brings them.
    pub fn pairs(text: &str) -> Result<Vec<(String, String)>, &'static str> {
        pairs_of(text)
    }

    /// What the values claim. Nothing of it is proved until [`SignedOrder::is_signed`] says so.
    pub fn claimed(pairs: &[(String, String)]) -> Result<Self, &'static str> {
        let mut names: Vec<_> = pairs.iter().map(|(name, _)| name).collect();
        names.sort();
        if names.windows(2).any(|two| two[0] == two[1]) {
            return Err("a field stands twice in the order");
        }
        if value(pairs, "txnType").is_some() { from_form(pairs) } else { from_ali(pairs) }
            .ok_or("the order lacks a field, or one cannot be read")
    }

    /// Whether one of the keys signed these values.
    pub fn is_signed(&self, pairs: &[(String, String)], keys: &[Secret]) -> bool {
        let Some(given) = value(pairs, "sign").or(value(pairs, "signature")) else { return false };
        let unsigned: Vec<_> = pairs
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "sign" | "sign_type" | "signature"))
            .cloned()
            .collect();
        keys.iter().any(|key| same(&signature(self.channel, &unsigned, key), given))
    }
}

fn signature(channel: &str, pairs: &[(String, String)], secret: &Secret) -> String {
    // The channel stands in front, so that no text of one can be read as one of another.
    let mac = hmac_sha256(secret, format!("order\n{channel}\n{}", canonical::signing_text(pairs)).as_bytes());
    match channel {
        "ali_web" | "ali_wap" => hex::encode(&mac[..16]),
        _ => base64_text(&mac),
    }
}

fn pairs_of(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    const UNREADABLE: &str = "the order text cannot be read";
    if text.starts_with("<!DOCTYPE html>") {
        return form::read_page(text).ok_or(UNREADABLE);
    }
    if let Some((_, query)) = text.split_once(&format!("{GATEWAY}?")).filter(|_| text.starts_with("http")) {
        return Ok(canonical::read_query(query));
    }
    let inner = text.strip_suffix('"').ok_or(UNREADABLE)?;
    let mut pairs = Vec::new();
    for pair in inner.split("\"&") {
        let (key, value) = pair.split_once("=\"").ok_or(UNREADABLE)?;
        let decode = |text: &str| canonical::read_query(&format!("v={text}")).pop().map(|(_, value)| value);
        let value = if key == "sign" { decode(value).ok_or(UNREADABLE)? } else { value.to_owned() };
        pairs.push((key.to_owned(), value));
    }
    Ok(pairs)
}

fn value<'p>(pairs: &'p [(String, String)], name: &str) -> Option<&'p str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn from_ali(pairs: &[(String, String)]) -> Option<SignedOrder> {
    let field = |name| value(pairs, name).map(str::to_owned);
    let service = value(pairs, "service")?;
    Some(SignedOrder {
        channel: ALI_SERVICES.iter().find(|(_, name)| *name == service)?.0,
        merchant_id: field("partner")?,
        number: field("out_trade_no")?,
        amount: decimal::read_major(value(pairs, "total_fee")?, Currency::CNY)?,
        subject: field("subject")?,
        notify_url: field("notify_url")?,
        return_url: field("return_url"),
        show_url: field("show_url"),
        expires_at: value(pairs, "it_b_pay")?.parse().ok()?,
    })
}

fn from_form(pairs: &[(String, String)]) -> Option<SignedOrder> {
    let field = |name| value(pairs, name).map(str::to_owned);
    Some(SignedOrder {
        channel: UNIPAY_WEB,
        merchant_id: field("merId")?,
        number: field("orderId")?,
        amount: Money::new(value(pairs, "txnAmt")?.parse().ok()?, Currency::CNY).ok()?,
        subject: field("orderDesc")?,
        notify_url: field("backUrl")?,
        return_url: field("frontUrl"),
        show_url: None,
        expires_at: value(pairs, "payTimeout")?.parse().ok()?,
    })
}

/// Control characters become blanks, as they would on a screen.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn quotable_url(url: &str) -> String {
    printable(url).replace('"', "%22")
}
