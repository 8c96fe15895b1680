//! `POST /2.0/maxpay/bill`: starts a payment, always a new one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use maxpay_engine::Engine;
use maxpay_engine::api::{CreateTransaction, Scope};
use maxpay_engine::channel::{CodeManifest, PayerInput};
use maxpay_engine::model::{ChannelCode, Currency, Door, Money, PayerInputs, PayerStep, Status, Transaction};
use serde_json::Value;

use super::code::{Code, Refusal};
use super::fields::{Fields, illegal, needed};

/// Left of the time to answer when the wait for the channel is over; of a short time a quarter.
const HEADROOM_MAX: Duration = Duration::from_secs(4);

pub(super) async fn perform(
    engine: &Engine,
    scope: Scope,
    fields: &Fields,
    client: IpAddr,
    wait: Duration,
) -> Result<String, Refusal> {
    let request = read(fields, client, wait, |code| engine.manifest_of(code))?;
    let created = engine.create_transaction(scope, request, None).await?;
    let record = created.transaction;
    settled(&record.status).map_err(|refusal| refusal.of_record(record.id))?;
    Ok(body(&record, engine.shown(&record)))
}

/// How long the channel is waited for, of an answer that is due within `within` and of which `left` is left.
pub(super) fn wait(left: Duration, within: Duration) -> Duration {
    left.saturating_sub(HEADROOM_MAX.min(within / 4))
}

/// Reads a bill: what is missing is told before what is wrong.
pub(super) fn read(
    fields: &Fields,
    client: IpAddr,
    wait: Duration,
    manifest_of: impl FnOnce(&ChannelCode) -> Option<CodeManifest>,
) -> Result<CreateTransaction, Refusal> {
    let channel = needed("channel", fields.raw("channel"))?;
    for name in ["billNum", "totalFee", "subject"] {
        needed(name, fields.raw(name))?;
    }
    let (channel, manifest) = code(channel, manifest_of)?;
    let payer = payer(fields, client)?;
    let return_url = fields.text("returnUrl")?;
    let given = Given { payer: &payer, return_url: return_url.as_deref() };
    given.all_that(&manifest.needs)?;
    let timeout = match fields.integer("billTimeout")? {
        Some(0) => return Err(illegal("billTimeout", "is not above zero")),
        seconds => seconds.map(Duration::from_secs),
    };
    Ok(CreateTransaction {
        door: Door::Original,
        bill_num: needed("billNum", fields.bill_num("billNum")?)?,
        channel,
        amount: amount(needed("totalFee", fields.integer("totalFee")?)?)?,
        subject: needed("subject", fields.text("subject")?)?,
        extras: fields.raw("extras").map(str::to_owned),
        return_url,
        show_url: fields.text("showUrl")?,
        timeout,
        payer,
        wait,
    })
}

/// The channel that is asked for. Groups are for queries: no payment goes over a group.
fn code(
    raw: &str,
    manifest_of: impl FnOnce(&ChannelCode) -> Option<CodeManifest>,
) -> Result<(ChannelCode, CodeManifest), Refusal> {
    let unknown = || Refusal::new(Code::Channel, "channel is no channel code");
    let text: String = serde_json::from_str(raw).map_err(|_| unknown())?;
    let code: ChannelCode = text.parse().map_err(|_| unknown())?;
    let manifest = manifest_of(&code).ok_or_else(unknown)?;
    Ok((code, manifest))
}

fn amount(fen: u64) -> Result<Money, Refusal> {
    if fen == 0 {
        return Err(illegal("totalFee", "is not above zero"));
    }
    Money::new(fen, Currency::CNY).map_err(|why| illegal("totalFee", why))
}

/// The original asks for few of these; the payer's address is the client's unless a merchant's server says better.
fn payer(fields: &Fields, client: IpAddr) -> Result<PayerInputs, Refusal> {
    let qr_mode = fields.integer("qrPayMode")?.map(u8::try_from).transpose();
    Ok(PayerInputs {
        openid: fields.text("openid")?,
        client_ip: Some(fields.text("clientIp")?.unwrap_or_else(|| client.to_string())),
        h5_type: fields.text("h5Type")?,
        qr_mode: qr_mode.map_err(|_| illegal("qrPayMode", "is not a small integer"))?,
    })
}

struct Given<'a> {
    payer: &'a PayerInputs,
    return_url: Option<&'a str>,
}

impl Given<'_> {
    fn all_that(&self, needs: &[PayerInput]) -> Result<(), Refusal> {
        for need in needs {
            match need {
                PayerInput::Openid => needed("openid", self.payer.openid.as_ref()).map(drop)?,
                PayerInput::ClientIp => needed("clientIp", self.payer.client_ip.as_ref()).map(drop)?,
                PayerInput::H5Type => needed("h5Type", self.payer.h5_type.as_ref()).map(drop)?,
                PayerInput::ReturnUrl => needed("returnUrl", self.return_url).map(drop)?,
            }
        }
        Ok(())
    }
}

/// Whether the payer can go on with it.
fn settled(status: &Status) -> Result<(), Refusal> {
    let unknown = "the channel has not answered yet: look at the records before paying again";
    let closing = "the payment is being closed and may still be paid: look at the records before paying again";
    match status {
        Status::AwaitingPayer { step: PayerStep::Actions(_) } | Status::Succeeded { .. } => Ok(()),
        Status::AwaitingPayer { step: PayerStep::Lost } => {
            Err(Refusal::new(Code::RunTime, "the channel's answer was lost: start a new payment"))
        }
        Status::Created | Status::Submitting { .. } => Err(Refusal::new(Code::RunTime, unknown)),
        Status::Closing => Err(Refusal::new(Code::RunTime, closing)),
        Status::Closed { .. } => Err(Refusal::new(Code::ChannelFailed, "the payment was closed")),
        Status::Failed { reason } => Err(Refusal::new(Code::ChannelFailed, reason.clone())),
    }
}

/// The answer, keys in alphabetical order.
fn body(record: &Transaction, shown: Vec<(String, String)>) -> String {
    let mut body: BTreeMap<String, Value> = shown.into_iter().map(|(name, text)| (name, Value::from(text))).collect();
    body.insert("code".to_owned(), Value::from(0));
    body.insert("id".to_owned(), Value::from(record.id.to_string()));
    body.insert("msg".to_owned(), Value::from("OK"));
    serde_json::to_string(&body).unwrap_or_else(|_| r#"{"code":14,"err":"RUN_TIME_ERROR"}"#.to_owned())
}

#[cfg(test)]
mod tests;
