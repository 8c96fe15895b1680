//! Bills as the original's clients send them, and what is refused with which code.

use super::*;

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

#[test]
fn the_recorded_body_of_the_php_client_reads() {
    // Byte for byte as recorded (maxleap.md section 6).
    let text = r#"{"billNum":"112233","channel":"ali_web","totalFee":1,"subject":"it will be ok!","extras":{"a":1,"b":2},"returnUrl":"http:\/\/www.maxwon.cn","billTimeout":360}"#;
    assert_eq!(text.len(), 158);
    let request = read_text(text).unwrap_or_else(|refusal| panic!("{}", refusal.body()));
    assert_eq!((request.bill_num.as_str(), request.channel.as_str()), ("112233", "ali_web"));
    assert_eq!((request.amount.to_string().as_str(), request.subject.as_str()), ("0.01 CNY", "it will be ok!"));
    assert_eq!(request.extras.as_deref(), Some(r#"{"a":1,"b":2}"#));
    assert_eq!(request.return_url.as_deref(), Some("http://www.maxwon.cn"));
    assert_eq!((request.timeout, request.door), (Some(Duration::from_mins(6)), Door::Original));
    assert_eq!(request.payer.client_ip.as_deref(), Some("192.0.2.7"));
}

#[test]
fn the_recorded_body_of_the_android_client_reads() {
    // Byte for byte as recorded; no returnUrl, because this channel needs none.
    let text = r#"{"channel":"ali_app","billNum":"b1","totalFee":1,"subject":"a toy","extras":{"k":"v"}}"#;
    assert!(read_text(text).is_ok());
}

#[test]
fn what_is_missing_or_illegal_has_its_code() {
    // 3 for channels, 4 for what is missing, 5 for what is not legal.
    let base = [("channel", r#""ali_app""#), ("billNum", r#""b1""#), ("totalFee", "1"), ("subject", r#""a toy""#)];
    for (name, value, code) in [
        ("channel", "", 4),
        ("channel", r#""""#, 4),
        ("channel", r#""ali""#, 3),
        ("channel", r#""paypal""#, 3),
        ("channel", r#""google play""#, 3),
        ("channel", "7", 3),
        ("channel", r#""ali_web""#, 4),
        ("billNum", "", 4),
        ("billNum", "null", 4),
        ("billNum", "112233", 0),
        ("billNum", "[1]", 5),
        ("totalFee", "", 4),
        ("totalFee", "0", 5),
        ("totalFee", "-1", 5),
        ("totalFee", "1.5", 5),
        ("totalFee", r#""1""#, 5),
        ("totalFee", "9007199254740992", 5),
        ("totalFee", "99999999999999999999999", 5),
        ("subject", "", 4),
        ("subject", "{}", 5),
        ("extras", "[]", 0),
        ("extras", r#""text""#, 0),
        ("extras", "7", 0),
        ("extras", "null", 0),
        ("billTimeout", "0", 5),
        ("billTimeout", "null", 0),
        ("billTimeout", r#""x""#, 5),
        ("qrPayMode", "0", 0),
        ("qrPayMode", "300", 5),
        ("somethingElse", "{}", 0),
    ] {
        let others =
            base.iter().filter(|(other, _)| *other != name).map(|(name, value)| format!(r#""{name}":{value}"#));
        let changed = if value.is_empty() { None } else { Some(format!(r#""{name}":{value}"#)) };
        let text = format!("{{{}}}", others.chain(changed).collect::<Vec<_>>().join(","));
        let read = read_text(&text).err().map_or(0, |refusal| refusal.code.number());
        assert_eq!(read, code, "{text}");
    }
}

#[test]
fn extras_stay_as_they_came() {
    // Order, spelling of numbers and escapes are the merchant's; null is none.
    for (extras, kept) in [(r#"{"b":1.0,"a":"\/"}"#, true), ("[]", true), (r#""text""#, true), ("null", false)] {
        let text = format!(r#"{{"channel":"ali_app","billNum":"b1","totalFee":1,"subject":"a","extras":{extras}}}"#);
        let request = read_text(&text).unwrap_or_else(|refusal| panic!("{}", refusal.body()));
        assert_eq!(request.extras.as_deref(), kept.then_some(extras));
    }
}

#[test]
fn only_an_end_without_money_is_a_final_refusal() {
    // A close that is asked for and not confirmed may still be paid: code 14 as for every other doubt, never 7.
    use maxpay_engine::model::{CloseEvidence, Submission, Timestamp};
    let paid_at = Timestamp::from_millis(1);
    for (status, code) in [
        (Status::Created, 14),
        (Status::Submitting { what: Submission::Create }, 14),
        (Status::AwaitingPayer { step: PayerStep::Actions(Vec::new()) }, 0),
        (Status::AwaitingPayer { step: PayerStep::Lost }, 14),
        (Status::Closing, 14),
        (Status::Succeeded { late: false, paid_at }, 0),
        (Status::Failed { reason: "declined".to_owned() }, 7),
        (Status::Closed { evidence: CloseEvidence::Channel }, 7),
    ] {
        let told = settled(&status).err().map_or(0, |refusal| refusal.code.number());
        assert_eq!(told, code, "{}", status.name());
    }
}

#[test]
fn the_channel_is_waited_for_within_any_time_to_answer() {
    // The shortest that can be set leaves most of it for the channel; a late start leaves less, and never less than none.
    let millis = Duration::from_millis;
    for (left, within, waited) in
        [(1_000, 1_000, 750), (3_900, 4_000, 2_900), (19_000, 19_000, 15_000), (5_000, 19_000, 1_000), (100, 19_000, 0)]
    {
        assert_eq!(wait(millis(left), millis(within)), millis(waited), "{left} of {within}");
    }
}

fn read_text(text: &str) -> Result<CreateTransaction, Refusal> {
    read(&Fields::read(text.as_bytes())?, CLIENT, Duration::from_secs(10), |code| {
        let needs = match code.as_str() {
            "ali_app" => Vec::new(),
            "ali_web" => vec![PayerInput::ReturnUrl],
            _ => return None,
        };
        Some(manifest(code, needs))
    })
}

fn manifest(code: &ChannelCode, needs: Vec<PayerInput>) -> CodeManifest {
    use maxpay_engine::channel::{QueryRules, Recreate};
    CodeManifest {
        code: code.clone(),
        group: "ali",
        currencies: vec![Currency::CNY],
        amount_minor: (1, 1_000_000),
        needs,
        subject_bytes_max: 256,
        expiry: (Duration::from_mins(1), Duration::from_hours(24)),
        expiry_default: Duration::from_hours(2),
        min_life: Duration::from_secs(30),
        grace: Duration::from_secs(30),
        recreate: Recreate::Resign,
        decline_final: false,
        action_lifetime: None,
        locally_signed: true,
        authorize: false,
        query: QueryRules {
            truth_from: Duration::ZERO,
            truth_until: None,
            schedule: Vec::new(),
            awaiting_schedule: Vec::new(),
        },
        close: None,
        refund: None,
        void: None,
        not_executed_max: 3,
        call_deadline: Duration::from_secs(10),
    }
}
