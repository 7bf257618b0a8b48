//! Low-rank adaptation (Hu et al. 2021), factored: `y = x·Wᵀ + s·(drop(x)·Aᵀ)·Bᵀ`. `W + s·BA` is never formed.
//!
//! An adapter is a value apart from the base that it adapts: a layer of the base knows nothing of it and is handed the
//! part that is its own, so that one base can serve several.

mod config;
mod dora;
mod factors;
#[cfg(test)]
mod fake_card;
mod fixed;
mod start;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::{DType, Tensor, TensorData};
use emotrain_base::random::Key;

pub use self::config::LoraConfig;
use self::dora::{Dora, row_squares};
use self::factors::Factors;
use self::fixed::Fixed;
use self::start::factors;
use crate::device::{Side, multiplies};
use crate::gradients::Gradients;
use crate::kernels::{Beside, add_block, add_dropped, add_product, dropout, product, scaled_to, sum_rows};
use crate::linear::{Linear, Module};

/// The end of the name of an adapter's magnitudes, in PEFT's files too.
pub(crate) const MAGNITUDE: &str = "lora_magnitude_vector";

/// The adapter of one linear layer, in f32. Rank and scale are the layer's own.
///
/// # Shapes
/// `a` `[R, in]`, `b` `[out, R]`.
#[derive(Clone, Debug)]
pub(crate) struct Lora {
    pub(crate) a: Tensor<2>,
    pub(crate) b: Tensor<2>,
    /// Numerator of the scale, to be written down.
    pub(crate) alpha: f64,
    /// The factor `s` of the adapter's output.
    pub(crate) scale: f64,
    /// The magnitudes of the outputs, where they are apart.
    pub(crate) dora: Option<Dora>,
    /// What the factors began with, where it is subtracted.
    pub(crate) fixed: Option<Fixed>,
}

impl Lora {
    /// A fresh adapter for `module` of `linear`, without magnitudes.
    fn new(config: &LoraConfig, module: &Module, linear: &Linear, seed: u64) -> Self {
        let [_, input] = linear.weight.dims();
        let out = module.columns.len();
        let (a, b) = factors(config, module, linear, seed);
        let device = linear.weight.device();
        let options = (&device, DType::F32);
        let a = Tensor::from_data(TensorData::new(a, [config.r, input]), options);
        let begins = b.map(|b| Tensor::from_data(TensorData::new(b, [out, config.r]), options));
        let fixed = begins.clone().map(|b| Fixed { a: a.clone(), b });
        Self {
            a,
            b: begins.unwrap_or_else(|| Tensor::zeros([out, config.r], options)),
            alpha: config.lora_alpha,
            scale: config.scale(),
            dora: None,
            fixed,
        }
    }

    /// `s · B`, `[out, R]`.
    pub(crate) fn scaled_b(&self, dtype: DType) -> Tensor<2> {
        scaled_to(self.b.clone(), self.scale, dtype)
    }
}

/// Dropout of this pass: probability, and the key from which each layer derives its mask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    pub(crate) p: f32,
    pub(crate) key: Key,
}

/// The adapters of a model: its settings, and the part of each decoder block.
#[derive(Clone, Debug)]
pub(crate) struct Adapter {
    pub(crate) config: LoraConfig,
    pub(crate) layers: Vec<LayerAdapter>,
}

impl Adapter {
    /// The adapted modules, layer by layer.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &AdaptedModule> {
        self.layers.iter().flat_map(|LayerAdapter(linears)| linears).flat_map(|linear| &linear.modules)
    }
}

/// The adapters of one decoder block: of queries (none where they are computed with keys and values), keys and values,
/// the attention's output, gate and up, down.
#[derive(Clone, Debug)]
pub(crate) struct LayerAdapter(pub(crate) [LinearAdapter; 5]);

impl LayerAdapter {
    /// The trained parameters by name.
    pub(crate) fn parameters(&mut self) -> impl Iterator<Item = (String, &mut Tensor<2>)> {
        self.0.iter_mut().flat_map(LinearAdapter::parameters)
    }
}

/// The adapters of the modules that are stacked in one [`Linear`]; none where nothing is adapted.
#[derive(Clone, Debug)]
pub(crate) struct LinearAdapter {
    /// The path of the first stacked module, adapted or not: the modules share the dropout mask that has its name.
    mask: String,
    pub(crate) modules: Vec<AdaptedModule>,
    /// Of the modules, until they change.
    factors: Factors,
}

/// One adapted module.
#[derive(Clone, Debug)]
pub(crate) struct AdaptedModule {
    /// Hugging Face path.
    pub(crate) path: String,
    /// Its columns of the output.
    pub(crate) columns: Range<usize>,
    /// Its columns of the low-rank product.
    pub(crate) ranks: Range<usize>,
    pub(crate) lora: Lora,
}

/// What [`LinearAdapter::backward`] needs in addition to the input; none where nothing is adapted.
pub(crate) type Low = Option<ByProduct>;

