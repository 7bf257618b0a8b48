//! The server's answers, by one of its two routes.

use emotrain_ask::{Continuation, Continue, Served, ServedModel, ServedPrompt, TokenLogProb};
use emotrain_base::{Complaint, Listener, Parts};
use emotrain_data::Label;

use super::probe::Probe;
use crate::error::VerifyError;

/// How many candidates are asked for at a place, most first. vLLM allows 20 by default, OpenAI's interface 5.
const TOP: [usize; 4] = [1000, 20, 5, 0];
/// No log-probability counts as smaller than this one.
const UNNAMED: f32 = -30.0;

/// A way to a served model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Prompts as the training had them.
    Completions,
    /// Messages, which the server renders.
    Chat,
}

/// How a prompt is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    TokenIds,
    Text,
    Messages,
}

/// What a route answered.
pub(super) struct Answered {
    pub(super) route: Route,
    pub(super) form: Form,
    continuations: Vec<Continuation>,
}

/// The log-probabilities of the classes, in one row for each prompt.
pub(super) struct ClassRows {
    pub(super) rows: Vec<Vec<f32>>,
    /// The smallest log-probability that the server named, by prompt. What it did not name is at most as likely.
    floors: Vec<f32>,
}

impl Route {
    /// Asks all prompts; `None` if the server has no such route.
    ///
    /// # Errors
    /// A server that cannot be reached, or refuses every form of the first prompt.
    pub(super) fn ask(
        self,
        model: &ServedModel,
        probe: &Probe,
        listener: &dyn Listener,
    ) -> Result<Option<Answered>, VerifyError> {
        let Some((form, top)) = self.taken(model, probe)? else { return Ok(None) };
        let mut continuations = Vec::new();
        let mut meter =
            listener.progress(&format!("server's {}", self.name()), probe.truth.len(), Parts::Samples);
        for number in probe.prompts() {
            match model.continued(form.prompt(probe, number), wanted(probe, top))? {
                Served::Continued(continuation) => continuations.push(continuation),
                Served::Refused(reason) | Served::Missing(reason) => {
                    return Err(self.refused(&reason).into());
                }
            }
            meter.set(number + 1);
        }
        Ok(Some(Answered { route: self, form, continuations }))
    }

    /// The first form of a prompt, and the greatest number of candidates, that the server takes.
    fn taken(self, model: &ServedModel, probe: &Probe) -> Result<Option<(Form, usize)>, VerifyError> {
        let forms: &[Form] = match self {
            Self::Completions => &[Form::TokenIds, Form::Text],
            Self::Chat => &[Form::Messages],
        };
        let mut refusal = String::new();
        for &form in forms {
            for top in TOP {
                match model.continued(form.prompt(probe, 0), wanted(probe, top))? {
                    Served::Continued(_) => return Ok(Some((form, top))),
                    Served::Missing(_) => return Ok(None),
                    Served::Refused(reason) => refusal = reason,
                }
            }
        }
        Err(self.refused(&refusal).into())
    }

    fn refused(self, reason: &str) -> Complaint {
        Complaint::input(format!("the server refuses a prompt at /{} ({reason})", self.name()))
            .hint("its context must have room for train.max_seq_length tokens of the run's recipe")
    }

    /// The end of its address.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Completions => "completions",
            Self::Chat => "chat/completions",
        }
    }
}

impl Form {
    fn prompt(self, probe: &Probe, number: usize) -> ServedPrompt<'_> {
        match self {
            Self::TokenIds => ServedPrompt::Ids(&probe.classes.samples[number].ids),
            Self::Text => ServedPrompt::Text(&probe.texts[number]),
            Self::Messages => ServedPrompt::Messages {
                prompt: &probe.messages[number],
                enable_thinking: probe.enable_thinking,
            },
        }
    }

    /// The token of the answer in which the labels differ.
    fn place(self, probe: &Probe) -> usize {
        if self == Self::Messages { probe.shared.len() } else { 0 }
    }

    /// How many tokens a prompt had in training.
    fn tokens(self, probe: &Probe, number: usize) -> usize {
        let questions = if self == Self::Messages { &probe.labels } else { &probe.classes };
        questions.samples[number].ids.len()
    }
}

impl Answered {
    /// The labels that the answers name.
    pub(super) fn labels(&self, probe: &Probe) -> Vec<Option<Label>> {
        self.continuations.iter().map(|one| probe.label(&one.text)).collect()
    }

    /// The classes' log-probabilities.
    pub(super) fn rows(&self, probe: &Probe) -> ClassRows {
        let place = self.form.place(probe);
        let named = |one: &Continuation| row(one.candidates.get(place).map_or(&[], Vec::as_slice), probe);
        let (rows, floors) = self.continuations.iter().map(named).unzip();
        ClassRows { rows, floors }
    }

    /// The first prompt that has another number of tokens at the server than in training: how many have, and both
    /// numbers.
    pub(super) fn lengths(&self, probe: &Probe) -> (usize, Option<(usize, usize)>) {
        let both = self
            .continuations
            .iter()
            .enumerate()
            .filter_map(|(number, one)| Some((one.prompt_tokens?, self.form.tokens(probe, number))));
        let other: Vec<(usize, usize)> = both.filter(|(served, trained)| served != trained).collect();
        (other.len(), other.first().copied())
    }
}

impl ClassRows {
    /// Whether most rows say something: the server named a class, or did not name one that the run finds likelier than
    /// what it named.
    pub(super) fn tell(&self, run: &[Vec<f32>]) -> bool {
        let is_above = |row: &[f32], floor: f32| row.iter().any(|value| *value > floor);
        let rows = self.rows.iter().zip(run).zip(&self.floors);
        let telling = rows.filter(|((row, run), floor)| is_above(row, **floor) || is_above(run, **floor));
        2 * telling.count() > self.rows.len()
    }

    /// Other rows, as the server would have named them.
    pub(super) fn limited(&self, rows: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let limit = |(row, floor): (&Vec<f32>, &f32)| row.iter().map(|value| value.max(*floor)).collect();
        rows.iter().zip(&self.floors).map(limit).collect()
    }
}

/// The whole answer, which takes as many tokens as the longest label.
fn wanted(probe: &Probe, top_log_probs: usize) -> Continue {
    Continue { max_tokens: probe.longest(), top_log_probs }
}

/// The classes' log-probabilities among the candidates for one place, and the smallest of all.
fn row(candidates: &[TokenLogProb], probe: &Probe) -> (Vec<f32>, f32) {
    let named = candidates.iter().map(|one| one.log_prob);
    // A server that names nothing says nothing: everything counts as equally likely.
    let floor = named.reduce(f32::min).map_or(0.0, |least| least.max(UNNAMED));
    let classes = probe.classes.completions.iter().zip(&probe.class_texts);
    let value = |(token, text): (&Vec<u32>, &String)| {
        let by_id = candidates.iter().find(|one| one.id.is_some() && one.id == token.first().copied());
        let unnumbered = || candidates.iter().filter(|one| one.id.is_none());
        // A tokenizer may write a leading space into a token that a server's text has not, and the reverse.
        let by_text = || unnumbered().find(|one| one.text == *text);
        let by_word = || unnumbered().find(|one| one.text.trim_matches([' ', '▁']) == text.trim());
        by_id.or_else(by_text).or_else(by_word).map_or(floor, |one| one.log_prob.max(floor))
    };
    (classes.map(value).collect(), floor)
}
