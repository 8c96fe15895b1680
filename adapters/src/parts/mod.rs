//! What two or more channels truly share: digests, RSA keys, certificates, archives of both,
//! canonical texts, amounts in major units,
//! Beijing time, HTML forms, flat XML.
//!
//! Nothing here knows a provider.

pub mod beijing;
pub mod canonical;
pub mod decimal;
pub mod digest;
pub mod form;
pub mod parsed;
pub mod pem;
pub mod pkcs12;
pub mod rsa;
pub mod x509;
pub mod xml;
