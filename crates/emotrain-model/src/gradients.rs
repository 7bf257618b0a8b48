//! Gradients by parameter name, summed over the micro-batches of an accumulation window.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor};

use crate::device::{Side, sent};
use crate::kernels::{
    Part, add, add_part, add_product_at, scale, scaled_to, squares, sum_product, wide_product,
};
use crate::layout::{Layout, Place};

/// Sums of gradients by parameter name, in f32.
#[derive(Debug, Default)]
pub struct Gradients {
    named: BTreeMap<String, Tensor<2>>,
    /// Those of an adapter on a GPU, in one buffer.
    joint: Option<Joint>,
}

#[derive(Debug)]
struct Joint {
    layout: Arc<Layout>,
    /// `[1, N]`.
    sums: Tensor<2>,
}

impl Gradients {
    /// None yet, of an adapter whose parameters have these places in one buffer.
    pub(crate) fn joint(layout: Arc<Layout>, device: &Device) -> Self {
        let sums = layout.zeros(device);
        Self { named: BTreeMap::new(), joint: Some(Joint { layout, sums }) }
    }

    /// Adds to the sum of one parameter.
    pub(crate) fn add(&mut self, name: &str, gradient: Tensor<2>) {
        if let Some((joint, place)) = self.among(name) {
            return joint.add(place, &gradient, [0, 0], 1.0);
        }
        let gradient = gradient.cast(DType::F32);
        let sum = match self.named.remove(name) {
            Some(sum) => add(sum, &gradient),
            None => gradient,
        };
        self.named.insert(name.to_owned(), sum);
    }

    /// Adds `factor` times the block of a matrix with these rows and columns to the sum of one parameter.
    pub(crate) fn add_block(&mut self, name: &str, all: &Tensor<2>, block: [Range<usize>; 2], factor: f64) {
        if let Some((joint, place)) = self.among(name) {
            return joint.add(place, all, [block[0].start, block[1].start], factor);
        }
        let [rows, columns] = block;
        let block = all.clone().narrow(0, rows.start, rows.len()).narrow(1, columns.start, columns.len());
        self.add(name, scaled(block, factor));
    }

    /// Adds a matrix to the sums of parameters that are below one another in it. `None`, and nothing done, where the sums
    /// are not behind one another.
    ///
    /// # Shapes
    /// `all` `[Σ n, w]`, of parameters `[n, w]`.
    pub(crate) fn add_stacked(&mut self, names: &[String], all: &Tensor<2>) -> Option<()> {
        let joint = self.joint.as_mut()?;
        let place = joint.layout.stacked(names, all.dims())?;
        joint.add(place, all, [0, 0], 1.0);
        Some(())
    }

    /// Adds `left · right` to the sums of parameters that are below one another in it. `None`, and nothing done, where the
    /// sums are not behind one another, or no library multiplies into them.
    ///
    /// # Shapes
    /// `[Σ n, k]` and `[k, w]`, of parameters `[n, w]`.
    pub(crate) fn add_stacked_product(&mut self, names: &[String], sides: [&Side; 2]) -> Option<()> {
        let joint = self.joint.as_mut()?;
        let place = joint.layout.stacked(names, [sides[0].dims()[0], sides[1].dims()[1]])?;
        add_product_at(&mut joint.sums, place.first, sides, 1.0)
    }

    /// Adds `factor · left · right` to the sum of one parameter.
    ///
    /// # Shapes
    /// `[n, k]` and `[k, w]`, of a parameter `[n, w]`.
    pub(crate) fn add_product(&mut self, name: &str, sides: [&Side; 2], factor: f64) {
        if let Some((joint, place)) = self.among(name) {
            if add_product_at(&mut joint.sums, place.first, sides, factor).is_none() {
                joint.add(place, &wide_product(sides[0], sides[1]), [0, 0], factor);
            }
            return;
        }
        let mut sum = self.named.remove(name);
        let done = sum_product(&mut sum, sides, factor);
        self.named.extend(sum.map(|sum| (name.to_owned(), sum)));
        if done.is_none() {
            self.add(name, scaled(wide_product(sides[0], sides[1]), factor));
        }
    }

