//! `emotrain inspect`: samples as the model gets them.

use emotrain_base::Complaint;
use emotrain_data::{LabelSet, UtteranceId};
use emotrain_prepare::{Content, Opened, Purpose, Selection, kinds, known};
use emotrain_prompt::{Piece, Sample, Task, TokenCounts};

use crate::cli::InspectArgs;
use crate::exit::Exit;
use crate::printer::printable;
use crate::shell::Shell;

/// Bold and green.
const MARK: &str = "\u{1b}[1;32m";
const END: &str = "\u{1b}[0m";

/// Runs the command.
///
/// # Errors
/// An invalid recipe or file, or an unknown utterance.
pub(crate) fn run(args: &InspectArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let recipe = emotrain_recipe::load(&args.recipe.recipe, &args.recipe.set)?;
    let opened = Opened::open(&recipe, shell.hub())?;
    let content = Content::read(&recipe.data, &opened.labels, args.split)?;
    let auxiliary = opened.sample_maker.auxiliary(&recipe)?;
    // What training would make of the file, whichever split it is.
    let as_training = Selection::new(&recipe, args.split, Purpose::Training, &auxiliary);
    let selection = Selection { limit: None, ..as_training };
    let texts = known(&recipe, &content, args.split);
    let split = opened.encode(args.split, content, texts, selection)?;
    split.known.summary().iter().for_each(|line| shell.printer.say(line));
    let (samples, content) = (split.samples, split.content);
    for sample in chosen(&samples, args, &content)? {
        shell.printer.result(format_args!("{}", headline(sample, &opened.labels)))?;
        let pieces = opened.sample_maker.tokenizer().pieces(sample)?;
        let text = rendered(&pieces, shell.printer.coloured());
        shell.printer.result_in_colours(format_args!("{text}\n"))?;
    }
    let name = args.split.as_str();
    shell.printer.result(format_args!("{name}: {}", TokenCounts::of(&samples)))?;
    if let Some(kinds) = kinds(&samples) {
        shell.printer.result(format_args!("  of these {kinds}"))?;
    }
    Ok(Exit::Done)
}

/// The samples to show: all of one utterance, or the first ones.
fn chosen<'a>(
    samples: &'a [Sample],
    args: &InspectArgs,
    content: &Content,
) -> anyhow::Result<Vec<&'a Sample>> {
    let asked = samples.iter().filter(|sample| args.task.is_none() || sample.task == args.task);
    let Some(id) = &args.id else {
        return Ok(asked.take(args.limit).collect());
    };
    let id: UtteranceId = id.parse().map_err(|error| Complaint::usage(format!("--id: {error}")))?;
    let found: Vec<&Sample> = asked.filter(|sample| sample.id == id).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let path = content.path().display();
    if let Some(task) = args.task.filter(|_| samples.iter().any(|sample| sample.id == id)) {
        let message = format!("--task: {id} in {path} has no {} sample", task.as_str());
        return Err(Complaint::usage(message).into());
    }
    if content.utterance(&id).is_some_and(|utterance| utterance.label.is_none()) {
        let message = format!(
            "--id: {id} in {path} has no label, so it has no sample: it only appears as context of others"
        );
        return Err(Complaint::usage(message).into());
    }
    let complaint = Complaint::usage(format!("--id: {path} has no utterance {id}"));
    let first = samples.first().map_or(String::new(), |first| format!("the first is {}", first.id));
    Err(complaint.hint(first).into())
}

fn headline(sample: &Sample, labels: &LabelSet) -> String {
    let Sample { id, task, ids, label, .. } = sample;
    let task = task.filter(|task| *task != Task::Emotion).map_or("", Task::as_str);
    let label = label.filter(|_| sample.task != Some(Task::SpeakerIdentification));
    let label = label.map_or(String::new(), |label| format!(", {}", labels.name(label)));
    let gap = if task.is_empty() { "" } else { " " };
    let (tokens, supervised, dropped) = (ids.len(), sample.supervised(), dropped(sample));
    format!("{id}{gap}{task}: {tokens} tokens, {supervised} supervised{label}{dropped}")
}

fn dropped(sample: &Sample) -> String {
    match sample.dropped_history + sample.dropped_future {
        0 => String::new(),
        count => format!(", {count} context utterances dropped to fit"),
    }
}

/// The text, each supervised token in colour or in brackets.
fn rendered(pieces: &[Piece], coloured: bool) -> String {
    let (open, close) = if coloured { (MARK, END) } else { ("[", "]") };
    let marked = |piece: &Piece| {
        let text = printable(&piece.text);
        if piece.supervised { format!("{open}{text}{close}") } else { text.into_owned() }
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
        assert_eq!(rendered(&[piece("\u{1b}[31m", false)], false), r"\u001b[31m");
        assert!(rendered(&pieces, true).contains("\u{1b}[1;32mjo\u{1b}[0m"));
    }
}
