//! From what a data file holds to token ids.

use std::path::Path;

use emotrain_base::random::Key;
use emotrain_base::{Complaint, Problems};
use emotrain_data::{Dialogue, LabelSet, ShownDemonstration, Split, TextSplit, UtteranceId};
use emotrain_prompt::{
    Answers, ChatTokenizer, Encoder, PromptError, Question, Sample, Task, Template, TokenizerFiles,
};
use emotrain_recipe::{DataFormat, Recipe};
use rayon::prelude::*;

use crate::auxiliary::{Auxiliary, first};
use crate::content::Content;
use crate::error::PrepareError;
use crate::knowledge::KnowledgeTexts;
use crate::purpose::Selection;

/// Tokens that end a document in the vocabularies of base models; the end of a chat turn is another one.
const END_OF_TEXT: [&str; 2] = ["<|endoftext|>", "<|end_of_text|>"];

/// At most this many bad utterances of a file are reported individually.
const TOLD: usize = 20;

/// What makes samples.
#[derive(Debug)]
pub enum SampleMaker {
    /// Questions about emotions.
    Emotions(Box<Encoder>),
    /// Plain text, cut into sequences of equal length.
    Text {
        /// What the text is encoded with.
        tokenizer: Box<ChatTokenizer>,
        /// The token that ends a document.
        end: u32,
        /// Tokens of a sequence.
        length: usize,
    },
}

/// What prompts show besides the dialogues of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    /// By utterance, in the order of the file.
    pub(crate) found: Option<&'a [Vec<ShownDemonstration>]>,
    pub(crate) known: &'a KnowledgeTexts,
}

impl SampleMaker {
    /// The recipe's way with a tokenizer.
    ///
    /// # Errors
    /// An invalid template, tokenizer or chat template.
    pub fn new(recipe: &Recipe, labels: &LabelSet, files: TokenizerFiles) -> Result<Self, PrepareError> {
        let length = recipe.train.max_seq_length;
        let origin = files.origin.clone();
        let template = Template::new(&recipe.prompt, &recipe.knowledge);
        let tokenizer = ChatTokenizer::new(files);
        if recipe.data.format == DataFormat::Text {
            let tokenizer = Box::new(tokenizer?);
            let known = END_OF_TEXT.into_iter().find_map(|token| tokenizer.token_id(token));
            let Some(end) = known.or_else(|| tokenizer.eos_token().map(|(_, id)| id)) else {
                let complaint = Complaint::input(format!("{origin}: the tokenizer has no end-of-text token"));
                return Err(complaint.hint("name an eos_token in tokenizer_config.json").into());
            };
            return Ok(Self::Text { tokenizer, end, length });
        }
        let mut problems = Problems::default();
        let template = problems.take(template);
        let tokenizer = problems.take(tokenizer);
        let (Some(template), Some(tokenizer)) = (template, tokenizer) else {
            return Err(problems.into());
        };
        let encoder = Encoder::new(tokenizer, template, labels.clone(), &recipe.prompt, length)?
            .with_demonstrations(&recipe.retrieval)?;
        Ok(Self::Emotions(Box::new(encoder)))
    }

    /// The auxiliary questions of training.
    ///
    /// # Errors
    /// Invalid templates.
    pub fn auxiliary(&self, recipe: &Recipe) -> Result<Vec<Auxiliary>, PrepareError> {
        match self {
            Self::Emotions(encoder) => Auxiliary::of(recipe, encoder),
            Self::Text { .. } => Ok(Vec::new()),
        }
    }

    /// The samples of a file: of its utterances, or the sequences of its text.
    ///
    /// # Errors
    /// Every utterance that cannot be encoded, or the first that is wrong with a text.
    pub(crate) fn encode(
        &self,
        content: &Content,
        beside: Shown<'_>,
        selection: Selection<'_>,
    ) -> Result<Vec<Sample>, PrepareError> {
        match (self, content) {
            (Self::Emotions(encoder), Content::Dialogues(split)) => {
                utterances(encoder, split, beside, selection)
            }
            (Self::Text { tokenizer, end, length }, Content::Documents(text)) => {
                let sequences = sequences(tokenizer, text, *end, *length)?;
                let chosen = draw((0..sequences.len()).collect(), selection.limit, selection.key);
                Ok(chosen.into_iter().map(|at| sequences[at].clone()).collect())
            }
            _ => unreachable!("sample_maker and content follow the same data.format"),
        }
    }

    /// The tokenizer behind it.
    pub fn tokenizer(&self) -> &ChatTokenizer {
        match self {
            Self::Emotions(encoder) => encoder.chat(),
            Self::Text { tokenizer, .. } => tokenizer,
        }
    }

    /// Tokens that follow a prompt at most.
    pub fn longest_completion(&self) -> usize {
        match self {
            Self::Emotions(encoder) => encoder.label_completions().iter().map(Vec::len).max().unwrap_or(0),
            Self::Text { .. } => 0,
        }
    }
}

