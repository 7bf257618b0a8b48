//! Sequences that go on on a GPU, each with its likeliest token, without the host in between.
//!
//! Which tokens are next, where they are, and what they see are numbers in buffers that stay where they are, so the launches of
//! a token are the same for every token: they are recorded once, and then made again at once (a CUDA graph).

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::Continued;
use super::layers::{through_layers, token_pass};
use super::pool::{Pool, Slot};
use crate::attention::Attended;
use crate::decoder::CausalLm;
use crate::device::Recorded;
use crate::kernels::{Form, TokenPlaces, Tokens, attention_to_slots, put_rows};
use crate::layer::Rotations;

/// Tokens of a sequence that are told at once at most.
pub(super) const KEPT: usize = 8;
/// Fewest tokens that a sequence has room for.
const ROOM: usize = 256;
/// Tokens that are launched one by one before one is recorded: recording takes as long as four, and finding out whether it can
/// be as many.
const LAUNCHED: usize = 16;

/// What a token takes.
type Token = Box<dyn FnMut() -> Option<()> + Send>;

/// The launches of a token of so many sequences.
pub(super) struct Steps {
    tokens: Tokens,
    /// All rows of the pool that they are made for.
    layers: Vec<Tensor<2>>,
    /// Where sequences write that are none, and what has no place yet.
    spare: Arc<Slot>,
    work: Work,
    model: Arc<CausalLm>,
}

enum Work {
    /// So many tokens so far.
    Launched(Token, usize),
    Recorded(Recorded),
}

impl Steps {
    /// Steps of these sequences, which have slots for their next tokens, and of others like them.
    pub(super) fn new(model: &Arc<CausalLm>, pool: &mut Pool, sequences: &mut [Continued]) -> Self {
        let room = longest(sequences).next_power_of_two().max(ROOM);
        let shape = [sequences.len().next_power_of_two(), room, KEPT];
        let tokens = Tokens::new(shape, &model.windows(), &model.device());
        let spare = pool.take(1).remove(0);
        let layers = pool.whole().to_vec();
        let work = Work::Launched(token(model, &layers, &tokens), 0);
        Self { tokens, layers, spare, work, model: Arc::clone(model) }
    }

    /// Whether they are steps in this pool as it is.
    pub(super) fn are_in(&self, pool: &Pool) -> bool {
        self.layers.iter().all(|layer| layer.dims()[0] == pool.rows())
    }

    /// Whether they have room for these sequences, and not for many more.
    pub(super) fn have_room_for(&self, sequences: &mut [Continued]) -> bool {
        let [rows, room] = self.tokens.shape();
        (rows / 4..=rows).contains(&sequences.len()) && longest(sequences) <= room
    }

    #[cfg(test)]
    pub(super) fn replay(&self) -> bool {
        matches!(&self.work, Work::Recorded(recorded) if recorded.is_recorded())
    }

    /// As [`super::Engine::go_on`]; the sequences have slots for what they are fed. `records` is whether tokens can be
    /// recorded, once that is known.
    pub(super) fn run(
        &mut self,
        sequences: &mut [Continued],
        count: usize,
        records: &mut Option<bool>,
    ) -> Option<Vec<Vec<u32>>> {
        self.begin(sequences)?;
        if let Work::Launched(_, LAUNCHED..) = self.work
            && *records.get_or_insert_with(|| self.can_be_recorded())
        {
            self.record();
            self.begin(sequences)?;
        }
        for _ in 0..count {
            match &mut self.work {
                Work::Launched(token, made) => {
                    token()?;
                    *made += 1;
                }
                Work::Recorded(recorded) => recorded.run(),
            }
        }
        let told = self.tokens.told()?;
        let of = |(row, sequence): (usize, &Continued)| {
            let after = |step| told[row * KEPT + (sequence.cache.tokens() + step) % KEPT];
            (0..count).map_while(|step| u32::try_from(after(step)).ok()).collect()
        };
        Some(sequences.iter().enumerate().map(of).collect())
    }

