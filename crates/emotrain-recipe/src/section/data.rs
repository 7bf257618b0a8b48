//! `[data]`: the files of the splits and the labels in them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::blank;
use crate::key::{Kind, MOST};
use crate::problem::{Fault, Violations};
use crate::suggest::{did_you_mean, folded, has_control, nearest};

section! {
    /// `[data]`: the files of the splits and the labels in them.
    DataSection = "data" {
        /// Format of all files of this section.
        format: DataFormat = Kind::Choice(DataFormat::NAMES);
        /// The names of columns and of keys in data of one's own, where they differ from the roles' names; else empty.
        columns: BTreeMap<ColumnRole, String> = Kind::TextsBy(ColumnRole::NAMES);
        /// Training split.
        train: PathBuf = Kind::InputPath, required;
        /// Validation split.
        #[serde(with = "blank::path")]
        valid: Option<PathBuf> = Kind::InputPath;
        /// Test split.
        #[serde(with = "blank::path")]
        test: Option<PathBuf> = Kind::InputPath;
        /// The shares of the parts that the training split's file is divided into; empty = it is not divided.
        split: Vec<f64> = Kind::Shares;
        /// Seed of the division.
        split_seed: u64 = Kind::up_to(i64::MAX);
        /// The closed set of labels.
        label_set: LabelSetName = Kind::Choice(LabelSetName::NAMES);
        /// The labels of [`LabelSetName::Custom`], in the order of their numbers; else empty.
        labels: Vec<String> = Kind::Texts;
        /// Other spellings of custom labels: spelling to label; else empty.
        label_aliases: BTreeMap<String, String> = Kind::TextTable;
        /// How utterances without a label are handled.
        unlabelled: Unlabelled = Kind::Choice(Unlabelled::NAMES);
        /// Additional words that mark utterances without a label.
        context_labels: Vec<String> = Kind::Texts;
        /// How dialogues that occur in two splits are handled.
        shared_dialogues: SharedDialogues = Kind::Choice(SharedDialogues::NAMES);
        /// Cap on training samples; `None` = all.
        #[serde(with = "blank::count")]
        max_train_samples: Option<usize> = Kind::up_to(MOST);
        /// Cap on validation samples; `None` = all.
        #[serde(with = "blank::count")]
        max_valid_samples: Option<usize> = Kind::up_to(MOST);
        /// Cap on test samples; `None` = all.
        #[serde(with = "blank::count")]
        max_test_samples: Option<usize> = Kind::up_to(MOST);
        /// How often the samples of each label are drawn in an epoch.
        sampling: LabelSampling = Kind::Choice(LabelSampling::NAMES);
    }
}

choices! {
    /// The format of the files named in `[data]`.
    DataFormat {
        /// One dialogue per line, in emotrain's own JSON format.
        Jsonl = "jsonl",
        /// Comma-separated values, one utterance per row, with the columns of `data.columns`.
        Csv = "csv",
        /// The same, separated by tabs.
        Tsv = "tsv",
        /// One chat per line, as other trainers read them: `messages` or `conversations`.
        Chat = "chat",
        /// MELD's published CSV tables.
        MeldCsv = "meld_csv",
        /// The JSON files of the PRC-Emo and `BiosERC` repositories.
        PrcJson = "prc_json",
        /// EmoryNLP's published JSON files.
        Emorynlp = "emorynlp",
        /// DailyDialog's published text files.
        Dailydialog = "dailydialog",
        /// Plain text without labels, documents separated by blank lines.
        Text = "text",
    }
}

choices! {
    /// What a column of a table is read for.
    ColumnRole {
        /// The dialogue's id.
        Dialogue = "dialogue",
        /// The utterance's place in its dialogue.
        Position = "position",
        /// Who speaks.
        Speaker = "speaker",
        /// The utterance.
        Text = "text",
        /// The emotion.
        Label = "label",
    }
}

choices! {
    /// The label set of a run.
    LabelSetName {
        /// MELD's seven.
        Meld = "meld",
        /// IEMOCAP's six.
        Iemocap = "iemocap",
        /// EmoryNLP's seven.
        Emorynlp = "emorynlp",
        /// DailyDialog's seven.
        Dailydialog = "dailydialog",
        /// The labels in `data.labels`.
        Custom = "custom",
    }
}

