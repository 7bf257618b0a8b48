//! `[data]`: the files of the splits and the labels in them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::blank;
use crate::key::{Kind, MOST};
use crate::problem::{Fault, Violations};
use crate::suggest::{did_you_mean, folded, nearest};

section! {
    /// `[data]`: the files of the splits and the labels in them.
    DataSection = "data" {
        /// Format of all files of this section.
        format: DataFormat = Kind::Choice(DataFormat::NAMES);
        /// Training split.
        train: PathBuf = Kind::InputPath, required;
        /// Validation split.
        #[serde(with = "blank::path")]
        valid: Option<PathBuf> = Kind::InputPath;
        /// Test split.
        #[serde(with = "blank::path")]
        test: Option<PathBuf> = Kind::InputPath;
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
        /// An error for jsonl files, and reported for the formats of published data sets.
        Auto = "auto",
        /// They are an error.
        Refuse = "refuse",
        /// They are counted and reported.
        Report = "report",
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
