//! Values that decode only when they are ones: bytes of a disk go through the same gate as texts and numbers from
//! outside.

/// Decodes `$type` as a `$raw` that the function `$gate` takes.
macro_rules! decode_through {
    ($type:ty, $raw:ty, $gate:expr) => {
        impl<Context> bincode::Decode<Context> for $type {
            fn decode<D: bincode::de::Decoder<Context = Context>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                let raw = <$raw as bincode::Decode<Context>>::decode(decoder)?;
                $gate(raw).map_err(|why| bincode::error::DecodeError::OtherString(why.to_string()))
            }
        }

        bincode::impl_borrow_decode!($type);
    };
}

pub(super) use decode_through;
