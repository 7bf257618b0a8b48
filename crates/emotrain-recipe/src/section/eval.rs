//! `[eval]`: when to evaluate and what to keep.

use serde::{Deserialize, Serialize};

use super::WrongForm;
use crate::blank;
use crate::key::{Kind, MOST};
use crate::problem::{Fault, Violations};

section! {
    /// `[eval]`: when to evaluate and what to keep.
    EvalSection = "eval" {
        /// How often the validation split is evaluated during training.
        eval_steps: EvalSteps = Kind::CountOrShare(MOST);
        /// Validation samples of evaluations during training; `None` = all.
        #[serde(with = "blank::count")]
        max_samples: Option<usize> = Kind::up_to(MOST);
        /// Samples per forward pass, at least 1.
        per_device_eval_batch_size: usize = Kind::one_to(65_536);
        /// The metric that selects the best checkpoint.
        metric_for_best_model: Metric = Kind::Choice(Metric::NAMES);
        /// Must match [`Metric::greater_is_better`].
        greater_is_better: bool = Kind::Switch;
        /// End with the best weights, not the last.
        load_best_model_at_end: bool = Kind::Switch;
        /// Evaluations without a better score before the run stops; 0 = never.
        early_stopping_patience: usize = Kind::up_to(MOST);
        /// How the labels of final scores are obtained.
        output_type: OutputType = Kind::Choice(OutputType::NAMES);
        /// Score labels in bfloat16 on the CPU.
        bf16_full_eval: bool = Kind::Switch;
        /// Evaluate the untrained model first.
        baseline: bool = Kind::Switch;
        /// Evaluate the test split once, after selection.
        test: bool = Kind::Switch;
    }
}

/// How often something recurs during training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "toml::Value")]
pub enum EvalSteps {
    /// Every so many optimiser steps; 0 = only at the end.
    Every(usize),
    /// Every such share of an epoch, in (0, 1].
    EpochShare(f64),
}

impl EvalSteps {
    /// Whether it never recurs.
    pub fn is_never(self) -> bool {
        self == Self::Every(0)
    }
}

impl std::fmt::Display for EvalSteps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        toml::Value::from(*self).fmt(f)
    }
}

impl TryFrom<toml::Value> for EvalSteps {
    type Error = WrongForm;

    fn try_from(value: toml::Value) -> Result<Self, WrongForm> {
        let wrong = WrongForm { expected: "a number of steps or a share of an epoch" };
        if let Some(share) = value.as_float() {
            return Ok(Self::EpochShare(share));
        }
        let steps = value.as_integer().and_then(|steps| usize::try_from(steps).ok());
        steps.map(Self::Every).ok_or(wrong)
    }
}

impl From<EvalSteps> for toml::Value {
    fn from(steps: EvalSteps) -> Self {
        match steps {
            EvalSteps::Every(steps) => Self::Integer(i64::try_from(steps).unwrap_or(i64::MAX)),
            EvalSteps::EpochShare(share) => share.into(),
        }
    }
}

choices! {
    /// The metric that selects the best checkpoint.
    Metric {
        /// F1 averaged over the labels, weighted by their support.
        WeightedF1 = "weighted_f1",
        /// F1 averaged over the labels.
        MacroF1 = "macro_f1",
        /// Proportion of correct predictions.
        Accuracy = "accuracy",
        /// Mean negative log-likelihood of a supervised token.
        Loss = "loss",
    }
}

choices! {
    /// How a label is obtained from the model, with the names of lm-evaluation-harness.
    OutputType {
        /// Every label is scored by its likelihood after the prompt.
        MultipleChoice = "multiple_choice",
        /// The model generates its answer.
        GenerateUntil = "generate_until",
    }
}

impl EvalSection {
    /// A metric has one direction.
    pub(crate) fn check_direction(&self, violated: &mut Violations) {
        let metric = self.metric_for_best_model;
        let right = metric.greater_is_better();
        if self.greater_is_better != right {
            let better = if right { "larger" } else { "smaller" };
            let fault = Fault::new(format!("for \"{metric}\" {better} is better"));
            let hint = format!("write greater_is_better = {right} under [eval]");
            violated.add(&["eval.metric_for_best_model", "eval.greater_is_better"], fault.hint(hint));
        }
    }
}

impl Metric {
    /// Whether a higher value is better.
    pub const fn greater_is_better(self) -> bool {
        match self {
            Self::WeightedF1 | Self::MacroF1 | Self::Accuracy => true,
            Self::Loss => false,
        }
    }
}
