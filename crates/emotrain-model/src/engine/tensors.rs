//! The engine's form for every device and dtype but one: the layers' tensor operations, and a pool of keys and values that
//! all sequences share. On a GPU one launch a layer attends for all sequences with few new rows.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::layers::{through_layers, token_pass};
use super::pool::Pool;
use super::steps::Steps;
use super::{Cache, Continued, Feed, Hidden, Layers, wanted_rows};
use crate::attention::{Attended, Blocks, Projected, Ready};
use crate::decoder::CausalLm;
use crate::kernels::{Rows, attention_to_slots, integers_on, likeliest};
use crate::spec::AttentionSpec;

/// New rows of a sequence up to which each attends on its own; more are multiplied as blocks.
pub(super) const FEW: usize = 256;

/// A model with the keys and values of what it is fed.
pub(crate) struct TensorModel {
    model: Arc<CausalLm>,
    memory: Mutex<Memory>,
}

/// What is on the device beside the model.
#[derive(Default)]
struct Memory {
    pool: Pool,
    /// Of sequences that last went on by themselves.
    steps: Option<Steps>,
    /// Whether these can be recorded, once that was tried.
    records: Option<bool>,
    /// Who launched last.
    thread: Option<ThreadId>,
}

impl TensorModel {
    pub(crate) fn new(model: &CausalLm) -> Self {
        Self { model: Arc::new(model.clone()), memory: Mutex::default() }
    }

    /// The memory, in which nothing of another thread is under way.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let here = Some(thread::current().id());
        if memory.thread != here {
            if memory.thread.is_some() {
                // What failed is the error of whoever reads it.
                let _ = self.model.device().sync();
            }
            (memory.steps, memory.thread) = (None, here);
        }
        memory
    }

    /// As [`super::Engine::width`].
    pub(super) fn width(&self) -> usize {
        self.model.config().hidden_size
    }

    /// As [`super::Engine::forward`].
    pub(super) fn forward(&self, feeds: &mut [Feed]) -> Hidden {
        let (model, mut memory) = (&self.model, self.memory());
        let Memory { pool, steps, .. } = &mut *memory;
        let wanted = wanted_rows(feeds);
        let fed = Fed::new(model, feeds, pool);
        steps.take_if(|steps| !steps.are_in(pool));
        let pass = token_pass(model.rotations(&fed.positions), fed.positions.len());
        let (x, _) = model.embedded(feeds.iter().flat_map(|feed| feed.ids).copied());
        let x = through_layers(model, x, &pass, &mut |number, spec, projected| {
            let kept = pool.keep(number, &projected.kv, &fed.new);
            fed.attend(spec, &projected.q, kept)
        });
        if wanted.is_empty() {
            return Hidden::Memory(Vec::new());
        }
        let wanted = Rows::new(wanted, &model.device()).of(&x);
        Hidden::Tensor(Box::new(model.norm.forward(wanted)))
    }

    /// As [`super::Engine::go_on`].
    pub(super) fn go_on(&self, sequences: &mut [Continued], count: usize) -> Option<Vec<Vec<u32>>> {
        let mut memory = self.memory();
        let Memory { pool, steps, records, .. } = &mut *memory;
        for sequence in &mut *sequences {
            let more = pool.take(count);
            sequence.cache.slots().extend(more);
        }
        let ready = steps.take().filter(|steps| steps.are_in(pool) && steps.have_room_for(sequences));
        let mut ready = ready.unwrap_or_else(|| Steps::new(&self.model, pool, sequences));
        let told = ready.run(sequences, count, records);
        for sequence in sequences {
            let tokens = sequence.cache.tokens;
            let slots = sequence.cache.slots();
            // Without an answer nothing was fed.
            slots.truncate(if told.is_some() { slots.len() } else { tokens });
            sequence.cache.tokens = slots.len();
        }
        *steps = told.is_some().then_some(ready);
        told
    }

    /// Whether sequences that go on by themselves do so by launches that were recorded.
    #[cfg(test)]
    pub(super) fn replays(&self) -> bool {
        self.memory().steps.as_ref().is_some_and(Steps::replay)
    }

    /// As [`super::Engine::logits`].
    pub(super) fn logits(&self, hidden: &Hidden) -> Vec<f32> {
        let logits = self.head(hidden).cast(DType::F32);
        logits.try_into_vec_as::<f32>().expect("f32 on every device")
    }

    /// As [`super::Engine::likeliest`].
    pub(super) fn likeliest(&self, hidden: &Hidden) -> Option<Vec<u32>> {
        likeliest(&self.head(hidden))
    }

    fn head(&self, hidden: &Hidden) -> Tensor<2> {
        let hidden = match hidden {
            Hidden::Tensor(hidden) => (**hidden).clone(),
            Hidden::Memory(numbers) => {
                let shape = [numbers.len() / self.width(), self.width()];
                let options = (&self.model.device(), self.model.embed.dtype());
                Tensor::from_data(TensorData::new(numbers.clone(), shape), options)
            }
        };
        self.model.head_weight().times(hidden)
    }
}

