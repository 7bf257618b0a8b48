//! `emotrain bank review`: two people check labels.

use std::io::{BufRead, IsTerminal};
use std::path::Path;

use console::Term;
use emotrain_base::Complaint;
use emotrain_data::{Demonstration, LabelSet, Origin, SplitKind, load_demonstrations, write_jsonl};
use emotrain_retrieval::{SheetRow, read_annotations, read_both, read_sheet, review, sheet};

use super::super::replaced::{Output, check_replaced};
use crate::cli::{AnnotateArgs, ReviewCommand, ScoreReviewArgs, SheetArgs};
use crate::exit::Exit;
use crate::shell::Shell;

/// Keys for labels: those that mean something else are left out.
const KEYS: &str = "123456789acdefghijklmnoprtuvwxyz";

/// Runs the command.
///
/// # Errors
/// Files that cannot be read or written, labels that are not of the set.
pub(super) fn run(command: &ReviewCommand, shell: &Shell) -> anyhow::Result<Exit> {
    match command {
        ReviewCommand::Sheet(args) => sheets(args, shell),
        ReviewCommand::Annotate(args) => annotate(args, shell),
        ReviewCommand::Score(args) => score(args, shell),
    }
}

/// The label set of a recipe's name for it.
///
/// # Errors
/// A name that is none.
pub(super) fn label_set(name: &str) -> anyhow::Result<LabelSet> {
    let recipe = super::recipe(&[format!("data.label_set={name:?}")])?;
    LabelSet::from_section(&recipe.data).map_err(|error| Complaint::usage(error.to_string()).into())
}

fn demonstrations(file: &Path, dataset: Option<&str>) -> anyhow::Result<Vec<Demonstration>> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let of_name = stem.split(['.', '_']).next().unwrap_or_default();
    let origin = Origin { dataset: dataset.unwrap_or(of_name), split: SplitKind::Train, domain: None };
    Ok(load_demonstrations(file, origin)?.demonstrations)
}

fn sheets(args: &SheetArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let demonstrations = demonstrations(&args.file, args.dataset.as_deref())?;
    let paths = ["first.jsonl", "second.jsonl"].map(|name| args.out.join(name));
    if let Some(there) = paths.iter().find(|path| path.exists()) {
        let complaint = Complaint::usage(format!("{} is there already", there.display()));
        return Err(complaint.hint("choose another folder: these sheets may be partly filled in").into());
    }
    emotrain_base::create_folder(&args.out)?;
    for (path, seed) in paths.iter().zip(args.seed..) {
        write_jsonl(path, &sheet(&demonstrations, seed))?;
        shell.printer.say(format_args!("{}: {} utterances to label", path.display(), demonstrations.len()));
    }
    Ok(Exit::Done)
}

fn score(args: &ScoreReviewArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let inputs: [&Path; 3] = [&args.file, &args.first, &args.second];
    check_replaced(&args.out, Output::New("file of demonstrations"), &inputs)?;
    let labels = label_set(&args.label_set)?;
    let demonstrations = demonstrations(&args.file, args.dataset.as_deref())?;
    let [first, second] = read_both(&args.first, &args.second, &labels)?;
    for (path, annotations) in [(&args.first, &first), (&args.second, &second)] {
        let is_known = |id: &&String| demonstrations.iter().any(|one| one.id().to_string() == **id);
        if let Some(stranger) = annotations.keys().find(|id| !is_known(id)) {
            let message = format!("{}: {stranger} is not in {}", path.display(), args.file.display());
            let hint = "give the file that the sheets were made from, and the same --dataset";
            return Err(Complaint::input(message).hint(hint).into());
        }
    }
    let review = review(&demonstrations, &first, &second, &labels);
    shell.printer.result(&review)?;
    write_jsonl(&args.out, review.kept.iter().map(|place| &demonstrations[*place]))?;
    shell.printer.say(format_args!("{}: {} demonstrations", args.out.display(), review.kept.len()));
    if let Some(per_label) = args.per_label {
        let short = review.short(per_label);
        let words: Vec<String> =
            short.iter().map(|(label, count)| format!("--want {label}={count}")).collect();
        let text =
            if words.is_empty() { "no label is missing utterances".to_owned() } else { words.join(" ") };
        shell.printer.result(format_args!("for the next round: {text}"))?;
    }
    Ok(Exit::Done)
}

