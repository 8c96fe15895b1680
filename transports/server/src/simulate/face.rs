//! What a simulator answers: the payer's page and commands under `/payer`, everything else in the provider's dialect.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use maxpay_adapters::simulator::{Served, Service};
use maxpay_engine::channel::http::{HttpReply, HttpRequest};
use maxpay_transports::http::{Mount, MountReply, MountRequest};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use super::guard::{Guard, header};
use super::played::{self, Played, Refused};
use super::{SimulateError, issued, page};
use crate::ready;

/// What is told when it is ready, and again when keys changed.
pub struct Ready {
    provider: &'static str,
    url: String,
    file: Option<PathBuf>,
}

impl Ready {
    /// To be written to that file.
    pub fn new(provider: &'static str, url: &str, file: Option<PathBuf>) -> Self {
        Self { provider, url: url.to_owned(), file }
    }

    /// One JSON object: where it is, and its accounts with the merchants' test keys.
    pub fn text(&self, service: &dyn Service) -> Result<String, SimulateError> {
        let told = json!({
            "provider": self.provider,
            "url": self.url,
            "payer": format!("{}/payer", self.url),
            "accounts": issued::accounts(service.offers()?),
        });
        serde_json::to_string_pretty(&told).map_err(|why| SimulateError::Told(why.into()))
    }

    /// Puts it into the file, for its owner alone.
    pub fn put(&self, text: &str) -> std::io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| ready::put(file, text.as_bytes()))
    }
}

/// Where requests come in.
#[derive(Clone)]
pub struct Counter(Arc<Inner>);

struct Inner {
    service: Arc<dyn Service>,
    /// Rung when something may have fallen due.
    bell: Arc<Notify>,
    ready: Ready,
    guard: Guard,
    base_url: String,
}

impl Counter {
    /// Serves `service`, which listens at `address` and is called by `base_url`.
    pub fn new(
        service: Arc<dyn Service>,
        bell: Arc<Notify>,
        ready: Ready,
        address: SocketAddr,
        base_url: &str,
    ) -> Self {
        let guard = Guard::new(address, base_url);
        Self(Arc::new(Inner { service, bell, ready, guard, base_url: base_url.to_owned() }))
    }

    /// What it tells.
    pub fn ready(&self) -> &Ready {
        &self.0.ready
    }

    /// Everything under every path.
    pub fn mount(&self) -> Mount {
        let counter = self.clone();
        Mount::new("", move |request| Box::pin(counter.clone().answer(request)))
    }

    async fn answer(self, request: MountRequest) -> Option<MountReply> {
        let path = request.path.split('?').next().unwrap_or_default();
        let is_payers = path == "/" || path == "/payer" || path.starts_with("/payer/");
        let inner = Arc::clone(&self.0);
        if is_payers {
            let answered = tokio::task::spawn_blocking(move || inner.payer(&request)).await;
            self.0.bell.notify_one();
            return Some(answered.unwrap_or_else(|_| problem(500, "the simulator stopped in the middle")));
        }
        let served = tokio::task::spawn_blocking(move || inner.provider(request)).await;
        self.0.bell.notify_one();
        let Ok(served) = served else { return Some(problem(500, "the simulator stopped in the middle")) };
        let whole = |reply: HttpReply| MountReply { status: reply.status, headers: reply.headers, body: reply.body };
        match served {
            Served::Reply(reply) => Some(whole(reply)),
            Served::Late(wait, reply) => {
                tokio::time::sleep(wait).await;
                Some(whole(reply))
            }
            Served::Lost | Served::NotSent => None,
        }
    }
}

impl Inner {
    fn provider(&self, request: MountRequest) -> Served {
        let url = format!("{}{}", self.base_url, request.path).parse();
        let (Ok(url), Ok(method)) = (url, request.method.parse()) else { return not_found() };
        let MountRequest { headers, body, .. } = request;
        // Nothing of TLS is known here, so nobody is proved by a certificate.
        let request = HttpRequest { method, headers, body, ..HttpRequest::get(url) };
        if self.service.is_for(&request) { self.service.serve(&request) } else { not_found() }
    }

