//! Where one adapter and one provider sit opposite each other: calls are made as the engine makes them, without the
//! engine, on a clock that stands still.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use maxpay_engine::channel::http::{HttpReply, HttpRequest, SendFailure, SendLimits};
use maxpay_engine::channel::{
    AccountView, Adapter, Answer, Call, CodeManifest, Context, Interpreted, Material, Notified, Original, OriginalApi,
    Outcome, Prepared, RawNotification, Step, Subject,
};
use maxpay_engine::clock::{Clock, SeededEntropy, VirtualClock};
use maxpay_engine::model::{AccountId, ChannelCode, Currency, Intent, Mode, Money, NamedAction, RawId, Timestamp};

use crate::parts::digest::sha256;
use crate::simulator::Ledger;

use super::account::{Account, learn, parted, payer_inputs};
use super::ear::{Ear, Heard};
use super::provider::{BookOrder, Candidate, Card, Feature, Merchant, Play, Provider, Stage};
pub(super) use super::words::shortly;

/// When every exam begins, in milliseconds since 1970: certificates that providers hold are valid then.
pub(super) const BEGINS_AT_MS: u64 = 1_795_377_908_118;
/// Requests that one call may need.
const STEPS_MAX: usize = 4;
pub(super) const BODY_MAX: usize = 256 * 1024;

/// One adapter and one provider.
pub(super) struct Desk<'c> {
    pub candidate: &'c dyn Candidate,
    pub adapter: Arc<dyn Adapter>,
    pub ear: Arc<Ear>,
    pub provider: Arc<dyn Provider>,
    pub clock: VirtualClock,
    pub rules: CodeManifest,
    pub account: Account,
    pub material: Mutex<Vec<Material>>,
}

/// An order that the desk asks about.
#[derive(Clone)]
pub(super) struct Order {
    pub number: String,
    pub numbered_at: Timestamp,
    pub intent: Intent,
}

impl<'c> Desk<'c> {
    /// A new provider with empty books, for one code.
    pub fn new(candidate: &'c dyn Candidate, rules: &CodeManifest, ear: &Arc<Ear>) -> Result<Self, String> {
        Self::on(candidate, rules, ear, Ledger::memory())
    }

    /// The same on other books.
    pub fn on(
        candidate: &'c dyn Candidate,
        rules: &CodeManifest,
        ear: &Arc<Ear>,
        ledger: Ledger,
    ) -> Result<Self, String> {
        let clock = VirtualClock::at(Timestamp::from_millis(BEGINS_AT_MS));
        Self::opened_on(candidate, rules, ear, ledger, clock)
    }

    fn opened_on(
        candidate: &'c dyn Candidate,
        rules: &CodeManifest,
        ear: &Arc<Ear>,
        ledger: Ledger,
        clock: VirtualClock,
    ) -> Result<Self, String> {
        let stage = Stage { clock: Arc::new(clock.clone()), entropy: Arc::new(SeededEntropy::new(7)), ledger };
        let provider = candidate.open(stage)?;
        for text in provider.never_shown() {
            ear.learn("what is never shown", &text);
        }
        Ok(Self::at(candidate, rules, ear, provider, clock))
    }

    fn at(
        candidate: &'c dyn Candidate,
        rules: &CodeManifest,
        ear: &Arc<Ear>,
        provider: Arc<dyn Provider>,
        clock: VirtualClock,
    ) -> Self {
        let adapter: Arc<dyn Adapter> = Arc::new(Heard { inner: candidate.adapter(), ear: Arc::clone(ear) });
        let account = parted(&*adapter, &provider.settings(Merchant::First));
        for merchant in [Merchant::First, Merchant::Other] {
            learn(ear, &*adapter, &provider.settings(merchant));
        }
        let (ear, rules) = (Arc::clone(ear), rules.clone());
        Self { candidate, adapter, ear, provider, clock, rules, account, material: Mutex::default() }
    }

    /// Another adapter that knows nothing of what was before, in front of the same provider.
    pub fn renewed(&self) -> Self {
        Self::at(self.candidate, &self.rules, &self.ear, Arc::clone(&self.provider), self.clock.clone())
    }

