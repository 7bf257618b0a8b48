//! Prompts: from an utterance in its dialogue to token ids, for training and inference.
//!
//! A [`Template`] renders the texts, a [`ChatTokenizer`] wraps them in the base model's chat format and encodes them,
//! and an [`Encoder`] combines both into [`Sample`]s: the same code and the same tokens in training, evaluation and
//! prediction. A [`PromptContract`] saved with an adapter detects later whether prompts have changed.
//!
//! The crate deliberately does not batch, pad, shuffle or touch tensors; it adds no token to any vocabulary; and it
//! never truncates the utterance, labels, knowledge or answer: only demonstrations and context utterances are dropped
//! if a prompt is too long.
//!
//! ```
//! use emotrain_data::{Dialogue, LabelSet, Utterance};
//! use emotrain_prompt::{PromptInput, Template};
//! use emotrain_recipe::LabelSetName;
//!
//! let utterance = Utterance::new("Ada".into(), "It works!".into(), None);
//! let dialogue = Dialogue::new("lab".into(), vec![utterance]);
//! let labels = LabelSet::builtin(LabelSetName::Meld);
//! let input = PromptInput {
//!     dialogue: &dialogue,
//!     position: 0,
//!     labels: &labels,
//!     history: 5,
//!     future: 0,
//!     demonstrations: &[],
//!     knowledge: &[],
//! };
//! let prompt = Template::builtin().render(&input)?;
//! assert!(prompt.user.contains("\"It works!\""));
//! # Ok::<(), emotrain_prompt::PromptError>(())
//! ```

mod budget;
mod chat;
mod completion;
mod contract;
mod encode;
mod error;
mod example;
#[cfg(test)]
mod fixture;
mod jinja;
mod query;
mod reply;
mod sample;
mod task;
mod template;
mod tokenizer;

pub use budget::PromptLengths;
pub use chat::{ChatDate, DEFAULT_DATE, Ending, Message, Role, Thinking};
pub use contract::{GoldenExample, PromptContract, SpecialTokens};
pub use encode::{Answers, DemonstrationSlot, Encoder, Question};
pub use error::{PromptError, TemplateProblem};
pub use query::{BadReply, Measures, Query, QueryTarget, QueryText, label_words, read_reply, unfenced};
pub use sample::{Piece, Sample, TokenCounts};
pub use task::Task;
pub use template::{Prompt, PromptInput, Template};
pub use tokenizer::{ChatTokenizer, TokenizerFiles};
