//! Labels of a file that are not in the label set, summed up.

use std::fmt;

/// At most this many are listed.
const LISTED: usize = 20;

/// Labels that are not in the label set, the most frequent first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct UnknownLabels {
    /// As spelt in the file, how often, and the most similar label.
    pub labels: Vec<(String, usize, Option<String>)>,
    /// All labels of the set.
    pub known: String,
}

impl UnknownLabels {
    pub(super) fn hint(&self) -> String {
        let listed = || self.labels.iter().take(LISTED);
        let near = || listed().filter_map(|(label, _, nearest)| Some((label, nearest.as_deref()?)));
        let far: Vec<String> = listed()
            .filter(|(_, _, nearest)| nearest.is_none())
            .map(|(label, ..)| format!("{label:?}"))
            .collect();
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
        let listed = self.labels.iter().take(LISTED).map(|(label, count, _)| format!("{label} × {count}"));
        write!(f, "unknown labels: {}", listed.collect::<Vec<_>>().join(", "))?;
        match self.labels.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
