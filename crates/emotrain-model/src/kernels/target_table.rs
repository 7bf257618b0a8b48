//! What rows of logits predict, as a kernel reads it.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::batch::Target;

/// The targets of `M` rows on a device.
pub(super) struct TargetTable {
    /// Of each row the place of its first target, and the end of all; then the token of each target, row by row; then its
    /// number among the targets as they were given: `[M + 1 + 2·targets]`.
    pub(super) places: Tensor<1, Int>,
    /// Of each row its smoothing, then of each target its factor, `[M + targets]` in f32.
    pub(super) terms: Tensor<1>,
}

impl TargetTable {
    /// # Panics
    /// If a target's row is none of those that have a smoothing, or there are more than 2³¹ tokens.
    pub(super) fn new(targets: &[Target], factors: &[f32], smoothing: &[f32], device: &Device) -> Self {
        let mut order: Vec<usize> = (0..targets.len()).collect();
        order.sort_by_key(|&number| targets[number].row);
        let mut ends = vec![0; smoothing.len() + 1];
        for target in targets {
            ends[target.row + 1] += 1;
        }
        for row in 1..ends.len() {
            ends[row] += ends[row - 1];
        }
        let tokens = order.iter().map(|&number| targets[number].id as usize);
        let places = ends.into_iter().chain(tokens).chain(order.iter().copied());
        let place = |place: usize| i32::try_from(place).expect("tokens and targets fit i32");
        let places: Vec<i32> = places.map(place).collect();
        let terms: Vec<f32> =
            smoothing.iter().copied().chain(order.iter().map(|&number| factors[number])).collect();
        let ([place_count, term_count], options) = ([places.len(), terms.len()], (device, DType::I32));
        Self {
            places: Tensor::from_data(TensorData::new(places, [place_count]), options),
            terms: Tensor::from_data(TensorData::new(terms, [term_count]), (device, DType::F32)),
        }
    }
}
