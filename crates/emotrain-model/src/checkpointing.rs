//! Gradient checkpointing (Chen et al. 2016): layers that keep, instead of their tape, what the backward forms it from
//! again.
//!
//! That is a layer's input and what attention gave, which is all that the products before and after attention are
//! computed from: attention itself, whose cost grows with the square of a sequence, is computed once.

use burn::tensor::Tensor;
use emotrain_recipe::TrainSection;

use crate::layer::{Layer, LayerRun, Tape};

/// Which layers are computed again in the backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checkpointing {
    /// None: each keeps its tape.
    #[default]
    Off,
    /// The first and every so manieth after it, without the last: its backward comes first, so that its tape would be
    /// formed again at once.
    Every(usize),
}

impl From<&TrainSection> for Checkpointing {
    fn from(section: &TrainSection) -> Self {
        if section.gradient_checkpointing {
            Self::Every(section.gradient_checkpointing_every)
        } else {
            Self::Off
        }
    }
}

impl Checkpointing {
    /// Whether the layer of this number, counted from 0, is computed again, of so many.
    pub(crate) fn repeats(self, layer: usize, layers: usize) -> bool {
        match self {
            Self::Off => false,
            Self::Every(every) => layer.is_multiple_of(every) && layer + 1 < layers,
        }
    }
}

/// What a layer leaves behind for its backward.
#[expect(
    clippy::large_enum_variant,
    reason = "a handful exist at a time, each holding megabytes behind pointers"
)]
pub(crate) enum Kept {
    Tape(Tape),
    Start(Start),
}

/// What a tape is formed from again.
pub(crate) struct Start {
    /// The layer's input.
    x: Tensor<2>,
    /// What attention gave.
    attended: Tensor<2>,
    log_sums: Vec<Tensor<4>>,
}

impl Kept {
    /// What stays of a tape.
    pub(crate) fn of(tape: Tape, repeats: bool) -> Self {
        if repeats {
            let Tape { x, attended, log_sums, .. } = tape;
            Self::Start(Start { x, attended, log_sums })
        } else {
            Self::Tape(tape)
        }
    }

    /// The tape, of a layer that is run as it was.
    pub(crate) fn tape(self, layer: &Layer, run: &LayerRun) -> Tape {
        match self {
            Self::Tape(tape) => tape,
            Self::Start(Start { x, attended, log_sums }) => {
                let mut given = Some((attended, log_sums));
                layer.forward_with(x, run, &mut |_, _| given.take().expect("one attention in a layer")).1
            }
        }
    }
}
