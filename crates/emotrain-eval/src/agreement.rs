//! Whether an exported model answers as the run does that it came from.

use emotrain_data::Label;
use serde::Serialize;

use crate::error::EvalError;
use crate::metrics::score;
use crate::table::Table;

/// The significand of bfloat16, in bits; of the types that are served, the shortest.
const SHORTEST: i32 = 8;
/// How much further log-probabilities may be apart with weights of that type.
const SHORTEST_FACTOR: f64 = 100.0;

/// What models answered to the same utterances: the log-probability of each label, an utterance a row.
#[derive(Clone, Copy, Debug)]
pub struct LabelRows<'a> {
    /// The true label of each utterance.
    pub truth: &'a [Label],
    /// What was trained.
    pub run: &'a [Vec<f32>],
    /// What was exported.
    pub export: &'a [Vec<f32>],
    /// The model before training, if it is at hand.
    pub base: Option<&'a [Vec<f32>]>,
}

/// The labels that models answered to the same utterances; `None` is an answer that names no label, which is
/// like no other.
#[derive(Clone, Copy, Debug)]
pub struct LabelAnswers<'a> {
    /// The true label of each utterance.
    pub truth: &'a [Label],
    /// What was trained.
    pub run: &'a [Option<Label>],
    /// What was exported.
    pub export: &'a [Option<Label>],
    /// The model before training, if it is at hand.
    pub base: Option<&'a [Option<Label>]>,
    /// How many labels there are.
    pub labels: usize,
}

/// How far two models' answers are apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Distance {
    /// By log-probabilities, where there are any.
    #[serde(flatten)]
    pub log_probs: Option<LogProbDistance>,
    /// Utterances to which both give the same label.
    pub same_labels: usize,
}

/// How far the log-probabilities of labels are apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LogProbDistance {
    /// The largest difference, in nats.
    pub largest: f64,
    /// The mean one.
    pub mean: f64,
}

/// How far apart answers may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AgreementLimits {
    /// The largest difference of a log-probability.
    pub tolerance: f64,
    /// The proportion of utterances to which both give the same label.
    pub same_labels: f64,
}

/// Weighted F1 of each model on the sample, as fractions of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ModelF1 {
    /// Of what was trained.
    pub run: f64,
    /// Of what was exported.
    pub export: f64,
    /// Of the model before training.
    pub base: Option<f64>,
}

/// What the comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The export answers as the run.
    Agrees,
    /// The export answers as the model before training: it loads and does nothing.
    AsBase,
    /// It answers otherwise.
    Differs,
}

/// A comparison of an export with its run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// What it says.
    pub finding: Finding,
    /// How many utterances were asked.
    pub utterances: usize,
    /// From the export to the run.
    pub to_run: Distance,
    /// From the export to the model before training.
    pub to_base: Option<Distance>,
    /// What the training has changed: from the run to the model before it.
    pub trained: Option<Distance>,
    /// What was allowed.
    pub limits: AgreementLimits,
    /// The scores.
    pub weighted_f1: ModelF1,
}

impl AgreementLimits {
    /// The limits for weights that are rounded to this many bits of significand (24 of float32, 11 of float16, 8 of
    /// bfloat16). `tolerance` is that of float32. A label's log-probability is a sum of differences of logits, whose
    /// rounding error is proportional to that of the weights: 100 times as much for bfloat16, and with each further bit
    /// half of it.
    pub fn new(tolerance: f64, significand_bits: i32) -> Self {
        let factor = (SHORTEST_FACTOR * 0.5_f64.powi(significand_bits - SHORTEST)).max(1.0);
        let same_labels = if factor > 1.0 { 0.99 } else { 1.0 };
        Self { tolerance: tolerance * factor, same_labels }
    }
}

impl Distance {
    fn between(these: &[Vec<f32>], those: &[Vec<f32>]) -> Self {
        let pairs = || these.iter().flatten().zip(those.iter().flatten());
        let apart = || pairs().map(|(a, b)| f64::from(a - b).abs());
        Self {
            log_probs: Some(LogProbDistance {
                largest: apart().fold(0.0, f64::max),
                mean: apart().sum::<f64>() / pairs().count().max(1) as f64,
            }),
            same_labels: these.iter().zip(those).filter(|(a, b)| likeliest(a) == likeliest(b)).count(),
        }
    }

    fn of_labels(these: &[Option<Label>], those: &[Option<Label>]) -> Self {
        let is_same = |(one, other): &(&Option<Label>, &Option<Label>)| one.is_some() && one == other;
        Self { log_probs: None, same_labels: these.iter().zip(those).filter(is_same).count() }
    }

