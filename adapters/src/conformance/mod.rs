//! The exam that every adapter sits, other people's too: an adapter and its provider's simulator in, a report out.

mod provider;

pub use provider::{
    About, BookOrder, BookPayment, BookRefund, BookState, Candidate, Card, Feature, Lack, Merchant, Play, Provider,
    Seal, Stage,
};
