//! The command line of `emotrain compare`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use emotrain_data::SplitKind;
use emotrain_eval::HeadlineScore;

use super::{number, split};

#[derive(Args, Debug)]
#[command(
    after_help = "A group is the run directory of a finished training, or those of several seeds, joined by
commas; with --in SWEEP the name of a recipe on its board. The first group is the baseline. Runs with the same seed are paired; groups with no seed in
common are paired in order.

Over dialogues: the difference with its paired bootstrap interval, the p-value of an approximate
randomisation (answers to a dialogue are exchanged), and that of McNemar's test of accuracy. Over
seeds: t tests. With more than two groups, Holm's correction. Detectable is the smallest difference
that would have been shown with a probability of 0.8.

Examples:
  emotrain compare checkpoints/baseline checkpoints/curriculum
  emotrain compare a-42,a-43,a-44 b-42,b-43,b-44 c-42,c-43,c-44 --metric macro_f1
  emotrain compare --in checkpoints/curriculum curriculum.name=none curriculum.name=wes
  emotrain compare a b --split valid --json"
)]
pub(crate) struct CompareArgs {
    /// Groups of runs, the baseline first
    #[arg(required = true, num_args = 2.., value_name = "GROUP", value_parser = group)]
    pub(crate) groups: Vec<String>,
    /// Where the runs are: groups are names of run directories in this folder, or recipes of this sweep
    #[arg(long = "in", value_name = "FOLDER_OR_SWEEP")]
    pub(crate) within: Option<PathBuf>,
    /// The split whose predictions are compared [default: that of the sweep's board, else test]
    #[arg(long, value_parser = split())]
    pub(crate) split: Option<SplitKind>,
    /// The score that is compared
    #[arg(long, value_parser = score(), default_value = "weighted_f1")]
    pub(crate) metric: HeadlineScore,
    /// How many sets of dialogues to resample, and how many exchanges to draw
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = number(100, 1_000_000))]
    pub(crate) samples: usize,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn group(text: &str) -> Result<String, String> {
    if text.split(',').any(|name| name.trim().is_empty()) {
        return Err("expected run directories joined by commas".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn score() -> impl TypedValueParser<Value = HeadlineScore> {
    let named = |name: String| HeadlineScore::ALL.into_iter().find(|score| score.as_str() == name);
    PossibleValuesParser::new(HeadlineScore::ALL.map(HeadlineScore::as_str))
        .map(move |name| named(name).unwrap_or(HeadlineScore::WeightedF1))
}
