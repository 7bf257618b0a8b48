//! `extends = "base.toml"`: recipes below the one that is read.

use std::path::{Path, PathBuf};

use toml::Value;

use crate::file;
use crate::path::joined;
use crate::places::Places;
use crate::problem::{Fault, Findings, Origin, Position};
use crate::raw::{RawKey, RawRecipe, RawValue};
use crate::section::EXTENDS;
use crate::syntax;

/// The most recipes that one recipe may stand on.
const MOST: usize = 64;

/// A recipe and those it extends, the recipe itself first.
#[derive(Debug)]
pub(crate) struct Layers {
    pub(crate) recipes: Vec<RawRecipe>,
    /// Whether all exist and are valid TOML throughout.
    pub(crate) are_whole: bool,
}

impl Origin {
    /// A place in the recipe with this index; 0 is the one that is read.
    pub(crate) fn of(layer: usize, at: Position) -> Self {
        layer.checked_sub(1).map_or(Self::File(at), |base| Self::Base(base, at))
    }

    /// The index of its recipe.
    pub(crate) fn layer(self) -> Option<usize> {
        match self {
            Self::File(_) => Some(0),
            Self::Base(base, _) => Some(base + 1),
            Self::Default | Self::Curriculum(_) | Self::Override => None,
        }
    }
}

impl Layers {
    /// Reads the text of the recipe `file` and the files it extends, which are registered in `places` and `findings`. A
    /// recipe that cannot be read, that extends itself, or that stands on too many others, ends the
    /// chain with a problem.
    pub(crate) fn read(text: &str, file: &Path, places: &mut Places, findings: &mut Findings) -> Self {
        let mut layers = Self { recipes: Vec::new(), are_whole: true };
        let mut chain = vec![Link { shown: file.to_path_buf(), place: places.recipe.join(file_name(file)) }];
        let mut next = layers.push(text, findings);
        while let Some(key) = next.take() {
            let above = layers.recipes.len() - 1;
            match below(&key, &chain) {
                Ok((link, text)) => {
                    places.bases.push(link.place.parent().map(Path::to_path_buf).unwrap_or_default());
                    findings.name_base(link.shown.clone());
                    chain.push(link);
                    next = layers.push(&text, findings);
                }
                Err(Some(fault)) => {
                    layers.are_whole = false;
                    findings.add(Origin::of(above, key.value_at), Some(EXTENDS), fault);
                }
                Err(None) => {}
            }
        }
        layers
    }

    /// Adds a recipe and returns the path of the one below it.
    fn push(&mut self, text: &str, findings: &mut Findings) -> Option<RawKey> {
        let mut raw = RawRecipe::parse(text);
        if let Some(told) = other_language(&raw, text).filter(|_| self.recipes.is_empty()) {
            // Once, in the place of what each line lacks.
            raw = RawRecipe { syntax: vec![told], ..RawRecipe::default() };
        }
        for (at, fault) in std::mem::take(&mut raw.syntax) {
            self.are_whole = false;
            // Another file's contents may be private.
            let is_shown = self.recipes.is_empty() || raw.is_key(at.line, text);
            let fault = if is_shown { fault } else { Fault::new("not valid TOML") };
            findings.add(Origin::of(self.recipes.len(), at), None, fault);
        }
        let extends = raw.extends.take();
        self.recipes.push(raw);
        extends
    }
}

/// The first line that shows that a text is of another language, and which.
fn other_language(raw: &RawRecipe, text: &str) -> Option<(Position, Fault)> {
    let told =
        |(at, _): &(Position, Fault)| Some((*at, syntax::other_language(text.lines().nth(at.line - 1)?)?));
    raw.is_foreign().then(|| raw.syntax.iter().find_map(told)).flatten()
}

/// A recipe of the chain.
struct Link {
    /// Its name in problems.
    shown: PathBuf,
    /// Its path.
    place: PathBuf,
}

/// The recipe that the last one of `chain` extends, with its text.
///
/// # Errors
///
/// The problem with the name or the file; `None` if it extends nothing, or if that was reported already.
fn below(key: &RawKey, chain: &[Link]) -> Result<(Link, String), Option<Fault>> {
    let written = match &key.value {
        RawValue::Plain(Value::String(text)) if !text.is_empty() => text,
        RawValue::Plain(Value::String(_)) | RawValue::Damaged => return Err(None),
        RawValue::Plain(_) | RawValue::Unfit(_) => {
            let fault = Fault::new(format!("{EXTENDS} must be the path of a recipe"));
            return Err(Some(fault.hint(format!("write {EXTENDS} = \"base.toml\""))));
        }
    };
    let relative_to = |path: &Path| joined(path.parent().unwrap_or(Path::new("")), Path::new(written));
    let last = &chain[chain.len() - 1];
    let link = Link { shown: relative_to(&last.shown), place: relative_to(&last.place) };
    let same = |one: &Path, other: &Path| match (fs_err::canonicalize(one), fs_err::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    };
    if let Some(start) = chain.iter().position(|earlier| same(&earlier.place, &link.place)) {
        let round = chain[start..].iter().chain([&link]);
        let round: Vec<_> = round.map(|link| link.shown.display().to_string()).collect();
        let fault = Fault::new(format!("a recipe extends itself: {}", round.join(" → ")));
        return Err(Some(fault.hint(format!("remove one {EXTENDS}"))));
    }
    if chain.len() > MOST {
        let message = format!("{EXTENDS}: {} is more than {MOST} recipes below", link.shown.display());
        return Err(Some(Fault::new(message).hint("write what several of them have in common in one file")));
    }
    let unread = |message: String| Some(Fault::new(format!("{EXTENDS}: {message}")));
    let text = file::text(&link.place).map_err(unread)?;
    let raw = RawRecipe::parse(&text);
    if raw.is_foreign() {
        let line = raw.syntax.iter().map(|(at, _)| at.line).min();
        let line = line.map(|line| format!(" (line {line} is not valid TOML)"));
        let (file, line) = (link.shown.display(), line.unwrap_or_default());
        let fault = Fault::new(format!("{EXTENDS}: {file} is not a recipe: it has no recipe section{line}"));
        return Err(Some(fault.hint("name a recipe, or remove the line")));
    }
    Ok((link, text))
}

fn file_name(file: &Path) -> &Path {
    file.file_name().map_or(Path::new(""), Path::new)
}
