//! What can be wrong with a template, a tokenizer or an utterance, and where.

use std::fmt;
use std::path::PathBuf;

use emotrain_base::{Advice, Fault};
use emotrain_data::UtteranceId;
use emotrain_recipe::StandIn;

use crate::budget::PromptLengths;

/// One defect of a template file. Prints as `file:line: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateProblem {
    /// The file, or `built-in template`.
    pub origin: String,
    /// Counted from 1; `None` for what is missing.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// The fix, where one can be named.
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

/// Why a prompt cannot be made. [`PromptError::hint`] says what to do, where that is known.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// A query that neither comes with the program nor is a file.
    #[error("there is no query \"{name}\"")]
    UnknownQuery {
        /// What was asked for.
        name: String,
        /// The names that there are.
        known: Vec<&'static str>,
    },
    /// A query that failed for a dialogue after it had passed the checks.
    #[error("dialogue {dialogue}: {origin} cannot be rendered: {message}")]
    Query {
        /// The dialogue's id.
        dialogue: String,
        /// The query.
        origin: String,
        /// The template engine's words.
        message: String,
    },
    /// A file could not be read; the text names it.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// Something else in a file's place.
    #[error("{}: {}", path.display(), stand_in.message())]
    StandIn {
        /// The file.
        path: PathBuf,
        /// What is there.
        stand_in: StandIn,
    },
    /// A template file with defects: all of them, in the order of their lines, each with its hint.
    #[error("{}", problem_list(.0))]
    Template(Vec<TemplateProblem>),
    /// A template that cannot show something which the recipe wants shown.
    #[error("{origin}: the template never shows \"{slot}\", but prompt.{knob} is {value}")]
    UnusedWindow {
        /// The template file.
        origin: String,
        /// The slot, `history` or `future`.
        slot: &'static str,
        /// The recipe's key without its section.
        knob: &'static str,
        /// Utterances asked for.
        value: usize,
    },
    /// A template that shows no demonstrations, or not their labels, though the recipe names a bank.
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
    /// A part of the prompt that `prompt.slots` names and the template does not have.
    #[error("{origin}: prompt.slots names \"{part}\", which the template does not have")]
    NoSuchPart {
        /// The template.
        origin: String,
        /// The part.
        part: String,
        /// The parts that it has.
        has: Vec<String>,
    },
    /// No template file of this name, nor a template that comes with the program.
    #[error("no template file {path}")]
    NoTemplate {
        /// The file.
        path: String,
        /// The templates that come with the program, where one could have been named.
        names: &'static [&'static str],
        /// The one of them that may be meant.
        meant: Option<&'static str>,
    },
    /// The template failed for one utterance after it had passed the checks.
    #[error("utterance {id}: {origin} cannot be rendered: {message}")]
    Render {
        /// The utterance.
        id: UtteranceId,
        /// The template file.
        origin: String,
        /// The template engine's words.
        message: String,
    },
    /// A tokenizer folder without `tokenizer.json`.
    #[error("{0}: no tokenizer.json")]
    NoTokenizer(String),
    /// A tokenizer file that does not hold what it should.
    #[error("{origin}: {message}")]
    Tokenizer {
        /// The folder or file.
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// A model that comes without a chat template.
    #[error("{0}: the tokenizer has no chat template")]
    NoChatTemplate(String),
    /// A chat template that is broken, or that refuses the conversation.
    #[error("{origin}: chat template{}: {message}", at_line(*.line))]
    Chat {
        /// The folder or file it came from.
        origin: String,
        /// Counted from 1 within the chat template.
        line: Option<usize>,
        /// The template engine's words, or the template's own.
        message: String,
    },
    /// A chat template whose rendering cannot carry prompts and answers of ours.
    #[error("{origin}: the chat template {message}")]
    UnfitChat {
        /// The folder or file it came from.
        origin: String,
        /// What it does.
        message: String,
    },
    /// A label whose word has no tokens.
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
    /// Labels that the tokenizer cannot tell apart.
    #[error("labels \"{0}\" and \"{1}\" encode to the same tokens")]
    EqualLabels(String, String),
    /// A dialogue without an utterance at the position.
    #[error("utterance {id}: the dialogue has {utterances} utterances")]
    NoUtterance {
        /// The utterance asked for.
        id: UtteranceId,
        /// How many there are.
        utterances: usize,
    },
    /// An utterance without the label that training needs.
    #[error("utterance {0} has no label")]
    MissingLabel(UtteranceId),
    /// An utterance of which the question cannot be asked.
    #[error("utterance {id} does not suit the question \"{task}\"")]
    Unsuited {
        /// The utterance.
        id: UtteranceId,
        /// The question's name.
        task: &'static str,
    },
    /// A text that would be taken for a control token of the model.
    #[error("utterance {id}: the prompt holds the text of the special token \"{token}\"")]
    SpecialToken {
        /// The utterance whose prompt it is.
        id: UtteranceId,
        /// The token.
        token: String,
    },
    /// The same in a chat that is not about an utterance.
    #[error("a message holds the text of the special token \"{0}\"")]
    ControlToken(String),
    /// A prompt that is too long even without history.
    #[error("utterance {id}: {lengths}")]
    TooLong {
        /// The utterance.
        id: UtteranceId,
        /// Its token counts.
        lengths: PromptLengths,
    },
    /// A stored prompt contract that is not the present one.
    #[error("the prompt differs from the one the adapter was trained with: {}", .0.join("; "))]
    ContractMismatch(Vec<String>),
}

