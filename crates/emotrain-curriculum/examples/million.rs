//! The time to score a million dialogues of ten utterances on one core:
//! `cargo run --release -p emotrain-curriculum --example million`.

#![expect(clippy::print_stdout, reason = "an example that measures")]

use std::error::Error;
use std::time::Instant;

use emotrain_curriculum::{DifficultyScorer, Wheel};
use emotrain_data::{Dialogue, Label, LabelSet, Utterance};

const DIALOGUES: usize = 1_000_000;
const UTTERANCES: usize = 10;

const RECIPE: &str = "[model]\nmodel_name_or_path = \"none\"\n\
                      [data]\ntrain = \"a.jsonl\"\nvalid = \"b.jsonl\"\n[curriculum]\nname = \"prc_emo\"";

fn main() -> Result<(), Box<dyn Error>> {
    let recipe = emotrain_recipe::parse(RECIPE, "million.toml".as_ref(), &[])?;
    let labels = LabelSet::from_section(&recipe.data)?;
    // A thousand different dialogues, each scored a thousand times, so that creating them is not measured.
    let dialogue = |number: usize| {
        let utterance = |position: usize| {
            let mixed = (number * UTTERANCES + position).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            Utterance::new(
                ["Alexandra", "Benjamin", "Alexander", "Charlotte"][mixed % 4].into(),
                "What was said.".into(),
                Some(Label::from_index(mixed / 4 % labels.len())),
            )
        };
        Dialogue::new(number.to_string(), (0..UTTERANCES).map(utterance).collect())
    };
    let dialogues: Vec<Dialogue> = (0..1_000).map(dialogue).collect();
    let mut scorer =
        DifficultyScorer::new(&recipe.curriculum, &labels, &Wheel::builtin(), recipe.train.seed)?;
    let start = Instant::now();
    let mut sum = 0.0;
    for dialogue in dialogues.iter().cycle().take(DIALOGUES) {
        sum += scorer.components(dialogue)?.dif;
    }
    let took = start.elapsed();
    println!(
        "{DIALOGUES} dialogues of {UTTERANCES} utterances in {took:.2?}, mean difficulty {:.6}",
        sum / DIALOGUES as f64
    );
    Ok(())
}
