//! What a request asks, by its method and path.

use maxpay_engine::model::CallKind;

use super::super::wire::{self, OrderBody, RefundBody};

/// What a request asks.
pub(super) enum Asked<'t> {
    Certificates,
    Order(&'t str),
    Query { number: &'t str, mchid: &'t str },
    Close { number: &'t str },
    Refund,
    QueryRefund { number: &'t str },
}

impl<'t> Asked<'t> {
    /// `None`: there is nothing at that address.
    pub fn read(method: &str, target: &'t str) -> Option<Self> {
        let target = &target[target.find("/v3/")?..];
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let post = method.eq_ignore_ascii_case("POST");
        if let Some(rest) = path.strip_prefix(wire::BY_NUMBER) {
            return match rest.strip_suffix("/close") {
                Some(number) if post => Some(Self::Close { number }),
                None if !post => Some(Self::Query { number: rest, mchid: query.strip_prefix("mchid=")? }),
                Some(_) | None => None,
            };
        }
        match (path, post) {
            (wire::CERTIFICATES, false) => Some(Self::Certificates),
            (wire::REFUNDS, true) => Some(Self::Refund),
            (_, false) => path
                .strip_prefix(wire::REFUNDS)
                .and_then(|rest| rest.strip_prefix('/'))
                .map(|number| Self::QueryRefund { number }),
            (_, true) => path
                .strip_prefix(wire::TRANSACTIONS)
                .filter(|kind| ["app", "jsapi", "native", "h5"].contains(kind))
                .map(Self::Order),
        }
    }

    pub fn call(&self) -> CallKind {
        match self {
            Self::Certificates => CallKind::Maintain,
            Self::Order(_) => CallKind::Create,
            Self::Query { .. } => CallKind::Query,
            Self::Close { .. } => CallKind::Close,
            Self::Refund => CallKind::Refund,
            Self::QueryRefund { .. } => CallKind::QueryRefund,
        }
    }

    pub fn number(&self, body: &[u8]) -> String {
        match self {
            Self::Certificates => String::new(),
            Self::Order(_) => wire::read::<OrderBody>(body).map(|body| body.out_trade_no).unwrap_or_default(),
            Self::Refund => wire::read::<RefundBody>(body).map(|body| body.out_refund_no).unwrap_or_default(),
            Self::Query { number, .. } | Self::Close { number } | Self::QueryRefund { number } => (*number).to_owned(),
        }
    }
}
