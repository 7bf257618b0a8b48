//! The engine's form for every device and dtype: the layers' tensor operations, and a cache of one tensor a layer
//! that grows by blocks.

use burn::tensor::{DType, Tensor, TensorData};

use super::{Cache, Feed, Layers, wanted_rows};
use crate::attention::{Attended, Blocks, Projected, Ready};
use crate::decoder::CausalLm;
use crate::kernels::Rows;
use crate::layer::{LayerRun, Pass, ShareRows};
use crate::spec::AttentionSpec;

/// Tokens by which a cache grows.
const BLOCK: usize = 128;

/// As [`super::Engine::forward`].
pub(super) fn forward(model: &CausalLm, feeds: &mut [Feed]) -> Vec<f32> {
    let pasts: Vec<usize> = feeds.iter().map(Feed::past).collect();
    for (feed, past) in feeds.iter_mut().zip(&pasts) {
        if matches!(feed.cache.layers, Layers::Pages(_)) || feed.from.is_some() {
            feed.cache.layers = Layers::Tensors(Vec::new());
        }
        feed.cache.tokens = past + feed.ids.len();
    }
    let wanted = wanted_rows(feeds);
    let positions: Vec<u32> = feeds
        .iter()
        .zip(&pasts)
        .flat_map(|(feed, &past)| past..past + feed.ids.len())
        .map(|position| u32::try_from(position).expect("positions fit u32"))
        .collect();
    let shares = vec![ShareRows::all(positions.len())];
    let pass = Pass { blocks: Blocks::none(), rotations: model.rotations(&positions), rows: None, shares };
    let windows = model.windows();
    let attended =
        feeds.iter().zip(&pasts).map(|(feed, &past)| Blocks::after(past, feed.ids.len(), &windows));
    let blocks: Vec<Blocks> = attended.collect();
    let (mut x, _) = model.embedded(feeds.iter().flat_map(|feed| feed.ids).copied());
    for (number, layer) in model.layers.iter().enumerate() {
        let run = LayerRun { pass: &pass, adapters: vec![model.layer_adapter(number)], input: false };
        let mut caches = LayerCaches { number, feeds, pasts: &pasts, blocks: &blocks };
        let mut attend = |ready: &Ready| match ready {
            Ready::Rows(projected) => caches.attend(layer.spec.attention, projected),
            Ready::Heads { .. } => unreachable!("a pass without blocks has rows"),
        };
        x = layer.forward_with(x, &run, &mut attend).0;
    }
    if wanted.is_empty() {
        return Vec::new();
    }
    numbers(model.norm.forward(Rows::new(wanted, &model.device()).of(&x)))
}

/// As [`super::Engine::logits`].
pub(super) fn logits(model: &CausalLm, hidden: &[f32]) -> Vec<f32> {
    let [_, width] = model.embed.dims();
    let shape = [hidden.len() / width, width];
    let options = (&model.device(), model.embed.dtype());
    let hidden = Tensor::<2>::from_data(TensorData::new(hidden.to_vec(), shape), options);
    numbers(model.head_weight().times(hidden))
}

/// The caches of one layer while a pass goes through it.
struct LayerCaches<'a, 'f> {
    number: usize,
    feeds: &'a mut [Feed<'f>],
    /// Tokens before each feed's own.
    pasts: &'a [usize],
    /// Each feed's new rows.
    blocks: &'a [Blocks],
}

impl LayerCaches<'_, '_> {
    /// Attention of each feed's new rows to what it was fed, and keeps their keys and values.
    fn attend(&mut self, spec: AttentionSpec, projected: &Projected) -> Attended {
        let Projected { q, kv } = projected;
        let (mut start, mut attended) = (0, Vec::new());
        for at in 0..self.feeds.len() {
            let (rows, past) = (self.feeds[at].ids.len(), self.pasts[at]);
            let before = match self.feeds[at].from {
                Some((other, _)) => layers(&mut self.feeds[other].cache).get(self.number).cloned(),
                None => take(layers(&mut self.feeds[at].cache), self.number),
            };
            let (q, new) = (q.clone().narrow(0, start, rows), kv.clone().narrow(0, start, rows));
            let kept = appended(before, past, new);
            let seen = kept.clone().narrow(0, 0, past + rows);
            let ready = Ready::Rows(Projected { q, kv: seen });
            attended.push(spec.attend(&ready, &self.blocks[at], None).rows);
            put(layers(&mut self.feeds[at].cache), self.number, kept);
            start += rows;
        }
        Attended { rows: Tensor::cat(attended, 0), dropped: None, log_sums: Vec::new() }
    }
}

/// The cache of a layer with `new` rows after its first `past`.
fn appended(cache: Option<Tensor<2>>, past: usize, new: Tensor<2>) -> Tensor<2> {
    let [rows, width] = new.dims();
    let options = (&new.device(), new.dtype());
    let capacity = cache.as_ref().map_or(0, |cache| cache.dims()[0]);
    let missing = (past + rows).saturating_sub(capacity);
    let grown = (missing > 0).then(|| Tensor::zeros([missing.next_multiple_of(BLOCK), width], options));
    let parts: Vec<Tensor<2>> = cache.into_iter().chain(grown).collect();
    let whole = if parts.len() == 1 { parts.into_iter().next() } else { Some(Tensor::cat(parts, 0)) };
    let whole = whole.expect("a cache that is there or was grown");
    whole.slice_assign([past..past + rows, 0..width], new)
}

fn layers(cache: &mut Cache) -> &mut Vec<Tensor<2>> {
    match &mut cache.layers {
        Layers::Tensors(layers) => layers,
        Layers::Pages(_) => unreachable!("a cache belongs to one engine"),
    }
}

/// The layer's tensor, which must not be held elsewhere if it is to be written in place.
fn take(layers: &mut [Tensor<2>], number: usize) -> Option<Tensor<2>> {
    let place = layers.get_mut(number)?;
    let empty = Tensor::empty([0, 0], (&place.device(), place.dtype()));
    Some(std::mem::replace(place, empty))
}

fn put(layers: &mut Vec<Tensor<2>>, number: usize, tensor: Tensor<2>) {
    match layers.get_mut(number) {
        Some(place) => *place = tensor,
        None => layers.push(tensor),
    }
}

fn numbers(x: Tensor<2>) -> Vec<f32> {
    x.cast(DType::F32).try_into_vec_as::<f32>().expect("f32 on every device")
}
