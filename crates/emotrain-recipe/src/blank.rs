//! The values that mean "none" in a recipe, because TOML has no null: `""` and `0`.

#![expect(clippy::ref_option, reason = "serde passes a field by reference")]

/// `Option<PathBuf>`, `""` for `None`.
pub(crate) mod path {
    use std::path::PathBuf;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&path.as_ref().map_or_else(String::new, |path| path.to_string_lossy().into_owned()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
        let text = String::deserialize(from)?;
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }
}

/// An optional text, or what is read from one; `""` for `None`.
pub(crate) mod text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<T: Clone, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error>
    where
        String: From<T>,
    {
        to.serialize_str(&value.clone().map_or_else(String::new, String::from))
    }

    pub(crate) fn deserialize<'de, T: From<String>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(from)?;
        Ok((!text.is_empty()).then(|| T::from(text)))
    }
}

/// `PathBuf` as text.
pub(crate) mod place {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&path.to_string_lossy())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        String::deserialize(from).map(PathBuf::from)
    }
}

/// `Option<usize>`, `0` for `None`.
pub(crate) mod count {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(count: &Option<usize>, to: S) -> Result<S::Ok, S::Error> {
        count.unwrap_or(0).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
        usize::deserialize(from).map(|count| (count > 0).then_some(count))
    }
}