/// What [`LinearAdapter::forward`] computes on its way.
pub(crate) struct ByProduct {
    /// `drop(x)·Aᵀ` of the adapted modules, `[N, Σ R]`.
    low: Tensor<2>,
    /// `(W + s·BA)·drop(x)` of each adapted module that has magnitudes, `[N, out]`.
    directions: Vec<Option<Tensor<2>>>,
}

impl ByProduct {
    /// Whether a row of it has the width of the rank alone.
    pub(crate) fn is_narrow(&self) -> bool {
        self.directions.iter().all(Option::is_none)
    }
}

/// What an adapter adapts in a pass.
#[derive(Clone, Copy)]
pub(crate) struct PartAt<'a> {
    pub(crate) linear: &'a Linear,
    /// The first of its rows among those of the pass.
    pub(crate) first: usize,
    pub(crate) dropout: Option<Dropout>,
}

impl PartAt<'_> {
    fn drops(self) -> bool {
        self.dropout.is_some_and(|dropout| dropout.p > 0.0)
    }
}

impl LinearAdapter {
    /// Of a layer that is not adapted.
    pub(crate) const fn none() -> Self {
        Self { mask: String::new(), modules: Vec::new(), factors: Factors::unknown() }
    }

    /// Fresh adapters for the modules of `linear` for which there are settings, by path.
    pub(crate) fn new(linear: &Linear, settings: &BTreeMap<String, LoraConfig>, seed: u64) -> Self {
        let mut start = 0;
        let mut squares = None;
        let adapted = |module: &Module| {
            let config = settings.get(&module.path)?;
            let ranks = start..start + config.r;
            start = ranks.end;
            let mut lora = Lora::new(config, module, linear, seed);
            if config.use_dora {
                let squares = squares.get_or_insert_with(|| row_squares(linear));
                lora.dora = Some(Dora::new(squares, &module.columns));
            }
            Some(AdaptedModule { path: module.path.clone(), columns: module.columns.clone(), ranks, lora })
        };
        let modules = linear.modules.iter().filter_map(adapted).collect();
        Self { mask: linear.modules[0].path.clone(), modules, factors: Factors::unknown() }
    }

    /// Adds the adapters' output for `x` to the rows of `y` that are theirs.
    ///
    /// # Shapes
    /// `x` `[N, in]`, `y` `[M, out]` → `[M, out]`.
    pub(crate) fn forward(&self, x: &Tensor<2>, y: Tensor<2>, at: PartAt) -> (Tensor<2>, Low) {
        let Some(a) = self.factor_a(x.dtype()) else { return (y, None) };
        let mut y = self.take_fixed(x, y, at);
        let dropped = self.dropped(x.clone(), at.dropout);
        let again = (at.drops() && self.has_magnitudes()).then(|| at.linear.weight.times(dropped.clone()));
        let low = product(&Side::of(&dropped), &Side::of(&a).transposed());
        let mut directions = Vec::with_capacity(self.modules.len());
        for (number, AdaptedModule { columns, ranks, lora, .. }) in self.modules.iter().enumerate() {
            let (place, low) = ([at.first, columns.start], Side::columns(&low, ranks));
            let b = Side::of(&self.factor_b(number, x.dtype())).transposed();
            let Some(gain) = lora.gain(at.linear, columns) else {
                y = add_product(y, place, &low, &b);
                directions.push(None);
                continue;
            };
            let delta = product(&low, &b);
            let base = match &again {
                Some(again) => again.clone().narrow(1, columns.start, columns.len()),
                None => unbiased(&y, columns, x.dims()[0], at),
            };
            let direction = base.clone() + delta;
            let change = direction.clone() * gain.factor.cast(x.dtype()) - base;
            y = add_block(y, change, place);
            directions.push(Some(direction));
        }
        (y, Some(ByProduct { low, directions }))
    }

