//! Labels from answers that the model writes itself.

use std::ops::ControlFlow;

use emotrain_data::{Label, LabelSet};
use emotrain_model::{CausalLm, Finish, Generated, GenerationConfig, Generator, Sampling, TokenPrompt};
use emotrain_prompt::{ChatTokenizer, Encoder};

use crate::error::TrainError;
use crate::validate::Questions;

/// How answers are read.
#[derive(Clone, Debug)]
pub struct AnswerReader {
    chat: ChatTokenizer,
    end_of_turn: u32,
    labels: LabelSet,
}

impl AnswerReader {
    /// For the questions of this encoder.
    pub fn new(encoder: &Encoder) -> Self {
        Self {
            chat: encoder.chat().clone(),
            end_of_turn: encoder.end_of_turn(),
            labels: encoder.labels().clone(),
        }
    }

    /// The label that the likeliest answer to each question names, `None` where it names none. An answer ends with
    /// the turn; one that is longer than every label has named none.
    ///
    /// # Errors
    /// A prompt that leaves no room for an answer; logits that are not finite.
    pub fn ask(
        &self,
        model: &CausalLm,
        questions: &Questions,
        batch_size: usize,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Option<Label>>, TrainError> {
        let config = GenerationConfig {
            max_new_tokens: questions.completions.iter().map(Vec::len).max(),
            min_new_tokens: 0,
            sampling: Sampling::GREEDY,
            stop_tokens: vec![self.end_of_turn],
            seed: 0,
            max_batch_size: batch_size,
        };
        // In the order of their ids: what they have in common is computed once.
        let mut order: Vec<usize> = (0..questions.samples.len()).collect();
        order.sort_by_key(|&sample| &questions.samples[sample].ids);
        let mut found = vec![None; order.len()];
        let mut generator = Generator::new(model);
        let mut generation = generator.start(config)?;
        for &sample in &order {
            generation.push(TokenPrompt { ids: &questions.samples[sample].ids, sequence: sample as u64 })?;
        }
        let mut done = 0;
        while !generation.is_idle() {
            for (number, answer) in generation.step(&mut |_| ControlFlow::Continue(()))? {
                found[order[number]] = self.read(&answer, &questions.completions)?;
                done += 1;
                progress(done);
            }
        }
        Ok(found)
    }

    /// The label whose tokens the answer is, or whose word its text is.
    fn read(&self, answer: &Generated, completions: &[Vec<u32>]) -> Result<Option<Label>, TrainError> {
        let Finish::StopToken(stop) = answer.finish else { return Ok(None) };
        let is_it = |completion: &Vec<u32>| completion.split_last() == Some((&stop, answer.ids.as_slice()));
        if let Some(index) = completions.iter().position(is_it) {
            return Ok(Some(Label::from_index(index)));
        }
        Ok(self.labels.resolve(self.chat.decode_text(&answer.ids)?.trim()))
    }
}

#[cfg(test)]
mod tests {
    use emotrain_prompt::TokenizerFiles;
    use emotrain_recipe::LabelSetName;

    use super::*;

    #[test]
    fn an_answer_is_a_label_or_nothing() {
        let nano = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../checkpoints/nano");
        let chat = ChatTokenizer::new(TokenizerFiles::from_folder(&nano).unwrap()).unwrap();
        let end_of_turn = *chat.stop_tokens().last().unwrap();
        let labels = LabelSet::builtin(LabelSetName::Meld);
        let reader = AnswerReader { chat, end_of_turn, labels: labels.clone() };
        let completions = [vec![9_999, end_of_turn], vec![9_998, 9_997, end_of_turn]];
        let read = |ids: Vec<u32>, finish| {
            reader.read(&Generated { ids, finish }, &completions).unwrap().map(Label::index)
        };
        let ended = Finish::StopToken(end_of_turn);
        assert_eq!(read(vec![9_998, 9_997], ended), Some(1));
        let words = |text: &str| reader.chat.encode(text).unwrap();
        let joy = labels.resolve("joy").unwrap().index();
        assert_eq!(read(words(" Joy\n"), ended), Some(joy));
        for other in ["joy and anger", "I cannot say", ""] {
            assert_eq!(read(words(other), ended), None, "{other}");
        }
        assert_eq!(read(words("joy"), Finish::Length), None, "it might have gone on");
    }
}
