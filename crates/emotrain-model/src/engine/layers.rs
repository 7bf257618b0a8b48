//! New tokens through the layers.

use burn::tensor::Tensor;

use crate::attention::{Attended, Blocks, Projected, Ready};
use crate::decoder::CausalLm;
use crate::layer::{LayerRun, Pass, Rotations, ShareRows};
use crate::spec::AttentionSpec;

/// What all layers share, of rows that continue.
pub(super) fn token_pass(rotations: Vec<Rotations>, rows: usize) -> Pass {
    Pass { blocks: Blocks::none(), rotations, rows: None, shares: vec![ShareRows::all(rows)] }
}

/// Attention of a layer, by its number.
pub(super) type AttendAt<'a> = dyn FnMut(usize, AttentionSpec, &Projected) -> Attended + 'a;

/// Rows through all layers.
///
/// # Shapes
/// `[N, D]` → `[N, D]`.
pub(super) fn through_layers(
    model: &CausalLm,
    x: Tensor<2>,
    pass: &Pass,
    attend: &mut AttendAt,
) -> Tensor<2> {
    model.layers.iter().enumerate().fold(x, |x, (number, layer)| {
        let run = LayerRun { pass, adapters: vec![model.layer_adapter(number)], input: false };
        let mut attend = |ready: &Ready| match ready {
            Ready::Rows(projected) => attend(number, layer.spec.attention, projected),
            Ready::Heads { .. } => unreachable!("a pass without blocks has rows"),
        };
        layer.forward_with(x, &run, &mut attend).0
    })
}