    /// Adds the sums of the same model on another device to those on this one.
    pub fn add_all(&mut self, other: Self, device: &Device) {
        let Self { named, joint } = other;
        for (name, gradient) in named {
            self.add(&name, sent(gradient, device));
        }
        match (&mut self.joint, joint) {
            (Some(own), Some(Joint { sums, .. })) => {
                let sums = sent(sums, device);
                own.sums.inplace(|own| add(own, &sums));
            }
            (None, Some(other)) => self.joint = Some(Joint { sums: sent(other.sums, device), ..other }),
            (_, None) => {}
        }
    }

    /// The buffer that has a parameter's gradient, and its place in it.
    fn among(&mut self, name: &str) -> Option<(&mut Joint, Place)> {
        let joint = self.joint.as_mut()?;
        let place = joint.layout.place(name)?;
        Some((joint, place))
    }

    /// The gradient of a parameter, if the window has touched it.
    pub fn get(&self, name: &str) -> Option<Tensor<2>> {
        let joint = || self.joint.as_ref().and_then(|joint| Some(joint.layout.place(name)?.of(&joint.sums)));
        self.named.get(name).cloned().or_else(joint)
    }

    /// The names, in order.
    pub fn names(&self) -> Vec<String> {
        let joint = self.joint.iter().flat_map(|joint| joint.layout.places().map(|(name, _)| name));
        let mut names: Vec<String> =
            self.named.keys().map(String::as_str).chain(joint).map(str::to_owned).collect();
        names.sort_unstable();
        names
    }

    /// Takes a gradient out; those in one buffer stay there.
    pub fn remove(&mut self, name: &str) -> Option<Tensor<2>> {
        self.named.remove(name).or_else(|| self.get(name))
    }

    /// Those of an adapter in one buffer, `[1, N]`.
    pub(crate) fn into_joint(self) -> Option<Tensor<2>> {
        self.joint.map(|joint| joint.sums)
    }

    /// The square of the 2-norm over all gradients, `[1]` in f32, without waiting for it. NaN or infinite if any gradient
    /// is; `None` where there is no gradient.
    pub fn squared_norm(&self) -> Option<Tensor<1>> {
        let joint = self.joint.iter().map(|joint| &joint.sums);
        let all: Vec<&Tensor<2>> = self.named.values().chain(joint).collect();
        (!all.is_empty()).then(|| squares(&all))
    }

    /// The 2-norm over all gradients; reads one number back from the device.
    pub fn norm(&self) -> f64 {
        self.squared_norm().map_or(0.0, |squared| f64::from(squared.into_scalar::<f32>()).sqrt())
    }

    /// Multiplies all gradients by `factor`.
    pub fn scale(&mut self, factor: f64) {
        let joint = self.joint.iter_mut().map(|joint| &mut joint.sums);
        for gradient in self.named.values_mut().chain(joint) {
            gradient.inplace(|gradient| scale(gradient, factor));
        }
    }
}

impl Joint {
    /// Adds `factor` times a block of a matrix that begins at this row and column.
    fn add(&mut self, place: Place, all: &Tensor<2>, from: [usize; 2], factor: f64) {
        let Place { first, shape } = place;
        #[expect(clippy::cast_possible_truncation, reason = "the gradient is in f32")]
        let part = Part { first, stride: shape[1], from, shape, factor: factor as f32 };
        self.sums.inplace(|sums| add_part(sums, all, part));
    }
}

/// `factor · x` in f32.
fn scaled(x: Tensor<2>, factor: f64) -> Tensor<2> {
    let unscaled = factor.to_bits() == 1.0_f64.to_bits();
    if unscaled { x } else { scaled_to(x, factor, DType::F32) }
}
