//! Asking language models: for texts about dialogues, and for dialogues.
//!
//! A [`ChatModel`] is a server or a model in this process; [`open_chat_model`] opens the one that a recipe names. What it is asked
//! comes from an [`Inquiry`], of which there are two. A [`Filling`] fills the knowledge sources of a recipe, for
//! `emotrain interpret`; [`write_dialogues`] has demonstrations written, for `emotrain bank generate`. Both keep each
//! reply on disk before anything else happens, so that they can be stopped at any moment. The crate deliberately knows
//! no terminal and no environment: progress is reported to a [`Listener`](emotrain_base::Listener), and the variable
//! that holds a server's key is read by a function of the [`AskContext`].
//!
//! ```
//! let text = "[model]\nmodel_name_or_path = \"none\"\n[data]\ntrain = \"none\"\n\
//!             [eval]\nload_best_model_at_end = false\nbaseline = false\n\
//!             [interpret]\nmodel = \"Qwen3-14B\"\n";
//! let recipe = emotrain_recipe::parse(text, "a.toml".as_ref(), &[])?;
//! let who = emotrain_ask::named(&recipe.interpret).expect("the recipe names a model");
//! assert_eq!((who.provider.as_str(), who.model.as_str()), ("openai", "Qwen3-14B"));
//! # Ok::<(), emotrain_recipe::RecipeError>(())
//! ```

mod chat_model;
mod connection;
mod dialogues;
mod error;
mod interpret;
mod served;
mod silence;

pub use chat_model::{
    Answer, AskContext, ChatModel, ChatQuestion, Inquiry, ModelIdentity, Reply, ReplyEnd, named,
    open as open_chat_model,
};
pub use dialogues::{DialogueOrder, DialoguesWritten, write_dialogues};
pub use error::AskError;
pub use interpret::{FillOptions, Filling, Outlook, QuerySources, SessionStatus, Tally};
pub use served::{Continuation, Continue, Served, ServedAddress, ServedModel, ServedPrompt, TokenLogProb};
pub use silence::{refuse_silence, tell_silence};
