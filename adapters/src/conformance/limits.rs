//! The part about the limits of money that goes back: how soon after one another refunds are taken, how many, and how
//! long; until when a payment is voided; and what is held.

use std::time::Duration;

use maxpay_engine::channel::{Outcome, RefundKind, RefundRules, VoidRules};
use maxpay_engine::model::Money;

use super::claims::days;
use super::desk::{Desk, Order, shortly};
use super::provider::{Feature, Play};
use super::refunds::{Payment, call, numbered, payment, payment_of, question, refunds_of, settled};
use super::report::Sheet;

const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);
/// How long a refund must be known where the manifest sets no end to that.
const KNOWN: Duration = Duration::from_hours(40 * 24);

pub(super) async fn examine(desk: &Desk<'_>, sheet: &mut Sheet) {
    if let Some(rules) = desk.rules.refund.clone() {
        held(desk, sheet).await;
        stranded(desk, sheet).await;
        if rules.partial {
            gap(desk, sheet, &rules).await;
            count(desk, sheet, &rules).await;
            window(desk, sheet, &rules).await;
        } else {
            in_part(desk, sheet).await;
        }
        known(desk, sheet, &rules).await;
    }
    if let Some(rules) = desk.rules.void {
        cut_off(desk, sheet, rules).await;
    }
}

/// A payment, and what is asked to go back of it.
struct Backs<'d, 'c> {
    desk: &'d Desk<'c>,
    payment: Payment,
}

impl<'d, 'c> Backs<'d, 'c> {
    async fn of(desk: &'d Desk<'c>, index: u16) -> Result<Self, String> {
        Ok(Self { desk, payment: payment(desk, index).await? })
    }

    fn total(&self) -> Money {
        self.payment.order.intent.amount
    }

    fn half(&self) -> Money {
        Money::new(self.total().minor() / 2, self.total().currency()).unwrap_or(self.total())
    }

    fn refund(&self, count: u16) -> Order {
        numbered(self.desk, &self.payment, count)
    }

    async fn ask(&self, kind: RefundKind, refund: &Order, amount: Money) -> Outcome {
        let asked = call(self.desk, kind, amount);
        self.desk.ask_about(&asked, refund, Some(self.payment.original())).await.outcome
    }

    async fn look(&self, kind: RefundKind, refund: &Order, amount: Money) -> Outcome {
        let asked = question(self.desk, kind, amount);
        self.desk.ask_about(&asked, refund, Some(self.payment.original())).await.outcome
    }

    async fn settled(&self, kind: RefundKind, refund: &Order, amount: Money) -> Outcome {
        settled(self.desk, kind, amount, refund, &self.payment).await
    }

    /// How often the books have it.
    fn booked(&self, refund: &Order) -> usize {
        let rows = refunds_of(self.desk, &self.payment);
        rows.iter().filter(|row| row.number.as_deref() == Some(&*refund.number)).count()
    }

    fn is_done(&self, refund: &Order) -> bool {
        let rows = refunds_of(self.desk, &self.payment);
        rows.iter().any(|row| row.is_done && row.number.as_deref() == Some(&*refund.number))
    }
}

fn is_taken(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Succeeded(_) | Outcome::Processing)
}

/// It neither says that it is over, nor that it was done.
fn is_open(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unknown(_) | Outcome::NotExecuted(_) | Outcome::Held(_) | Outcome::Processing)
}

