//! Errors in templates, tokenizers and utterances, with their place.

use std::fmt;
use std::path::{Path, PathBuf};

use emotrain_base::{Advice, Fault};
use emotrain_data::UtteranceId;
use emotrain_recipe::StandIn;

use crate::budget::PromptLengths;

/// One problem of a template file. Displayed as `file:line: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateProblem {
    /// The file, or `built-in template`.
    pub origin: String,
    /// Counted from 1; `None` if something is missing.
    pub line: Option<usize>,
    /// The problem.
    pub message: String,
    /// The fix, if there is one to suggest.
    pub hint: Option<String>,
}

impl fmt::Display for TemplateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Why a prompt cannot be made. [`PromptError::hint`] says how to fix it, if that is known.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// A query that is neither built in nor a file.
    #[error("there is no query \"{name}\"")]
    UnknownQuery {
        /// The name that was given.
        name: String,
        /// The known names.
        known: Vec<&'static str>,
    },
    /// A query that failed for a dialogue although it passed the checks.
    #[error("dialogue {dialogue}: {origin} cannot be rendered: {message}")]
    Query {
        /// The dialogue's id.
        dialogue: String,
        /// The query.
        origin: String,
        /// The template engine's message.
        message: String,
    },
    /// A file could not be read; the text names it.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// Something else instead of a file.
    #[error("{}: {}", path.display(), stand_in.message())]
    StandIn {
        /// The file.
        path: PathBuf,
        /// What it is.
        stand_in: StandIn,
    },
    /// An invalid template file: all problems, in the order of their lines, each with its hint.
    #[error("{}", problem_list(.0))]
    Template(Vec<TemplateProblem>),
    /// A template that does not show something the recipe requires.
    #[error("{origin}: the template never shows \"{slot}\", but prompt.{knob} is {value}")]
    UnusedWindow {
        /// The template file.
        origin: String,
        /// The slot, `history` or `future`.
        slot: &'static str,
        /// The key in `[prompt]`.
        knob: &'static str,
        /// The number of utterances requested.
        value: usize,
    },
    /// A template that shows no demonstrations, or not their labels, although the recipe names a bank.
    #[error("{0}: the template never shows \"demonstrations\", but retrieval.bank is set")]
    UnusedDemonstrations(String),
    /// Knowledge sources that the template never shows.
    #[error("{origin}: the template never shows the recipe's knowledge sources {}", .unused.join(", "))]
    UnusedKnowledge {
        /// The template.
        origin: String,
        /// The sources.
        unused: Vec<String>,
    },
    /// A part of the prompt that `prompt.slots` names and the template lacks.
    #[error("{origin}: prompt.slots names \"{part}\", which the template does not have")]
    NoSuchPart {
        /// The template.
        origin: String,
        /// The part.
        part: String,
        /// The template's parts.
        has: Vec<String>,
    },
    /// Neither a template file nor a built-in template.
    #[error("no template file {path}")]
    NoTemplate {
        /// The file.
        path: String,
        /// The built-in templates, if one could have been meant.
        names: &'static [&'static str],
        /// The most similar one.
        meant: Option<&'static str>,
    },
    /// The template failed for an utterance although it passed the checks.
    #[error("utterance {id}: {origin} cannot be rendered: {message}")]
    Render {
        /// The utterance.
        id: UtteranceId,
        /// The template file.
        origin: String,
        /// The template engine's message.
        message: String,
    },
    /// A tokenizer folder without `tokenizer.json`.
    #[error("{0}: no tokenizer.json")]
    NoTokenizer(String),
    /// An invalid tokenizer file.
    #[error("{origin}: {message}")]
    Tokenizer {
        /// The folder or file.
        origin: String,
        /// The problem.
        message: String,
    },
    /// A model without a chat template.
    #[error("{0}: the tokenizer has no chat template")]
    NoChatTemplate(String),
    /// A chat template that is invalid, or that refuses the conversation.
    #[error("{origin}: chat template{}: {message}", at_line(*.line))]
    Chat {
        /// The folder or file it came from.
        origin: String,
        /// Counted from 1 within the chat template.
        line: Option<usize>,
        /// The template engine's message, or the template's own.
        message: String,
    },
    /// A chat template that cannot represent our prompts and answers.
    #[error("{origin}: the chat template {message}")]
    UnfitChat {
        /// The folder or file it came from.
        origin: String,
        /// What it does wrong.
        message: String,
    },
    /// A label without tokens.
    #[error("label \"{0}\" encodes to no tokens")]
    EmptyLabel(String),
    /// A speaker whose name, the answer to a question, has no tokens.
    #[error("utterance {id}: the speaker's name \"{name}\" encodes to no tokens")]
    EmptyName {
        /// The utterance.
        id: UtteranceId,
        /// The name.
        name: String,
    },
    /// Two labels with the same tokens.
    #[error("labels \"{0}\" and \"{1}\" encode to the same tokens")]
    EqualLabels(String, String),
    /// A dialogue without an utterance at the position.
    #[error("utterance {id}: the dialogue has {utterances} utterances")]
    NoUtterance {
        /// The utterance.
        id: UtteranceId,
        /// The number of utterances.
        utterances: usize,
    },
    /// An utterance without a label, which training requires.
    #[error("utterance {0} has no label")]
    MissingLabel(UtteranceId),
    /// An utterance to which a question does not apply.
    #[error("utterance {id} cannot be asked the question \"{task}\"")]
    Unsuited {
        /// The utterance.
        id: UtteranceId,
        /// The question's name.
        task: &'static str,
    },
    /// A text that contains a control token of the model.
    #[error("utterance {id}: the prompt contains the text of the special token \"{token}\"")]
    SpecialToken {
        /// The utterance of the prompt.
        id: UtteranceId,
        /// The token.
        token: String,
    },
    /// The same in a chat without an utterance.
    #[error("a message contains the text of the special token \"{0}\"")]
    ControlToken(String),
    /// A prompt that is too long even without history.
    #[error("utterance {id}: {lengths}")]
    TooLong {
        /// The utterance.
        id: UtteranceId,
        /// Its token counts.
        lengths: PromptLengths,
    },
    /// A saved prompt contract that differs from the present one.
    #[error("the prompt differs from the one the adapter was trained with: {}", .0.join("; "))]
    ContractMismatch(Vec<String>),
}

