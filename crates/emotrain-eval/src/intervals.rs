//! Scores of some utterances with intervals over the choice of dialogues.

use std::collections::BTreeMap;

use emotrain_data::Label;

use crate::bootstrap::{Bootstrap, Interval, SplitMix64, percentile_interval};
use crate::error::EvalError;
use crate::tally::{HeadlineScore, ScoreTally};

/// An answer to an utterance of a dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialogueAnswer<'a> {
    /// The dialogue's id.
    pub dialogue: &'a str,
    /// The true label.
    pub truth: Label,
    /// The answer; `None` if it names no label.
    pub predicted: Option<Label>,
}

/// Scores with intervals, as fractions of 1.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreIntervals {
    /// Utterances.
    pub utterances: usize,
    /// The dialogues they are in.
    pub dialogues: usize,
    /// Proportion of correct predictions.
    pub accuracy: ScoreInterval,
    /// Mean of the labels' F1, weighted by support.
    pub weighted_f1: ScoreInterval,
    /// Mean of the labels' F1.
    pub macro_f1: ScoreInterval,
    /// F1 by label.
    pub labels: Vec<ScoreInterval>,
}

/// A score and its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreInterval {
    /// The score.
    pub score: f64,
    /// The percentile bootstrap interval over dialogues; `None` of a single dialogue.
    pub interval: Option<Interval>,
}

impl ScoreIntervals {
    /// The scores of these answers. Intervals are by the percentile bootstrap (Efron 1979), drawing dialogues with
    /// replacement, since utterances of one dialogue depend on each other:
    /// `scipy.stats.bootstrap(method="percentile")` over dialogues.
    ///
    /// # Errors
    /// No answers, a label not below `labels`, no samples, or a level outside 0 to 1.
    pub fn of(
        answers: &[DialogueAnswer<'_>],
        labels: usize,
        bootstrap: Bootstrap,
    ) -> Result<Self, EvalError> {
        bootstrap.check()?;
        if answers.is_empty() {
            return Err(EvalError::NoUtterances);
        }
        let mut by_dialogue: BTreeMap<&str, ScoreTally> = BTreeMap::new();
        for answer in answers {
            let named = [Some(answer.truth), answer.predicted];
            if let Some(label) = named.into_iter().flatten().find(|label| label.index() >= labels) {
                return Err(EvalError::LabelOutOfRange { label: label.index(), labels });
            }
            let tally = by_dialogue.entry(answer.dialogue).or_insert_with(|| ScoreTally::empty(labels));
            tally.count(answer.truth, answer.predicted);
        }
        let dialogues: Vec<ScoreTally> = by_dialogue.into_values().collect();
        let mut total = ScoreTally::empty(labels);
        for dialogue in &dialogues {
            total.add(dialogue, 1);
        }
        let scores = all_scores(&total, labels);
        let mut resampled = vec![Vec::new(); scores.len()];
        if dialogues.len() > 1 {
            let mut random = SplitMix64::new(bootstrap.seed);
            for _ in 0..bootstrap.samples {
                let mut drawn = ScoreTally::empty(labels);
                for _ in &dialogues {
                    drawn.add(&dialogues[random.below(dialogues.len())], 1);
                }
                for (values, score) in resampled.iter_mut().zip(all_scores(&drawn, labels)) {
                    values.push(score);
                }
            }
        }
        let with_interval = |(score, values): (f64, Vec<f64>)| {
            let interval = (!values.is_empty()).then(|| percentile_interval(values, bootstrap.level));
            ScoreInterval { score, interval }
        };
        let mut scores: Vec<ScoreInterval> = scores.into_iter().zip(resampled).map(with_interval).collect();
        let by_label = scores.split_off(HeadlineScore::ALL.len());
        let [weighted_f1, macro_f1, accuracy] = [scores[0], scores[1], scores[2]];
        let (utterances, dialogues) = (answers.len(), dialogues.len());
        Ok(Self { utterances, dialogues, accuracy, weighted_f1, macro_f1, labels: by_label })
    }
}

/// The headline scores, then F1 by label.
fn all_scores(tally: &ScoreTally, labels: usize) -> Vec<f64> {
    let headline = HeadlineScore::ALL.into_iter().map(|score| tally.score(score));
    headline.chain((0..labels).map(|label| tally.f1(Label::from_index(label)))).collect()
}
