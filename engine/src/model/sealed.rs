//! Bytes that only the sealing key opens.

use std::fmt;

use bincode::{Decode, Encode};

/// A secret as it stands in a record: nonce, ciphertext and tag of XChaCha20-Poly1305, bound to the record it stands
/// in. [`crate::secrets::Sealer`] makes and opens it.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Sealed(pub Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}