/// The hint for an unusable chat template.
const OWN_CHAT_TEMPLATE: &str =
    "put your own chat template next to the tokenizer, in a copy of the folder, as chat_template.jinja";

impl PromptError {
    /// The fix, if there is one to suggest.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnusedWindow { slot, knob, .. } => {
                Some(format!("loop over \"{slot}\" in the template, or set prompt.{knob} = 0"))
            }
            Self::UnusedDemonstrations(_) => Some(
                "loop over \"demonstrations\" in the template and show .text and .label, or set retrieval.bank = \"\""
                    .to_owned(),
            ),
            Self::UnknownQuery { name, known } => Some(match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("the queries are {}; your own query is a file that ends in .toml", known.join(", ")),
            }),
            Self::UnusedKnowledge { unused, .. } => Some(format!(
                "put {} into the template, remove them from prompt.slots or the recipe, or use a template that \
                 shows them, such as template = \"prc_emo\"",
                unused.iter().map(|name| format!("{{{{ {name} }}}}")).collect::<Vec<_>>().join(" and ")
            )),
            Self::NoSuchPart { has, .. } if has.is_empty() => {
                Some("no part of this template can be removed".to_owned())
            }
            Self::NoSuchPart { has, .. } => Some(format!("it has {}", has.join(", "))),
            Self::NoTemplate { names, meant, .. } => Some(templates(names, *meant)),
            Self::NoTokenizer(origin) => Some(no_tokenizer(origin).to_owned()),
            Self::NoChatTemplate(origin) => Some(no_chat_template(origin).to_owned()),
            Self::UnfitChat { .. } | Self::Chat { .. } => Some(OWN_CHAT_TEMPLATE.to_owned()),
            Self::EmptyLabel(_) | Self::EqualLabels(..) => {
                Some("give the labels names in the model's language".to_owned())
            }
            Self::EmptyName { .. } => Some("write names with characters that the model knows, or do not ask for speakers".to_owned()),
            Self::SpecialToken { .. } | Self::ControlToken(_) => Some("remove it from the data or the template".to_owned()),
            Self::TooLong { lengths, .. } if lengths.knowledge > 0 => Some(
                "raise train.max_seq_length, shorten the texts, or remove a source from prompt.slots: knowledge is \
                 never truncated"
                    .to_owned(),
            ),
            Self::TooLong { .. } => Some("raise train.max_seq_length or shorten the utterance".to_owned()),
            Self::ContractMismatch(_) => Some("use the recipe and the base model of the training".to_owned()),
            Self::StandIn { stand_in, .. } => Some(stand_in.hint().to_owned()),
            Self::Tokenizer { .. } => Some(
                "download the tokenizer's files again, or load and save it with a current version of transformers"
                    .to_owned(),
            ),
            Self::Read(_)
            | Self::Query { .. }
            | Self::Template(_)
            | Self::Render { .. }
            | Self::NoUtterance { .. }
            | Self::Unsuited { .. }
            | Self::MissingLabel(_) => None,
        }
    }
}

