//! An adapter on a GPU whose numbers are in one buffer: its parameters are views of it, and the factors that products take
//! are made of all of it at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor};

use super::factors::Factors;
use super::{AdaptedModule, Adapter, LayerAdapter, LinearAdapter, MAGNITUDE};
use crate::device::{part, sent};
use crate::kernels::{spread, stacked};
use crate::layout::{FactorPlaces, Layout};

/// Where the parameters of these adapters stand: first the `A` matrices, those of stacked layers below one another, then
/// what LoRA+ makes learn faster.
pub(super) fn layout(layers: &[LayerAdapter]) -> Layout {
    let mut layout = Layout::default();
    let adapted = || layers.iter().flat_map(|LayerAdapter(linears)| linears).filter(|l| l.is_adapted());
    for linear in adapted() {
        let width = linear.modules[0].lora.a.dims()[1];
        layout.put_factors([linear.rank(), width]);
        for AdaptedModule { path, lora, .. } in &linear.modules {
            layout.put(format!("{path}.lora_A.weight"), lora.a.dims());
        }
        layout.align();
    }
    layout.slow = layout.total;
    for (number, linear) in adapted().enumerate() {
        put_outputs(&mut layout, number, linear);
    }
    layout
}

/// The `B` matrices and magnitudes of a linear layer, by its number among those that are adapted.
fn put_outputs(layout: &mut Layout, number: usize, linear: &LinearAdapter) {
    let (columns, rank) = (linear.columns(), linear.rank());
    let block = (!linear.has_magnitudes()).then(|| layout.put_block(number, [columns.len(), rank]));
    for AdaptedModule { path, columns: own, ranks, lora } in &linear.modules {
        let name = format!("{path}.lora_B.weight");
        layout.put(name.clone(), lora.b.dims());
        layout.align();
        if let Some(block) = block {
            let to = block + (own.start - columns.start) * rank + ranks.start;
            #[expect(clippy::cast_possible_truncation, reason = "the factors are f32")]
            layout.put_columns(&name, [rank, to], lora.scale as f32);
        }
        if lora.dora.is_some() {
            layout.put(format!("{path}.{MAGNITUDE}"), [1, own.len()]);
            layout.align();
        }
    }
}

impl Adapter {
    /// The same numbers on another device.
    pub(crate) fn on(&self, device: &Device) -> Self {
        let mut moved = Self { joint: None, ..self.clone() };
        let modules = moved.layers.iter_mut().flat_map(|LayerAdapter(linears)| linears);
        for linear in modules {
            linear.factors = Factors::unknown();
            linear.modules.iter_mut().for_each(|module| module.lora.move_to(device));
        }
        // A layout has tables on its device.
        moved.layout = Arc::new(layout(&moved.layers));
        moved
    }

    /// Takes the numbers of the same adapter on another device, in one piece where they are in one buffer there. `None`, and
    /// nothing taken, where they are not.
    pub(crate) fn take_numbers(&mut self, other: &Self, device: &Device) -> Option<()> {
        let numbers = other.joint.clone()?;
        let (_, dtype) = self.taken(device);
        self.put(sent(numbers, device), dtype);
        Some(())
    }

    /// All numbers, `[1, N]`, which nobody else has afterwards, and the type of the factors that products took last.
    pub(crate) fn taken(&mut self, device: &Device) -> (Tensor<2>, Option<DType>) {
        let dtype =
            self.layers.iter().flat_map(|LayerAdapter(linears)| linears).find_map(LinearAdapter::taken_in);
        let joint = self.joint.take();
        let mut parameters: BTreeMap<String, Tensor<2>> = BTreeMap::new();
        for (name, parameter) in self.layers.iter_mut().flat_map(LayerAdapter::parameters) {
            let empty = Tensor::empty([0, 0], (device, DType::F32));
            parameters.insert(name, std::mem::replace(parameter, empty));
        }
        let gathered = || self.layout.gathered(device, |name| parameters.get(name).cloned());
        (joint.unwrap_or_else(gathered), dtype)
    }

    /// Puts all numbers in their places, and makes the factors that products take in this type.
    pub(crate) fn put(&mut self, numbers: Tensor<2>, dtype: Option<DType>) {
        for (name, parameter) in self.layers.iter_mut().flat_map(LayerAdapter::parameters) {
            *parameter = self.layout.place(&name).expect("a parameter of the layout").of(&numbers);
        }
        if let Some(dtype) = dtype {
            self.convert(&numbers, dtype);
        }
        self.joint = Some(numbers);
    }

    /// The factors of all linear layers, in a few launches.
    fn convert(&mut self, numbers: &Tensor<2>, dtype: DType) {
        let layout = &self.layout;
        let Some(columns) = layout.columns(&numbers.device()) else { return };
        let Some(b) = spread(numbers, columns, dtype) else { return };
        let a = part(numbers, 1, &(0..layout.slow));
        let a = if dtype == DType::F32 { a } else { stacked(&[&a], dtype) };
        let linears = self.layers.iter_mut().flat_map(|LayerAdapter(linears)| linears);
        for (linear, places) in linears.filter(|linear| linear.is_adapted()).zip(&layout.factors) {
            let FactorPlaces { a: place, b: Some(block) } = places else { continue };
            linear.factors = Factors::given(place.of(&a), block.of(&b));
        }
    }
}
