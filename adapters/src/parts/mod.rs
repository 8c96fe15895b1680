//! What two or more channels truly share: digests, canonical texts, amounts in major units, HTML forms.
//!
//! Nothing here knows a provider.

pub mod canonical;
pub mod decimal;
pub mod digest;
pub mod form;
