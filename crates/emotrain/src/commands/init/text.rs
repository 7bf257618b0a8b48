//! The text of a recipe, with comments.

use std::path::Path;

use emotrain_data::{Label, Split, Survey};
use emotrain_recipe::LabelSetName;

use super::labels::Labels;

const PROMPT: &str = "\
[prompt]
# Earlier utterances that are shown with the one in question.
history_window = 5
";

const TRAIN: &str = "\
[train]
learning_rate = 3e-4
per_device_train_batch_size = 4
gradient_accumulation_steps = 1
num_train_epochs = 3
";

/// A label with a smaller share is rare.
const RARE: f64 = 0.05;

/// Where the splits are.
pub(super) enum Splits {
    /// A file for each.
    Files { train: String, valid: String, test: Option<String> },
    /// Parts of one file.
    Shares(String, &'static [f64]),
    /// Too few dialogues to divide.
    One(String),
}

/// What a recipe is written of.
pub(super) struct Draft<'a> {
    pub(super) name: &'a Path,
    pub(super) base: &'a str,
    pub(super) found: &'a Survey,
    pub(super) labels: &'a Labels,
    pub(super) split: &'a Split,
    pub(super) splits: Splits,
}

impl Draft<'_> {
    /// The recipe.
    pub(super) fn to_toml(&self) -> String {
        [
            self.head(),
            self.model(),
            self.data(),
            PROMPT.to_owned(),
            self.curriculum(),
            self.train(),
            self.eval(),
        ]
        .join("\n")
    }

    fn head(&self) -> String {
        let (dialogues, utterances) = (self.split.dialogues.len(), self.split.utterance_count());
        let name = self.name.display();
        let stem = self.name.file_stem().unwrap_or_default().to_string_lossy();
        format!(
            "# {dialogues} dialogues with {utterances} utterances. Every other key has a default: emotrain schema, or\n\
             # recipes/default.toml of the project.\n\
             #\n\
             #   emotrain check {name}              # everything that is wrong, at once\n\
             #   emotrain inspect {name} --limit 2  # what the model is trained on\n\
             #   emotrain {name} --dry-run          # what it will cost\n\
             #   emotrain {name}\n\
             #   emotrain predict --run checkpoints/{stem} --input new{}\n",
            suffix(self.found)
        )
    }

    fn model(&self) -> String {
        format!(
            "[model]\n\
             # A Hub id, a folder or a .gguf file of a Llama, Mistral, Qwen2, Qwen3, Phi-3 or Gemma 3 model with a chat\n\
             # template.\n\
             model_name_or_path = {}\n",
            quoted(self.base)
        )
    }

    fn data(&self) -> String {
        let mut lines = vec!["[data]".to_owned(), format!("format = {}", quoted(self.found.format.as_str()))];
        if !self.found.columns.is_empty() {
            let columns = self.found.columns.iter();
            let columns: Vec<String> =
                columns.map(|(role, name)| format!("{role} = {}", quoted(name))).collect();
            lines.push(format!("columns = {{ {} }}", columns.join(", ")));
        }
        match &self.splits {
            Splits::Files { train, valid, test } => {
                lines.push(format!("train = {}", quoted(train)));
                lines.push(format!("valid = {}", quoted(valid)));
                lines.extend(test.as_ref().map(|test| format!("test = {}", quoted(test))));
            }
            Splits::Shares(train, shares) => {
                lines.push(format!("train = {}", quoted(train)));
                let names = if shares.len() == 3 { "train, valid and test" } else { "train and valid" };
                lines.push(format!(
                    "# Divided by whole dialogues into {names}, with alike shares of each label."
                ));
                lines.push(format!("split = {shares:?}"));
            }
            Splits::One(train) => {
                lines.push(format!("train = {}", quoted(train)));
                lines.push(
                    "# Too few dialogues to hold any out: there are no scores until valid names a file."
                        .to_owned(),
                );
            }
        }
        lines.extend(self.label_lines());
        lines.join("\n") + "\n"
    }

    fn label_lines(&self) -> Vec<String> {
        let name = self.labels.name;
        let counts: Vec<String> =
            self.found.labels.iter().map(|(word, count)| format!("{word} × {count}")).collect();
        let mut lines = Vec::new();
        if !counts.is_empty() {
            lines.push(format!("# In the file: {}.", counts.join(", ")));
        }
        lines.extend(self.labels.slips.iter().map(|slip| format!("# {slip}")));
        let utterances = self.split.dialogues.iter().flat_map(|dialogue| &dialogue.utterances);
        let unlabelled = utterances.filter(|utterance| utterance.label.is_none()).count();
        if unlabelled > 0 {
            lines.push(format!(
                "# {unlabelled} utterances have no label: they are shown as context, not trained on."
            ));
        }
        lines.push(format!("label_set = {}", quoted(name.as_str())));
        if name == LabelSetName::Custom {
            let names: Vec<String> = self.labels.set.names().iter().map(|name| quoted(name)).collect();
            lines.push(format!("labels = [{}]", names.join(", ")));
        }
        lines
    }

    fn curriculum(&self) -> String {
        if self.split.dialogues.len() < 2 {
            return "[curriculum]\n\
                    # One dialogue has no order.\n\
                    name = \"none\"\n"
                .to_owned();
        }
        match &self.labels.off_wheel {
            None => "[curriculum]\n\
                     # Dialogues with few and small emotional shifts first; \"none\" = all, shuffled. curriculum/README.md of\n\
                     # the project has the formula.\n\
                     name = \"prc_emo\"\n"
                .to_owned(),
            Some(reason) => format!(
                "[curriculum]\n\
                 # \"prc_emo\" orders dialogues by their emotional shifts, which needs a place on the emotion wheel for every\n\
                 # label: {reason}.\n\
                 # For a wheel of your own, copy curriculum/wheel.toml of the project and name it in wheel.\n\
                 name = \"none\"\n"
            ),
        }
    }

    fn train(&self) -> String {
        let Some((rarest, share)) = self.rarest().filter(|(_, share)| *share < RARE) else {
            return TRAIN.to_owned();
        };
        format!(
            "{TRAIN}\
             # Rare emotions: {rarest} has {:.1} % of the labels. These raise macro F1, to which every label counts the same,\n\
             # and may lower weighted F1; recipes/README.md of the project says when. With the first two rare labels count\n\
             # twice: take one of them. Put sampling under [data] and metric_for_best_model under [eval].\n\
             # class_weights = \"balanced\"               # [train] errors on rare labels cost more\n\
             # sampling = \"sqrt\"                        # [data] samples of rare labels are repeated\n\
             # metric_for_best_model = \"macro_f1\"       # [eval] the best weights are chosen by it\n",
            100.0 * share
        )
    }

    /// The label that occurs least, and its share.
    fn rarest(&self) -> Option<(&str, f64)> {
        let labels =
            || self.split.dialogues.iter().flat_map(|one| &one.utterances).filter_map(|one| one.label);
        let all = labels().count();
        let of = |label: Label| labels().filter(|other| *other == label).count();
        let counts = self.labels.set.iter().map(|label| (label, of(label))).filter(|(_, count)| *count > 0);
        let (label, count) = counts.min_by_key(|(_, count)| *count)?;
        Some((self.labels.set.name(label), count as f64 / all as f64))
    }

    fn eval(&self) -> String {
        let (best, test) = match &self.splits {
            Splits::Files { test, .. } => (true, test.is_some()),
            Splits::Shares(_, shares) => (true, shares.len() == 3),
            Splits::One(_) => (false, false),
        };
        let mut lines = vec!["[eval]"];
        if test {
            lines.push("# The test split is scored once, with the best weights.");
            lines.push("test = true");
        }
        if !best {
            lines.push("load_best_model_at_end = false");
        }
        if lines.len() == 1 {
            return String::new();
        }
        lines.join("\n") + "\n"
    }
}

fn suffix(found: &Survey) -> &'static str {
    match found.format.as_str() {
        "csv" => ".csv",
        "tsv" => ".tsv",
        _ => ".jsonl",
    }
}

/// A string of JSON, which is one of TOML too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