    fn is_within(&self, limits: AgreementLimits, utterances: usize) -> bool {
        self.is_close(limits, utterances) && self.has_same_labels(limits, utterances)
    }

    fn is_close(&self, limits: AgreementLimits, utterances: usize) -> bool {
        match self.log_probs {
            Some(apart) => apart.largest <= limits.tolerance,
            None => self.has_same_labels(limits, utterances),
        }
    }

    fn has_same_labels(&self, limits: AgreementLimits, utterances: usize) -> bool {
        self.same_labels as f64 >= limits.same_labels * utterances as f64
    }

    /// Whether the two answered exactly alike.
    fn is_zero(&self, utterances: usize) -> bool {
        self.log_probs.map_or(self.same_labels == utterances, |apart| apart.mean == 0.0)
    }

    fn is_less_than(&self, other: &Self) -> bool {
        match (self.log_probs, other.log_probs) {
            (Some(this), Some(other)) => this.mean < other.mean,
            _ => self.same_labels > other.same_labels,
        }
    }
}

impl Agreement {
    /// Compares answers.
    ///
    /// # Errors
    /// No utterances, or rows of different numbers.
    pub fn of(rows: LabelRows<'_>, limits: AgreementLimits) -> Result<Self, EvalError> {
        let LabelRows { truth, run, export, base } = rows;
        let labels = run.first().map_or(0, Vec::len);
        let f1 = |answers: &[Vec<f32>]| {
            let predicted: Vec<Option<Label>> = answers.iter().map(|row| Some(likeliest(row))).collect();
            Ok::<f64, EvalError>(score(truth, &predicted, labels)?.weighted_f1)
        };
        let weighted_f1 = ModelF1 { run: f1(run)?, export: f1(export)?, base: base.map(f1).transpose()? };
        let to_run = Distance::between(export, run);
        let to_base = base.map(|base| Distance::between(export, base));
        let trained = base.map(|base| Distance::between(run, base));
        Ok(Self {
            utterances: truth.len(),
            to_run,
            to_base,
            trained,
            limits,
            weighted_f1,
            finding: Finding::Differs,
        }
        .found())
    }

    /// Compares labels alone, where an export gives no log-probabilities.
    ///
    /// # Errors
    /// No utterances, or answers of different numbers.
    pub fn of_labels(answers: LabelAnswers<'_>, limits: AgreementLimits) -> Result<Self, EvalError> {
        let LabelAnswers { truth, run, export, base, labels } = answers;
        let f1 = |answers: &[Option<Label>]| Ok::<f64, EvalError>(score(truth, answers, labels)?.weighted_f1);
        let weighted_f1 = ModelF1 { run: f1(run)?, export: f1(export)?, base: base.map(f1).transpose()? };
        let to_run = Distance::of_labels(export, run);
        let to_base = base.map(|base| Distance::of_labels(export, base));
        let trained = base.map(|base| Distance::of_labels(run, base));
        Ok(Self {
            utterances: truth.len(),
            to_run,
            to_base,
            trained,
            limits,
            weighted_f1,
            finding: Finding::Differs,
        }
        .found())
    }

    fn found(self) -> Self {
        let Self { utterances, limits, .. } = self;
        // Where the training has changed little, the base is within the tolerance, too: which of the two is nearer?
        let has_moved = self.trained.is_some_and(|trained| !trained.is_zero(utterances));
        let is_nearer = |base: Distance| base.is_close(limits, utterances) && base.is_less_than(&self.to_run);
        let finding = if has_moved && self.to_base.is_some_and(is_nearer) {
            Finding::AsBase
        } else if self.to_run.is_within(limits, utterances) {
            Finding::Agrees
        } else {
            Finding::Differs
        };
        Self { finding, ..self }
    }

    /// Whether the training has changed so little that the base would agree, too.
    pub fn proves_little(&self) -> bool {
        self.trained.is_some_and(|trained| trained.is_within(self.limits, self.utterances))
    }

