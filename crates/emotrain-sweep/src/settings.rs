//! Settings: keys of a recipe with the values that a run of a sweep gives them.

use indexmap::IndexMap;
use toml::Value;

/// Values by key of the recipe, in the order of the sweep file.
pub(crate) type Settings = IndexMap<String, Value>;

/// As `--set` takes them.
pub(crate) fn overrides(settings: &Settings) -> Vec<String> {
    settings.iter().map(|(key, value)| format!("{key}={value}")).collect()
}

/// As people read them: `curriculum.name=wes, train.learning_rate=0.0003`.
pub(crate) fn described(settings: &Settings) -> String {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let all: Vec<String> = settings.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
    all.join(", ")
}
