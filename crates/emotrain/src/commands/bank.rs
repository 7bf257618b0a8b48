//! `emotrain bank`: build, look over and search a demonstration bank.

mod generate;
mod review;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, Problems, limits};
use emotrain_data::{
    ColumnsOption, DataError, DataOptions, JsonRow, JsonlWriter, LabelPolicy, LabelSet, Origin, SplitKind,
    TextFile, load_split, mended,
};
use emotrain_hub::{TextEncoder, encoder_for_bank, encoder_for_new_vectors};
use emotrain_recipe::{DataFormat, DataSection, DeviceChoice, LabelSetName, Recipe, SearchIndex};
use emotrain_retrieval::{
    Bank, Builder, Built, Embedder, HeldOut, Hit, HnswParameters, Retriever, add_index, check, remove_index,
    stats,
};
use serde_json::{Value, json};

use super::curriculum::{format_of, labels_of};
use super::replaced::{Output, check_replaced};
use super::table_columns::{columns_table, without_recipe};
use crate::cli::{BankCheckArgs, BankCommand, BuildArgs, SearchArgs};
use crate::env;
use crate::exit::Exit;
use crate::shell::Shell;

/// Runs the command.
///
/// # Errors
/// An invalid bank or file.
pub(crate) fn run(command: &BankCommand, shell: &Shell) -> anyhow::Result<Exit> {
    match command {
        BankCommand::Build(args) => build(args, shell),
        BankCommand::Stats { bank } => {
            shell.printer.result(stats(&Bank::open(bank)?)?)?;
            Ok(Exit::Done)
        }
        BankCommand::Check(args) => check_bank(args, shell),
        BankCommand::Search(args) => search(args, shell),
        BankCommand::Generate(args) => generate::run(args, shell),
        BankCommand::Review { command } => review::run(command, shell),
    }
}

fn check_bank(args: &BankCheckArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let folder = &args.bank;
    // `check` reports a bank that does not open.
    let bank = Bank::open(folder).ok();
    let encoder = match &bank {
        Some(bank) => encoder_for_bank(bank, &args.encoder, &DeviceChoice::Auto, shell.hub())?,
        None => None,
    };
    drop(bank);
    let mut problems = Problems::default();
    for problem in check(folder, encoder.as_ref().map(|encoder| encoder as &dyn Embedder)) {
        problems.add(problem);
    }
    problems.finish()?;
    let count = Bank::open(folder)?.len();
    let by = encoder.map_or(String::new(), |encoder| format!(", with vectors of {}", encoder.identity()));
    shell.printer.result(format_args!("{}: sound, {count} demonstrations{by}", folder.display()))?;
    Ok(Exit::Done)
}

fn build(args: &BuildArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let held_out = if args.force_held_out { HeldOut::Force } else { HeldOut::Refuse };
    check_labels(args)?;
    if args.files.is_empty() {
        return index_alone(args, shell);
    }
    // Before it is asked whether there is a bank: a build may have been killed while it put another in its place.
    emotrain_base::recover(&args.bank)?;
    let there = args.bank.join("manifest.json").exists().then(|| Bank::open(&args.bank)).transpose()?;
    let encoder = encoder_for_new_vectors(there.as_ref(), &args.encoder, shell.hub())?;
    let mut builder = match &there {
        Some(bank) => Builder::with_bank(bank, held_out)?,
        None => Builder::new(held_out),
    };
    drop(there);
    if args.index.is_some() {
        builder.set_index(index(args));
    }
    for path in &args.files {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let of_name = stem.split(['.', '_']).next().unwrap_or_default();
        let origin = Origin {
            dataset: args.dataset.as_deref().unwrap_or(of_name),
            split: SplitKind::of_file_name(path).unwrap_or(SplitKind::Train),
            domain: args.domain.as_deref(),
        };
        let added = match format(args, path) {
            Format::Lines => builder.add_jsonl(path, origin)?,
            Format::List => builder.add_prc_demonstrations(path, origin)?,
            Format::Of(format) => {
                let data = data(args, format, path)?;
                let labels =
                    LabelSet::from_section(&data).map_err(|error| Complaint::usage(error.to_string()))?;
                let split = load_split(path, &data, &labels, LabelPolicy::Context);
                let split = split.map_err(|error| without_recipe(error, OPTIONS))?;
                builder.add_split(&split, &labels, origin)?
            }
        };
        shell.printer.say(format_args!(
            "{}: {} demonstrations added as {}, {} were there already",
            path.display(),
            added.added,
            origin.dataset,
            added.known
        ));
    }
    let built = write(builder, &args.bank, encoder.as_ref(), shell)?;
    shell.printer.say(format_args!("{}: {} demonstrations", args.bank.display(), built.count));
    Ok(Exit::Done)
}