    /// The provider is stopped, and another one goes on from its books.
    pub fn reopened(self, ledger: impl FnOnce() -> Result<Ledger, String>) -> Result<Self, String> {
        let Self { candidate, ear, provider, clock, rules, .. } = self;
        drop(provider);
        Self::opened_on(candidate, &rules, &ear, ledger()?, clock)
    }

    pub fn code(&self) -> ChannelCode {
        self.rules.code.clone()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    /// Lets time pass, for the provider too.
    pub fn pass(&self, by: Duration) {
        self.clock.advance(by);
        self.provider.tick();
    }

    /// The candidate's reason, if it lacks that.
    pub fn lacks(&self, feature: Feature) -> Option<&'static str> {
        let lacks = self.candidate.lacks();
        let found = lacks
            .iter()
            .find(|lack| lack.feature == feature && lack.code.as_ref().is_none_or(|code| *code == self.rules.code));
        found.map(|lack| lack.why)
    }

    /// An amount every code takes: small, and no round one.
    pub fn amount(&self) -> Money {
        let (least, most) = self.rules.amount_minor;
        let currency = self.rules.currencies.first().copied().unwrap_or(Currency::CNY);
        Money::new(1_234.clamp(least, most), currency).unwrap_or(Money::zero(currency))
    }

    /// A fresh order of that index; the same index gives the same number.
    pub fn order(&self, index: u16) -> Order {
        self.order_of(index, self.amount())
    }

    /// The same of another amount.
    pub fn order_of(&self, index: u16, amount: Money) -> Order {
        let needs = |input| self.rules.needs.contains(&input);
        let intent = Intent {
            amount,
            subject: format!("Tea, {index} cups"),
            return_url: Some("https://shop.example.com/back".to_owned()),
            show_url: None,
            payer: payer_inputs(needs),
            expires_at: self.now().after(self.rules.expiry_default),
            token: None,
        };
        Order { number: format!("66f0a1b2c3d4e5f60718{index:04x}"), numbered_at: self.now(), intent }
    }

    pub fn create_call(&self, order: &Order) -> Call {
        Call::Create { code: self.code(), intent: order.intent.clone(), original_api: OriginalApi::No }
    }

