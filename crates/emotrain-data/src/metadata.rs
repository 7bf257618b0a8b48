//! What files say beyond dialogues, speakers, texts and labels.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

/// Keys of a file that mean nothing here, with their values, in the order of the file. Nothing reads them; a program may
/// write them out again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(Vec<(String, Value)>);

impl Metadata {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The keys, to be called otherwise.
    pub(crate) fn keys_mut(&mut self) -> impl Iterator<Item = &mut String> {
        self.0.iter_mut().map(|(key, _)| key)
    }

    pub(crate) fn push(&mut self, key: impl Into<String>, value: Value) {
        self.0.push((key.into(), value));
    }

    /// A key that seems to be a misspelling of one of these, and which.
    pub(crate) fn misspelt<'k>(&self, known: &[&'k str]) -> Option<(&str, &'k str)> {
        let near = |key: &str| emotrain_base::nearest(&key.to_lowercase(), known.iter().copied());
        self.iter().find_map(|(key, _)| near(key).map(|near| (key, near)))
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.iter() {
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
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if metadata.iter().any(|(other, _)| other == key) {
                        return Err(A::Error::custom(format!("duplicate field `{key}`")));
                    }
                    metadata.push(key, value);
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
    fn metadata_keeps_the_order_of_the_file() {
        let text = r#"{"z":1,"a":{"b":[null]},"m":"x"}"#;
        let metadata: Metadata = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&metadata).unwrap(), text);
        assert!(serde_json::from_str::<Metadata>(r#"{"a":1,"a":2}"#).is_err());
    }
}