/// A refund for which there is no money is held: it is not over, and goes out by the same words later.
async fn held(desk: &Desk<'_>, sheet: &mut Sheet) {
    let case = "a refund for which there is no money is told as held";
    let backs = match Backs::of(desk, 130).await {
        Ok(backs) => backs,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    let number = backs.payment.order.number.clone();
    match (desk.lacks(Feature::Hold), desk.provider.play(&number, Play::Hold)) {
        (Some(why), Err(_)) => return sheet.lacking(case, why),
        (Some(_), Ok(())) => return sheet.fail(case, "it is said to be lacking and is there"),
        (None, Err(why)) => return sheet.fail(case, why),
        (None, Ok(())) => {}
    }
    let (refund, amount) = (backs.refund(1), backs.total());
    let told = backs.ask(RefundKind::Refund, &refund, amount).await;
    sheet.hold(case, matches!(told, Outcome::Held(_)), || shortly(&told));
    let asked = backs.look(RefundKind::Refund, &refund, amount).await;
    let safe = is_open(&asked) || asked == Outcome::NotFound;
    sheet.hold("a query of a held refund does not end it", safe, || shortly(&asked));
    sheet.hold("a held refund gives nothing back", !backs.is_done(&refund), || "it did".to_owned());
    if let Err(why) = desk.provider.play(&number, Play::Release) {
        return sheet.fail("what was held is released", why);
    }
    backs.ask(RefundKind::Refund, &refund, amount).await;
    let told = backs.settled(RefundKind::Refund, &refund, amount).await;
    let done = matches!(&told, Outcome::Succeeded(back) if back.amount == amount) && backs.booked(&refund) == 1;
    sheet.hold("a held refund is done once by the same words when there is money", done, || {
        format!("{}; {} in the books", shortly(&told), backs.booked(&refund))
    });
}

/// A refund that was accepted and got stuck is held, and neither the same words nor a query end it.
async fn stranded(desk: &Desk<'_>, sheet: &mut Sheet) {
    let case = "a refund that got stuck is told as held";
    let backs = match Backs::of(desk, 131).await {
        Ok(backs) => backs,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    match (desk.lacks(Feature::Strand), desk.provider.play(&backs.payment.order.number, Play::Strand)) {
        (Some(why), Err(_)) => return sheet.lacking(case, why),
        (Some(_), Ok(())) => return sheet.fail(case, "it is said to be lacking and is there"),
        (None, Err(why)) => return sheet.fail(case, why),
        (None, Ok(())) => {}
    }
    let (refund, amount) = (backs.refund(1), backs.total());
    backs.ask(RefundKind::Refund, &refund, amount).await;
    let told = backs.settled(RefundKind::Refund, &refund, amount).await;
    sheet.hold(case, matches!(told, Outcome::Held(_)), || shortly(&told));
    let again = backs.ask(RefundKind::Refund, &refund, amount).await;
    sheet.hold("a refund that got stuck is not ended by the same words", is_open(&again), || shortly(&again));
    let once = backs.booked(&refund) == 1 && !backs.is_done(&refund);
    sheet.hold("a refund that got stuck is in the books once, not as done", once, || {
        format!("{:?}", refunds_of(desk, &backs.payment))
    });
}

/// Refunds are taken `min_gap` apart, and one that comes sooner is not over.
async fn gap(desk: &Desk<'_>, sheet: &mut Sheet, rules: &RefundRules) {
    let case = format!("two refunds are taken {} s apart", rules.min_gap.as_secs());
    let backs = match Backs::of(desk, 132).await {
        Ok(backs) => backs,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    let half = backs.half();
    let (first, second) = (backs.refund(1), backs.refund(2));
    backs.ask(RefundKind::Refund, &first, half).await;
    desk.pass(rules.min_gap);
    let told = backs.ask(RefundKind::Refund, &second, half).await;
    sheet.hold(case, is_taken(&told), || shortly(&told));
    if rules.min_gap.is_zero() {
        return;
    }
    let case = format!("two refunds are not taken sooner than {} s after one another", rules.min_gap.as_secs());
    let backs = match Backs::of(desk, 133).await {
        Ok(backs) => backs,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    let (first, second) = (backs.refund(1), backs.refund(2));
    backs.ask(RefundKind::Refund, &first, half).await;
    let early = backs.ask(RefundKind::Refund, &second, half).await;
    if !refuses(desk, sheet, Feature::EarlyRefunds, &case, backs.booked(&second)) {
        return;
    }
    sheet.hold(case, true, String::new);
    sheet.hold("a refund that comes too soon is not told as over", is_open(&early), || shortly(&early));
    desk.pass(rules.min_gap);
    backs.ask(RefundKind::Refund, &second, half).await;
    let told = backs.settled(RefundKind::Refund, &second, half).await;
    let done = matches!(told, Outcome::Succeeded(_)) && backs.booked(&second) == 1;
    sheet.hold("a refund that came too soon is done once by the same words later", done, || shortly(&told));
}

/// Whether the provider refuses what the manifest says it should not be asked. Where it takes it, the claim is not proved:
/// the candidate says why no refusal is to be expected, or the simulator is laxer than its provider.
fn refuses(desk: &Desk<'_>, sheet: &mut Sheet, refusal: Feature, case: &str, booked: usize) -> bool {
    match (desk.lacks(refusal), booked > 0) {
        (None, false) => return true,
        (None, true) => sheet.not_examined(case, "the simulator takes it"),
        (Some(why), true) => sheet.not_examined(case, why),
        (Some(_), false) => sheet.fail(case, "a refusal is said to be lacking and is there"),
    }
    false
}

/// `count_max` refunds of one payment are taken.
async fn count(desk: &Desk<'_>, sheet: &mut Sheet, rules: &RefundRules) {
    let currency = desk.amount().currency();
    let (least, most) = desk.rules.amount_minor;
    let amount = Money::new(u64::from(rules.count_max).saturating_add(2).clamp(least, most), currency);
    let case = format!("{} refunds of one payment are taken", rules.count_max);
    let (Ok(amount), Ok(one)) = (amount, Money::new(1, currency)) else { return sheet.fail(case, "no amount") };
    let payment = match payment_of(desk, desk.order_of(134, amount)).await {
        Ok(payment) => payment,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    let backs = Backs { desk, payment };
    let mut refused = None;
    for count in 1..=u16::try_from(rules.count_max).unwrap_or(u16::MAX).min(999) {
        let told = backs.ask(RefundKind::Refund, &backs.refund(count), one).await;
        desk.pass(rules.min_gap);
        if !is_taken(&told) && refused.is_none() {
            refused = Some(format!("the {count}th came to {}", shortly(&told)));
        }
    }
    sheet.hold(case, refused.is_none(), || refused.unwrap_or_default());
    let beyond = Order { number: format!("{}r999", backs.payment.order.number), ..backs.refund(1) };
    let told = backs.ask(RefundKind::Refund, &beyond, one).await;
    let case = "one refund more is not told as done";
    if refuses(desk, sheet, Feature::ManyRefunds, case, backs.booked(&beyond)) {
        sheet.hold(case, !is_taken(&told), || shortly(&told));
    }
}

/// Refunds are taken until the end of the window.
async fn window(desk: &Desk<'_>, sheet: &mut Sheet, rules: &RefundRules) {
    let backs = match Backs::of(desk, 135).await {
        Ok(backs) => backs,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    let half = backs.half();
    let (first, second) = (backs.refund(1), backs.refund(2));
    desk.pass(rules.window.saturating_sub(DAY));
    let told = backs.ask(RefundKind::Refund, &first, half).await;
    let case = format!("a refund is taken on the last of {} days", days(rules.window));
    sheet.hold(case, is_taken(&told), || shortly(&told));
    desk.pass(DAY * 2);
    let told = backs.ask(RefundKind::Refund, &second, half).await;
    let case = "a refund after its window is not told as done";
    if refuses(desk, sheet, Feature::LateRefunds, case, backs.booked(&second)) {
        sheet.hold(case, !is_taken(&told), || shortly(&told));
    }
}

/// Where only all of it can go back, a part of it cannot.
async fn in_part(desk: &Desk<'_>, sheet: &mut Sheet) {
    let case = "a part of a payment does not go back";
    let backs = match Backs::of(desk, 136).await {
        Ok(backs) => backs,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    let refund = backs.refund(1);
    let told = backs.ask(RefundKind::Refund, &refund, backs.half()).await;
    match backs.booked(&refund) {
        0 => sheet.hold(case, !is_taken(&told), || shortly(&told)),
        _ => sheet.not_examined(case, "the simulator gives it back"),
    }
}

/// A refund is known from `truth_from` on, and until *not found* proves nothing again.
async fn known(desk: &Desk<'_>, sheet: &mut Sheet, rules: &RefundRules) {
    let backs = match Backs::of(desk, 137).await {
        Ok(backs) => backs,
        Err(why) => return sheet.fail("an order can be paid", why),
    };
    let (refund, amount) = (backs.refund(1), backs.total());
    backs.ask(RefundKind::Refund, &refund, amount).await;
    desk.pass(rules.query.truth_from);
    let told = backs.look(RefundKind::Refund, &refund, amount).await;
    sheet.hold("a refund is known once truth_from has passed", is_taken(&told), || shortly(&told));
    let span = rules.query.truth_until.map_or(KNOWN, |until| until.saturating_sub(MINUTE));
    desk.pass(span.saturating_sub(rules.query.truth_from));
    let told = backs.look(RefundKind::Refund, &refund, amount).await;
    let case = format!("a refund is known {} days later", days(span));
    sheet.hold(case, matches!(told, Outcome::Succeeded(_)), || shortly(&told));
}

/// A payment is voided until the cut-off of its day in the provider's time, and what comes later goes on as a refund.
async fn cut_off(desk: &Desk<'_>, sheet: &mut Sheet, rules: VoidRules) {
    noon(desk, rules);
    let mut paid = Vec::new();
    for index in [140, 141] {
        match Backs::of(desk, index).await {
            Ok(backs) => paid.push(backs),
            Err(why) => return sheet.fail("an order can be paid", why),
        }
    }
    let [in_time, late] = &paid[..] else { return };
    let amount = in_time.total();
    desk.pass(rules.cut_off.saturating_sub(since_midnight(desk, rules)).saturating_sub(MINUTE));
    let void = in_time.refund(1);
    in_time.ask(RefundKind::Void, &void, amount).await;
    let told = in_time.settled(RefundKind::Void, &void, amount).await;
    let done = matches!(&told, Outcome::Succeeded(back) if back.amount == amount);
    sheet.hold("a void is done a minute before its cut-off", done, || shortly(&told));
    after_cut_off(desk, rules);
    let void = late.refund(1);
    let told = late.ask(RefundKind::Void, &void, amount).await;
    let case = "a void after its cut-off is declined, so that it goes on as a refund";
    if late.booked(&void) > 0 {
        return sheet.not_examined(case, "the simulator takes it");
    }
    sheet.hold(case, matches!(told, Outcome::Declined(_)), || shortly(&told));
    if desk.rules.refund.is_none() {
        return;
    }
    let refund = Order { number: format!("{}01", void.number), numbered_at: desk.now(), ..void };
    late.ask(RefundKind::Refund, &refund, amount).await;
    let told = late.settled(RefundKind::Refund, &refund, amount).await;
    let once = late.booked(&refund) == 1 && refunds_of(desk, &late.payment).len() == 1;
    let done = matches!(&told, Outcome::Succeeded(back) if back.amount == amount) && once;
    sheet.hold("what could not be voided is refunded under the next number, once", done, || shortly(&told));
}

fn since_midnight(desk: &Desk<'_>, rules: VoidRules) -> Duration {
    Duration::from_secs(desk.now().after(rules.utc_offset).seconds() % DAY.as_secs())
}

/// Noon of the next day in the provider's time.
fn noon(desk: &Desk<'_>, rules: VoidRules) {
    let since = since_midnight(desk, rules);
    desk.pass(DAY.saturating_sub(since).saturating_add(DAY / 2));
}

/// A minute after the cut-off of this day, or of a later one where the time is past it.
fn after_cut_off(desk: &Desk<'_>, rules: VoidRules) {
    desk.pass(rules.cut_off.saturating_sub(since_midnight(desk, rules)).saturating_add(MINUTE));
}
