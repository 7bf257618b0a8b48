//! `emotrain init`: a recipe for a data file.

mod labels;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, create_folder, write_atomic};
use emotrain_data::{
    ColumnsOption, DataError, DataLayout, DataOptions, Label, LabelPolicy, LabelSet, OtherOrder, SPEAKER,
    Split, format_of, load_split, survey,
};
use emotrain_recipe::{ColumnRole, DataFormat};

use self::labels::Labels;
use self::text::{Draft, Splits};
use super::table_columns::{columns_table, without_recipe};
use crate::cli::InitArgs;
use crate::exit::Exit;
use crate::shell::{Shell, quoted};

/// Fewer dialogues are divided into two parts, and fewer still are not divided.
const THREE_PARTS: usize = 30;
const TWO_PARTS: usize = 5;

/// Runs the command.
///
/// # Errors
/// A file that cannot be read as dialogues with labels; a recipe that exists.
pub(crate) fn run(args: &InitArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let out = out(args)?;
    let given = columns(args)?;
    if !given.is_empty() {
        check_columns(&args.data, &given)?;
    }
    let found = survey(&args.data, &given).map_err(told)?;
    let labels = Labels::of(&found, &args.data)?;
    let layout = DataLayout { format: found.format, columns: &found.columns };
    let load = |path: &Path| load_split(path, layout, &labels.set, LabelPolicy::Context).map_err(told);
    let split = load(&args.data)?;
    for other in [&args.valid, &args.test].into_iter().flatten() {
        let missing = missing(&load(other)?, &labels.set);
        if !missing.is_empty() {
            let (other, missing) = (other.display(), missing.join(" or "));
            shell
                .printer
                .warn(format_args!("{other}: no utterance is labelled {missing}: it is not measured"));
        }
    }
    let draft = Draft {
        name: &out,
        base: &base(&args.base, &out)?,
        found: &found,
        labels: &labels,
        split: &split,
        splits: splits(args, split.dialogues.len(), &out)?,
    };
    write_atomic(&out, draft.to_toml().as_bytes())?;
    tell(args, &out, &draft, shell);
    Ok(Exit::Done)
}

/// Says what was found, what is doubtful of it, and what comes next.
fn tell(args: &InitArgs, out: &Path, draft: &Draft<'_>, shell: &Shell) {
    let Draft { found, labels, split, .. } = draft;
    let name = out.display();
    shell.printer.say(split.summary(&labels.set));
    if !found.columns.is_empty() {
        let pairs = found.columns.iter().map(|(role, column)| format!("{role} = {column:?}"));
        let read = pairs.collect::<Vec<_>>().join(", ");
        let what = if found.format.has_columns() { "columns" } else { "keys" };
        shell.printer.say(format_args!("{what} read: {read}; --columns names others"));
    }
    if found.format.has_columns() && !has_speakers(split) {
        shell.printer.warn(
            format_args!("no column of speakers was found: prompts say {SPEAKER:?} of everyone\n  hint: --columns speaker=… names it"),
        );
    }
    if let Some(column) = found.columns.get(&ColumnRole::Position) {
        shell.printer.say(format_args!("the rows of a dialogue are in the order of {column:?}"));
    }
    if let Some(column) = &split.other_order {
        let order = OtherOrder { path: &args.data, column };
        let table = order.table(&found.columns);
        shell.printer.warn(format_args!("{order}\n  hint: write columns = {table} under [data] if it is"));
    }
    if let Some(column) = &found.unread_time {
        shell.printer.warn(format_args!(
            "{column:?} looks like a time that is not read: the rows of a dialogue keep their order in the file\n  hint: if \
             they are in another order, write times as 2024-05-01 10:01 or 01.05.2024 10:01"
        ));
    }
    labels.unmeant.iter().for_each(|unmeant| shell.printer.warn(unmeant));
    labels.slips.iter().for_each(|slip| shell.printer.warn(slip));
    shell.printer.say(format_args!(
        "{name}: a recipe for {}; next: emotrain check {}",
        args.data.display(),
        quoted(&name.to_string())
    ));
}

/// The labels that no utterance of a split has.
fn missing<'l>(split: &Split, labels: &'l LabelSet) -> Vec<&'l str> {
    let utterances = split.dialogues.iter().flat_map(|dialogue| &dialogue.utterances);
    let is_there = |label: &Label| utterances.clone().any(|one| one.label == Some(*label));
    let missing = labels.iter().filter(|label| !is_there(label));
    missing.map(|label| labels.name(label)).collect()
}

