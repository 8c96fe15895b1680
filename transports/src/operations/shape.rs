//! Which kind of JSON a field of a body may be. Serde's own readers also take an array for an object, field by field in
//! the order of the code, and an object for a name; no description of the API says so, and what nobody wrote down is
//! not to decide what is paid.

use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde_json::value::RawValue;

/// Lets types be read from JSON objects alone. Each derives `Deserialize` with `#[serde(remote = "Self")]`.
macro_rules! objects_only {
    ($($name:ty),+ $(,)?) => {$(
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
                struct Object;
                impl<'de> serde::de::Visitor<'de> for Object {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                        // The inherent one, which was derived.
                        <$name>::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    }
                }
                reader.deserialize_map(Object)
            }
        }
    )+};
}

pub(super) use objects_only;

/// Reads a name out of a few from a text alone.
pub(super) fn name<'de, D: Deserializer<'de>, T: DeserializeOwned>(reader: D) -> Result<T, D::Error> {
    reader.deserialize_str(Name(PhantomData))
}

/// Reads such a name, or null.
pub(super) fn name_or_null<'de, D: Deserializer<'de>, T: DeserializeOwned>(reader: D) -> Result<Option<T>, D::Error> {
    let Some(text) = Option::<String>::deserialize(reader)? else { return Ok(None) };
    T::deserialize(text.into_deserializer()).map(Some)
}

/// Reads an object as the text that it came as.
pub(super) fn object_text<'de, D: Deserializer<'de>>(reader: D) -> Result<Box<RawValue>, D::Error> {
    let text = Box::<RawValue>::deserialize(reader)?;
    if text.get().starts_with('{') { Ok(text) } else { Err(serde::de::Error::custom("is not an object")) }
}

/// Reads such a text, or null.
pub(super) fn object_text_or_null<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Box<RawValue>>, D::Error> {
    let text = Option::<Box<RawValue>>::deserialize(reader)?;
    let is_object = text.as_ref().is_none_or(|text| text.get().starts_with('{'));
    if is_object { Ok(text) } else { Err(serde::de::Error::custom("is not an object")) }
}

struct Name<T>(PhantomData<T>);

impl<T: DeserializeOwned> Visitor<'_> for Name<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        T::deserialize(text.into_deserializer())
    }
}
