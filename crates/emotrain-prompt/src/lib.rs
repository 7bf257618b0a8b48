//! Prompts: from an utterance in its dialogue to the token ids that a model is trained on and asked.
//!
//! A [`Template`] writes the texts, a [`ChatTokenizer`] wraps them the way the base model knows chats
//! and encodes them, and an [`Encoder`] joins both into [`Sample`]s: the same code and the same tokens
//! in training, evaluation and prediction. A [`PromptContract`] kept beside an adapter tells later
//! whether it still is the same.
//!
//! The crate deliberately does not batch, pad, shuffle or touch tensors; it adds no token to any
//! vocabulary; and it cuts neither the utterance nor the labels nor knowledge nor the answer: only
//! demonstrations and utterances around the one in question are left out when there is no room.
//!
//! ```
//! use emotrain_data::{Dialogue, LabelSet, Utterance};
//! use emotrain_prompt::{PromptInput, Template};
//! use emotrain_recipe::LabelSetName;
//!
//! let utterance = Utterance { speaker: "Ada".into(), text: "It works!".into(), label: None };
//! let dialogue = Dialogue { id: "lab".into(), utterances: vec![utterance] };
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
