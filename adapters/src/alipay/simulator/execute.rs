//! What each method does to the books, by Alipay's own rules.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maxpay_engine::model::{Currency, Timestamp};
use serde_json::{Map, Value, json};

use crate::parts::digest::sha256;
use crate::parts::{beijing, decimal};
use crate::simulator::{Changes, LedgerError};

use super::Simulator;
use super::gateway::{Asked, text};
use super::trade::{RefundRow, Trade, TradeState, Twists, key, trade_no, yuan};

type Done = Result<Value, LedgerError>;

fn refused(sub_code: &str, number: &str) -> Value {
    json!({ "code": "40004", "msg": "Business Failed", "sub_code": format!("ACQ.{sub_code}"), "sub_msg": "refused",
        "out_trade_no": number, "buyer_pay_amount": "0.00", "receipt_amount": "0.00" })
}

fn done(trade: &Trade) -> Value {
    json!({ "code": "10000", "msg": "Success", "out_trade_no": trade.number, "trade_no": trade.trade_no })
}

impl Simulator {
    /// The trade that a signed order asks for. `Err`: the sub-code it is refused with.
    pub(super) fn trade_asked(&self, asked: &Asked, biz: &Map<String, Value>) -> Result<Trade, &'static str> {
        let (app_id, number) = (asked.text("app_id").to_owned(), text(biz, "out_trade_no").to_owned());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let amount = decimal::read_major(text(biz, "total_amount"), Currency::CNY).ok_or("INVALID_PARAMETER")?;
        let expires_at = beijing::read_spaced(text(biz, "time_expire")).ok_or("INVALID_PARAMETER")?;
        let subject = text(biz, "subject").to_owned();
        let fits = (1..=64).contains(&number.len()) && number.bytes().all(plain);
        if !fits || subject.is_empty() || subject.chars().count() > 256 {
            return Err("INVALID_PARAMETER");
        }
        if !(1..=10_000_000_000).contains(&amount.minor()) {
            return Err("TOTAL_FEE_EXCEED");
        }
        let said = format!("{}\n{subject}\n{}\n{}", amount.minor(), asked.text("notify_url"), expires_at.millis());
        Ok(Trade {
            seller_id: self.keys.seller(&app_id).unwrap_or_default().to_owned(),
            trade_no: trade_no(&app_id, &number, self.now()),
            method: asked.text("method").to_owned(),
            amount_minor: amount.minor(),
            notify_url: asked.text("notify_url").to_owned(),
            made_at: self.now(),
            state: TradeState::Coded,
            payment: None,
            refunds: Vec::new(),
            content: hex::encode(sha256(said.as_bytes())),
            is_opened: false,
            codes: Vec::new(),
            twists: Twists::default(),
            app_id,
            number,
            subject,
            expires_at,
        })
    }

    pub(super) fn precreate(&self, asked: &Asked, biz: &Map<String, Value>) -> Done {
        let number = text(biz, "out_trade_no");
        let asked = match self.trade_asked(asked, biz) {
            Ok(trade) => trade,
            Err(sub_code) => return Ok(refused(sub_code, number)),
        };
        let mut trade = match self.trade(&asked.app_id, number)? {
            Some(known) => match known.state {
                TradeState::Success | TradeState::Finished => return Ok(refused("TRADE_HAS_SUCCESS", number)),
                TradeState::Closed => return Ok(refused("TRADE_HAS_CLOSE", number)),
                TradeState::Coded | TradeState::Wait if known.content != asked.content => {
                    return Ok(refused("CONTEXT_INCONSISTENT", number));
                }
                TradeState::Coded | TradeState::Wait => known,
            },
            None if asked.expires_at <= self.now() => return Ok(refused("INVALID_PARAMETER", number)),
            None => asked,
        };
        trade.give_code(self.now());
        self.put(&trade)?;
        let code = trade.codes(self.now()).last();
        Ok(json!({ "code": "10000", "msg": "Success", "out_trade_no": number, "qr_code": code }))
    }

    pub(super) fn query(&self, app_id: &str, biz: &Map<String, Value>) -> Done {
        let number = text(biz, "out_trade_no");
        let Some(trade) = self.trade(app_id, number)?.filter(Trade::is_known) else {
            return Ok(refused("TRADE_NOT_EXIST", number));
        };
        let mut object = done(&trade);
        let paid = trade.payment.as_ref().map_or(0, |payment| payment.amount_minor);
        object["trade_status"] = trade.status().into();
        object["total_amount"] = yuan(trade.total_minor()).into();
        for name in ["buyer_pay_amount", "receipt_amount", "invoice_amount"] {
            object[name] = yuan(paid).into();
        }
        object["point_amount"] = "0.00".into();
        if let Some(payment) = &trade.payment {
            object["send_pay_date"] = beijing::spaced(payment.at).into();
            object["fund_bill_list"] = json!([{ "amount": yuan(paid), "fund_channel": "ALIPAYACCOUNT" }]);
        }
        Ok(object)
    }

    pub(super) fn close(&self, app_id: &str, biz: &Map<String, Value>) -> Done {
        let number = text(biz, "out_trade_no");
        let Some(mut trade) = self.trade(app_id, number)?.filter(Trade::is_known) else {
            return Ok(refused("TRADE_NOT_EXIST", number));
        };
        if trade.twists.pays_before_close && trade.state == TradeState::Wait {
            let amount = trade.amount_minor;
            trade.pay(amount, self.now());
            self.put_and_tell(&trade)?;
        }
        if trade.state != TradeState::Wait {
            return Ok(refused("TRADE_STATUS_ERROR", number));
        }
        trade.state = TradeState::Closed;
        self.put_and_tell(&trade)?;
        Ok(done(&trade))
    }

    pub(super) fn refund(&self, app_id: &str, biz: &Map<String, Value>) -> Done {
        let (number, request_no) = (text(biz, "out_trade_no"), text(biz, "out_request_no"));
        let known = self.trade(app_id, number)?.filter(Trade::is_known);
        // Where both are given, Alipay's own number wins.
        let Some(mut trade) = known.filter(|trade| ["", &trade.trade_no].contains(&text(biz, "trade_no"))) else {
            return Ok(refused("TRADE_NOT_EXIST", number));
        };
        let amount = decimal::read_major(text(biz, "refund_amount"), Currency::CNY).map_or(0, |amount| amount.minor());
        if request_no.is_empty() || amount == 0 {
            return Ok(refused("INVALID_PARAMETER", number));
        }
        let before = trade.refunds.iter().find(|refund| refund.request_no.as_deref() == Some(request_no));
        if let Some(before) = before {
            return Ok(if before.amount_minor == amount {
                refund_told(&trade, before.at, "N")
            } else {
                refused("DISCORDANT_REPEAT_REQUEST", number)
            });
        }
        // The business codes of alipay.trade.refund: the time for refunds is over, and that is final.
        if trade.state == TradeState::Finished {
            return Ok(refused("TRADE_HAS_FINISHED", number));
        }
        if trade.payment.is_none() || trade.state != TradeState::Success {
            return Ok(refused("REASON_TRADE_STATUS_INVALID", number));
        }
        if trade.returned_minor().saturating_add(amount) > trade.total_minor() {
            return Ok(refused("REASON_TRADE_REFUND_FEE_ERR", number));
        }
        if trade.twists.poor {
            return Ok(refused("SELLER_BALANCE_NOT_ENOUGH", number));
        }
        let moved = if std::mem::take(&mut trade.twists.quiet_refund) { "N" } else { "Y" };
        trade.give_back(Some(request_no.to_owned()), amount, self.now());
        self.put_and_tell(&trade)?;
        Ok(refund_told(&trade, self.now(), moved))
    }

    pub(super) fn refund_query(&self, app_id: &str, biz: &Map<String, Value>) -> Done {
        let (number, request_no) = (text(biz, "out_trade_no"), text(biz, "out_request_no"));
        let Some(trade) = self.trade(app_id, number)?.filter(Trade::is_known) else {
            return Ok(refused("TRADE_NOT_EXIST", number));
        };
        let of_it = |refund: &&RefundRow| refund.request_no.as_deref() == Some(request_no);
        let Some(refund) = trade.refunds.iter().find(of_it) else {
            // Success, and nothing about a refund that was never received.
            return Ok(json!({ "code": "10000", "msg": "Success" }));
        };
        let mut object = done(&trade);
        object["out_request_no"] = request_no.into();
        object["refund_amount"] = yuan(refund.amount_minor).into();
        object["total_amount"] = yuan(trade.total_minor()).into();
        object["refund_status"] = "REFUND_SUCCESS".into();
        object["gmt_refund_pay"] = beijing::spaced(refund.at).into();
        Ok(object)
    }

    pub(super) fn certificate(&self, biz: &Map<String, Value>) -> Value {
        match self.keys.certificate(text(biz, "alipay_cert_sn")) {
            Some(pem) => json!({ "code": "10000", "msg": "Success", "alipay_cert_content": STANDARD.encode(pem) }),
            None => json!({ "code": "40004", "msg": "Business Failed", "sub_code": "CERT_NOT_EXIST" }),
        }
    }

    pub(super) fn put(&self, trade: &Trade) -> Result<(), LedgerError> {
        let mut changes = Changes::default();
        changes.put(key(&trade.app_id, &trade.number), trade);
        self.ledger.commit(changes)
    }
}

fn refund_told(trade: &Trade, at: Timestamp, moved: &str) -> Value {
    let mut object = done(trade);
    object["fund_change"] = moved.into();
    // Of all refunds so far.
    object["refund_fee"] = yuan(trade.returned_minor()).into();
    object["gmt_refund_pay"] = beijing::spaced(at).into();
    object
}
