//! All questions of a task about one split.

use emotrain_base::sha256_hex;
use emotrain_data::{Split, SplitKind};
use emotrain_prompt::{QueryTarget, QueryText};
use serde_json::json;

use super::task::Task;
use crate::error::AskError;

/// A rough measure of English texts: characters of a token.
const CHARACTERS_OF_A_TOKEN: usize = 4;

/// The questions of a task about a split, in the order of the data.
pub(super) struct Session<'s> {
    pub(super) task: &'s Task,
    pub(super) split: SplitKind,
    /// Of the dialogues' ids, speakers and texts; labels and the file's form do not count.
    pub(super) data_sha256: String,
    pub(super) questions: Vec<Asked<'s>>,
}

/// A question.
pub(super) struct Asked<'s> {
    pub(super) dialogue: &'s str,
    pub(super) target: QueryTarget,
    pub(super) text: QueryText,
}

impl<'s> Session<'s> {
    /// Writes all questions.
    ///
    /// # Errors
    /// A query that cannot be rendered for a dialogue.
    pub(super) fn new(task: &'s Task, split: SplitKind, data: &'s Split) -> Result<Self, AskError> {
        let mut questions = Vec::new();
        for dialogue in &data.dialogues {
            for target in task.query.targets(dialogue) {
                let text = task.query.ask(dialogue, &target)?;
                questions.push(Asked { dialogue: &dialogue.id, target, text });
            }
        }
        Ok(Self { task, split, data_sha256: fingerprint(data), questions })
    }

    /// About how many tokens the questions of these numbers have, four characters being one.
    pub(super) fn tokens(&self, numbers: &[usize]) -> usize {
        let characters = numbers.iter().map(|number| {
            let QueryText { system, user } = &self.questions[*number].text;
            system.chars().count() + user.chars().count()
        });
        characters.sum::<usize>().div_ceil(CHARACTERS_OF_A_TOKEN)
    }
}

fn fingerprint(data: &Split) -> String {
    let mut text = String::new();
    for dialogue in &data.dialogues {
        let said: Vec<[&str; 2]> =
            dialogue.utterances.iter().map(|said| [said.speaker.as_str(), said.text.as_str()]).collect();
        text.push_str(&json!([dialogue.id, said]).to_string());
        text.push('\n');
    }
    sha256_hex(text.as_bytes())
}