/// What this command calls keys of a recipe.
const OPTIONS: DataOptions = DataOptions { format: Some("--format"), columns: ColumnsOption::Columns };

/// The index that the command line asks for.
fn index(args: &BuildArgs) -> Option<HnswParameters> {
    let parameters = HnswParameters { m: args.m, ef_construction: args.ef_construction };
    (args.index.as_deref() == Some(SearchIndex::Hnsw.as_str())).then_some(parameters)
}

/// Gives a bank an index, or takes it away, and leaves the rest as it is.
fn index_alone(args: &BuildArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let bank = &args.bank;
    let Some(parameters) = index(args) else {
        remove_index(bank)?;
        shell.printer.say(format_args!("{}: no index", bank.display()));
        return Ok(Exit::Done);
    };
    let texts = add_index(bank, parameters, &mut |_, _| {})?;
    let HnswParameters { m, ef_construction } = parameters;
    shell.printer.say(format_args!(
        "{}: an index of {texts} different texts (HNSW, m {m}, ef_construction {ef_construction})",
        bank.display()
    ));
    Ok(Exit::Done)
}

/// Writes a bank, with a bar over the texts that are encoded.
fn write(
    builder: Builder,
    folder: &Path,
    encoder: Option<&TextEncoder>,
    shell: &Shell,
) -> anyhow::Result<Built> {
    let Some(encoder) = encoder else { return Ok(builder.write(folder, None, &mut |_| {})?) };
    let begin = env::now();
    let bar = shell.printer.counter("encoding", 0);
    let mut end = None;
    let built = builder.write(folder, Some(encoder), &mut |progress| {
        if end.is_none() {
            bar.start(progress.texts);
        }
        bar.set(progress.done);
        end = Some(env::now());
    })?;
    bar.finish();
    let (took, name) = (end.unwrap_or(begin) - begin, encoder.name());
    shell.printer.say(format_args!(
        "{} texts encoded by {name} in {took:.1} s, {} were there already",
        built.encoded, built.reused
    ));
    Ok(built)
}

/// How a file of a build is read.
enum Format {
    /// Our own JSON lines: demonstrations or dialogues.
    Lines,
    /// The list of demonstrations that PRC-Emo publishes.
    List,
    /// A data set's.
    Of(DataFormat),
}

fn format(args: &BuildArgs, path: &Path) -> Format {
    let named = args.format.as_deref().and_then(|name| {
        let formats = [
            DataFormat::Csv,
            DataFormat::Tsv,
            DataFormat::Chat,
            DataFormat::MeldCsv,
            DataFormat::PrcJson,
            DataFormat::Emorynlp,
            DataFormat::Dailydialog,
            DataFormat::Jsonl,
        ];
        formats.into_iter().find(|format| format.as_str() == name)
    });
    // A table or a chat of one's own, as it looks.
    let looks = || {
        let looks = emotrain_data::format_of(path).ok().flatten();
        looks.filter(|looks| matches!(looks, DataFormat::Csv | DataFormat::Tsv | DataFormat::Chat))
    };
    match named.or_else(looks).unwrap_or_else(|| format_of(path)) {
        // Dialogues whose keys are named are no lines of a bank.
        DataFormat::Jsonl if args.columns.is_some() => Format::Of(DataFormat::Jsonl),
        DataFormat::Jsonl | DataFormat::Text => Format::Lines,
        DataFormat::PrcJson if is_list(path) => Format::List,
        format @ (DataFormat::Csv
        | DataFormat::Tsv
        | DataFormat::Chat
        | DataFormat::MeldCsv
        | DataFormat::PrcJson
        | DataFormat::Emorynlp
        | DataFormat::Dailydialog) => Format::Of(format),
    }
}

fn is_list(path: &Path) -> bool {
    emotrain_base::read_to_string(path, limits::DOCUMENT)
        .is_ok_and(|text| text.trim_start_matches('\u{feff}').trim_start().starts_with('['))
}

/// Refuses labels of the command line that are no set, whether a file needs them or not.
fn check_labels(args: &BuildArgs) -> anyhow::Result<()> {
    if !args.labels.is_empty() {
        recipe(&[
            format!("data.label_set={:?}", LabelSetName::Custom.as_str()),
            format!("data.labels={:?}", args.labels),
        ])?;
    }
    Ok(())
}

