//! What the payer, the provider's console or the way between does, by name and arguments; and what came of it.

use std::time::Duration;

use maxpay_adapters::simulator::words::Command;
use maxpay_adapters::simulator::{How, OrderRow, Rule, Service, ServiceError, TokenAsked, When};
use maxpay_engine::model::{Currency, Money};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::issued;

/// Commands beside those of the orders: name, arguments, and what they do.
pub const OTHERS: [(&str, &[&str], &str); 4] = [
    ("bring", &["text"], "bring what the merchant gave the payer: an order text, an address, a code's text, a page"),
    ("lose", &["number"], "do what the next call about the number asks, and lose the answer"),
    ("delay", &["number", "after_ms"], "answer the next call about the number so many milliseconds later"),
    ("rotate", &[], "use new keys from now on; the ready file is written anew"),
];
/// The device's: only where there is one.
pub const TOKEN: (&str, &[&str], &str) = (
    "token",
    &["amount_minor", "currency", "card", "version", "application_data"],
    "make a token for a charge, as a device does: the body of POST /v1/transactions/{id}/authorize",
);

/// What came of a command.
pub enum Played {
    /// It is done; what there is to say of it.
    Done(Value),
    /// Keys are new: whoever hands out accounts must do it again.
    Rotated,
    /// The body of an authorize call.
    Token(Box<RawValue>),
}

/// Why it was not done.
pub enum Refused {
    /// There is no such command.
    Unknown,
    /// An argument is missing or wrong, or is none of this command's.
    Argument(String, &'static str),
    /// The provider says no.
    No(String),
    /// The books do not answer.
    Broken(ServiceError),
}

impl From<ServiceError> for Refused {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Refused(why) => Self::No(why),
            ServiceError::Ledger(_) | ServiceError::Keys => Self::Broken(error),
        }
    }
}

/// Does it. It may wait for a disk.
pub fn play(service: &dyn Service, name: &str, arguments: &Map<String, Value>) -> Result<Played, Refused> {
    let commands = service.commands();
    let command = commands.iter().find(|command| command.name == name);
    let known = takes(service, name).ok_or(Refused::Unknown)?;
    if let Some(other) = arguments.keys().find(|argument| !known.contains(&argument.as_str())) {
        return Err(Refused::Argument(other.clone(), "is no argument of this command"));
    }
    if let Some(command) = command {
        return order(service, command, arguments);
    }
    match name {
        "bring" => Ok(done(service, &service.bring(text(arguments, "text")?)?)),
        "lose" => plan(service, text(arguments, "number")?, How::Lost),
        "delay" => {
            let wait = Duration::from_millis(number(arguments, "after_ms")?);
            plan(service, text(arguments, "number")?, How::Late(wait))
        }
        "rotate" => service.rotate().map(|()| Played::Rotated).map_err(Refused::from),
        _ => token(service, arguments),
    }
}

/// The arguments of a command. `None`: there is no such command.
pub fn takes(service: &dyn Service, name: &str) -> Option<Vec<&'static str>> {
    if let Some(command) = service.commands().into_iter().find(|command| command.name == name) {
        return Some(std::iter::once("number").chain(command.number).collect());
    }
    let token = service.wallet().map(|_| TOKEN);
    let found = OTHERS.into_iter().chain(token).find(|(other, ..)| *other == name);
    found.map(|(_, arguments, _)| arguments.to_vec())
}

/// Everything that there is, for programs.
pub fn all(service: &dyn Service) -> Value {
    let of_orders = service.commands().into_iter().map(|command| {
        let arguments: Vec<_> = std::iter::once("number").chain(command.number).collect();
        json!({ "command": command.name, "arguments": arguments, "does": command.doc })
    });
    let others = OTHERS.into_iter().chain(service.wallet().map(|_| TOKEN));
    let others = others.map(|(name, arguments, doc)| json!({ "command": name, "arguments": arguments, "does": doc }));
    of_orders.chain(others).collect()
}

/// An order, for programs.
pub fn shown(order: &OrderRow) -> Value {
    json!({
        "number": order.number,
        "kind": order.kind,
        "state": order.state,
        "amount_minor": order.amount.minor(),
        "paid_minor": order.paid.minor(),
        "returned_minor": order.returned.minor(),
        "currency": order.amount.currency().code(),
        "made_at": order.made_at.to_string(),
    })
}

fn order(service: &dyn Service, command: &Command, arguments: &Map<String, Value>) -> Result<Played, Refused> {
    let about = text(arguments, "number")?;
    let spoken = match command.number {
        None => command.name.to_owned(),
        Some(field) => format!("{}:{}", command.name, number(arguments, field)?),
    };
    service.play(about, &spoken)?;
    Ok(done(service, about))
}

/// The order as it is now; without it, its number alone: it is done either way.
fn done(service: &dyn Service, number: &str) -> Played {
    let orders = service.orders().unwrap_or_default();
    let order = orders.iter().find(|order| order.number == number).map(shown);
    Played::Done(json!({ "number": number, "order": order }))
}

fn plan(service: &dyn Service, number: &str, how: How) -> Result<Played, Refused> {
    let rule = Rule { call: None, number: Some(number.to_owned()), when: When::AfterExecution, how, times: 1 };
    if !service.faults().add(rule) {
        return Err(Refused::No("too many faults are planned already".to_owned()));
    }
    Ok(Played::Done(json!({ "number": number })))
}

fn token(service: &dyn Service, arguments: &Map<String, Value>) -> Result<Played, Refused> {
    let wallet = service.wallet().ok_or(Refused::Unknown)?;
    let or = |name: &str, usual: &str| match arguments.get(name) {
        Some(_) => text(arguments, name).map(str::to_owned),
        None => Ok(usual.to_owned()),
    };
    let optional = |name: &str| arguments.get(name).map(|_| text(arguments, name).map(str::to_owned)).transpose();
    let wrong = |name: &str, why| Refused::Argument(name.to_owned(), why);
    let currency: Currency =
        or("currency", Currency::CNY.code())?.parse().map_err(|_| wrong("currency", "must be ISO 4217"))?;
    let amount = Money::new(number(arguments, "amount_minor")?, currency);
    let cards = wallet.cards();
    let wish = TokenAsked {
        amount: amount.map_err(|_| wrong("amount_minor", "is too much"))?,
        card: or("card", cards.first().map_or("", |card| card.name))?,
        version: optional("version")?,
        application_data: optional("application_data")?,
    };
    let token = issued::token(wallet.token(&wish)?).ok_or(Refused::Broken(ServiceError::Keys))?;
    Ok(Played::Token(token))
}

fn text<'a>(arguments: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refused> {
    let text = arguments.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| Refused::Argument(name.to_owned(), "must be a text"))
}

/// Forms have no numbers: digits in a text are one too.
fn number(arguments: &Map<String, Value>, name: &str) -> Result<u64, Refused> {
    let value = arguments.get(name);
    let number = value.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
    number.ok_or_else(|| Refused::Argument(name.to_owned(), "must be a whole number"))
}