choices! {
    /// How utterances without a label are handled.
    Unlabelled {
        /// They are context: shown, and neither trained on nor scored.
        Context = "context",
        /// They are an error.
        Refuse = "refuse",
    }
}

choices! {
    /// How dialogues that occur in two splits are handled.
    SharedDialogues {
        /// An error for the formats of one's own data, and reported for the formats of published data sets.
        Auto = "auto",
        /// They are an error.
        Refuse = "refuse",
        /// They are counted and reported.
        Report = "report",
    }
}

impl DataFormat {
    /// Whether it is for data of one's own, and not the form of a published data set.
    pub fn is_own(self) -> bool {
        matches!(self, Self::Jsonl | Self::Csv | Self::Tsv | Self::Chat)
    }

    /// Whether it is a table whose columns `data.columns` names.
    pub fn has_columns(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv)
    }

    /// Whether it has one dialogue a line, whose keys `data.columns` names.
    pub fn is_json_lines(self) -> bool {
        matches!(self, Self::Jsonl | Self::Chat)
    }
}

choices! {
    /// How often the samples of each label are drawn in an epoch.
    LabelSampling {
        /// Each sample once.
        Natural = "natural",
        /// As many of each label.
        Balanced = "balanced",
        /// In proportion to the square root of their number.
        Sqrt = "sqrt",
    }
}

impl DataSection {
    /// Whether there is a validation split: a file, or a part of the training split's file.
    pub fn has_valid(&self) -> bool {
        self.valid.is_some() || self.split.len() > 1
    }

    /// Whether there is a test split: a file, or a part of the training split's file.
    pub fn has_test(&self) -> bool {
        self.test.is_some() || self.split.len() > 2
    }

    /// The parts of one file take the place of files.
    pub(crate) fn check_parts(&self, violated: &mut Violations) {
        let shares = &self.split;
        if shares.is_empty() {
            return;
        }
        let sum: f64 = shares.iter().sum();
        if !(2..=3).contains(&shares.len()) {
            let fault = Fault::new(format!("data.split has {} shares", shares.len()));
            let hint = "write two for training and validation, or three for training, validation and test";
            violated.add(&["data.split"], fault.hint(hint));
        } else if (sum - 1.0).abs() > 1e-6 {
            let fault = Fault::new(format!("the shares of data.split sum to {}, not to 1", rounded(sum)));
            violated.add(&["data.split"], fault.hint("as in split = [0.8, 0.1, 0.1]"));
        }
        for (key, file) in [("data.valid", &self.valid), ("data.test", &self.test)] {
            if file.is_some() {
                let message = format!("data.split divides data.train, and {key} is a file of its own");
                let hint = format!("leave out split, or {}", key.trim_start_matches("data."));
                violated.add(&["data.split", key], Fault::new(message).hint(hint));
            }
        }
        if self.format == DataFormat::Text {
            let fault = Fault::new("format = \"text\" has no dialogues for data.split to divide");
            violated.add(&["data.split", "data.format"], fault.hint("name a file in data.valid"));
        }
    }

    /// Columns are for data of one's own, and each is read for one thing.
    pub(crate) fn check_columns(&self, violated: &mut Violations) {
        let keys = ["data.columns", "data.format"];
        let effect = |what: &str| format!("{what} has no effect with format = \"{}\"", self.format);
        if !self.columns.is_empty() && !self.format.is_own() {
            let fault = Fault::new(effect("data.columns"));
            violated.add(
                &keys,
                fault.hint(
                    "columns are for data of your own: format = \"csv\", \"tsv\", \"jsonl\" or \"chat\"",
                ),
            );
            return;
        }
        if self.format.is_json_lines() && self.columns.contains_key(&ColumnRole::Position) {
            let fault = Fault::new(effect("data.columns.position"));
            violated.add(&keys, fault.hint("leave it out: utterances are in the order of their list"));
        }
        let mut roles: BTreeMap<&str, ColumnRole> = BTreeMap::new();
        for (role, column) in &self.columns {
            if column.trim().is_empty() {
                let fault = Fault::new(format!("data.columns.{role} is blank"));
                violated.add(&keys, fault.hint("name a column of the file, or leave it out"));
            } else if let Some(other) = roles.insert(column.trim(), *role) {
                let message = format!("data.columns names {column:?} as {other} and as {role}");
                violated.add(&keys, Fault::new(message).hint("each column is read for one thing"));
            }
        }
    }