/// What the command line says of a file's format, columns and labels.
fn data(args: &BuildArgs, format: DataFormat, path: &Path) -> anyhow::Result<DataSection> {
    let (own, given) = (LabelSetName::Custom.as_str(), args.label_set.as_deref());
    let given = given.or((!args.labels.is_empty()).then_some(own));
    let name = given.unwrap_or_else(|| labels_of(format.as_str(), path).as_str());
    let mut set = vec![format!("data.format={format}"), format!("data.label_set={name:?}")];
    if name == own {
        set.push(format!("data.labels={:?}", args.labels));
    }
    if let Some(columns) = columns_table(args.columns.as_deref())? {
        set.push(format!("data.columns={columns}"));
    }
    Ok(recipe(&set)?.data)
}

/// The defaults with some keys set, so that keys and their errors are those of recipes.
pub(super) fn recipe(set: &[String]) -> anyhow::Result<Recipe> {
    let text = "[model]\nmodel_name_or_path = \"none\"\n[data]\ntrain = \"none\"\n\
                [eval]\nload_best_model_at_end = false\nbaseline = false\n";
    Ok(emotrain_recipe::parse(text, Path::new("command line"), set)?)
}

/// A line of a file of queries.
struct Query {
    id: String,
    text: String,
}

impl Query {
    fn read(row: Result<JsonRow<'_>, DataError>) -> Result<Self, DataError> {
        let mut row = row?;
        let query = Self { id: row.name("id")?, text: row.text("text")? };
        row.finish(&["id", "text"]).map(|()| query)
    }
}

fn search(args: &SearchArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let recipe = recipe(&[
        format!("retrieval.k={}", args.top_k),
        "retrieval.exclude_same_text=false".to_owned(),
        format!("retrieval.encoder={:?}", args.encoder),
        format!("retrieval.index={:?}", args.index),
    ])?;
    if let Some(out) = &args.out {
        let queries = args.queries.iter().map(PathBuf::as_path);
        check_replaced(out, Output::NEIGHBOURS, &queries.collect::<Vec<_>>())?;
    }
    let bank = Bank::open(&args.bank)?;
    let encoder = encoder_for_bank(&bank, &args.encoder, &DeviceChoice::Auto, shell.hub())?;
    let retriever =
        Retriever::new(&bank, &recipe.retrieval, encoder.as_ref().map(|encoder| encoder as &dyn Embedder))?;
    shell.printer.say(retriever.engine());
    let Some(path) = &args.queries else {
        let text = mended(args.text.as_deref().unwrap_or_default());
        let hits = retriever.for_texts(&[text.as_ref()])?;
        for (found, score) in retriever.neighbours(&hits[0])? {
            let id = found.id().to_string();
            shell.printer.result(format_args!("{score:.4}  {:<9} {}  ({id})", found.label, found.text))?;
        }
        return Ok(Exit::Done);
    };
    let file = TextFile::read_rows(path)?;
    let queries: Vec<Query> = file.rows("`id` and `text`").map(Query::read).collect::<Result<_, _>>()?;
    if queries.is_empty() {
        let message = format!("{}: contains no queries", path.display());
        return Err(Complaint::input(message).hint("a line is {\"id\": \"…\", \"text\": \"…\"}").into());
    }
    let texts: Vec<Cow<str>> = queries.iter().map(|query| mended(&query.text)).collect();
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    let hits = retriever.for_texts(&texts)?;
    let row = |query: &Query, hits: &[Hit]| -> anyhow::Result<Value> {
        let neighbours = retriever.neighbours(hits)?.into_iter().map(|(found, score)| {
            json!({
                "dataset": found.dataset, "split": found.split, "dialogue": found.dialogue,
                "position": found.position, "text": found.text, "label": found.label, "score": score,
            })
        });
        Ok(json!({ "id": query.id, "neighbours": neighbours.collect::<Vec<_>>() }))
    };
    let Some(out) = &args.out else {
        for (query, hits) in queries.iter().zip(&hits) {
            shell.printer.result(row(query, hits)?)?;
        }
        return Ok(Exit::Done);
    };
    let mut to = JsonlWriter::create(out)?;
    for (query, hits) in queries.iter().zip(&hits) {
        to.write(&row(query, hits)?)?;
    }
    Ok(to.finish().map(|()| Exit::Done)?)
}
