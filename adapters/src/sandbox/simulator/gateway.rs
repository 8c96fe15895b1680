//! Where payers bring orders that the merchant signed: an address, a posted form, or an order text.

use bytes::Bytes;
use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::model::ChannelCode;
use maxpay_engine::secrets::Secret;

use crate::parts::canonical;
use crate::parts::digest::sha256;
use crate::parts::form::escaped;
use crate::simulator::Served;

use super::super::codes;
use super::super::signed::SignedOrder;
use super::Simulator;
use super::births::begin;
use super::books::Books;
use super::order::Order;
use super::payer::PayerError;
use super::provider::{is_number, plain};

const UNPROVED: &str = "the order's signature is wrong, or its merchant is not known";

impl Simulator {
    /// The payer opens an order that was signed by the merchant: order text, address or page, as the payer action has
    /// it. Opening it again changes nothing. Gives its number.
    ///
    /// # Errors
    /// The text does not prove itself, or says what no provider takes; the books do not answer.
    pub fn open_order(&self, text: &str) -> Result<String, PayerError> {
        let pairs = SignedOrder::pairs(text).map_err(PayerError::Refused)?;
        self.admit(&self.read_pairs(&pairs)?)
    }

    fn read_pairs(&self, pairs: &[(String, String)]) -> Result<SignedOrder, PayerError> {
        let order = SignedOrder::claimed(pairs).map_err(PayerError::Refused)?;
        let keys: Vec<Secret> = self.merchants.secrets(&order.merchant_id);
        if order.is_signed(pairs, &keys) { Ok(order) } else { Err(PayerError::Refused(UNPROVED)) }
    }

    /// The same for what a browser brings.
    pub(super) fn open_page(&self, query: &str) -> Served {
        let pairs = canonical::read_query(query);
        let opened = self.read_pairs(&pairs).and_then(|signed| self.admit(&signed));
        match opened {
            Ok(number) => {
                let html = format!(
                    "<!DOCTYPE html><meta charset=\"utf-8\"><title>Sandbox</title><p>Order {} is open.</p>",
                    escaped(&number)
                );
                let headers = vec![("content-type".to_owned(), "text/html; charset=utf-8".to_owned())];
                Served::Reply(HttpReply { status: 200, headers, body: Bytes::from(html) })
            }
            Err(error) => plain(400, &error.to_string()),
        }
    }

    fn admit(&self, signed: &SignedOrder) -> Result<String, PayerError> {
        let manifest = codes::manifest();
        let rules = signed.channel.parse::<ChannelCode>().ok().and_then(|code| manifest.code(&code).cloned());
        let (least, most) = rules.map_or((1, 0), |rules| rules.amount_minor);
        if !is_number(&signed.number) || !(least..=most).contains(&signed.amount.minor()) {
            return Err(PayerError::Refused("number or amount is out of bounds"));
        }
        // The three texts of one number are one order.
        let content = hex::encode(sha256(
            format!("{}\n{}\n{}\n{}", signed.amount, signed.subject, signed.notify_url, signed.expires_at).as_bytes(),
        ));
        let _visit = self.enter();
        let mut books = Books::open(&self.ledger, self.now());
        match books.order(&signed.number, &signed.merchant_id)? {
            Some(known) if known.content == content => {}
            Some(_) => return Err(PayerError::Refused("the number stands for another order")),
            None if books.now >= signed.expires_at => return Err(PayerError::Refused("the order has expired")),
            None => {
                let mut order = Order::opened(signed, content, books.now);
                // No answer of ours goes to the merchant, so a fault of it has nothing to strike.
                begin(&mut books, &mut order)?;
            }
        }
        self.leave(books)?;
        Ok(signed.number.clone())
    }
}
