//! From the sources of a recipe to the folders that are to be filled.

use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, Problems};
use emotrain_prompt::Query;
use emotrain_recipe::{Availability, KnowledgeSection, Recipe};

use crate::error::AskError;

/// A folder and what fills it.
pub(super) struct Task {
    /// The path of its sources.
    pub(super) folder: PathBuf,
    /// The query's name, or the name of its file.
    pub(super) name: String,
    /// What is asked.
    pub(super) query: Query,
    /// As the recipe names the query.
    written: String,
}

/// The tasks of a recipe: sources of one path are one task.
///
/// # Errors
/// All sources that no query can fill as they are; a recipe without a source to fill.
pub(super) fn tasks(recipe: &Recipe) -> Result<Vec<Task>, AskError> {
    let mut problems = Problems::default();
    let mut tasks: Vec<Task> = Vec::new();
    for source in &recipe.knowledge {
        let Some(query) = source.query.as_deref() else { continue };
        problems.take(add(&mut tasks, source, query));
    }
    problems.finish()?;
    if tasks.is_empty() {
        let hint = "give a [[knowledge]] table a query, such as query = \"interpretation\"";
        return Err(Complaint::usage("no knowledge source of the recipe has a query").hint(hint).into());
    }
    Ok(tasks)
}

fn add(tasks: &mut Vec<Task>, source: &KnowledgeSection, query: &str) -> Result<(), AskError> {
    let KnowledgeSection { name, path, .. } = source;
    let complain = |message: &str, hint: String| {
        let complaint = Complaint::usage(format!("knowledge source \"{name}\": {message}"));
        AskError::from(complaint.hint(hint))
    };
    let is_file = path.extension().is_some_and(|extension| extension == "json" || extension == "jsonl");
    if is_file || path.to_string_lossy().contains(KnowledgeSection::SPLIT) || path.is_file() {
        let hint = format!(
            "write the path of a folder without {}: it holds a file for each split",
            KnowledgeSection::SPLIT
        );
        return Err(complain("a source with a query has a folder as its path", hint));
    }
    if let Some(task) = tasks.iter().find(|task| task.folder == *path) {
        if task.written != query {
            let hint = "give each query a folder of its own".to_owned();
            return Err(complain("another source has the same path and another query", hint));
        }
    } else {
        let found = Query::find(query)?;
        let stem = Path::new(query).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        tasks.push(Task { folder: path.clone(), name: stem, query: found, written: query.to_owned() });
    }
    let Some(Task { query, name: asked, .. }) = tasks.iter().find(|task| task.folder == *path) else {
        return Ok(());
    };
    if query.level() != source.level {
        let hint = format!("write level = \"{}\"", query.level());
        return Err(complain(&format!("the query \"{asked}\" asks about each {}", query.level()), hint));
    }
    if source.availability == Availability::Online && query.availability() == Availability::Offline {
        let hint = "remove availability".to_owned();
        return Err(complain(
            &format!("the query \"{asked}\" sees the whole dialogue, which is not online"),
            hint,
        ));
    }
    let key = source.field.as_deref().unwrap_or(name);
    if !query.keys().iter().any(|known| known == key || source.field.is_none() && known == "text") {
        let keys: Vec<String> = query.keys().iter().map(|key| format!("\"{key}\"")).collect();
        let hint = format!("write field = {}", keys.join(" or field = "));
        return Err(complain(&format!("the query \"{asked}\" has no key \"{key}\""), hint));
    }
    Ok(())
}
