//! What files say beyond dialogues, speakers, texts and labels.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::value::RawValue;

/// Keys of a file that mean nothing here, with their values as they are written, in the order of the file. Nothing reads
/// them; a program may write them out again.
#[derive(Clone, Debug, Default)]
pub struct Metadata(Vec<(String, Box<RawValue>)>);

impl Metadata {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys and the JSON of their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.get()))
    }

    /// The keys, to be called otherwise.
    pub(crate) fn keys_mut(&mut self) -> impl Iterator<Item = &mut String> {
        self.0.iter_mut().map(|(key, _)| key)
    }

    /// Adds a text.
    pub(crate) fn push(&mut self, key: impl Into<String>, text: &str) {
        let json = serde_json::value::to_raw_value(text).expect("text is JSON");
        self.0.push((key.into(), json));
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Metadata {}

impl FromIterator<(String, Box<RawValue>)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (String, Box<RawValue>)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MetadataVisitor;
        impl<'de> Visitor<'de> for MetadataVisitor {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                let mut metadata = Metadata::default();
                while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if metadata.iter().any(|(other, _)| other == key) {
                        return Err(A::Error::custom(format!("duplicate field `{key}`")));
                    }
                    metadata.0.push((key, value));
                }
                Ok(metadata)
            }
        }
        deserializer.deserialize_map(MetadataVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_keep_the_order_of_the_file_and_every_digit() {
        let text = r#"{"z":12345678901234567890123,"a":{"b":[null, 1.50]},"m":"x","e":1e999}"#;
        let metadata: Metadata = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&metadata).unwrap(), text);
        assert!(serde_json::from_str::<Metadata>(r#"{"a":1,"a":2}"#).is_err());
    }
}