    /// Training data cannot be used for evaluation.
    pub(crate) fn check_splits(&self, violated: &mut Violations) {
        let files = [
            ("data.train", Some(&self.train)),
            ("data.valid", self.valid.as_ref()),
            ("data.test", self.test.as_ref()),
        ];
        for (at, (key, file)) in files.iter().enumerate() {
            for (earlier, other) in &files[..at] {
                if file.is_some() && file == other {
                    let fault = Fault::new(format!("{key} is the same file as {earlier}"));
                    violated.add(&[key, earlier], fault.hint("training data cannot be used for evaluation"));
                }
            }
        }
    }

    /// A custom label set is described here, and only a custom one.
    pub(crate) fn check_labels(&self, violated: &mut Violations) {
        self.check_characters(violated);
        if self.label_set != LabelSetName::Custom {
            for (key, is_empty) in [
                ("data.labels", self.labels.is_empty()),
                ("data.label_aliases", self.label_aliases.is_empty()),
            ] {
                if !is_empty {
                    let fault =
                        Fault::new(format!("{key} has no effect with label_set = \"{}\"", self.label_set));
                    violated.add(&[key, "data.label_set"], fault.hint("write label_set = \"custom\""));
                }
            }
        } else if self.labels.len() < 2 {
            let fault = Fault::new("label_set = \"custom\" needs at least two labels");
            violated.add(&["data.label_set", "data.labels"], fault.hint("write labels = [\"…\", \"…\"]"));
        } else {
            self.check_custom_labels(violated);
        }
    }

    /// No word for labels has a line break.
    fn check_characters(&self, violated: &mut Violations) {
        let aliases = self.label_aliases.keys().chain(self.label_aliases.values());
        let labels = self.labels.iter().map(|label| ("data.labels", label));
        let aliases = aliases.map(|alias| ("data.label_aliases", alias));
        let context = self.context_labels.iter().map(|word| ("data.context_labels", word));
        for (key, word) in labels.chain(aliases).chain(context).filter(|(_, word)| has_control(word)) {
            let fault = Fault::new(format!("{key}: {word:?} has a line break or another control character"));
            violated.add(&[key], fault.hint("a label is one line of text"));
        }
    }

    /// Spellings are compared as in the data reader, ignoring case and the characters between words.
    fn check_custom_labels(&self, violated: &mut Violations) {
        let labels = &self.labels;
        let mut meanings = BTreeMap::new();
        for label in labels {
            if folded(label).is_empty() {
                violated.add(
                    &["data.labels"],
                    Fault::new(format!("the label {label:?} of data.labels is blank")),
                );
            } else if let Some(earlier) = meanings.insert(folded(label), label) {
                let fault =
                    Fault::new(format!("data.labels has {earlier:?} and {label:?}, which are the same"));
                violated.add(
                    &["data.labels"],
                    fault.hint("labels differ in more than case, spaces, \"-\" and \"_\""),
                );
            }
        }
        let keys = ["data.label_aliases", "data.labels"];
        for (alias, written) in &self.label_aliases {
            let Some(label) = labels.iter().find(|label| folded(label) == folded(written)) else {
                let fault = Fault::new(format!("data.label_aliases: {written:?} is not in data.labels"));
                let near = nearest(written, labels.iter().map(String::as_str));
                violated.add(&keys, fault.maybe_hint(did_you_mean(&near)));
                continue;
            };
            match meanings.insert(folded(alias), label) {
                Some(other) if other != label => {
                    let fault =
                        Fault::new(format!("data.label_aliases: {alias:?} is already an alias of {other:?}"));
                    violated.add(&keys, fault);
                }
                _ => {}
            }
        }
    }
}

/// A sum without the noise of floating point.
fn rounded(sum: f64) -> f64 {
    (sum * 1e6).round() / 1e6
}