    fn payer(&self, request: &MountRequest) -> MountReply {
        if !self.guard.is_called(request) {
            return problem(421, "this simulator is called by another name: use the address that it told at its start");
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        match (request.method.as_str(), path) {
            ("GET", "/") => MountReply {
                status: 303,
                headers: vec![("location".to_owned(), "/payer".to_owned())],
                body: bytes::Bytes::new(),
            },
            ("GET", "/payer") => self.page(page_of(query), None),
            ("GET", "/payer/style.css") => page::style(),
            ("GET", "/payer/orders") => self.orders(page_of(query)),
            ("GET", "/payer/commands") => json_reply(200, &played::all(self.service.as_ref())),
            ("POST", "/payer/do") => self.by_form(request),
            ("POST", path) => match path.strip_prefix("/payer/") {
                Some(name) => self.by_program(name, request),
                None => problem(405, "this path takes GET"),
            },
            _ => problem(404, "there is nothing here: see GET /payer and GET /payer/commands"),
        }
    }

    fn orders(&self, at: usize) -> MountReply {
        match self.service.orders() {
            Ok(orders) => {
                let rows: Vec<_> = page::part(&orders, at).iter().map(played::shown).collect();
                json_reply(200, &json!({ "orders": rows, "page": at, "pages": page::pages(&orders) }))
            }
            Err(error) => broken(&error.into()),
        }
    }

    /// `POST /payer/{command}` with its arguments as a JSON object.
    fn by_program(&self, name: &str, request: &MountRequest) -> MountReply {
        let is_json = header(request, "content-type").is_some_and(|kind| kind.starts_with("application/json"));
        if !is_json || !self.guard.is_our_page(request) {
            return problem(415, "commands are JSON: send content-type application/json");
        }
        let Ok(arguments) = serde_json::from_slice::<Map<String, Value>>(&request.body) else {
            return problem(422, "the body is no JSON object");
        };
        match self.play(name, &arguments) {
            Ok(Played::Done(told)) => json_reply(200, &told),
            Ok(Played::Rotated) => json_reply(200, &json!({ "rotated": true })),
            Ok(Played::Token(token)) => json_reply(200, &json!({ "token": token })),
            Err(Refused::Unknown) => problem(404, "there is no such command: see GET /payer/commands"),
            Err(Refused::Argument(name, why)) => problem(422, &format!("{name}: {why}")),
            Err(Refused::No(why)) => problem(409, &why),
            Err(Refused::Broken(error)) => broken(&error),
        }
    }

    /// A button of the page.
    fn by_form(&self, request: &MountRequest) -> MountReply {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let value = |name: &str| pairs.iter().find(|(have, _)| have == name).map_or("", |(_, value)| value.as_str());
        if !self.guard.is_our_page(request) || !self.guard.is_token(value("form")) {
            return problem(403, "this form is not of this page: load the page again");
        }
        let name = value("command");
        // A form brings the fields of its neighbours along, and empty ones.
        let known = played::takes(self.service.as_ref(), name).unwrap_or_default();
        let filled = known.into_iter().filter(|field| !value(field).is_empty());
        let arguments = filled.map(|field| (field.to_owned(), value(field).into())).collect();
        let said = match self.play(name, &arguments) {
            Ok(Played::Done(told)) => format!("{name}: done {}", told["number"].as_str().unwrap_or_default()),
            Ok(Played::Rotated) => {
                "rotate: new keys are used; the ready file, if there is one, is written anew".to_owned()
            }
            Ok(Played::Token(token)) => json!({ "token": token }).to_string(),
            Err(Refused::Unknown) => "there is no such command".to_owned(),
            Err(Refused::Argument(field, why)) => format!("{name}: {field} {why}"),
            Err(Refused::No(why)) => format!("{name}: {why}"),
            Err(Refused::Broken(error)) => return broken(&error),
        };
        self.page(value("page").parse().unwrap_or(1), Some(&said))
    }

    fn play(&self, name: &str, arguments: &Map<String, Value>) -> Result<Played, Refused> {
        let played = played::play(self.service.as_ref(), name, arguments)?;
        if matches!(played, Played::Rotated) {
            let told = self
                .ready
                .text(self.service.as_ref())
                .and_then(|text| self.ready.put(&text).map_err(SimulateError::Told));
            told.map_err(|why| Refused::No(format!("the keys are new, and the ready file is not: {why}")))?;
        }
        Ok(played)
    }

    fn page(&self, at: usize, said: Option<&str>) -> MountReply {
        match self.service.orders() {
            Ok(orders) => {
                let form = self.guard.token();
                page::reply(&page::Page { service: self.service.as_ref(), orders: &orders, at, said, form })
            }
            Err(error) => broken(&error.into()),
        }
    }
}

/// Which page is asked for, from 1.
fn page_of(query: &str) -> usize {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == "page").and_then(|(_, value)| value.parse().ok()).unwrap_or(1)
}

fn not_found() -> Served {
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    Served::Reply(HttpReply { status: 404, headers, body: "there is nothing here".into() })
}

fn broken(error: &maxpay_adapters::simulator::ServiceError) -> MountReply {
    tracing::error!(%error, "the simulator cannot use its books");
    problem(500, "the books do not answer")
}

fn problem(status: u16, why: &str) -> MountReply {
    json_reply(status, &json!({ "error": why }))
}

fn json_reply(status: u16, body: &Value) -> MountReply {
    let headers =
        [("content-type", "application/json"), ("cache-control", "no-store"), ("x-content-type-options", "nosniff")];
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    MountReply { status, headers, body: body.to_string().into() }
}
