//! Measuring a model: on questions about emotions, or on plain text.

use emotrain_base::{Listener, Parts};
use emotrain_data::{Label, LabelSet, SplitKind};
use emotrain_eval::{
    Bootstrap, EvalReport, Prediction, comparison_table, majority, score, weighted_f1_interval,
};
use emotrain_model::CausalLm;
use emotrain_prompt::{Encoder, Sample};
use emotrain_recipe::{EvalSection, OutputType};
use emotrain_runs::{EvalResult, ScoreContext};

use crate::answers::AnswerReader;
use crate::error::TrainError;
use crate::validate::{Questions, Scored, Validation, evaluate, label_loss, sequence_loss};

/// Resampled sets behind the interval of a score.
const RESAMPLES: usize = 1000;
const CONFIDENCE: f64 = 0.95;

/// One split, ready to be asked.
pub struct EvalSet {
    /// The split.
    pub split: SplitKind,
    /// What is asked.
    pub validation: Validation,
    /// What its prompts show; none without labels.
    context: Option<ScoreContext>,
    /// For answers in the model's own words; none without labels.
    reader: Option<AnswerReader>,
}

/// What an evaluation needs besides the model and the samples.
#[derive(Clone, Copy)]
pub struct EvalContext<'a> {
    /// How answers are found.
    pub section: &'a EvalSection,
    /// The labels.
    pub labels: &'a LabelSet,
    /// Who sees how far it is.
    pub listener: &'a dyn Listener,
}

impl EvalSet {
    /// Questions about emotions, made with [`Answers::Withheld`](emotrain_prompt::Answers::Withheld) by this encoder.
    pub fn questions(
        encoder: &Encoder,
        split: SplitKind,
        samples: Vec<Sample>,
        context: ScoreContext,
    ) -> Self {
        let completions = encoder.label_completions().to_vec();
        let validation = Validation::Questions(Questions { samples, completions });
        Self { split, validation, context: Some(context), reader: Some(AnswerReader::new(encoder)) }
    }

    /// Sequences of plain text.
    pub fn sequences(split: SplitKind, samples: Vec<Sample>) -> Self {
        Self { split, validation: Validation::Sequences(samples), context: None, reader: None }
    }

    /// The scores of a model, and what it answered.
    ///
    /// # Errors
    /// A score that is not finite, or no utterances.
    pub fn hold(
        &self,
        model: &CausalLm,
        terms: EvalContext,
    ) -> Result<(EvalResult, Vec<Prediction>), TrainError> {
        let split = self.split.as_str().to_owned();
        let batch_size = terms.section.per_device_eval_batch_size;
        let questions = match &self.validation {
            Validation::Questions(questions) => questions,
            Validation::Sequences(samples) => {
                let mut meter = terms.listener.progress(&split, samples.len(), Parts::Samples);
                let loss = sequence_loss(model, samples, batch_size, &mut |done| meter.set(done));
                if !loss.is_finite() {
                    return Err(TrainError::NonFinite { step: 0, what: "loss", value: loss });
                }
                return Ok((EvalResult { split, loss, report: None, context: None }, Vec::new()));
            }
        };
        let (scored, answers) = ask(model, questions, self.reader.as_ref(), &split, terms)?;
        let loss = label_loss(&scored, &questions.completions);
        let known =
            scored.iter().zip(&answers).filter_map(|(one, answer)| one.truth.map(|truth| (truth, *answer)));
        let (truth, predicted): (Vec<Label>, Vec<Option<Label>>) = known.unzip();
        let count = terms.labels.len();
        let scores = score(&truth, &predicted, count)?;
        let mut report = EvalReport::new(&split, terms.labels, &scores, &majority(&truth, count)?);
        let bootstrap = Bootstrap { samples: RESAMPLES, level: CONFIDENCE, seed: 0 };
        report.weighted_f1_interval = Some(weighted_f1_interval(&truth, &predicted, count, bootstrap)?);
        report.loss = Some(loss);
        let predictions = predictions(scored, &answers, terms.labels)?;
        let (report, context) = (Some(report), self.context.clone());
        Ok((EvalResult { split, loss, report, context }, predictions))
    }
}

