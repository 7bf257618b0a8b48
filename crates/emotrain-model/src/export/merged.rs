//! A base with an adapter added to its weights, read tensor by tensor: no model is in memory.

use std::collections::BTreeMap;

use emotrain_kernels::{product, sum_of_squares};

use crate::adapter::{PeftAdapter, PeftModule};
use crate::config::ModelDescription;
use crate::error::ModelError;
use crate::weights::Checkpoint;

/// The weights `W + s·B·A` (PEFT's `merge_and_unload`), each row in its magnitude where the adapter has any, in f32, by Hugging Face name.
pub struct Merged<'a> {
    base: &'a Checkpoint,
    /// By the name of the weight that they are added to.
    updates: BTreeMap<String, &'a PeftModule>,
}

/// `s·B·A` in its factors, made when the weight's turn comes: an adapter is in memory once.
struct Update {
    /// `Aᵀ`, `[in, r]`.
    a: Vec<f32>,
    /// `s·B`, `[out, r]`.
    b: Vec<f32>,
    r: usize,
}

impl<'a> Merged<'a> {
    /// `base` alone, or with an adapter.
    pub fn new(base: &'a Checkpoint, adapter: Option<&'a PeftAdapter>) -> Self {
        let modules = adapter.iter().flat_map(|adapter| &adapter.modules);
        let updates = modules.map(|module| (format!("{}.weight", module.path), module));
        Self { base, updates: updates.collect() }
    }

    /// What the base's files say of the model.
    pub fn description(&self) -> &ModelDescription {
        self.base.description()
    }

    /// Visits the values (row-major) of a tensor, some rows at a time.
    ///
    /// # Errors
    /// As [`Checkpoint::visit`].
    pub fn visit(
        &self,
        name: &str,
        shape: &[usize],
        visit: &mut dyn FnMut(&[f32]),
    ) -> Result<(), ModelError> {
        let Some(module) = self.updates.get(name) else { return self.base.visit(name, shape, visit) };
        let update = Update::new(module);
        let mut first = 0;
        self.base.visit(name, shape, &mut |rows| {
            let count = rows.len() / (update.a.len() / update.r);
            let b = &update.b[first * update.r..][..count * update.r];
            let mut sum = product(b, &update.a, update.r);
            for (sum, weight) in sum.iter_mut().zip(rows) {
                *sum += weight;
            }
            if let Some(magnitude) = &module.magnitude {
                rescale(&mut sum, &magnitude[first..first + count]);
            }
            visit(&sum);
            first += count;
        })
    }
}

/// Gives each row the 2-norm that it is to have.
fn rescale(rows: &mut [f32], norms: &[f32]) {
    let width = rows.len() / norms.len();
    for (row, norm) in rows.chunks_exact_mut(width).zip(norms) {
        let factor = norm / sum_of_squares(row, width).sqrt();
        for value in row {
            *value *= factor;
        }
    }
}

impl Update {
    fn new(module: &PeftModule) -> Self {
        let (r, input) = (module.r, module.a.len() / module.r);
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        let scale = module.scale as f32;
        let a = (0..input).flat_map(|column| (0..r).map(move |row| module.a[row * input + column]));
        Self { a: a.collect(), b: module.b.iter().map(|value| value * scale).collect(), r }
    }
}