/// What to do about a chat template that cannot be used.
const OWN_CHAT_TEMPLATE: &str =
    "put a chat template of your own beside the tokenizer, in a copy of the folder, as chat_template.jinja";

impl PromptError {
    /// The fix, where one can be named.
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
                None => format!("the queries are {}; one of your own is a file that ends in .toml", known.join(", ")),
            }),
            Self::UnusedKnowledge { unused, .. } => Some(format!(
                "put {} into the template, take them out of prompt.slots or of the recipe, or use a template that \
                 shows them, such as template = \"prc_emo\"",
                unused.iter().map(|name| format!("{{{{ {name} }}}}")).collect::<Vec<_>>().join(" and ")
            )),
            Self::NoSuchPart { has, .. } if has.is_empty() => {
                Some("no part of this template can be taken out".to_owned())
            }
            Self::NoSuchPart { has, .. } => Some(format!("it has {}", has.join(", "))),
            Self::NoTemplate { names, meant, .. } => Some(templates(names, *meant)),
            Self::NoTokenizer(_) => Some(
                "load and save the tokenizer once with a current version of transformers, which writes it"
                    .to_owned(),
            ),
            Self::NoChatTemplate(_) => Some(
                "use an instruction-tuned model, or put its template beside the tokenizer as chat_template.jinja"
                    .to_owned(),
            ),
            Self::UnfitChat { .. } | Self::Chat { .. } => Some(OWN_CHAT_TEMPLATE.to_owned()),
            Self::EmptyLabel(_) | Self::EqualLabels(..) => {
                Some("name the labels with words of the model's language".to_owned())
            }
            Self::EmptyName { .. } => Some("spell names with the model's characters, or do not ask for speakers".to_owned()),
            Self::SpecialToken { .. } | Self::ControlToken(_) => Some("take it out of the data or of the template".to_owned()),
            Self::TooLong { lengths, .. } if lengths.knowledge > 0 => Some(
                "raise train.max_seq_length, shorten the texts, or take a source out of prompt.slots: knowledge is \
                 never cut"
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

/// The templates that there are, the one that may be meant first.
fn templates(names: &[&str], meant: Option<&str>) -> String {
    if names.is_empty() {
        return "without the key the template that comes with the program is used".to_owned();
    }
    let meant = meant.map_or(String::new(), |meant| format!("did you mean template = \"{meant}\"? "));
    let names = names.join(", ");
    format!("{meant}built in are {names}; a template of your own is the path of a file, such as \"my.jinja\"")
}

/// The candidate most similar to `name`, unless all are too far off to be meant.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
