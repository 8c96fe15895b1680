//! The payer's page: orders, newest first, with a button for everything that can happen to one. Plain HTML; nothing in it
//! comes from elsewhere, and every character that is not ours is escaped.

use std::fmt::Write as _;

use maxpay_adapters::parts::form::escaped;
use maxpay_adapters::simulator::words::Command;
use maxpay_adapters::simulator::{OrderRow, Service, Wallet};
use maxpay_transports::http::MountReply;

use super::played::{OTHERS, TOKEN};

/// Orders on one page.
const ROWS: usize = 20;
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const STYLE: &str = "body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}\
    table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4em;border-top:1px solid #ccc;vertical-align:top}\
    textarea{width:100%;height:4em}input{width:9em}button{margin:.1em}code,.said{overflow-wrap:anywhere}\
    .said{background:#eef;padding:.6em;white-space:pre-wrap}";

/// What a page shows.
pub struct Page<'a> {
    /// Of which simulator.
    pub service: &'a dyn Service,
    /// All that may be shown, newest first.
    pub orders: &'a [OrderRow],
    /// Which page, from 1.
    pub at: usize,
    /// What came of the last button.
    pub said: Option<&'a str>,
    /// What our forms carry.
    pub form: &'a str,
}

/// The orders of that page.
pub fn part(orders: &[OrderRow], at: usize) -> &[OrderRow] {
    orders.chunks(ROWS).nth(at.saturating_sub(1)).unwrap_or_default()
}

/// How many pages there are.
pub fn pages(orders: &[OrderRow]) -> usize {
    orders.len().div_ceil(ROWS).max(1)
}

/// The page as an answer.
pub fn reply(page: &Page<'_>) -> MountReply {
    let headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
    ];
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    MountReply { status: 200, headers, body: html(page).into() }
}

/// What makes it readable.
pub fn style() -> MountReply {
    MountReply { status: 200, headers: vec![("content-type".to_owned(), "text/css".to_owned())], body: STYLE.into() }
}

fn html(page: &Page<'_>) -> String {
    let mut html = String::from(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Payer</title>\
         <link rel=\"stylesheet\" href=\"/payer/style.css\"></head><body><h1>You are the payer</h1>\n",
    );
    if let Some(said) = page.said {
        let _ = writeln!(html, "<p class=\"said\">{}</p>", escaped(said));
    }
    let _ = writeln!(html, "{}", begin(page));
    if page.service.wallet().is_some() {
        html.push_str(&device(page));
    } else {
        let (name, _, doc) = OTHERS[0];
        let _ = writeln!(
            html,
            "<textarea name=\"text\" aria-label=\"{name}\"></textarea><br>{} {}</form>",
            button(name, doc),
            escaped(doc)
        );
    }
    html.push_str("<table><tr><th>order<th>state<th>asked<th>paid<th>back<th>since<th>what happens</tr>\n");
    for order in part(page.orders, page.at) {
        html.push_str(&row(page, order));
    }
    html.push_str("</table>\n");
    if page.orders.is_empty() {
        html.push_str("<p>There is no order yet.</p>\n");
    }
    for at in 1..=pages(page.orders) {
        let _ = write!(html, "<a href=\"/payer?page={at}\">{at}</a> ");
    }
    let (rotate, _, doc) = OTHERS[3];
    let _ = writeln!(html, "{}<p>{} {}</p></form>", begin(page), button(rotate, doc), escaped(doc));
    html.push_str("<p>The same for programs: GET /payer/commands, GET /payer/orders.</p></body></html>\n");
    html
}

/// A form of ours.
fn begin(page: &Page<'_>) -> String {
    format!(
        "<form method=\"post\" action=\"/payer/do\"><input type=\"hidden\" name=\"form\" value=\"{}\">\
         <input type=\"hidden\" name=\"page\" value=\"{}\">",
        escaped(page.form),
        page.at
    )
}

fn button(name: &str, doc: &str) -> String {
    format!(
        "<button name=\"command\" value=\"{}\" title=\"{}\">{}</button>",
        escaped(name),
        escaped(doc),
        escaped(&name.replace('_', " "))
    )
}

fn input(name: &str) -> String {
    let name = escaped(name);
    format!("<input name=\"{name}\" placeholder=\"{name}\" aria-label=\"{name}\">")
}

/// The payer's device.
fn device(page: &Page<'_>) -> String {
    let (name, _, doc) = TOKEN;
    let cards: String = page.service.wallet().map(Wallet::cards).unwrap_or_default().iter().fold(
        String::new(),
        |options, Command { name, doc, .. }| {
            options + &format!("<option value=\"{}\">{}: {}</option>", escaped(name), escaped(name), escaped(doc))
        },
    );
    let fields: String = ["amount_minor", "currency", "application_data"].into_iter().map(input).collect();
    format!(
        "<p>Pay with this device: {fields} <select name=\"card\">{cards}</select> {} {}</p></form>\n",
        button(name, doc),
        escaped(doc)
    )
}

fn row(page: &Page<'_>, order: &OrderRow) -> String {
    let mut buttons = String::new();
    let mut asked: Vec<&str> = Vec::new();
    for command in page.service.commands() {
        if let Some(number) = command.number.filter(|number| !asked.contains(number)) {
            asked.push(number);
            buttons.push_str(&input(number));
        }
        buttons.push_str(&button(command.name, command.doc));
    }
    for (name, arguments, doc) in OTHERS.into_iter().filter(|(_, arguments, _)| arguments.contains(&"number")) {
        if let Some(number) = arguments.get(1).filter(|number| !asked.contains(number)) {
            asked.push(number);
            buttons.push_str(&input(number));
        }
        buttons.push_str(&button(name, doc));
    }
    let money = |money: &maxpay_engine::model::Money| format!("{} {}", money.major(), money.currency().code());
    format!(
        "<tr><td><code>{}</code><br>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<input type=\"hidden\" name=\"number\" \
         value=\"{}\">{buttons}</form></tr>\n",
        escaped(&order.number),
        escaped(&order.kind),
        escaped(&order.state),
        escaped(&money(&order.amount)),
        escaped(&money(&order.paid)),
        escaped(&money(&order.returned)),
        escaped(&order.made_at.to_string()),
        begin(page),
        escaped(&order.number),
    )
}
