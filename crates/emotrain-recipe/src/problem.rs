//! Problems of a recipe: where, what, and how to fix them.

use std::fmt;
use std::path::PathBuf;

use emotrain_base::Advice;

/// The `file` of a [`Problem`] from a command-line override.
pub const OVERRIDE_FILE: &str = "--set";

/// One problem of a recipe.
///
/// Displayed as `file:line:column: message`, with the hint on its own line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key it is about, as `section.key`, if it is about one.
    pub key: Option<String>,
    /// The recipe file as it was named by the caller, a recipe that it extends, the curriculum file
    /// that it names, or [`OVERRIDE_FILE`].
    pub file: PathBuf,
    /// Line in the file, from 1, if the problem has a place there.
    pub line: Option<usize>,
    /// Column in the line, from 1, counted in characters.
    pub column: Option<usize>,
    /// The problem.
    pub message: String,
    /// What to write instead, if that is known.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Why a recipe is unusable.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read; the message names it.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// All problems of the recipe, in the order of the file; never empty.
    #[error("{}", listed(.0))]
    Problems(Vec<Problem>),
}

/// Whatever is wrong with a recipe is for its author to mend; the advice is in the text.
impl Advice for RecipeError {
    fn fault(&self) -> emotrain_base::Fault {
        emotrain_base::Fault::Usage
    }

    fn hint(&self) -> Option<String> {
        let Self::Read(error) = self else { return None };
        let is_missing = error.kind() == std::io::ErrorKind::NotFound;
        is_missing
            .then(|| "name a recipe, a TOML file; those that come with emotrain are in recipes/".to_owned())
    }
}

/// At most this many problems are told one by one.
const TOLD: usize = 20;

fn listed(problems: &[Problem]) -> String {
    let mut told: Vec<String> = problems.iter().take(TOLD).map(ToString::to_string).collect();
    if let Some(first) = problems.get(TOLD) {
        told.push(format!("{}: {} more problems", first.file.display(), problems.len() - TOLD));
    }
    told.join("\n")
}

/// A place in a recipe file, both numbers from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// The origin of a value or a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The default.
    Default,
    /// The recipe file.
    File(Position),
    /// A recipe that it extends: 0 = the one it names, 1 = the one that names, and so on.
    Base(usize, Position),
    /// The file that `curriculum.name` names.
    Curriculum(Position),
    /// A `--set` on the command line.
    Override,
}

impl Origin {
    /// Another place in the same file.
    pub(crate) fn at(self, position: Position) -> Self {
        match self {
            Self::File(_) => Self::File(position),
            Self::Base(number, _) => Self::Base(number, position),
            Self::Curriculum(_) => Self::Curriculum(position),
            Self::Default | Self::Override => self,
        }
    }
}

/// A problem without its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        self.maybe_hint(Some(hint.into()))
    }

    pub(crate) fn maybe_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }
}

/// Violated rules between keys: each with the keys (`section.key`) that disagree, the one to blame first.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<(Vec<String>, Fault)>);

impl Violations {
    pub(crate) fn add(&mut self, keys: &[&str], fault: Fault) {
        self.0.push((keys.iter().map(ToString::to_string).collect(), fault));
    }
}

impl IntoIterator for Violations {
    type Item = (Vec<String>, Fault);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Collects the problems of one recipe.
#[derive(Debug)]
pub(crate) struct Findings {
    file: PathBuf,
    /// The files of [`Origin::Base`].
    bases: Vec<PathBuf>,
    /// The file of [`Origin::Curriculum`].
    curriculum: PathBuf,
    problems: Vec<Problem>,
}

impl Findings {
    /// Starts empty; `file` is the name shown for problems in the recipe file.
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file, bases: Vec::new(), curriculum: PathBuf::new(), problems: Vec::new() }
    }

    /// Names a further recipe below those named so far.
    pub(crate) fn name_base(&mut self, file: PathBuf) {
        self.bases.push(file);
    }

    /// Names the curriculum file for problems in it.
    pub(crate) fn name_curriculum(&mut self, file: PathBuf) {
        self.curriculum = file;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn add(&mut self, origin: Origin, key: Option<&str>, fault: Fault) {
        let (file, position) = match origin {
            Origin::Default => (self.file.clone(), None),
            Origin::File(position) => (self.file.clone(), Some(position)),
            Origin::Base(number, position) => (self.bases[number].clone(), Some(position)),
            Origin::Curriculum(position) => (self.curriculum.clone(), Some(position)),
            Origin::Override => (PathBuf::from(OVERRIDE_FILE), None),
        };
        self.problems.push(Problem {
            key: key.map(str::to_owned),
            file,
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
            message: fault.message,
            hint: fault.hint,
        });
    }

    /// All problems: those with a place in the file by place, then the file's others, then those of the recipes it
    /// extends, then the curriculum file's, then the overrides'.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems;
        problems.sort_by_key(|problem| {
            let recipes = std::iter::once(&self.file).chain(&self.bases);
            let file = recipes.clone().position(|file| *file == problem.file).unwrap_or(recipes.count());
            (file, problem.line.is_none(), problem.line, problem.column)
        });
        problems
    }
}
