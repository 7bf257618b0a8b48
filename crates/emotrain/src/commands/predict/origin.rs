//! What answers are made from, so that a file is gone on with only by the same.

use std::fmt::Write as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use emotrain_base::{FileOrigin, MANIFEST, limits, read_to_string, sha256_hex};
use emotrain_eval::AnswerFormat;
use emotrain_prepare::Opened;
use emotrain_prompt::PromptContract;
use serde_json::json;

use super::source::Source;
use crate::cli::PredictArgs;

/// What answers are made from, by name.
///
/// # Errors
/// Files that cannot be read.
pub(super) fn of(
    source: &Source,
    opened: &Opened<'_>,
    contract: Option<&PromptContract>,
    args: &PredictArgs,
) -> anyhow::Result<FileOrigin> {
    let Source { recipe, trained, .. } = source;
    let base = opened.base.named();
    let manifest = trained.folder().join(MANIFEST);
    let model = match read_to_string(&manifest, limits::CONFIG) {
        Ok(text) => sha256_hex(text.as_bytes()),
        Err(_) => listed(trained.place())?,
    };
    let files = Path::new(base.name);
    let weights = if files.exists() { listed(files)? } else { String::new() };
    let formats = json!([args.output_format.map(AnswerFormat::as_str), args.top_k, args.threshold]);
    let retrieval = json!([recipe.retrieval, recipe.knowledge]);
    let numbers = json!([recipe.model.dtype, recipe.quantization]);
    let settings = json!([recipe.eval.output_type, recipe.eval.bf16_full_eval, numbers]);
    let digest = |text: String| sha256_hex(text.as_bytes());
    let named = |name: &str, value: String| (name.to_owned(), value);
    Ok(vec![
        named("program", env!("CARGO_PKG_VERSION").to_owned()),
        named("adapter or model", model),
        named("base model", digest(format!("{} {:?} {weights}", base.name, base.revision))),
        named("prompt", digest(json!(contract).to_string())),
        named("source of knowledge or demonstrations", digest(retrieval.to_string())),
        named("precision or way of answering", digest(settings.to_string())),
        named("--top-k, --threshold or output format", formats.to_string()),
    ])
}

/// The names, sizes and times of the files in a folder, or of a file.
fn listed(place: &Path) -> anyhow::Result<String> {
    let mut files = Vec::new();
    if place.is_dir() {
        for entry in fs_err::read_dir(place)? {
            files.push(entry?.path());
        }
    } else {
        files.push(place.to_owned());
    }
    files.sort();
    let mut text = String::new();
    for file in files {
        let about = fs_err::metadata(&file)?;
        let time = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let _ = writeln!(text, "{name} {} {time:?}", about.len()); // a String takes all
    }
    Ok(sha256_hex(text.as_bytes()))
}