impl Advice for PromptError {
    fn fault(&self) -> Fault {
        // A template is part of what the user wrote for the run.
        let is_recipe = matches!(
            self,
            Self::Template(_)
                | Self::UnusedWindow { .. }
                | Self::UnusedKnowledge { .. }
                | Self::NoSuchPart { .. }
                | Self::NoTemplate { .. }
        );
        if is_recipe { Fault::Usage } else { Fault::Input }
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}

fn problem_list(problems: &[TemplateProblem]) -> String {
    let with_hint = |problem: &TemplateProblem| match &problem.hint {
        Some(hint) => format!("{problem}\n  hint: {hint}"),
        None => problem.to_string(),
    };
    problems.iter().map(with_hint).collect::<Vec<_>>().join("\n")
}

fn at_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(", line {line}"))
}

/// The built-in templates, the most similar one first.
fn templates(names: &[&str], meant: Option<&str>) -> String {
    if names.is_empty() {
        return "without the key the built-in template is used".to_owned();
    }
    let meant = meant.map_or(String::new(), |meant| format!("did you mean template = \"{meant}\"? "));
    let names = names.join(", ");
    format!(
        "{meant}the built-in templates are {names}; your own template is the path of a file, such as \"my.jinja\""
    )
}

/// The candidate most similar to `name`, unless all are too different.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    emotrain_base::nearest(&name.to_lowercase(), candidates)
}

/// What to do where a model has no tokenizer.
fn no_tokenizer(origin: &str) -> &'static str {
    if is_gguf(origin) {
        "use a .gguf file that has its tokenizer (tokenizer.ggml.model), as llama.cpp's converter writes it"
    } else {
        "load and save the tokenizer once with a current version of transformers, which writes it"
    }
}

/// What to do where a tokenizer has no chat template.
fn no_chat_template(origin: &str) -> &'static str {
    if is_gguf(origin) {
        "use the file of an instruction-tuned model, or write a template into this one, with \
         `gguf_new_metadata.py --chat-template` of llama.cpp"
    } else {
        "use an instruction-tuned model, or put its template next to the tokenizer as chat_template.jinja"
    }
}

/// Whether a tokenizer is of a GGUF file, beside which nothing is read.
fn is_gguf(origin: &str) -> bool {
    Path::new(origin).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}
