//! From a reply's bytes to what it proves: Apple's sessions are read here, everything about money by the acquirer.

use maxpay_engine::channel::http::HttpReply;
use maxpay_engine::channel::{Call, Context, Interpreted, Outcome, Step};

use super::request::asked;
use super::{ApplePay, session};

/// See [`maxpay_engine::channel::Adapter::interpret`].
pub(super) fn interpret(
    adapter: &ApplePay,
    call: &Call,
    step: Step,
    reply: &HttpReply,
    context: &Context<'_>,
) -> Interpreted {
    if let Call::PayerSession { code, .. } = call {
        return Interpreted::Done(session::interpret(code, reply, context));
    }
    match asked(call) {
        Some(asked) => adapter.acquirer.interpret(&asked, step, reply, context),
        None => Interpreted::bare(Outcome::Unknown("nothing was asked that this answers".to_owned())),
    }
}
