use super::*;
use crate::simulator::{How, Rule, When};
use crate::wechat::codes::{Refusal, refusal};
use crate::wechat::signature::{NONCE, SIGNATURE, TIMESTAMP};
use maxpay_engine::model::CallKind;

type Change = fn(&mut HttpReply);

#[test]
fn what_each_refusal_proves() {
    // One row for each HTTP status, code and call: a code that is not named proves nothing.
    use CallKind::{Close, Create, Maintain, Query, QueryRefund, Refund};
    let table = [
        (401, "SIGN_ERROR", "签名错误", Create, "account_refused"),
        (401, "SIGN_ERROR", "签名错误", Query, "account_refused"),
        (401, "ANYTHING", "", Refund, "account_refused"),
        (401, "SIGN_ERROR", "", Maintain, "account_refused"),
        (404, "MCH_NOT_EXISTS", "商户号不存在", Create, "account_refused"),
        (500, "SYSTEM_ERROR", "系统错误", Create, "unknown"),
        (500, "BANK_ERROR", "银行系统异常", Create, "unknown"),
        (502, "WHATEVER", "", Close, "unknown"),
        (400, "SYSTEM_ERROR", "", Refund, "unknown"),
        (429, "FREQUENCY_LIMITED", "频率限制", Create, "not_executed"),
        (429, "RATELIMIT_EXCEEDED", "频率限制", Create, "not_executed"),
        (429, "FREQUENCY_LIMITED", "频率限制", Query, "unknown"),
        (400, "PARAM_ERROR", "参数错误", Create, "declined"),
        (400, "APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配", Create, "declined"),
        (403, "NO_AUTH", "商户无权限", Create, "declined"),
        (403, "RULE_LIMIT", "业务规则限制", Create, "declined"),
        (403, "TRADE_ERROR", "交易错误", Create, "declined"),
        (403, "ACCOUNT_ERROR", "账号异常", Create, "declined"),
        (403, "REQUEST_BLOCKED", "请求受阻", Create, "declined"),
        (400, "INVALID_REQUEST", "无效的openid", Create, "declined"),
        (400, "INVALID_REQUEST", "请求重入时，参数与首次请求时不一致", Create, "unpaid"),
        (400, "INVALID_REQUEST", "该订单已支付", Create, "unknown"),
        (403, "OUT_TRADE_NO_USED", "商户订单号重复", Create, "unknown"),
        (400, "ORDERPAID", "该订单已支付", Create, "unknown"),
        (400, "ORDER_CLOSED", "该订单已失效", Create, "unknown"),
        (400, "SOMETHING_NEW", "", Create, "unknown"),
        (404, "ORDER_NOT_EXIST", "订单不存在", Query, "not_found"),
        (404, "ORDERNOTEXIST", "订单不存在", Query, "not_found"),
        (404, "RESOURCE_NOT_EXISTS", "", Query, "unknown"),
        (400, "PARAM_ERROR", "", Query, "unknown"),
        (400, "INVALID_REQUEST", "", Query, "unknown"),
        (400, "ORDER_CLOSED", "订单已关闭", Close, "closed"),
        (404, "ORDER_NOT_EXIST", "订单不存在", Close, "not_found"),
        (400, "ORDER_PAID", "订单已支付", Close, "declined"),
        (400, "ORDERPAID", "订单已支付", Close, "declined"),
        (400, "INVALID_REQUEST", "该订单已支付", Close, "declined"),
        (202, "USERPAYING", "用户支付中", Close, "declined"),
        (429, "FREQUENCY_LIMITED", "频率限制", Close, "unknown"),
        (400, "INVALID_REQUEST", "当前交易不允许进行普通关单", Close, "declined"),
        (403, "TRADE_ERROR", "该订单已支付", Close, "declined"),
        (403, "RULE_LIMIT", "业务规则限制", Close, "declined"),
        (401, "SIGN_ERROR", "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟", Create, "not_executed"),
        (401, "SIGN_ERROR", "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟", Query, "unknown"),
        (403, "NOT_ENOUGH", "余额不足", Refund, "held"),
        (429, "FREQUENCY_LIMITED", "频率限制", Refund, "unknown"),
        (429, "NOT_A_CODE", "", Refund, "unknown"),
        (400, "INVALID_REQUEST", "同一笔订单多次退款的请求需相隔1分钟", Refund, "unknown"),
        (400, "INVALID_REQUEST", "请求频繁，请稍后再试", Refund, "unknown"),
        (400, "INVALID_REQUEST", "退款单号已存在，参数与首次请求时不一致", Refund, "unknown"),
        (400, "INVALID_REQUEST", "订单已全额退款", Refund, "declined"),
        (400, "INVALID_REQUEST", "words that nobody has seen yet", Refund, "unknown"),
        (400, "PARAM_ERROR", "参数错误", Refund, "declined"),
        (403, "NO_AUTH", "没有退款权限", Refund, "declined"),
        (403, "USER_ACCOUNT_ABNORMAL", "用户账户注销", Refund, "declined"),
        (404, "RESOURCE_NOT_EXISTS", "订单号不存在", Refund, "declined"),
        (403, "RULE_LIMIT", "业务规则限制", Refund, "unknown"),
        (403, "REQUEST_BLOCKED", "请求受阻", Refund, "unknown"),
        (400, "SOMETHING_NEW", "", Refund, "unknown"),
        (404, "RESOURCE_NOT_EXISTS", "退款单不存在", QueryRefund, "not_found"),
        (404, "ORDER_NOT_EXIST", "", QueryRefund, "unknown"),
        (404, "RESOURCE_NOT_EXISTS", "无可用的平台证书", Maintain, "unknown"),
    ];
    for (status, code, message, call, wanted) in table {
        let proved = refusal(call, &Refusal { status, code, message });
        assert_eq!(proved.name(), wanted, "{status} {code} {message} {call:?}");
    }
}