    /// The context of a call, with the first merchant's account.
    pub fn with_context<T>(
        &self,
        seed: u64,
        about: (Option<&Order>, Option<Original<'_>>),
        account: &Account,
        work: impl FnOnce(&Context<'_>) -> T,
    ) -> T {
        let entropy = SeededEntropy::new(seed);
        let material = self.material.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let context = Context {
            now: self.now(),
            entropy: &entropy,
            account: AccountView {
                id: AccountId(RawId([1; 12])),
                mode: Mode::Test,
                settings: &account.settings,
                secrets: &account.secrets,
                notify_url: "https://pay.example.com/notify/exam/010101010101010101010101",
            },
            material: &material,
            subject: about.0.map(|order| Subject { number: &order.number, numbered_at: order.numbered_at }),
            original: about.1,
        };
        work(&context)
    }

    /// What a call comes to before anything is sent, with material fetched once if it is missing.
    pub async fn prepared(
        &self,
        call: &Call,
        order: &Order,
        original: Option<Original<'_>>,
    ) -> Result<Prepared, String> {
        self.prepared_as(call, order, original, &self.account).await
    }

    /// The same for another account.
    pub async fn prepared_as(
        &self,
        call: &Call,
        order: &Order,
        original: Option<Original<'_>>,
        account: &Account,
    ) -> Result<Prepared, String> {
        let prepare = || self.with_context(1, (Some(order), original), account, |it| self.adapter.prepare(call, it));
        match prepare() {
            Prepared::NeedMaterial(request) => {
                self.fetch(request).await?;
                Ok(prepare())
            }
            prepared @ (Prepared::Done(_) | Prepared::Send(_) | Prepared::Unsupported) => Ok(prepared),
        }
    }

    /// The request of a call; `None`: it is answered without one, or does not exist.
    pub async fn request(&self, call: &Call, order: &Order) -> Option<HttpRequest> {
        match self.prepared(call, order, None).await {
            Ok(Prepared::Send(request)) => Some(request),
            Ok(Prepared::Done(_) | Prepared::NeedMaterial(_) | Prepared::Unsupported) | Err(_) => None,
        }
    }

    pub async fn send(&self, request: HttpRequest) -> Result<HttpReply, SendFailure> {
        let limits = SendLimits { deadline: self.rules.call_deadline, body_max: BODY_MAX };
        self.provider.client().send(request, limits).await
    }

    /// Makes a call as the engine does; what goes wrong is an outcome.
    pub async fn ask(&self, call: &Call, order: &Order) -> Answer {
        self.ask_about(call, order, None).await
    }

    /// The same of a payment that is voided or refunded.
    pub async fn ask_about(&self, call: &Call, order: &Order, original: Option<Original<'_>>) -> Answer {
        let unknown = |why: String| Answer::bare(Outcome::Unknown(why));
        let mut request = match self.prepared(call, order, original).await {
            Ok(Prepared::Done(answer)) => return answer,
            Ok(Prepared::Send(request)) => request,
            Ok(Prepared::NeedMaterial(_)) => return unknown("material is missing still".to_owned()),
            Ok(Prepared::Unsupported) => return unknown("the channel has no such operation".to_owned()),
            Err(why) => return unknown(why),
        };
        let mut step = Step(0);
        for sent in 0..STEPS_MAX {
            let reply = match self.send(request).await {
                Ok(reply) => reply,
                Err(SendFailure::NotSent(why)) if sent == 0 => return Answer::bare(Outcome::NotExecuted(why)),
                Err(failure) => return unknown(failure.to_string()),
            };
            match self.read_step(call, step, order, original, &reply).await {
                Interpreted::Done(answer) => return answer,
                Interpreted::Next { step: next, request: following } => (step, request) = (next, following),
                Interpreted::Learned(_) | Interpreted::NeedMaterial(_) => {
                    return unknown("material to verify the answer is missing".to_owned());
                }
            }
        }
        unknown("the call needed too many requests".to_owned())
    }

    /// Reads a reply as the first one to a call. One that is not read to an end is *unknown*.
    pub async fn read(&self, call: &Call, order: &Order, reply: &HttpReply) -> Answer {
        self.read_about(call, order, None, reply).await
    }

    /// The same of a payment that is voided or refunded.
    pub async fn read_about(
        &self,
        call: &Call,
        order: &Order,
        original: Option<Original<'_>>,
        reply: &HttpReply,
    ) -> Answer {
        match self.read_step(call, Step(0), order, original, reply).await {
            Interpreted::Done(answer) => answer,
            Interpreted::Next { .. } | Interpreted::Learned(_) | Interpreted::NeedMaterial(_) => {
                Answer::bare(Outcome::Unknown("it is not read to an end".to_owned()))
            }
        }
    }

    async fn read_step(
        &self,
        call: &Call,
        step: Step,
        order: &Order,
        original: Option<Original<'_>>,
        reply: &HttpReply,
    ) -> Interpreted {
        let read = || {
            let about = (Some(order), original);
            self.with_context(2, about, &self.account, |context| self.adapter.interpret(call, step, reply, context))
        };
        match read() {
            Interpreted::NeedMaterial(request) => match self.fetch(request.clone()).await {
                Ok(()) => read(),
                Err(_) => Interpreted::NeedMaterial(request),
            },
            read @ (Interpreted::Done(_) | Interpreted::Next { .. } | Interpreted::Learned(_)) => read,
        }
    }

    /// Reads a notification, with material fetched once if it is missing. `None`: it needs material that is not to be
    /// had, so the engine refuses it.
    pub async fn notified(&self, raw: &RawNotification, account: &Account) -> Option<Notified> {
        let read = || self.with_context(3, (None, None), account, |context| self.adapter.notification(raw, context));
        match read() {
            Notified::NeedMaterial(request) => {
                self.fetch(request).await.ok()?;
                Some(read()).filter(|again| !matches!(again, Notified::NeedMaterial(_)))
            }
            read @ (Notified::Verified { .. } | Notified::Hint { .. } | Notified::Unverified { .. }) => Some(read),
        }
    }

    /// Fetches material and keeps it, newest first.
    async fn fetch(&self, request: HttpRequest) -> Result<(), String> {
        let mut request = request;
        let mut step = Step(0);
        for _ in 0..STEPS_MAX {
            let reply = self.send(request).await.map_err(|failure| failure.to_string())?;
            let read = self.with_context(4, (None, None), &self.account, |context| {
                self.adapter.interpret(&Call::Maintain, step, &reply, context)
            });
            match read {
                Interpreted::Learned(learned) => {
                    let mut material = self.material.lock().unwrap_or_else(PoisonError::into_inner);
                    let old = std::mem::take(&mut *material);
                    let kept = old.into_iter().filter(|old| !learned.iter().any(|new| new.name == old.name));
                    *material = learned.iter().cloned().chain(kept).collect();
                    return Ok(());
                }
                Interpreted::Next { step: next, request: following } => (step, request) = (next, following),
                Interpreted::Done(answer) => return Err(format!("material was refused: {}", answer.outcome.name())),
                Interpreted::NeedMaterial(_) => return Err("material needs material".to_owned()),
            }
        }
        Err("the material needed too many requests".to_owned())
    }

    /// Creates an order, and has the payer's device bring it to the provider.
    pub async fn opened(&self, index: u16) -> Result<(Order, Vec<NamedAction>), String> {
        self.opened_of(self.order(index)).await
    }

    /// The same of a given order.
    pub async fn opened_of(&self, order: Order) -> Result<(Order, Vec<NamedAction>), String> {
        let answer = self.ask(&self.create_call(&order), &order).await;
        let Outcome::AwaitingPayer(actions) = answer.outcome else {
            return Err(format!("a create came to {}", shortly(&answer.outcome)));
        };
        let action = actions.first().ok_or("a create gave no payer action")?;
        let opened = self.provider.play(&order.number, Play::Open(action));
        opened.map_err(|why| format!("the provider refuses the payer action: {why}"))?;
        Ok((order, actions))
    }

    /// A payment: an order that was opened and paid, or a token that was charged.
    pub async fn paid(&self, index: u16) -> Result<Order, String> {
        self.paid_of(self.order(index)).await
    }

    /// The same of a given order.
    pub async fn paid_of(&self, order: Order) -> Result<Order, String> {
        if self.rules.authorize {
            let (call, order) = self.charge(order, Card::Approve)?;
            let answer = self.ask(&call, &order).await;
            let taken = matches!(answer.outcome, Outcome::Succeeded(_) | Outcome::Processing);
            return taken.then_some(order).ok_or_else(|| format!("a charge came to {}", shortly(&answer.outcome)));
        }
        let (order, _) = self.opened_of(order).await?;
        self.provider.play(&order.number, Play::Pay).map_err(|why| format!("the payer cannot pay: {why}"))?;
        Ok(order)
    }

    /// The call that charges a fresh token.
    pub fn charge(&self, mut order: Order, card: Card) -> Result<(Call, Order), String> {
        let token = self.provider.token(order.intent.amount, card).ok_or("the provider gives no token")?;
        self.ear.learn_whole("a payer's token", token.expose_text().unwrap_or_default());
        let verified = self.with_context(5, (Some(&order), None), &self.account, |context| {
            self.adapter.verify_token(&self.rules.code, &order.intent, &token, context)
        });
        let verified = verified.map_err(|why| format!("a good token is refused: {why}"))?;
        order.intent.token = Some((sha256(verified.once_key.as_bytes()), verified.digest));
        Ok((Call::Authorize { code: self.code(), intent: order.intent.clone(), token }, order))
    }

    pub async fn query(&self, order: &Order) -> Outcome {
        self.ask(&Call::Query { code: self.code() }, order).await.outcome
    }

    /// The rows of that number in the provider's books.
    pub fn books(&self, number: &str) -> Vec<BookOrder> {
        self.provider.books().into_iter().filter(|row| row.number == number).collect()
    }
}