/// Scores the labels of every question, with a bar, and finds each one's answer as `eval.output_type` wants it found;
/// `None` is one that names no label. A model's own words need a reader.
///
/// # Errors
/// A score that is not finite; a prompt that leaves no room for an answer.
pub fn ask(
    model: &CausalLm,
    questions: &Questions,
    reader: Option<&AnswerReader>,
    what: &str,
    terms: EvalContext,
) -> Result<(Vec<Scored>, Vec<Option<Label>>), TrainError> {
    let (section, count) = (terms.section, questions.samples.len());
    let mut meter = terms.listener.progress(what, count, Parts::Samples);
    let scored = evaluate(model, questions, section, &mut |done| meter.set(done))?;
    let answers = match (section.output_type, reader) {
        (OutputType::GenerateUntil, Some(reader)) => {
            let mut meter = terms.listener.progress(&format!("{what} answers"), count, Parts::Samples);
            let batch_size = section.per_device_eval_batch_size;
            reader.ask(model, questions, batch_size, &mut |done| meter.set(done))?
        }
        (OutputType::GenerateUntil | OutputType::MultipleChoice, _) => {
            scored.iter().map(|one| Some(one.predicted)).collect()
        }
    };
    Ok((scored, answers))
}

/// Answers as they are stored.
///
/// # Errors
/// A score that is not finite.
pub fn predictions(
    scored: Vec<Scored>,
    answers: &[Option<Label>],
    labels: &LabelSet,
) -> Result<Vec<Prediction>, TrainError> {
    let prediction = |(one, answer): (Scored, &Option<Label>)| {
        let scores: Vec<f64> = one.log_probs.iter().map(|&score| f64::from(score)).collect();
        let mut prediction = Prediction::likeliest(one.id, one.truth, &scores, labels)?;
        prediction.label = answer.map(|label| labels.name(label).to_owned());
        Ok(prediction)
    };
    scored.into_iter().zip(answers).map(prediction).collect()
}

/// The result of a training on one split for people: before and after, if there is a before.
///
/// # Errors
/// Measures of different utterances.
pub fn comparison(before: Option<&EvalResult>, after: &EvalResult) -> Result<String, TrainError> {
    let Some(report) = &after.report else {
        let earlier = before.map_or(String::new(), |before| format!("{:.4} before, ", before.loss));
        let (split, loss) = (&after.split, after.loss);
        return Ok(format!("{split}: loss {earlier}{loss:.4} after, perplexity {:.2}", loss.exp()));
    };
    let context = after.context.as_ref().map(ToString::to_string);
    let Some(before) = before.and_then(|before| before.report.as_ref()) else {
        let lines: Vec<String> = [Some(report.to_string()), context].into_iter().flatten().collect();
        return Ok(lines.join("\n"));
    };
    let table = comparison_table(before, report)?;
    let percent = |share: f64| 100.0 * share;
    let interval = report.weighted_f1_interval.map(|interval| {
        let (low, high, level) = (percent(interval.low), percent(interval.high), percent(interval.level));
        format!("weighted F1 after is between {low:.2} and {high:.2} with {level:.0} % confidence")
    });
    let (accuracy, weighted_f1) = (percent(report.majority.accuracy), percent(report.majority.weighted_f1));
    let majority =
        format!("always the most frequent label: accuracy {accuracy:.2}, weighted F1 {weighted_f1:.2}");
    let over = report.macro_f1.map(|macro_f1| macro_f1.to_string());
    let lines: Vec<String> =
        [Some(table), interval, over, Some(majority), context].into_iter().flatten().collect();
    Ok(lines.join("\n"))
}
