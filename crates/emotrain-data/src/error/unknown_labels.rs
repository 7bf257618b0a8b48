//! Labels of a file that are not in the label set, summed up.

use std::fmt;

/// At most this many are listed.
const LISTED: usize = 20;

/// A label that is not in the label set.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownLabel {
    /// As spelt in the file.
    pub label: String,
    /// How often.
    pub count: usize,
    /// The most similar label of the set.
    pub nearest: Option<String>,
    /// The line of the first one, counted from 1, if the reader knows it.
    pub line: Option<usize>,
}

/// Labels that are not in the label set, the most frequent first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct UnknownLabels {
    /// Each of them.
    pub labels: Vec<UnknownLabel>,
    /// All labels of the set.
    pub known: String,
}

impl UnknownLabels {
    pub(super) fn hint(&self) -> String {
        let listed = || self.labels.iter().take(LISTED);
        let near = listed().filter_map(|one| Some((one.label.as_str(), one.nearest.as_deref()?)));
        let near: Vec<(&str, &str)> = near.collect();
        let far: Vec<&str> =
            listed().filter(|one| one.nearest.is_none()).map(|one| one.label.as_str()).collect();
        let meant = |(label, nearest): &(&str, &str)| {
            if far.is_empty() { (*nearest).to_owned() } else { format!("{nearest} for {label}") }
        };
        ways_out(&near.iter().map(meant).collect::<Vec<_>>().join(", "), &near, &far, &self.known)
    }
}

/// What can be done about labels that are not in the set: those `near` to a label, and the others.
pub(super) fn ways_out(meant: &str, near: &[(&str, &str)], far: &[&str], known: &str) -> String {
    let name = |label: &str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if label.chars().all(is_plain) { label.to_owned() } else { format!("{label:?}") }
    };
    let mut lines = Vec::new();
    if !near.is_empty() {
        let pairs: Vec<String> =
            near.iter().map(|(label, nearest)| format!("{} = {nearest:?}", name(label))).collect();
        let aliases = pairs.join(", ");
        lines.push(format!("did you mean {meant}? data.label_aliases = {{ {aliases} }} reads them so"));
    }
    if let Some(first) = far.first() {
        let all: Vec<String> = far.iter().map(|label| format!("{label:?}")).collect();
        lines.push(format!(
            "the labels are {known}; data.context_labels = [{}] shows such utterances without labelling them",
            all.join(", ")
        ));
        let aliases = format!("data.label_aliases = {{ {} = \"…\" }} reads it as one of these", name(first));
        lines.push(format!("data.labels lists others, and {aliases}; both with data.label_set = \"custom\""));
    } else {
        lines
            .push("data.labels lists other labels; both keys are for data.label_set = \"custom\"".to_owned());
    }
    lines.join("\n")
}

impl fmt::Display for UnknownLabels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The line of a single one is that of the message.
        let place = |one: &UnknownLabel| match one.line.filter(|_| self.labels.len() > 1) {
            Some(line) if one.count > 1 => format!(" (from line {line})"),
            Some(line) => format!(" (line {line})"),
            None => String::new(),
        };
        let told = |one: &UnknownLabel| format!("{} × {}{}", one.label, one.count, place(one));
        let listed = self.labels.iter().take(LISTED).map(told);
        write!(f, "unknown labels: {}", listed.collect::<Vec<_>>().join(", "))?;
        match self.labels.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
