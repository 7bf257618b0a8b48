//! Filling knowledge sources: what is asked, what was answered, and the folder that it ends up in.
//!
//! A [`Filling`] is all that a recipe asks. A [`Task`](task::Task) is a folder and the query that fills it; a [`Session`](session::Session) is a task for one split of the data, with all its
//! questions. Replies go into a journal, a line each, as they come; when nothing is left to ask, the journal becomes
//! `<split>.jsonl` and `<split>.failed.jsonl`, sorted as the data is, and the manifest names the split. So the work
//! can be cut off at any moment, and the files do not depend on who answered first.

mod filling;
mod folder;
mod journal;
mod record;
mod session;
mod standing;
mod task;
mod work;

pub use self::filling::{FillOptions, Filling, QuerySources, SessionStatus, Tally};
pub(crate) use self::folder::lock;
pub use self::standing::Outlook;
