//! Gradient checkpointing (Chen et al. 2016): layers that keep, instead of their tape, what the backward forms it from
//! again; on the device, or in the memory of the host.
//!
//! That is a layer's input and what attention gave, which is all that the products before and after attention are
//! computed from: attention itself, whose cost grows with the square of a sequence, is computed once. So is a layer's last
//! product, whose output the backward does not need, unless a norm comes behind it; the low-rank product of its adapters is
//! kept.

use burn::tensor::{Device, Tensor, TensorData, Transaction};
use emotrain_recipe::TrainSection;

use crate::attention::{Attended, Ready};
use crate::layer::{Layer, LayerRun, Tape};
use crate::lora::{ByProduct, Low};

/// Which layers are computed again in the backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checkpointing {
    /// None: each keeps its tape.
    #[default]
    Off,
    /// The first and every so manieth after it, without the last: its backward comes first, so that its tape would be
    /// formed again at once.
    Every(usize),
    /// The same layers, with what they keep in the host's memory from their forward to their backward.
    Offloaded(usize),
}

impl From<&TrainSection> for Checkpointing {
    fn from(section: &TrainSection) -> Self {
        let every = section.gradient_checkpointing_every;
        match (section.gradient_checkpointing, section.activation_offloading) {
            (false, _) => Self::Off,
            (true, false) => Self::Every(every),
            (true, true) => Self::Offloaded(every),
        }
    }
}

impl Checkpointing {
    /// Whether the layer of this number, counted from 0, is computed again, of so many.
    pub(crate) fn repeats(self, layer: usize, layers: usize) -> bool {
        match self {
            Self::Off => false,
            Self::Every(every) | Self::Offloaded(every) => layer.is_multiple_of(every) && layer + 1 < layers,
        }
    }

    /// What stays of the tape of this layer.
    pub(crate) fn keep(self, tape: Tape, layer: usize, layers: usize) -> Kept {
        if !self.repeats(layer, layers) {
            return Kept::Tape(tape);
        }
        let start = Start::of(tape);
        match self {
            Self::Offloaded(_) => Kept::OnHost(OnHost::of(start)),
            Self::Off | Self::Every(_) => Kept::Start(start),
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
    OnHost(OnHost),
}

impl Kept {
    /// The tape, of a layer that is run as it was.
    pub(crate) fn tape(self, layer: &Layer, run: &LayerRun) -> Tape {
        match self {
            Self::Tape(tape) => tape,
            Self::Start(start) => start.tape(layer, run),
            Self::OnHost(start) => start.back().tape(layer, run),
        }
    }
}

/// What a tape is formed from again.
pub(crate) struct Start {
    /// The layer's input.
    x: Tensor<2>,
    /// What attention gave.
    attended: Tensor<2>,
    log_sums: Vec<Tensor<4>>,
    /// What the adapters of the last product computed, if that is all that its backward needs of it.
    down_low: Option<Vec<Low>>,
}

impl Start {
    fn of(tape: Tape) -> Self {
        let Tape { x, attended, log_sums, low: [.., down_low], outputs: [_, normed], .. } = tape;
        let is_all = normed.is_none() && down_low.iter().flatten().all(ByProduct::is_narrow);
        Self { x, attended, log_sums, down_low: is_all.then_some(down_low) }
    }

    fn tape(self, layer: &Layer, run: &LayerRun) -> Tape {
        let Self { x, attended, log_sums, down_low } = self;
        let mut given = Some(Attended { rows: attended, dropped: None, log_sums });
        let mut attend = |_: &Ready| given.take().expect("one attention in a layer");
        let Some(down_low) = down_low else { return layer.forward_with(x, run, &mut attend).1 };
        let mut tape = layer.before_down(x, run, &mut attend);
        let [.., low] = &mut tape.low;
        *low = down_low;
        tape
    }
}

/// A [`Start`] in the memory of the host: its tensors in order, each in its own type. The low-rank product, a hundredth of
/// it, stays on the device.
pub(crate) struct OnHost {
    device: Device,
    tensors: Vec<TensorData>,
    down_low: Option<Vec<Low>>,
}

impl OnHost {
    /// Waits until the device has computed and copied it, and leaves nothing of it there.
    ///
    /// # Panics
    /// If the device cannot be read.
    fn of(start: Start) -> Self {
        let Start { x, attended, log_sums, down_low } = start;
        let device = x.device();
        // The data of a tensor that is read alone would hold the device's memory.
        let reading = Transaction::default().register(x).register(attended);
        let reading = log_sums.into_iter().fold(reading, Transaction::register);
        Self { device, tensors: reading.try_execute().expect("a device that can be read"), down_low }
    }

    fn back(self) -> Start {
        let Self { device, tensors, down_low } = self;
        let mut tensors = tensors.into_iter();
        let [x, attended] = [(); 2].map(|()| on(&device, tensors.next().expect("input and output")));
        let log_sums = tensors.map(|data| on(&device, data)).collect();
        Start { x, attended, log_sums, down_low }
    }
}

/// These numbers on a device, in their type.
fn on<const D: usize>(device: &Device, data: TensorData) -> Tensor<D> {
    let dtype = data.dtype();
    Tensor::from_data(data, (device, dtype))
}
