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
        let near = || listed().filter_map(|one| Some((&one.label, one.nearest.as_deref()?)));
        let far = listed().filter(|one| one.nearest.is_none());
        let far: Vec<String> = far.map(|one| format!("{:?}", one.label)).collect();
        if far.is_empty() {
            let names: Vec<&str> = near().map(|(_, nearest)| nearest).collect();
            return format!("did you mean {}?", names.join(", "));
        }
        let others = format!(
            "the labels are {}; label_set = \"custom\" has others, and data.context_labels = [{}] shows such \
             utterances without labelling them",
            self.known,
            far.join(", ")
        );
        let pairs: Vec<String> = near().map(|(label, nearest)| format!("{nearest} for {label}")).collect();
        if pairs.is_empty() { others } else { format!("did you mean {}? {others}", pairs.join(", ")) }
    }
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
