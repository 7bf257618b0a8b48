//! The curriculum of PRC-Emo: the difficulty of a dialogue, and the epoch from which training uses it (PRC-Emo, Eq. 1-5
//! and Algorithm 1).
//!
//! A [`Wheel`] gives the similarity of two emotions; with it a [`DifficultyScorer`] turns a dialogue into
//! [`Components`]; [`Buckets`] sort and bucket a split; a [`Schedule`] says what each epoch trains on. [`Curriculum`]
//! combines all four; [`Overview`] displays the result, [`write_scores`] writes it for other programs.
//!
//! Everything is a pure function of the recipe, the data and a seed. The crate deliberately knows no model and no order
//! within an epoch: losses are passed in, and the training loop shuffles.
//!
//! ```
//! use emotrain_curriculum::{Curriculum, DifficultyScorer, Wheel};
//! use emotrain_data::{Dialogue, LabelSet, Utterance};
//!
//! let recipe = r#"
//!     [model]
//!     model_name_or_path = "Qwen/Qwen3-8B"
//!     [data]
//!     train = "train.jsonl"
//!     valid = "valid.jsonl"
//!     [curriculum]
//!     name = "prc_emo"
//! "#;
//! let recipe = emotrain_recipe::parse(recipe, "erc.toml".as_ref(), &[])?;
//! let labels = LabelSet::from_section(&recipe.data)?;
//!
//! let turn = |speaker: &str, label: &str| Utterance::new(speaker.into(), "…".into(), labels.resolve(label));
//! let stormy = vec![turn("Ada", "neutral"), turn("Ben", "anger"), turn("Ada", "sadness")];
//! let calm = vec![turn("Ada", "joy"), turn("Ben", "joy")];
//! let dialogue = |id: &str, utterances| Dialogue::new(id.into(), utterances);
//! let train = [dialogue("stormy", stormy), dialogue("calm", calm)];
//!
//! let wheel = Wheel::from_section(&recipe.curriculum)?;
//! let mut scorer = DifficultyScorer::new(&recipe.curriculum, &labels, &wheel, recipe.train.seed)?;
//! let curriculum = Curriculum::new(&recipe.curriculum, &mut scorer, &train)?;
//! assert_eq!(curriculum.schedule.epoch(0).dialogues, [1]);
//! assert_eq!(curriculum.schedule.epoch(1).dialogues, [1, 0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod buckets;
mod curriculum;
mod difficulty;
mod error;
#[cfg(test)]
mod fixture;
mod given;
mod overview;
mod schedule;
mod scores;
mod wheel;

pub use buckets::Buckets;
pub use curriculum::Curriculum;
pub use difficulty::{Components, DifficultyScorer, DifficultySource, Score, Shift, ShiftKind, source};
pub use error::{CurriculumError, WheelError};
pub use given::Given;
pub use overview::{BucketSummary, EpochSummary, Example, Histogram, Overview, SpelledShift};
pub use schedule::{Epoch, Schedule};
pub use scores::write_scores;
pub use wheel::{Similarity, WHEEL_TOML, Wheel};