    /// The comparison as a table.
    pub fn table(&self) -> String {
        let mut table = Table::new(["", "export to run", "export to base", "run to base", "allowed"]);
        let all = [Some(self.to_run), self.to_base, self.trained];
        let row = |show: &dyn Fn(Distance) -> String| all.map(|one| one.map_or("–".to_owned(), show));
        let named = |name: &str, cells: [String; 3], allowed: String| {
            [name.to_owned()].into_iter().chain(cells).chain([allowed])
        };
        let (tolerance, count) = (self.limits.tolerance, self.utterances);
        if self.to_run.log_probs.is_some() {
            let apart = |one: Distance, show: fn(LogProbDistance) -> f64| {
                one.log_probs.map_or("–".to_owned(), |apart| format!("{:.2e}", show(apart)))
            };
            let largest = row(&|one| apart(one, |apart| apart.largest));
            table.row(named("largest difference of a log-probability", largest, format!("{tolerance:.1e}")));
            table.row(named("mean difference", row(&|one| apart(one, |apart| apart.mean)), String::new()));
        }
        let share = format!("{:.0} %", 100.0 * self.limits.same_labels);
        table.row(named("same labels", row(&|one| format!("{}/{count}", one.same_labels)), share));
        let mut scores = Table::new(["", "run", "export", "base"]);
        let ModelF1 { run, export, base } = self.weighted_f1;
        let percent = |value: f64| format!("{:.2}", 100.0 * value);
        let base = base.map_or("–".to_owned(), percent);
        scores.row(["weighted F1".to_owned(), percent(run), percent(export), base]);
        format!("{}\n\n{}", table.render(), scores.render())
    }
}

/// The label with the highest log-probability; the first one in a tie.
fn likeliest(row: &[f32]) -> Label {
    let best = (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b]));
    Label::from_index(best.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(export: [[f32; 2]; 2], bits: i32) -> Agreement {
        let rows = |rows: [[f32; 2]; 2]| rows.map(|row| row.to_vec());
        let (run, base) = (rows([[-0.1, -2.0], [-3.0, -0.2]]), rows([[-0.12, -2.01], [-2.98, -0.2]]));
        let truth = [0, 1].map(Label::from_index);
        let export = rows(export);
        let rows = LabelRows { truth: &truth, run: &run, export: &export, base: Some(&base) };
        Agreement::of(rows, AgreementLimits::new(1e-3, bits)).unwrap()
    }

    #[test]
    fn the_nearer_of_run_and_base_is_what_an_export_answers_as() {
        let as_run = [[-0.1, -2.0005], [-3.0, -0.2]];
        assert_eq!(found(as_run, 24).finding, Finding::Agrees);
        let as_base = [[-0.12, -2.01], [-2.98, -0.2]];
        assert_eq!(found(as_base, 24).finding, Finding::AsBase);
        assert_eq!(
            found(as_base, 8).finding,
            Finding::AsBase,
            "though it is within the tolerance of bfloat16"
        );
        let other = [[-1.1, -2.0], [-3.0, -0.2]];
        assert_eq!(found(other, 24).finding, Finding::Differs);
        assert_eq!(found(other, 8).finding, Finding::Differs);
        assert!(found(as_run, 8).proves_little() && !found(as_run, 24).proves_little());
    }

    #[test]
    fn labels_alone_tell_run_and_base_apart() {
        let labels = |all: &[usize]| -> Vec<Option<Label>> {
            all.iter().map(|&one| (one < 3).then(|| Label::from_index(one))).collect()
        };
        let truth = [0, 1, 2, 0].map(Label::from_index);
        let (run, base) = (labels(&[0, 1, 2, 1]), labels(&[0, 0, 0, 9]));
        let found = |export: &[usize]| {
            let export = labels(export);
            let answers =
                LabelAnswers { truth: &truth, run: &run, export: &export, base: Some(&base), labels: 3 };
            Agreement::of_labels(answers, AgreementLimits::new(1e-3, 8)).unwrap()
        };
        assert_eq!(found(&[0, 1, 2, 1]).finding, Finding::Agrees);
        assert_eq!(found(&[0, 0, 0, 0]).finding, Finding::Differs);
        assert_eq!(found(&[0, 1, 9, 9]).finding, Finding::Differs);
        let agreement = found(&[0, 1, 2, 1]);
        assert!(!agreement.proves_little() && !agreement.table().contains("log-probability"));
        assert_eq!(agreement.to_base.unwrap().same_labels, 1);
        assert_eq!(found(&[9, 9, 9, 9]).to_base.unwrap().same_labels, 0, "silence is no label");
    }

    #[test]
    fn each_bit_of_rounding_doubles_the_tolerance() {
        let tolerance = |bits| AgreementLimits::new(1e-3, bits).tolerance;
        assert_eq!(format!("{:?}", [24, 11, 8].map(tolerance)), "[0.001, 0.0125, 0.1]");
    }
}
