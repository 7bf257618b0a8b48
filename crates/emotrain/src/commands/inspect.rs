//! `emotrain inspect`: samples as the model gets them.

use emotrain_data::UtteranceId;
use emotrain_model::random::Key;
use emotrain_prompt::{Answers, Piece, Sample, TokenCounts};

use crate::cli::InspectArgs;
use crate::exit::{Complaint, Exit};
use crate::pipeline::{self, Beside, Content, Selection};
use crate::shell::Shell;

/// Bold and green.
const MARK: &str = "\u{1b}[1;32m";
const END: &str = "\u{1b}[0m";

/// Runs the command.
///
/// # Errors
/// A recipe, a file or an utterance that does not do.
pub(crate) fn run(args: &InspectArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let recipe = emotrain_recipe::load(&args.recipe.recipe, &args.recipe.set)?;
    let prepared = pipeline::prepare(&recipe, &[], shell)?;
    let content = Content::read(&recipe.data, &prepared.labels, args.split)?;
    let selection = Selection {
        answers: Answers::Given,
        limit: None,
        key: Key::new(0),
        completion_only: recipe.train.completion_only_loss,
    };
    let found = pipeline::find(&recipe, &prepared.labels, prepared.library.as_ref(), (&content, args.split))?;
    let known = pipeline::known(&recipe, &content, args.split)?;
    known.summary().iter().for_each(|line| shell.printer.say(line));
    let beside = Beside { found: found.as_ref(), known: &known };
    let samples = prepared.coder.encode(&content, beside, selection)?;
    let shown: Vec<&Sample> = match &args.id {
        None => samples.iter().take(args.limit).collect(),
        Some(id) => vec![find(&samples, id, &content)?],
    };
    for sample in shown {
        let label = sample.label.map_or(String::new(), |label| format!(", {}", prepared.labels.name(label)));
        shell.printer.result(format_args!(
            "{}: {} tokens, {} supervised{label}{}",
            sample.id,
            sample.ids.len(),
            supervised(sample),
            dropped(sample)
        ))?;
        let pieces = prepared.coder.tokenizer().pieces(sample)?;
        shell.printer.result(format_args!("{}\n", rendered(&pieces, shell.printer.coloured())))?;
    }
    let name = args.split.as_str();
    shell.printer.result(format_args!("{name}: {}", TokenCounts::of(&samples)))?;
    Ok(Exit::Done)
}

fn find<'a>(samples: &'a [Sample], id: &str, content: &Content) -> anyhow::Result<&'a Sample> {
    let id: UtteranceId = id.parse().map_err(|error| Complaint::usage(format!("--id: {error}")))?;
    let missing = || {
        let complaint =
            Complaint::usage(format!("--id: {} holds no utterance {id}", content.path().display()));
        let first = samples.first().map_or(String::new(), |first| format!("the first is {}", first.id));
        complaint.hint(first)
    };
    samples.iter().find(|sample| sample.id == id).ok_or_else(|| missing().into())
}

/// The first token of a sample has nothing before it to be predicted from.
fn supervised(sample: &Sample) -> usize {
    sample.ids.len() - sample.prompt_len.max(1)
}

fn dropped(sample: &Sample) -> String {
    match sample.dropped_history + sample.dropped_future {
        0 => String::new(),
        count => format!(", {count} utterances around it left out to fit"),
    }
}

/// The text, each supervised token in colour or in brackets.
fn rendered(pieces: &[Piece], coloured: bool) -> String {
    let (open, close) = if coloured { (MARK, END) } else { ("[", "]") };
    let marked = |piece: &Piece| {
        if piece.supervised { format!("{open}{}{close}", piece.text) } else { piece.text.clone() }
    };
    pieces.iter().map(marked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supervised_tokens_are_marked_one_by_one() {
        let piece = |text: &str, supervised| Piece { id: 0, text: text.to_owned(), supervised };
        let pieces = [piece("Label: ", false), piece("jo", true), piece("y", true)];
        assert_eq!(rendered(&pieces, false), "Label: [jo][y]");
        assert!(rendered(&pieces, true).contains("\u{1b}[1;32mjo\u{1b}[0m"));
    }
}