/// The rows of a pass.
struct Fed {
    /// Of each row, in its sequence.
    positions: Vec<u32>,
    /// The slot of each row.
    new: Rows,
    /// The slots of all that each feed sees, feed by feed.
    seen: Rows,
    /// Where among these those begin and end that a row sees, by the window of the layer's attention; nothing for the rows
    /// of feeds with many.
    ranges: BTreeMap<Option<usize>, Tensor<2, Int>>,
    feeds: Vec<FedRows>,
}

/// Of one feed.
struct FedRows {
    /// Among all rows.
    rows: Range<usize>,
    /// Of its slots, among all that are seen.
    seen: Range<usize>,
    /// Its slots and queries, if it attends on its own.
    alone: OnceCell<(Rows, Blocks)>,
}

impl Fed {
    /// Gives every row a slot, and leaves the feeds with caches that have them.
    fn new(model: &CausalLm, feeds: &mut [Feed], pool: &mut Pool) -> Self {
        let (mut new, mut seen, mut fed) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..feeds.len() {
            let (past, rows) = (feeds[at].past(), feeds[at].ids.len());
            let mut held = match feeds[at].from {
                Some((other, _)) => feeds[other].cache.slots().clone(),
                None => std::mem::take(feeds[at].cache.slots()),
            };
            assert!(past <= held.len(), "a feed begins with what was fed");
            held.truncate(past);
            held.extend(pool.take(rows));
            let (first, start) = (new.len(), seen.len());
            seen.extend(held.iter().map(|slot| slot.row()));
            new.extend_from_slice(&seen[start + past..]);
            let (rows, seen) = (first..new.len(), start..seen.len());
            fed.push(FedRows { rows, seen, alone: OnceCell::new() });
            feeds[at].cache = Cache { tokens: held.len(), layers: Layers::Slots(held) };
        }
        let device = model.device();
        let ranges = model.windows().into_iter().map(|window| {
            let ranges: Vec<i32> = fed.iter().flat_map(|feed| feed.ranges(window)).collect();
            (window, integers_on(&device, ranges, [new.len(), 2]))
        });
        let ranges = ranges.collect();
        let positions = fed.iter().flat_map(|feed| feed.past()..feed.seen.len());
        let positions = positions.map(|position| u32::try_from(position).expect("positions fit u32"));
        let positions = positions.collect();
        Self { positions, new: Rows::new(new, &device), seen: Rows::new(seen, &device), ranges, feeds: fed }
    }

    /// Attention of all rows to a layer's keys and values.
    fn attend(&self, spec: AttentionSpec, q: &Tensor<2>, kept: &Tensor<2>) -> Attended {
        let each = attention_to_slots(q, kept, &self.seen, &self.ranges[&spec.window], spec);
        let most = if each.is_some() { FEW } else { 0 };
        let left = self.feeds.iter().filter(|feed| feed.rows.len() > most);
        let ([_, width], device) = (q.dims(), q.device());
        let mut rows = each.unwrap_or_else(|| Tensor::zeros(q.dims(), (&device, q.dtype())));
        for feed in left {
            let (slots, blocks) = feed.alone.get_or_init(|| self.alone(feed, &device));
            let q = q.clone().narrow(0, feed.rows.start, feed.rows.len());
            let ready = Ready::Rows(Projected { q, kv: slots.of(kept) });
            let answered = spec.attend(&ready, blocks, None).rows;
            rows.inplace(|rows| rows.slice_assign([feed.rows.clone(), 0..width], answered));
        }
        Attended { rows, dropped: None, log_sums: Vec::new() }
    }

    fn alone(&self, feed: &FedRows, device: &Device) -> (Rows, Blocks) {
        let slots = self.seen.numbers()[feed.seen.clone()].to_vec();
        let windows = self.ranges.keys().copied().collect();
        (Rows::new(slots, device), Blocks::after(feed.past(), feed.rows.len(), &windows))
    }
}

impl FedRows {
    /// Tokens before its rows.
    fn past(&self) -> usize {
        self.seen.len() - self.rows.len()
    }

    /// Where among all slots that are seen those begin and end that each row sees, row by row.
    fn ranges(&self, window: Option<usize>) -> impl Iterator<Item = i32> {
        let Self { rows, seen, .. } = self;
        let few = rows.len() <= FEW;
        let range = move |row: usize| {
            let end = seen.end - row;
            let start = window.map_or(seen.start, |window| end.saturating_sub(window).max(seen.start));
            if few { [start, end] } else { [0, 0] }
        };
        let places = (0..rows.len()).rev().flat_map(range);
        places.map(|place| i32::try_from(place).expect("places fit i32"))
    }
}
