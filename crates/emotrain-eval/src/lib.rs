//! Scores of predicted emotions, and their reports.
//!
//! Values and names are scikit-learn's: averages go over all labels of the set, a division by zero is 0, and an answer
//! that names no label is wrong and belongs to no class (as in PRC-Emo's results).
//!
//! [`RunComparison`] says whether runs differ: over the choice of dialogues, and over the choice of seeds.
//!
//! The crate deliberately knows no model, no prompt and no tensor: labels in, numbers out.
//!
//! ```
//! use emotrain_data::Label;
//! use emotrain_eval::score;
//!
//! let [joy, anger] = [Label::from_index(0), Label::from_index(1)];
//! let truth = [joy, joy, anger, anger];
//! let predicted = [Some(joy), Some(anger), Some(anger), None];
//! let scores = score(&truth, &predicted, 2)?;
//! assert_eq!(scores.accuracy, 0.5);
//! assert_eq!(scores.labels[1].recall, 0.5);
//! assert_eq!(scores.unparsed, 1);
//! # Ok::<(), emotrain_eval::EvalError>(())
//! ```

mod agreement;
mod answers;
mod bootstrap;
mod calibration;
mod comparison;
mod error;
mod intervals;
mod metrics;
mod predictions;
mod report;
mod resampling;
mod statistics;
mod table;
mod tally;
mod test_set;

pub use agreement::{
    Agreement, AgreementLimits, Distance, Finding, LabelAnswers, LabelRows, LogProbDistance, ModelF1,
};
pub use answers::{AnswerFormat, AnswerRow, AnswerTerms, AnswerWriter, UNCERTAIN};
pub use bootstrap::{Bootstrap, Interval, weighted_f1_interval};
pub use calibration::{Calibration, CalibrationBin, SureAnswer};
pub use comparison::{
    Comparison, ComparisonTerms, GroupRun, GroupSummary, Matching, RunComparison, RunGroup, SeedTests,
    SmallestDetectable,
};
pub use error::EvalError;
pub use intervals::{DialogueAnswer, ScoreInterval, ScoreIntervals};
pub use metrics::{LabelScores, Scores, majority, score};
pub use predictions::{Prediction, write_predictions};
pub use report::{EvalReport, Headline, LabelRow, MacroF1, comparison_table};
pub use resampling::{DialogueBootstrap, Randomisation};
pub use statistics::{McNemar, SeedSummary, SignedRank, TTest};
pub use tally::{HeadlineScore, ScoreTally};
pub use test_set::{RunAnswers, TestSet};