/// Whether an utterance has a speaker of its own.
fn has_speakers(split: &Split) -> bool {
    split.dialogues.iter().flat_map(|dialogue| &dialogue.utterances).any(|one| one.speaker != SPEAKER)
}

/// What `--columns` says.
///
/// # Errors
/// What is no column of a table; a role that there is not.
fn columns(args: &InitArgs) -> anyhow::Result<BTreeMap<ColumnRole, String>> {
    let Some(columns) = columns_table(args.columns.as_deref())? else { return Ok(BTreeMap::new()) };
    let set = ["data.format=csv".to_owned(), format!("data.columns={columns}")];
    Ok(super::bank::recipe(&set)?.data.columns)
}

/// Refuses columns that a file of this form does not have.
fn check_columns(data: &Path, given: &BTreeMap<ColumnRole, String>) -> anyhow::Result<()> {
    let Some(format) = format_of(data).map_err(told)? else { return Ok(()) };
    // Other tables may have some of MELD's columns.
    if !format.is_own() && format != DataFormat::MeldCsv {
        let complaint = Complaint::usage(format!("--columns: {} is a published data set", data.display()));
        return Err(complaint.hint("its columns are known: leave --columns out").into());
    }
    if format.is_json_lines() && given.contains_key(&ColumnRole::Position) {
        let message = "--columns position=…: the utterances of JSON are in the order of their list";
        return Err(Complaint::usage(message).hint("leave it out").into());
    }
    Ok(())
}

/// What is wrong with a data file.
fn told(error: DataError) -> anyhow::Error {
    without_recipe(error, DataOptions { format: None, columns: ColumnsOption::Columns })
}

/// Where the recipe goes, which must be free.
fn out(args: &InitArgs) -> anyhow::Result<PathBuf> {
    let out = args.out.clone().unwrap_or_else(|| {
        let stem = args.data.file_stem().unwrap_or_default();
        Path::new(stem).with_extension("toml")
    });
    if out.exists() {
        let complaint = Complaint::usage(format!("{}: exists already", out.display()));
        return Err(complaint.hint("name another recipe with --out, or remove this one").into());
    }
    if let Some(folder) = out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        create_folder(folder)?;
    }
    Ok(out)
}

/// How the data is divided.
fn splits(args: &InitArgs, dialogues: usize, out: &Path) -> anyhow::Result<Splits> {
    let train = beside(&args.data, out)?;
    Ok(match (&args.valid, &args.test) {
        (Some(valid), test) => Splits::Files {
            train,
            valid: beside(valid, out)?,
            test: test.as_ref().map(|test| beside(test, out)).transpose()?,
        },
        (None, _) if dialogues >= THREE_PARTS => Splits::Shares(train, &[0.8, 0.1, 0.1]),
        (None, _) if dialogues >= TWO_PARTS => Splits::Shares(train, &[0.8, 0.2]),
        (None, _) => Splits::One(train),
    })
}

/// The base model as the recipe names it: a path that exists is relative to the recipe.
fn base(base: &str, out: &Path) -> anyhow::Result<String> {
    let path = Path::new(base);
    if !path.exists() {
        return Ok(base.to_owned());
    }
    let named = beside(path, out)?;
    let is_plain = path.is_absolute() || named.starts_with("./") || named.starts_with("../");
    Ok(if is_plain { named } else { format!("./{named}") })
}

/// The path of a file as it is written in the recipe.
///
/// # Errors
/// A name that is not UTF-8; a folder that does not exist.
fn beside(file: &Path, out: &Path) -> anyhow::Result<String> {
    let path = if file.is_absolute() {
        file.to_path_buf()
    } else {
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        relative(&fs_err::canonicalize(file)?, &fs_err::canonicalize(folder)?)
    };
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Complaint::usage(format!("{}: a recipe names paths as UTF-8", path.display())).into())
}

/// The way from a folder to a file; both absolute.
fn relative(file: &Path, folder: &Path) -> PathBuf {
    let shared = file.components().zip(folder.components()).take_while(|(one, other)| one == other).count();
    let up = folder.components().skip(shared).map(|_| Path::new(".."));
    up.chain(file.components().skip(shared).map(|part| Path::new(part.as_os_str()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_from_the_recipe() {
        for (file, folder, way) in [
            ("/a/b/data.csv", "/a/b", "data.csv"),
            ("/a/data.csv", "/a/b/c", "../../data.csv"),
            ("/x/data.csv", "/a", "../x/data.csv"),
        ] {
            assert_eq!(relative(Path::new(file), Path::new(folder)), Path::new(way));
        }
    }
}
