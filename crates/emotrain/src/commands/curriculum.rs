//! `emotrain curriculum show` and `score`: what a curriculum does, before anything is trained.

use std::path::Path;

use emotrain_base::{Complaint, limits, write_atomic};
use emotrain_curriculum::{Curriculum, DifficultySource, Overview, source, write_scores};
use emotrain_data::{DataInput, DialogueReader, JsonlWriter, LabelPolicy, LabelSet, SplitKind, load_split};
use emotrain_prepare::{Content, Ordered, kept_losses};
use emotrain_recipe::{DataFormat, LabelSetName, Recipe};

use super::replaced::{Output, check_replaced};
use crate::cli::{CurriculumCommand, ScoreArgs, ShowArgs};
use crate::exit::Exit;
use crate::shell::Shell;

/// Runs the command.
///
/// # Errors
/// An invalid recipe, curriculum or file.
pub(crate) fn run(command: &CurriculumCommand, shell: &Shell) -> anyhow::Result<Exit> {
    match command {
        CurriculumCommand::Show(args) => show(args, shell),
        CurriculumCommand::Score(args) => score(args, shell),
    }
}

fn show(args: &ShowArgs, shell: &Shell) -> anyhow::Result<Exit> {
    if let Some(path) = &args.svg {
        check_replaced(path, Output::HISTOGRAM, &[&args.recipe.recipe])?;
    }
    let recipe = emotrain_recipe::load(&args.recipe.recipe, &args.recipe.set)?;
    let labels = label_set(&recipe)?;
    let Content::Dialogues(split) = Content::read(&recipe.data, &labels, SplitKind::Train)? else {
        return Err(Complaint::usage("data.format = \"text\": plain text has no dialogues to order").into());
    };
    let losses = kept_losses(&recipe.train.output_dir)?;
    if source(&recipe.curriculum) == DifficultySource::Loss && losses.is_none() {
        let message = "curriculum.difficulty = \"loss\": the base model's losses have not been measured";
        let hint = format!(
            "a run measures them when it starts and saves them in {}",
            recipe.train.output_dir.display()
        );
        return Err(Complaint::usage(message).hint(hint).into());
    }
    let mut scorer = Ordered::new(&recipe, &labels).scorer(&split.dialogues, losses.as_ref())?;
    let curriculum = Curriculum::new(&recipe.curriculum, &mut scorer, &split.dialogues)?;
    let (section, epochs) = (&recipe.curriculum, recipe.train.num_train_epochs);
    let overview = Overview::new(section, &curriculum, &split.dialogues, &scorer, epochs);
    shell.printer.result(&overview)?;
    if let Some(path) = &args.svg {
        write_atomic(path, overview.svg().as_bytes())?;
        shell.printer.say(format_args!("the histogram is in {}", path.display()));
    }
    Ok(Exit::Done)
}

fn score(args: &ScoreArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let recipe = recipe_of(args)?;
    let labels = label_set(&recipe)?;
    if source(&recipe.curriculum) == DifficultySource::Loss {
        let message = "curriculum.difficulty = \"loss\": there is no model here to measure the loss of";
        return Err(Complaint::usage(message).hint("name another curriculum").into());
    }
    check_replaced(&args.out, Output::SCORES, &[&args.data])?;
    let mut to = JsonlWriter::create(&args.out)?;
    let ordered = Ordered::new(&recipe, &labels);
    let count = if DialogueReader::reads(recipe.data.format) {
        let mut scorer = ordered.scorer(&[], None)?;
        let (input, policy) = (DataInput::File(&args.data), LabelPolicy::Context);
        write_scores(&mut scorer, DialogueReader::open(input, &recipe.data, &labels, policy)?, &mut to)?
    } else {
        let split = load_split(&args.data, &recipe.data, &labels, LabelPolicy::Context)?;
        let mut scorer = ordered.scorer(&split.dialogues, None)?;
        write_scores(&mut scorer, split.dialogues.into_iter().map(Ok), &mut to)?
    };
    if count == 0 {
        return Err(Complaint::input(format!("{}: contains no dialogues", args.data.display())).into());
    }
    to.finish()?;
    let (out, labels) = (args.out.display(), recipe.data.label_set.as_str());
    shell.printer.say(format_args!("{out}: the scores of {count} dialogues, with the labels of {labels}"));
    Ok(Exit::Done)
}

fn label_set(recipe: &Recipe) -> anyhow::Result<LabelSet> {
    LabelSet::from_section(&recipe.data).map_err(|error| Complaint::usage(error.to_string()).into())
}

/// What the command line says, as a recipe: so that curricula, keys and their errors are the same.
fn recipe_of(args: &ScoreArgs) -> anyhow::Result<Recipe> {
    let text = "[model]\nmodel_name_or_path = \"none\"\n[data]\ntrain = \"none\"\n\
                [eval]\nload_best_model_at_end = false\nbaseline = false\n[train]\nnum_train_epochs = 1000\n";
    let format = args.format.clone().unwrap_or_else(|| format_of(&args.data).as_str().to_owned());
    let labels = args.label_set.as_deref().unwrap_or_else(|| labels_of(&format, &args.data).as_str());
    let said =
        [("data.format", format.as_str()), ("data.label_set", labels), ("curriculum.name", &args.curriculum)];
    let mut set: Vec<String> = said.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
    set.extend(args.set.iter().cloned());
    Ok(emotrain_recipe::parse(text, Path::new("command line"), &set)?)
}

/// The format that a file's name speaks of. JSON is EmoryNLP's own where it has episodes, and so is CSV with scenes.
pub(super) fn format_of(path: &Path) -> DataFormat {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let holds =
        |word| emotrain_base::read_to_string(path, limits::DOCUMENT).is_ok_and(|text| text.contains(word));
    let has_episodes = || holds("\"episodes\"");
    let has_scenes = || holds("Scene_ID");
    match extension.as_str() {
        "csv" if has_scenes() => DataFormat::Emorynlp,
        "csv" => DataFormat::MeldCsv,
        "json" if has_episodes() => DataFormat::Emorynlp,
        "json" => DataFormat::PrcJson,
        "txt" => DataFormat::Dailydialog,
        _ if path.is_dir() => DataFormat::Dailydialog,
        _ => DataFormat::Jsonl,
    }
}

/// The labels that a data set's own format speaks of; only IEMOCAP's dialogues are named by its sessions.
pub(super) fn labels_of(format: &str, path: &Path) -> LabelSetName {
    let is = |other: DataFormat| format == other.as_str();
    let has_sessions =
        || emotrain_base::read_to_string(path, limits::DOCUMENT).is_ok_and(|text| text.contains("\"Ses0"));
    if is(DataFormat::Emorynlp) {
        LabelSetName::Emorynlp
    } else if is(DataFormat::Dailydialog) {
        LabelSetName::Dailydialog
    } else if is(DataFormat::PrcJson) && has_sessions() {
        LabelSetName::Iemocap
    } else {
        LabelSetName::Meld
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_names() {
        for (name, format) in [
            ("a.jsonl", DataFormat::Jsonl),
            ("a.CSV", DataFormat::MeldCsv),
            ("a.json", DataFormat::PrcJson),
            ("dialogues_train.txt", DataFormat::Dailydialog),
        ] {
            assert_eq!(format_of(Path::new(name)), format, "{name}");
        }
    }
}
