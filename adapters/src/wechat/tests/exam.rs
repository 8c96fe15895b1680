use crate::conformance::examine;
use crate::wechat::simulator::v2::{SignType, WeChatV2Candidate};
use crate::wechat::simulator::{KeyKind, WeChatCandidate};

#[test]
fn it_passes_the_exam_with_platform_certificates() {
    // Every claim of the manifest is held against the simulated provider, with keys that are downloaded and change.
    examine(&WeChatCandidate(KeyKind::Certificates)).assert_passed();
}

#[test]
fn it_passes_the_exam_with_the_public_key() {
    // The same where answers come under WeChat Pay's public key, and notices under a certificate still.
    examine(&WeChatCandidate(KeyKind::PublicKey)).assert_passed();
}

#[test]
fn it_passes_the_exam_with_public_keys_that_come_and_go() {
    // The public key comes in the place of certificates, beside an older one, and in the place of it.
    for kind in [KeyKind::FirstPublicKey, KeyKind::SecondPublicKey, KeyKind::NextPublicKey] {
        examine(&WeChatCandidate(kind)).assert_passed();
    }
}

#[test]
fn v2_passes_the_exam_with_hmac() {
    // The older dialect, whose API key is changed in the middle.
    examine(&WeChatV2Candidate(SignType::HmacSha256)).assert_passed();
}

#[test]
fn v2_passes_the_exam_with_md5() {
    // The same signed as the oldest accounts are.
    examine(&WeChatV2Candidate(SignType::Md5)).assert_passed();
}
