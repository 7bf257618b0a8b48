//! The gradients and the update of an adapter on a GPU: all numbers are in one buffer each, and an update is a launch or two.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::Tensor;

use crate::decoder::CausalLm;
use crate::gradients::Gradients;
use crate::kernels::{AdamW, Form, Moments};
use crate::layout::{Layout, Place};

/// The moments of all parameters of an adapter, in one buffer each on its GPU.
#[derive(Debug)]
pub struct JointMoments {
    layout: Arc<Layout>,
    /// First and second, `[1, N]` in f32.
    both: [Tensor<2>; 2],
    time: usize,
}

impl JointMoments {
    /// Those before the first update of a model's adapter, or those of each parameter by name; `None` where the adapter is
    /// not updated jointly, as on the CPU, or the moments are those of other parameters.
    pub fn of(model: &CausalLm, moments: &BTreeMap<&str, &Moments>) -> Option<Self> {
        let layout = model.joint_layout()?;
        let device = model.device();
        let Some(Moments { time, .. }) = moments.values().next() else {
            let both = [layout.zeros(&device), layout.zeros(&device)];
            return Some(Self { layout, both, time: 0 });
        };
        let fits = |(name, place): (&str, Place)| {
            moments.get(name).is_some_and(|one| one.first.dims() == place.shape && one.time == *time)
        };
        if moments.len() != layout.places().count() || !layout.places().all(fits) {
            return None;
        }
        let gathered = |which: fn(&Moments) -> &Tensor<2>| {
            layout.gathered(&device, |name| moments.get(name).map(|moments| which(moments).clone()))
        };
        let both = [gathered(|moments| &moments.first), gathered(|moments| &moments.second)];
        Some(Self { layout, both, time: *time })
    }

    /// Those of each parameter, by name.
    pub fn split(&self) -> impl Iterator<Item = (String, Moments)> {
        let [first, second] = &self.both;
        self.layout.places().map(|(name, place)| {
            (name.to_owned(), Moments { first: place.of(first), second: place.of(second), time: self.time })
        })
    }
}

impl CausalLm {
    /// No gradients yet of what is trained: an adapter's are in one buffer on a GPU, so that its update is few launches.
    pub fn gradients(&self) -> Gradients {
        match self.joint_layout() {
            Some(layout) => Gradients::joint(layout, &self.device()),
            None => Gradients::default(),
        }
    }

    /// Takes the adapter of a model with the same base, which may be on another device.
    pub fn follow(&mut self, other: &Self) {
        let device = self.device();
        let taken = match (&mut self.adapter, &other.adapter) {
            (Some(own), Some(adapter)) => own.take_numbers(adapter, &device),
            _ => None,
        };
        if taken.is_none() {
            self.adapter = other.adapter.as_ref().map(|adapter| adapter.on(&device));
        }
    }

    /// Where the parameters are, if the only ones are those of an adapter on a GPU.
    pub(crate) fn joint_layout(&self) -> Option<Arc<Layout>> {
        let adapter = self.adapter.as_ref().filter(|_| !self.trained)?;
        let module = adapter.modules().next()?;
        (Form::of(&module.lora.a) == Form::Fused).then(|| adapter.layout().clone())
    }

    /// Updates an adapter with the gradients that [`CausalLm::gradients`] began, and its moments, in place. The learning rates
    /// are those of `A` matrices and of everything else.
    ///
    /// # Panics
    /// If the gradients or the moments are not this model's.
    pub fn update_jointly(
        &mut self,
        rule: AdamW,
        gradients: Gradients,
        moments: &mut JointMoments,
        rates: [f64; 2],
    ) {
        let sums = gradients.into_joint().expect("gradients of an adapter that is updated jointly");
        let adapter = self.adapter.as_mut().expect("an adapter to update");
        let layout = adapter.layout().clone();
        let (mut numbers, dtype) = adapter.taken(&sums.device());
        moments.time += 1;
        let groups = [0..layout.slow, layout.slow..layout.total];
        let groups = if rates[0].to_bits() == rates[1].to_bits() {
            vec![(0..layout.total, rates[0])]
        } else {
            groups.into_iter().zip(rates).collect()
        };
        for (group, rate) in groups {
            let [first, second] = &mut moments.both;
            AdamW::update_part([&mut numbers, first, second], &sums, &group, rule.at(moments.time, rate));
        }
        adapter.put(numbers, dtype);
    }
}