    /// Tells the device where the sequences are.
    fn begin(&self, sequences: &mut [Continued]) -> Option<()> {
        let [rows, room] = self.tokens.shape();
        let whole = |number: usize| i32::try_from(number).expect("bounded by the pool's rows");
        let mut from = TokenPlaces {
            ids: sequences.iter().map(|sequence| sequence.last.cast_signed()).collect(),
            places: sequences.iter().map(|sequence| whole(sequence.cache.tokens())).collect(),
            slots: vec![whole(self.spare.row()); rows * room],
        };
        from.ids.resize(rows, 0);
        from.places.resize(rows, 0);
        for (slots, sequence) in from.slots.chunks_exact_mut(room).zip(sequences) {
            for (slot, held) in slots.iter_mut().zip(sequence.cache.slots()) {
                *slot = whole(held.row());
            }
        }
        self.tokens.begin(from)
    }

    /// Whether a token can be recorded, tried on a pool of one row: what it writes to may be lost.
    fn can_be_recorded(&self) -> bool {
        let [rows, room] = self.tokens.shape();
        let device = self.model.device();
        let tokens = Tokens::new([rows, room, KEPT], &self.model.windows(), &device);
        let row = |layer: &Tensor<2>| Tensor::zeros([1, layer.dims()[1]], (&device, layer.dtype()));
        let pool: Vec<Tensor<2>> = self.layers.iter().map(row).collect();
        recorded(&device, token(&self.model, &pool, &tokens)).is_recorded()
    }

    /// Records a token; meanwhile the sequences go on, which leaves garbage only where the next tokens are written.
    fn record(&mut self) {
        let nothing: Token = Box::new(|| None);
        if let Work::Launched(token, _) = &mut self.work {
            let token = std::mem::replace(token, nothing);
            self.work = Work::Recorded(recorded(&self.model.device(), token));
        }
    }
}

/// A token whose launches were made before, recorded.
fn recorded(device: &Device, mut token: Token) -> Recorded {
    Recorded::new(device, move || token().expect("launches that were made before"))
}

/// Tokens of the longest sequence with what it is fed next.
fn longest(sequences: &mut [Continued]) -> usize {
    sequences.iter_mut().map(|sequence| sequence.cache.slots().len()).max().unwrap_or(0)
}

/// What a token of all sequences takes, from their last tokens to the next ones.
fn token(model: &Arc<CausalLm>, pool: &[Tensor<2>], tokens: &Tokens) -> Token {
    let (model, tokens, mut pool) = (Arc::clone(model), tokens.clone(), pool.to_vec());
    let [rows, room] = tokens.shape();
    let places: Vec<u32> = (0..).take(room).collect();
    let angles = model.rotations(&places);
    Box::new(move || {
        if model.embed.form() != Form::Fused {
            return None;
        }
        tokens.place()?;
        let (places, new, slots) = (tokens.places(), tokens.new_slots(), tokens.slots());
        let of_rows = |Rotations { keys, .. }: &Rotations| {
            let keys = keys.select(&places);
            Rotations { queries: keys.clone(), keys }
        };
        let pass = token_pass(angles.iter().map(of_rows).collect(), rows);
        let mut whole = true;
        let x =
            through_layers(&model, model.embeddings(&tokens.ids()), &pass, &mut |number, spec, projected| {
                let kept = &mut pool[number];
                put_rows(kept, &projected.kv, &new);
                let attended =
                    attention_to_slots(&projected.q, kept, &slots, tokens.ranges(spec.window), spec);
                whole &= attended.is_some();
                let rows = attended.unwrap_or_else(|| projected.q.clone());
                Attended { rows, dropped: None, log_sums: Vec::new() }
            });
        let logits = model.head_weight().times(model.norm.forward(x));
        whole.then_some(())?;
        tokens.take(&logits)
    })
}