#[test]
fn what_each_trade_state_proves() {
    // One row for each state, with and without the payment it should name.
    let world = World::new();
    let world = known(world);
    let paid =
        r#","transaction_id":"42","success_time":"2018-06-08T10:34:56+08:00","amount":{"total":100,"currency":"CNY"}"#;
    let table = [
        ("SUCCESS", paid, "succeeded"),
        ("SUCCESS", "", "unknown"),
        ("SUCCESS", r#","transaction_id":"42""#, "unknown"),
        ("SUCCESS", r#","transaction_id":"","amount":{"total":100}"#, "unknown"),
        ("SUCCESS", r#","transaction_id":"42","amount":{"total":100}"#, "succeeded"),
        ("SUCCESS", r#","transaction_id":"42","amount":{"total":100,"currency":"yuan"}"#, "unknown"),
        ("REFUND", paid, "paid_then_returned"),
        ("REFUND", "", "unknown"),
        ("NOTPAY", "", "unpaid"),
        ("CLOSED", "", "closed"),
        ("CLOSED", r#","amount":{"total":100}"#, "closed"),
        ("CLOSED", paid, "unknown"),
        ("CLOSED", r#","success_time":"2018-06-08T10:34:56+08:00""#, "unknown"),
        ("USERPAYING", "", "processing"),
        ("ACCEPT", "", "processing"),
        ("PAYERROR", "", "declined"),
        ("REVOKED", "", "unknown"),
        ("SOMETHING_NEW", "", "unknown"),
        ("success", paid, "unknown"),
    ];
    for (state, rest, wanted) in table {
        let body = format!(
            r#"{{"appid":"{APPID}","mchid":"{MCHID}","out_trade_no":"{NUMBER}","trade_state":"{state}"{rest}}}"#
        );
        let answer = world.read_again(&query(), &signed_reply(&world, 200, &body));
        assert_eq!(answer.outcome.name(), wanted, "{state} {rest}: {answer:?}");
        assert_eq!(answer.number.as_deref(), Some(NUMBER));
    }
}

#[test]
fn what_each_status_proves() {
    // Signed or not, with each body: only what is named counts.
    let world = known(World::new());
    let refused = r#"{"code":"SIGN_ERROR","message":"x"}"#;
    let table: [(u16, &str, bool, Call, &str); 16] = [
        (200, r#"{"code_url":"weixin://wxpay/bizpayurl?pr=1"}"#, true, creation("wx_native", 1), "awaiting_payer"),
        (200, r#"{"code_url":"weixin://wxpay/bizpayurl?pr=1"}"#, false, creation("wx_native", 1), "unknown"),
        (200, "{}", true, creation("wx_native", 1), "unknown"),
        (200, r#"["weixin://wxpay"]"#, true, creation("wx_native", 1), "unknown"),
        (201, r#"{"code_url":"weixin://wxpay/bizpayurl?pr=1"}"#, true, creation("wx_native", 1), "unknown"),
        (204, "", true, Call::Close { code: channel("wx_app") }, "closed"),
        (204, "", false, Call::Close { code: channel("wx_app") }, "unknown"),
        (204, "", true, query(), "unknown"),
        (200, "", true, Call::Close { code: channel("wx_app") }, "unknown"),
        (202, r#"{"code":"USERPAYING"}"#, true, Call::Close { code: channel("wx_app") }, "declined"),
        (202, r#"{"code":"USERPAYING"}"#, true, query(), "unknown"),
        (404, r#"{"code":"ORDER_NOT_EXIST"}"#, false, query(), "unknown"),
        (404, r#"{"code":"ORDER_NOT_EXIST"}"#, true, query(), "not_found"),
        (401, refused, false, creation("wx_native", 1), "account_refused"),
        (401, "<html>", false, creation("wx_native", 1), "unknown"),
        (403, refused, false, creation("wx_native", 1), "unknown"),
    ];
    for (status, body, is_signed, call, wanted) in table {
        let mut reply = signed_reply(&world, status, body);
        if !is_signed {
            reply.headers.clear();
        }
        let outcome = world.read_again(&call, &reply).outcome;
        assert_eq!(outcome.name(), wanted, "{status} {body} {is_signed} {:?}: {outcome:?}", call.kind());
    }
}

#[tokio::test]
async fn a_tampered_answer_proves_nothing() {
    // Whatever is wrong with an answer, it is *unknown*: never a success, never a refusal.
    let world = World::new();
    world.create("wx_native", 1).await;
    world.pay(PayerCommand::Pay);
    let good = world.carry(world.request(&query())).await.expect("an answer");
    assert!(matches!(world.read_again(&query(), &good).outcome, Outcome::Succeeded(_)));
    let changes: [(&str, Change); 10] = [
        ("body", |reply| {
            let text = String::from_utf8(reply.body.to_vec()).expect("JSON").replace("\"total\":1,", "\"total\":2,");
            reply.body = text.into();
        }),
        ("space", |reply| reply.body = [&reply.body[..], b" "].concat().into()),
        ("no signature", |reply| reply.headers.retain(|(name, _)| name != SIGNATURE)),
        ("no nonce", |reply| reply.headers.retain(|(name, _)| name != NONCE)),
        ("another nonce", |reply| set(reply, NONCE, "593BEC0C930BF1AFEB40B4A08C8FB242")),
        ("another time", |reply| {
            let seconds: u64 = reply.header(TIMESTAMP).expect("signed").parse().expect("seconds");
            set(reply, TIMESTAMP, &(seconds + 1).to_string());
        }),
        ("no time", |reply| set(reply, TIMESTAMP, "soon")),
        ("another scheme", |reply| set(reply, "wechatpay-signature-type", "WECHATPAY2-SM2-WITH-SM3")),
        ("a probe", |reply| {
            let signature = format!("WECHATPAY/SIGNTEST/{}", reply.header(SIGNATURE).expect("signed"));
            set(reply, SIGNATURE, &signature);
        }),
        ("an unsigned 401", |reply| {
            reply.headers.clear();
            reply.status = 401;
        }),
    ];
    for (what, change) in changes {
        let mut reply = good.clone();
        change(&mut reply);
        let outcome = world.read_again(&query(), &reply).outcome;
        assert!(matches!(outcome, Outcome::Unknown(_) | Outcome::AccountRefused(_)), "{what}: {outcome:?}");
        assert!(what == "an unsigned 401" || matches!(outcome, Outcome::Unknown(_)), "{what}: {outcome:?}");
    }
    world.clock.advance(Duration::from_secs(301));
    assert!(matches!(world.read_again(&query(), &good).outcome, Outcome::Unknown(_)), "an old answer");
}

#[tokio::test]
async fn an_order_lives_through_its_states() {
    // Unpaid, being paid, paid; closed before, and a close that comes too late is told so.
    let world = World::new();
    world.create("wx_native", 100).await;
    assert_eq!(world.query().await, Outcome::Unpaid);
    world.pay(PayerCommand::Begin);
    assert_eq!(world.query().await, Outcome::Processing);
    assert!(matches!(world.close().await, Outcome::Declined(_)), "202: it was not closed");
    world.pay(PayerCommand::Pay);
    let Outcome::Succeeded(paid) = world.query().await else { panic!("paid") };
    assert_eq!(paid.amount, yuan(100));
    assert_eq!(paid.paid_at.map(Timestamp::seconds), Some(world.now().seconds()));
    assert!(matches!(world.close().await, Outcome::Declined(_)), "already paid is never *closed*");
    assert!(matches!(world.create("wx_native", 100).await.outcome, Outcome::Unknown(_)), "ask instead");
    world.pay(PayerCommand::Refund);
    let Outcome::PaidThenReturned { is_final, returned, .. } = world.query().await else { panic!("returned") };
    assert!(!is_final && returned.is_zero(), "how much is not told");
}

#[tokio::test]
async fn a_closed_order_stays_closed() {
    // 204 is empty and signed; asked again, queried, ordered again, it is closed still.
    let world = World::new();
    assert_eq!(world.query().await, Outcome::NotFound);
    assert_eq!(world.close().await, Outcome::NotFound);
    world.create("wx_native", 100).await;
    for _ in 0..2 {
        assert_eq!(world.close().await, Outcome::Closed);
        assert_eq!(world.query().await, Outcome::Closed);
    }
    assert!(matches!(world.create("wx_native", 100).await.outcome, Outcome::Unknown(_)));
    assert!(world.simulator.payer(NUMBER, PayerCommand::Pay).is_err());
}

#[tokio::test]
async fn ordering_again_gives_the_action_again() {
    // The same words give a new handle for the same order; other words prove that an order is there.
    let world = World::new();
    let text = |answer: Answer| {
        let Outcome::AwaitingPayer(actions) = &answer.outcome else { panic!("{answer:?}") };
        format!("{:?}", actions[0].action)
    };
    let first = text(world.create("wx_h5", 100).await);
    world.clock.advance(Duration::from_mins(6));
    assert!(world.simulator.payer(NUMBER, PayerCommand::Pay).is_err(), "five minutes are over");
    assert_ne!(text(world.create("wx_h5", 100).await), first);
    assert_eq!(world.create("wx_h5", 101).await.outcome, Outcome::Unpaid);
    assert_eq!(world.create("wx_native", 100).await.outcome, Outcome::Unpaid);
    world.pay(PayerCommand::Pay);
    assert_eq!(world.simulator.ledger().expect("the books").len(), 1);
}

#[tokio::test]
async fn an_expiry_too_soon_is_moved_and_closes_nothing() {
    // The provider moves it to a minute after the order; when it has passed nobody can pay, and the order is open still.
    let world = World::new();
    let mut soon = intent(100);
    soon.expires_at = world.now().after(Duration::from_secs(5));
    let call = Call::Create { code: channel("wx_native"), intent: soon, original_api: OriginalApi::No };
    assert!(matches!(world.call(&call).await.outcome, Outcome::AwaitingPayer(_)));
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(world.simulator.ledger().expect("the books")[0].expires_at, world.now().after(Duration::from_secs(1)));
    world.clock.advance(Duration::from_secs(2));
    assert!(world.simulator.payer(NUMBER, PayerCommand::Pay).is_err());
    assert_eq!(world.query().await, Outcome::Unpaid);
    world.clock.advance(Duration::from_hours(7 * 24));
    assert_eq!(world.query().await, Outcome::Closed, "a week closes it");
}

#[tokio::test]
async fn platform_certificates_are_fetched_when_they_are_missing() {
    // Nothing is sent before its answer could be verified; the first list proves itself by what is in it.
    let world = World::new();
    let call = creation("wx_native", 1);
    let prepared = world.about(&call, |context| world.adapter.prepare(&call, context));
    let Prepared::NeedMaterial(request) = prepared else { panic!("material is missing") };
    assert!(request.url.path().ends_with("/v3/certificates"));
    let good = world.carry(request).await.expect("an answer");
    assert!(matches!(world.interpret(&Call::Maintain, &good), Interpreted::Learned(_)));
    let refused = |world: &World, reply: &HttpReply, what: &str| {
        let Interpreted::Done(answer) = world.interpret(&Call::Maintain, reply) else { panic!("{what}") };
        assert!(matches!(answer.outcome, Outcome::Unknown(_)), "{what}: {answer:?}");
    };
    let mut unsigned = good.clone();
    unsigned.headers.retain(|(name, _)| name != SIGNATURE);
    refused(&world, &unsigned, "unsigned");
    let mut another = good.clone();
    another.headers = signed_headers(&world, &keys().merchant[1], &keys().platform[0].serial, &body_of(&good));
    refused(&world, &another, "signed by somebody else");
    let mut stranger = good.clone();
    stranger.headers = signed_headers(&world, &keys().platform[1], &keys().platform[1].serial, &body_of(&good));
    refused(&world, &stranger, "signed by a certificate that is not in it");
    let mut wrong_key = World::new();
    wrong_key.secrets[0].0.insert("api_v3_key".to_owned(), Secret::from_text(&"b".repeat(32)));
    refused(&wrong_key, &good, "another APIv3 key");
    world.clock.advance(Duration::from_secs(301));
    refused(&world, &good, "an old answer");
}

#[tokio::test]
async fn keys_change_in_the_middle_of_traffic() {
    // A new platform certificate is fetched when its first answer comes, and that very answer is read with it.
    let world = World::new();
    world.create("wx_native", 100).await;
    world.simulator.rotate(keys().platform[1].clone());
    let reply = world.carry(world.request(&query())).await.expect("an answer");
    assert!(matches!(world.interpret(&query(), &reply), Interpreted::NeedMaterial(_)));
    assert_eq!(world.read(&query(), &reply).await.outcome, Outcome::Unpaid);
    // What the old one signed is believed still.
    let body = body_of(&reply);
    assert_eq!(world.read_again(&query(), &signed_reply(&world, 200, &body)).outcome, Outcome::Unpaid);
    // A merchant's own key changes with a new revision of its account.
    let mut world = world;
    world.simulator.enrol(Merchant { api_keys: vec![keys().merchant[1].clone()], ..merchant() });
    assert!(matches!(world.query().await, Outcome::AccountRefused(_)));
    world.secrets.insert(0, secrets(&keys().merchant[1], false));
    assert_eq!(world.query().await, Outcome::Unpaid);
}

#[tokio::test]
async fn both_kinds_of_keys_stand_side_by_side() {
    // Answers come under the public key because it is asked for, notices under platform certificates until they move.
    let world = World::with_public_key();
    assert!(matches!(world.create("wx_native", 100).await.outcome, Outcome::AwaitingPayer(_)));
    assert!(world.material.lock().expect("no panic").is_empty(), "no certificate was needed");
    world.pay(PayerCommand::Pay);
    let raw = { world.pass_raw(Duration::from_secs(1)).await.remove(0) };
    let Notified::NeedMaterial(request) = world.notified(&raw) else { panic!("the certificate is missing") };
    assert_eq!(world.learn(request).await, None);
    assert_eq!(names(&[world.notified(&raw)]), ["succeeded"]);
    world.simulator.enrol(Merchant { notices_by_public_key: true, certificates: false, ..merchant() });
    world.pay(PayerCommand::NotifyTwice);
    assert_eq!(names(&world.pass(Duration::from_secs(2)).await), ["succeeded", "succeeded"]);
    // The key of another id is nobody's, and cannot be fetched.
    let mut reply = world.carry(world.request(&query())).await.expect("an answer");
    set(&mut reply, "wechatpay-serial", "PUB_KEY_ID_0112345678902024");
    assert!(matches!(world.interpret(&query(), &reply), Interpreted::Done(_)));
    assert!(matches!(world.read(&query(), &reply).await.outcome, Outcome::Unknown(_)));
}

#[tokio::test]
async fn faults_of_the_way_are_unknown() {
    // Lost, unreadable, unsigned, forged or from a gateway: unknown, and the order is there or not.
    let table = [
        (When::AfterExecution, How::Lost, "unknown", 1),
        (When::BeforeExecution, How::Lost, "unknown", 0),
        (When::BeforeExecution, How::NotSent, "not_executed", 0),
        (When::AfterExecution, How::Status(502), "unknown", 1),
        (When::BeforeExecution, How::Status(429), "unknown", 0),
        (When::AfterExecution, How::Garbage, "unknown", 1),
        (When::AfterExecution, How::Unsigned, "unknown", 1),
        (When::AfterExecution, How::Forged, "unknown", 1),
        (When::AfterExecution, How::Duplicated, "awaiting_payer", 1),
        (When::BeforeExecution, How::Busy, "not_executed", 0),
    ];
    for (when, how, wanted, orders) in table {
        let world = World::with_public_key();
        assert!(world.simulator.faults().add(Rule { call: Some(CallKind::Create), number: None, when, how, times: 1 }));
        let outcome = world.create("wx_native", 1).await.outcome;
        assert_eq!(outcome.name(), wanted, "{when:?} {how:?}: {outcome:?}");
        assert_eq!(world.simulator.ledger().expect("the books").len(), orders, "{when:?} {how:?}");
    }
}

#[tokio::test]
async fn the_books_outlive_the_provider() {
    // Opened again on its file, the provider knows its orders.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("wechat.redb");
    let world = World::on_file(&path);
    world.create("wx_native", 100).await;
    world.pay(PayerCommand::NotifyNever);
    drop(world);
    let world = World::on_file(&path);
    assert!(matches!(world.query().await, Outcome::Succeeded(_)));
}

/// The world with its platform certificate known.
fn known(world: World) -> World {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let request = world.request(&Call::Maintain);
        assert_eq!(world.learn(request).await, None);
    });
    world
}

fn set(reply: &mut HttpReply, name: &str, value: &str) {
    let found = reply.headers.iter_mut().find(|(key, _)| key == name);
    value.clone_into(&mut found.expect("it is there").1);
}

fn body_of(reply: &HttpReply) -> String {
    String::from_utf8(reply.body.to_vec()).expect("JSON")
}

impl World {
    async fn pass_raw(&self, time: Duration) -> Vec<RawNotification> {
        self.clock.advance(time);
        while self.simulator.tick(self.now()).await.expect("the books are open") > 0 {}
        self.arrived()
    }
}
