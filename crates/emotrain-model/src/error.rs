//! The errors of this crate.

use std::path::{Path, PathBuf};

use emotrain_base::{Advice, Fault, WriteError};

/// What can be wrong with the files of a model, or with what a caller asks of them.
///
/// The message says where and what; advice, when there is any, is separate: [`ModelError::hint`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Reading failed; the inner error names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file that should hold JSON does not.
    #[error("{}: not valid JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column.
        source: serde_json::Error,
    },
    /// A model configuration that is incomplete, inconsistent or asks for what this crate does not compute.
    #[error("{}", lines(path, problems))]
    Config {
        /// The `config.json` or GGUF file.
        path: PathBuf,
        /// Every problem found, in the order of the file's keys.
        problems: Vec<ConfigProblem>,
    },
    /// A file or folder that is not what it should be.
    #[error("{}: {message}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// One tensor of a file is unusable.
    #[error("{}: tensor {name:?}: {message}", path.display())]
    Tensor {
        /// The file or folder.
        path: PathBuf,
        /// The tensor's name, as the file spells it.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// The model needs tensors that its files do not hold.
    #[error("{}: missing {}", path.display(), listed(names))]
    MissingTensors {
        /// The file or folder.
        path: PathBuf,
        /// All missing names, Hugging Face spelling.
        names: Vec<String>,
        /// Names in the files that the model has no place for; perhaps the same tensors.
        unknown: Vec<String>,
    },
    /// The files hold tensors that the model has no place for, or that nobody read.
    #[error("{}: unused {}", path.display(), listed(names))]
    UnusedTensors {
        /// The file or folder.
        path: PathBuf,
        /// All unused names, as the file spells them.
        names: Vec<String>,
    },
    /// A device that cannot be had, or not with the dtype asked for.
    #[error("{message}")]
    Device {
        /// What is wrong.
        message: String,
        /// What to do about it.
        hint: String,
    },
    /// A form of weights that the base does not have.
    #[error("{message}")]
    Storage {
        /// What is wrong.
        message: String,
        /// What to do about it.
        hint: String,
    },
    /// `target_modules` names a layer that the model does not have.
    #[error("target_modules: the model has no linear layer {name:?} (it has {})", known.join(", "))]
    UnknownTargetModule {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A key of [`LoraConfig`](crate::LoraConfig) that does not fit the model.
    #[error("{key}: {message}")]
    Lora {
        /// The key.
        key: &'static str,
        /// What is wrong.
        message: String,
    },
    /// Invalid generation parameters or prompts.
    #[error("{}", problems.join("\n"))]
    Generation {
        /// Every problem.
        problems: Vec<String>,
    },
    /// A logit that is NaN or infinite: the weights are damaged, or their dtype is too narrow.
    #[error("prompt {prompt}: the logits of token {position} of its answer are not finite ({value})")]
    NonFiniteLogits {
        /// The prompt, counted from 0.
        prompt: usize,
        /// The token of the answer, from 0.
        position: usize,
        /// One of them.
        value: f32,
    },
}

/// One thing wrong with a model configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The key, as the file spells it; a key inside an object is written `rope_scaling.factor`.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ModelError {
    /// Advice that goes with the message, when there is any; one line a piece of advice.
    pub fn hint(&self) -> Option<String> {
        if let Self::File { hint, .. } = self {
            return hint.clone();
        }
        if let Self::Device { hint, .. } | Self::Storage { hint, .. } = self {
            return Some(hint.clone());
        }
        if let Self::MissingTensors { unknown, .. } = self {
            let has_unknown = !unknown.is_empty();
            return has_unknown.then(|| format!("the model has no place for {}", listed(unknown)));
        }
        if let Self::Json { .. } = self {
            return Some("the file is damaged or was cut short: download it again".to_owned());
        }
        let Self::Config { problems, .. } = self else { return None };
        let mut hints: Vec<String> = Vec::new();
        for problem in problems {
            if let Some(hint) = &problem.hint
                && !hints.contains(hint)
            {
                hints.push(hint.clone());
            }
        }
        (!hints.is_empty()).then(|| hints.join("\n"))
    }

    /// A [`ModelError::File`] without a hint.
    pub(crate) fn file(path: &Path, message: impl Into<String>) -> Self {
        Self::File { path: path.to_path_buf(), message: message.into(), hint: None }
    }

    /// A [`ModelError::File`] with a hint.
    pub(crate) fn file_with_hint(path: &Path, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::File { path: path.to_path_buf(), message: message.into(), hint: Some(hint.into()) }
    }

    /// A [`ModelError::Tensor`].
    pub(crate) fn tensor(path: &Path, name: &str, message: impl Into<String>) -> Self {
        Self::Tensor { path: path.to_path_buf(), name: name.to_owned(), message: message.into() }
    }
}

impl Advice for ModelError {
    fn fault(&self) -> Fault {
        #[expect(clippy::wildcard_enum_match_arm, reason = "all others are about files and what they hold")]
        match self {
            Self::Write(error) => error.fault(),
            Self::Io(error) => error.fault(),
            _ => Fault::Input,
        }
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}

/// One line a problem, each with the file's name.
fn lines(path: &Path, problems: &[ConfigProblem]) -> String {
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}: {}: {}", path.display(), problem.key, problem.message))
        .collect();
    lines.join("\n")
}

/// `2 tensors: a, b`, cut after eight names.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let noun = if names.len() == 1 { "tensor" } else { "tensors" };
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let rest = names.len().saturating_sub(SHOWN);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{} {noun}: {shown}{more}", names.len())
}