    /// Adds the gradients of the adapters, and their part of that of `x` to its rows of `dx` if it is wanted.
    ///
    /// # Shapes
    /// `grad` `[N, out]`, `x` `[N, in]`, `dx` `[M, in]`.
    pub(crate) fn backward(
        &self,
        grad: &Tensor<2>,
        saved: Saved,
        dx: Option<Tensor<2>>,
        gradients: &mut Gradients,
    ) -> Option<Tensor<2>> {
        let Saved { x, low: ByProduct { low, directions }, at } = saved;
        let Some(a) = self.factor_a(x.dtype()) else { return dx };
        let mut low_grads = Beside::new(low.dims(), &low);
        // Of the second product of the base, with what was dropped.
        let mut again = None;
        for (number, (module, direction)) in self.modules.iter().zip(directions).enumerate() {
            let AdaptedModule { path, columns, ranks, lora } = module;
            let mut side = Side::columns(grad, columns);
            if let (Some(gain), Some(direction)) = (lora.gain(at.linear, columns), direction) {
                let dy = side.tensor();
                let sums = sum_rows(dy.clone() * direction).cast(DType::F32);
                gradients.add(&format!("{path}.{MAGNITUDE}"), sums / gain.norm);
                let scaled = dy.clone() * gain.factor.cast(dy.dtype());
                if at.drops() && dx.is_some() {
                    let all = again.unwrap_or_else(|| grad.zeros_like());
                    let place = [0..dy.dims()[0], columns.clone()];
                    again = Some(all.slice_assign(place, scaled.clone() - dy));
                }
                side = Side::of(&scaled);
            }
            let sides = [&side.transposed(), &Side::columns(&low, ranks)];
            gradients.add_product(&format!("{path}.lora_B.weight"), sides, lora.scale);
            low_grads.push(&side, &Side::of(&self.factor_b(number, x.dtype())));
        }
        let low_grad = low_grads.whole();
        self.add_gradients_of_a(&low_grad, &self.dropped(x, at.dropout), gradients);
        let dx = self.take_fixed_backward(grad, dx?, at.first);
        let (low_grad, a) = (Side::of(&low_grad), Side::of(&a));
        let Some(Dropout { p, key }) = at.dropout.filter(|_| at.drops()) else {
            return Some(add_product(dx, [at.first, 0], &low_grad, &a));
        };
        let mut through = product(&low_grad, &a);
        if let Some(again) = again {
            let rows = 0..again.dims()[0];
            through = through + at.linear.weight.times_transposed(again, &[rows]);
        }
        Some(add_dropped(dx, through, at.first, p, key.named(&self.mask)))
    }

    /// Adds the gradient of each `A`, given that of the low-rank product, and what was multiplied by `A`.
    ///
    /// # Shapes
    /// `low_grad` `[N, Σ R]`, `dropped` `[N, in]`.
    fn add_gradients_of_a(&self, low_grad: &Tensor<2>, dropped: &Tensor<2>, gradients: &mut Gradients) {
        let name = |path: &str| format!("{path}.lora_A.weight");
        if multiplies(low_grad) {
            for AdaptedModule { path, ranks, .. } in &self.modules {
                let part = Side::columns(low_grad, ranks).transposed();
                gradients.add_product(&name(path), [&part, &Side::of(dropped)], 1.0);
            }
            return;
        }
        let all = product(&Side::of(low_grad).transposed(), &Side::of(dropped));
        for AdaptedModule { path, ranks, .. } in &self.modules {
            gradients.add(&name(path), all.clone().narrow(0, ranks.start, ranks.len()));
        }
    }

    /// The gradient of the base's output, given that of the sum: magnitudes multiply it where the adapter's input is the
    /// base's.
    ///
    /// # Shapes
    /// `grad` `[M, out]` → `[M, out]`; `rows` are this adapter's.
    pub(crate) fn base_gradient(&self, mut grad: Tensor<2>, rows: &Range<usize>, at: PartAt) -> Tensor<2> {
        if at.drops() {
            return grad;
        }
        for AdaptedModule { columns, lora, .. } in &self.modules {
            if let Some(gain) = lora.gain(at.linear, columns) {
                let place = [rows.clone(), columns.clone()];
                let scaled = grad.clone().slice(place.clone()) * gain.factor.cast(grad.dtype());
                grad = grad.slice_assign(place, scaled);
            }
        }
        grad
    }

    fn has_magnitudes(&self) -> bool {
        self.modules.iter().any(|module| module.lora.dora.is_some())
    }

    /// The trained parameters by name.
    pub(crate) fn parameters(&mut self) -> impl Iterator<Item = (String, &mut Tensor<2>)> {
        self.factors = Factors::unknown();
        self.modules.iter_mut().flat_map(|AdaptedModule { path, lora, .. }| {
            let Lora { a, b, dora, .. } = lora;
            let magnitude = dora.as_mut().map(|dora| (format!("{path}.{MAGNITUDE}"), dora.changed()));
            let factors = [(format!("{path}.lora_A.weight"), a), (format!("{path}.lora_B.weight"), b)];
            factors.into_iter().chain(magnitude)
        })
    }

    fn dropped(&self, x: Tensor<2>, drop: Option<Dropout>) -> Tensor<2> {
        match drop {
            Some(drop) if drop.p > 0.0 => dropout(x, drop.p, drop.key.named(&self.mask)),
            _ => x,
        }
    }
}

/// Some columns of an adapter's rows of `y` without the base's bias, as PEFT takes it off again.
fn unbiased(y: &Tensor<2>, columns: &Range<usize>, rows: usize, at: PartAt) -> Tensor<2> {
    let block = y.clone().narrow(0, at.first, rows).narrow(1, columns.start, columns.len());
    match &at.linear.bias {
        Some(bias) => block - bias.clone().narrow(1, columns.start, columns.len()),
        None => block,
    }
}

/// The forward's input `[N, in]` and by-product that [`LinearAdapter::backward`] takes.
pub(crate) struct Saved<'a> {
    pub(crate) x: Tensor<2>,
    pub(crate) low: ByProduct,
    pub(crate) at: PartAt<'a>,
}