fn utterances(
    encoder: &Encoder,
    split: &Split,
    beside: Shown<'_>,
    selection: Selection<'_>,
) -> Result<Vec<Sample>, PrepareError> {
    let turns = split.dialogues.iter();
    let turns = turns.flat_map(|dialogue| (0..dialogue.utterances.len()).map(move |at| (dialogue, at)));
    let turns: Vec<_> = turns.collect();
    let samples: Vec<Result<Sample, (Task, PromptError)>> = asked(encoder, &turns, &split.path, selection)?
        .into_par_iter()
        .map(|(at, encoder)| {
            let (dialogue, position) = turns[at];
            let demonstrations = beside.found.map_or(&[][..], |found| &found[at]);
            let knowledge = &beside.known.texts(dialogue, position);
            let question = Question { dialogue, position, demonstrations, knowledge };
            let sample = encoder.encode_question(selection.answers(), question);
            sample.map_err(|error| (encoder.template().task(), error))
        })
        .collect();
    let (good, bad): (Vec<_>, Vec<_>) = samples.into_iter().partition(Result::is_ok);
    let mut problems = Problems::default();
    let rest = bad.len().saturating_sub(TOLD);
    for (task, error) in bad.into_iter().filter_map(Result::err).take(TOLD) {
        let path = split.path.display();
        let place =
            if task == Task::Emotion { path.to_string() } else { format!("{path}: {}", task.as_str()) };
        problems.add(Problems::from(error).about(&place));
    }
    if rest > 0 {
        let path = split.path.display();
        problems.add(Complaint::input(format!("{path}: {rest} more utterances cannot be encoded")));
    }
    problems.finish()?;
    let mut samples: Vec<Sample> = good.into_iter().filter_map(Result::ok).collect();
    if selection.answers() == Answers::Given && !selection.completion_only {
        for sample in &mut samples {
            sample.prompt_len = 0;
        }
    }
    Ok(samples)
}

/// The places of the utterances that are asked about, each with what asks: an utterance's auxiliary questions come
/// behind the one about its emotion.
fn asked<'a>(
    encoder: &'a Encoder,
    turns: &[(&Dialogue, usize)],
    path: &Path,
    selection: Selection<'a>,
) -> Result<Vec<(usize, &'a Encoder)>, PrepareError> {
    // An utterance without a label is context, unless labels are what is wanted.
    let is_recalled = |(dialogue, at): (&Dialogue, usize)| {
        selection.recalled.is_none_or(|among| among.contains(&dialogue.utterance_id(at)))
    };
    let is_asked = |&at: &usize| {
        let (dialogue, position) = turns[at];
        let is_labelled = dialogue.utterances[position].label.is_some();
        (!selection.labelled_only || is_labelled) && is_recalled(turns[at])
    };
    let places = (0..turns.len()).filter(is_asked).collect();
    let chosen = draw(places, selection.limit, selection.key);
    let mut asked: Vec<(usize, &Encoder)> = chosen.iter().map(|&at| (at, encoder)).collect();
    let mut problems = Problems::default();
    for auxiliary in selection.auxiliary {
        let drawn = problems.take(auxiliary.draw(turns, &chosen, path, selection.key));
        asked.extend(drawn.into_iter().flatten().map(|at| (at, &auxiliary.encoder)));
    }
    problems.finish()?;
    asked.sort_by_key(|(at, encoder)| (*at, encoder.template().task()));
    Ok(asked)
}

/// All documents behind one another, each ended by `end`, cut every `length` tokens. Every token is supervised.
fn sequences(
    tokenizer: &ChatTokenizer,
    text: &TextSplit,
    end: u32,
    length: usize,
) -> Result<Vec<Sample>, PrepareError> {
    let encoded: Result<Vec<Vec<u32>>, PromptError> =
        text.documents.par_iter().map(|document| tokenizer.encode(document)).collect();
    let mut stream = Vec::new();
    for ids in encoded? {
        stream.extend(ids);
        stream.push(end);
    }
    let name = text.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let sample = |(position, ids): (usize, &[u32])| Sample {
        id: UtteranceId { dialogue: name.clone(), position },
        task: None,
        ids: ids.to_vec(),
        prompt_len: 0,
        label: None,
        dropped_history: 0,
        dropped_future: 0,
        demonstrations: 0,
        dropped_demonstrations: 0,
    };
    // A single token has nothing before it to be predicted from.
    let sequences = stream.chunks(length).filter(|ids| ids.len() > 1);
    Ok(sequences.enumerate().map(sample).collect())
}

/// `limit` of these places in ascending order, each set of places being equally likely; all without a limit.
fn draw(places: Vec<usize>, limit: Option<usize>, key: Key) -> Vec<usize> {
    let count = limit.unwrap_or(places.len());
    first(places, count, |&place| key.with(place as u64).bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_is_a_function_of_its_key() {
        let key = Key::new(42);
        let drawn = draw((0..1000).collect(), Some(100), key);
        assert_eq!(drawn, draw((0..1000).collect(), Some(100), key));
        assert_ne!(drawn, draw((0..1000).collect(), Some(100), Key::new(43)));
        assert_eq!(drawn.len(), 100);
        assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
        let mean = drawn.iter().sum::<usize>() / 100;
        assert!((400..600).contains(&mean), "{mean}");
    }

    #[test]
    fn without_a_limit_everything_is_drawn() {
        assert_eq!(draw(vec![0, 1, 2], None, Key::new(1)), [0, 1, 2]);
        assert_eq!(draw(vec![0, 2], Some(5), Key::new(1)), [0, 2]);
    }
}