fn annotate(args: &AnnotateArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let labels = label_set(&args.label_set)?;
    if labels.len() > KEYS.len() {
        let hint = "fill in the sheet with an editor";
        let message = format!("{} labels, but there are not as many keys", labels.len());
        return Err(Complaint::usage(message).hint(hint).into());
    }
    // What is there is checked before anybody works on it.
    read_annotations(&args.sheet, &labels)?;
    let mut rows = read_sheet(&args.sheet)?;
    let terminal = std::io::stdin().is_terminal().then(Term::stdout);
    let mut at = next_open(&rows, 0);
    while let Some(place) = at {
        let done = rows.iter().filter(|row| !row.label.is_empty()).count();
        shell.printer.result(format_args!(
            "\n[{done} of {} labelled]\n{}",
            rows.len(),
            shown(&rows[place], &labels)
        ))?;
        let Some(key) = key(terminal.as_ref())? else { break };
        at = match press(&mut rows, place, key, &labels) {
            Press::Quit => break,
            Press::Move(next) => next,
            Press::Write(next) => {
                write_jsonl(&args.sheet, &rows)?;
                next
            }
            Press::Nothing => {
                shell.printer.say(format_args!("no label has the key {key:?}"));
                at
            }
        };
    }
    let open = rows.iter().filter(|row| row.label.is_empty()).count();
    shell.printer.say(format_args!("{}: {} labelled, {open} open", args.sheet.display(), rows.len() - open));
    Ok(Exit::Done)
}

/// What a key does; the place is that of the row to show next.
enum Press {
    Quit,
    Move(Option<usize>),
    /// The rows have changed.
    Write(Option<usize>),
    Nothing,
}

fn press(rows: &mut [SheetRow], place: usize, key: char, labels: &LabelSet) -> Press {
    match key {
        'q' => Press::Quit,
        's' => Press::Move(next_open(rows, place + 1)),
        'b' => match rows[..place].iter().rposition(|row| !row.label.is_empty()) {
            Some(before) => {
                rows[before].label.clear();
                Press::Write(Some(before))
            }
            None => Press::Move(Some(place)),
        },
        key => {
            let name = KEYS.chars().zip(labels.names()).find(|(one, _)| *one == key).map(|(_, name)| name);
            let Some(name) = name else { return Press::Nothing };
            rows[place].label.clone_from(name);
            Press::Write(next_open(rows, place + 1))
        }
    }
}

fn next_open(rows: &[SheetRow], from: usize) -> Option<usize> {
    (from..rows.len()).find(|place| rows[*place].label.is_empty())
}

/// An utterance with what was said before it, and the keys.
fn shown(row: &SheetRow, labels: &LabelSet) -> String {
    let mut lines: Vec<String> = row.context.iter().map(|said| format!("    {said}")).collect();
    lines.push(format!("  > {}: {}", row.speaker, row.text));
    let keys = KEYS.chars().zip(labels.names()).map(|(key, label)| format!("{key} {label}"));
    lines.push(format!("  {}   b back  s skip  q quit", keys.collect::<Vec<_>>().join("  ")));
    lines.join("\n")
}

/// The next key: of a terminal at once, of other input the first letter of a line; `None` at its end.
fn key(terminal: Option<&Term>) -> anyhow::Result<Option<char>> {
    if let Some(terminal) = terminal {
        return Ok(Some(terminal.read_char()?.to_ascii_lowercase()));
    }
    let mut line = String::new();
    loop {
        line.clear();
        if std::io::stdin().lock().read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if let Some(key) = line.trim().chars().next() {
            return Ok(Some(key.to_ascii_lowercase()));
        }
    }
}
