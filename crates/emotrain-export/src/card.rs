//! The model card: what an export is, what it was trained on, and what it scored.

use std::fmt::Write;
use std::path::Path;

use emotrain_hub::Base;
use emotrain_model::Checkpoint;
use emotrain_recipe::{Exclude, Recipe, RetrievalSection};
use emotrain_runs::{EvalResult, RunRecord};
use toml::Value;

use crate::error::ExportError;
use crate::format::ExportFormat;
use crate::source::{Records, Source};

/// The text of `README.md`, with the metadata that model hubs read.
///
/// # Errors
/// A record of the run that is damaged.
pub(crate) fn text(
    source: &Source,
    base: &Base,
    checkpoint: &Checkpoint,
    format: ExportFormat,
) -> Result<String, ExportError> {
    let Records { recipe, run: record, report } = source.records()?;
    let name = public(source.began_with());
    let library = match format {
        ExportFormat::Peft => "peft",
        ExportFormat::Merged => "transformers",
        ExportFormat::Gguf | ExportFormat::GgufLora => "gguf",
    };
    let mut card = format!(
        "---\nbase_model: {name}\nlibrary_name: {library}\npipeline_tag: text-generation\ntags:\n- lora\n\
- emotion-recognition-in-conversation\n---\n\n# Emotion recognition in conversation, trained on {name}\n\n\
Labels an utterance of a dialogue with an emotion. Trained with emotrain. How to load it is in `serve.md`; prompts must \
be those of `prompt_contract.json`.\n\n## Base model\n\n`{name}`{}, {} with {} layers. Its license holds for this model, \
too: read it there.\n",
        base.commit().map(|commit| format!(" at `{commit}`")).unwrap_or_default(),
        checkpoint.config().architecture.model_type(),
        checkpoint.config().num_hidden_layers,
    );
    if let Some(record) = &record {
        data(&mut card, record, recipe.as_ref());
    }
    if let Some(report) = &report {
        card += "\n## Scores\n\n| split | weighted F1 | 95 % interval | macro F1 | accuracy | utterances |\n| --- | --- | --- | --- | --- | --- |\n";
        report.after.iter().for_each(|result| row(&mut card, result));
        for context in report.after.iter().filter_map(|result| result.context.as_ref()).take(1) {
            let _ = writeln!(card, "\nWhat prompts showed: {context}.");
        }
        card += "\nIntervals are of a bootstrap over utterances: they say how much the score depends on the choice of \
utterances, and nothing of other seeds or other data. The scores are of the training's own precision; a server that \
rounds or quantises weights has others.\n";
    }
    if let Some(recipe) = &recipe {
        let _ = write!(card, "\n## Recipe\n\n```toml\n{}```\n", of_any_machine(recipe));
    }
    card += "\n## Limits\n\nEmotions are judged from text alone, with the labels and in the manner of the training data. \
Labels of people disagree often. Not for decisions about persons.\n";
    Ok(card)
}

/// A model or file without the folders of this machine: of an absolute path, the last part.
fn public(name: &str) -> &str {
    let path = Path::new(name);
    let last = path.file_name().and_then(|last| last.to_str());
    last.filter(|_| path.is_absolute() || name.starts_with("~/")).unwrap_or(name)
}

/// The text of a recipe, all its files without the folders of this machine.
fn of_any_machine(recipe: &Recipe) -> String {
    let mut recipe = Value::try_from(recipe).expect("a recipe is a table");
    shorten(&mut recipe);
    toml::to_string(&recipe).expect("it was a recipe")
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => *text = public(text).to_owned(),
        Value::Array(values) => values.iter_mut().for_each(shorten),
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| shorten(value)),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

fn data(card: &mut String, record: &RunRecord, recipe: Option<&Recipe>) {
    *card += "\n## Data\n\n| split | file | sha256 | samples |\n| --- | --- | --- | --- |\n";
    for (split, data) in &record.data {
        let file = data.path.file_name().unwrap_or_default().to_string_lossy();
        let _ = writeln!(card, "| {split} | `{file}` | `{}` | {} |", data.sha256, data.samples);
    }
    if let Some(bank) = &record.retrieval {
        let _ = writeln!(
            card,
            "\nPrompts show demonstrations of a bank (`{}`), found by {}.{}",
            bank.sha256,
            bank.engine.split(' ').map(public).collect::<Vec<_>>().join(" "),
            recipe.map_or_else(String::new, |recipe| kept_out(&recipe.retrieval)),
        );
    }
}

/// What the leakage guard has kept out of prompts.
fn kept_out(retrieval: &RetrievalSection) -> String {
    let own = match retrieval.exclude {
        Exclude::Dialogue => " Never shown for an utterance: demonstrations of its own dialogue",
        Exclude::Utterance => " Never shown for an utterance: the utterance itself",
    };
    let same = if retrieval.exclude_same_text { ", and those with the same text." } else { "." };
    format!("{own}{same}")
}

fn row(card: &mut String, result: &EvalResult) {
    let Some(report) = &result.report else { return };
    let percent = |value: f64| format!("{:.2}", 100.0 * value);
    let interval = report.weighted_f1_interval.as_ref();
    let interval =
        interval.map_or("–".to_owned(), |one| format!("{} to {}", percent(one.low), percent(one.high)));
    let scores = &report.scores;
    let _ = writeln!(
        card,
        "| {} | {} | {interval} | {} | {} | {} |",
        result.split,
        percent(scores.weighted_f1),
        percent(scores.macro_f1),
        percent(scores.accuracy),
        report.utterances,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_tells_no_folders_of_a_machine() {
        let text = r#"
            [model]
            model_name_or_path = "/home/ada/models/nano"
            [data]
            label_set = "meld"
            train = "/data/talks/train.jsonl"
            valid = "talks/valid.jsonl"
            [[knowledge]]
            name = "explicit"
            path = "/data/talks/explicit.jsonl"
        "#;
        let recipe = emotrain_recipe::parse(text, "recipe.toml".as_ref(), &[]).unwrap();
        let text = of_any_machine(&recipe);
        for part in ["\"nano\"", "\"train.jsonl\"", "\"explicit.jsonl\"", "talks/valid.jsonl", "label_set"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains("\"/") && !text.contains("/home"), "{text}");
        assert_eq!(emotrain_recipe::parse(&text, "recipe.toml".as_ref(), &[]).unwrap().train, recipe.train);
        let names =
            ["owner/model", "/srv/qwen/", "~/qwen.gguf", "../nano", "/srv/minilm@sha256:1f"].map(public);
        assert_eq!(names, ["owner/model", "qwen", "qwen.gguf", "../nano", "minilm@sha256:1f"]);
    }
}
