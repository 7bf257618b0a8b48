//! The engine's form for the CPU in f32.

use std::ops::Range;

use burn::tensor::DType;
use burn_flex::FlexTensor;
use emotrain_kernels::{
    PagedAttention, Pages, Span, add_row, add_rows, for_rows, product, rms_norm, rms_norm_row, rms_norm_to,
    rotate_head, select_rows,
};

use super::host_weight::HostWeight;
use super::{Cache, Feed, Layers, Precision, wanted_rows};
use crate::decoder::CausalLm;
use crate::kernels::{gated_rows, read, slice};
use crate::layer::Layer;
use crate::linear::Linear;
use crate::lora::{AdaptedModule, LayerAdapter, LinearAdapter};
use crate::norm::Norm;
use crate::spec::{AttentionSpec, BlockSpec, DecoderSpec, Heads, Rope};

/// The weights as memory, shared with the model's tensors.
pub(crate) struct HostModel {
    embed: HostWeight,
    spec: DecoderSpec,
    layers: Vec<HostLayer>,
    norm: HostNorm,
    /// `None` where the embedding serves as head.
    head: Option<HostWeight>,
    width: usize,
}

struct HostNorm {
    weight: FlexTensor,
    epsilon: f32,
}

struct HostLayer {
    spec: BlockSpec,
    input_norm: HostNorm,
    /// `None` where `kv` computes queries too.
    q: Option<HostLinear>,
    kv: HostLinear,
    head_norms: Option<[HostNorm; 2]>,
    o: HostLinear,
    post_norm: HostNorm,
    gate_up: HostLinear,
    down: HostLinear,
    /// Of attention and feed-forward network.
    output_norms: Option<[HostNorm; 2]>,
}

struct HostLinear {
    weight: HostWeight,
    bias: Option<FlexTensor>,
    input: usize,
    output: usize,
    lora: Option<HostLora>,
    precision: Precision,
}

/// The adapters of stacked layers.
struct HostLora {
    /// The `A` matrices one below the other, `[Σ R, in]`.
    a: FlexTensor,
    modules: Vec<Adapted>,
}

struct Adapted {
    /// Its columns of the output.
    columns: Range<usize>,
    /// Its columns of the low-rank product.
    ranks: Range<usize>,
    /// `s · B`, `[out, R]`.
    b: FlexTensor,
    /// By what the outputs are multiplied, base and adapter together; `[out]`, where the adapter has magnitudes.
    gain: Option<FlexTensor>,
    /// The base's bias, where outputs are multiplied.
    bias: Vec<f32>,
}

/// What the layers of one pass read and write, one after the other.
#[derive(Default)]
struct Buffers {
    /// The residual stream.
    x: Vec<f32>,
    normed: Vec<f32>,
    q: Vec<f32>,
    kv: Vec<f32>,
    gate_up: Vec<f32>,
    active: Vec<f32>,
    /// What is added to the residual stream.
    update: Vec<f32>,
}

/// A layer's place in a pass.
#[derive(Clone, Copy)]
struct LayerAt<'a> {
    number: usize,
    /// The rows that come out, in the last layer; in all others all do.
    last: Option<&'a [usize]>,
}

/// What all layers of one pass share.
struct FedRows {
    /// Cosine and sine of each row's angles, each `[M, r/2]`, for each of the decoder's rotary embeddings.
    angles: Vec<(Vec<f32>, Vec<f32>)>,
    /// How many tokens each row sees.
    seen: Vec<usize>,
    /// Where each feed's rows begin.
    starts: Vec<usize>,
}

impl HostModel {
    pub(crate) fn new(model: &CausalLm, precision: Precision) -> Self {
        Self {
            embed: HostWeight::new(&model.embed),
            spec: model.spec.clone(),
            layers: (0..model.layers.len()).map(|number| HostLayer::new(model, number, precision)).collect(),
            norm: HostNorm::new(&model.norm),
            head: model.head.as_ref().map(HostWeight::new),
            width: model.config().hidden_size,
        }
    }

    /// As [`super::Engine::width`].
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// As [`super::Engine::logits`].
    pub(crate) fn logits(&self, hidden: &[f32]) -> Vec<f32> {
        let mut logits = Vec::new();
        self.head.as_ref().unwrap_or(&self.embed).product_to(&mut logits, hidden, Precision::Full);
        logits
    }

    /// As [`super::Engine::forward`].
    pub(crate) fn forward(&self, feeds: &mut [Feed]) -> Vec<f32> {
        for feed in feeds.iter_mut() {
            let tokens = feed.past();
            if feed.from.is_some() {
                feed.cache = Cache::default();
            }
            pages(&mut feed.cache).resize(self.layers.len(), Pages::default());
            feed.cache.tokens = tokens + feed.ids.len();
        }
        let rows = FedRows::new(feeds, &self.spec.ropes);
        let mut x = Vec::new();
        for id in feeds.iter().flat_map(|feed| feed.ids) {
            self.embed.extend_by_row(*id as usize, &mut x);
        }
        let factor = self.spec.embedding_scale.unwrap_or(1.0);
        for x in &mut x {
            *x *= factor;
        }
        let mut buffers = Buffers { x, ..Buffers::default() };
        let wanted = wanted_rows(feeds);
        for (number, layer) in self.layers.iter().enumerate() {
            let last = (number + 1 == self.layers.len()).then_some(wanted.as_slice());
            layer.forward(&mut buffers, LayerAt { number, last }, feeds, &rows);
        }
        self.norm.apply(&mut buffers.x);
        buffers.x
    }
}

impl FedRows {
    fn new(feeds: &[Feed], ropes: &[Rope]) -> Self {
        let (mut seen, mut starts) = (Vec::new(), Vec::new());
        for feed in feeds {
            starts.push(seen.len());
            seen.extend((0..feed.ids.len()).map(|row| feed.cache.tokens - feed.ids.len() + row + 1));
        }
        let angles = ropes.iter().map(|rope| rope.angles(seen.iter().map(|seen| (seen - 1) as f32)));
        Self { angles: angles.collect(), seen, starts }
    }
}

fn pages(cache: &mut Cache) -> &mut Vec<Pages> {
    match &mut cache.layers {
        Layers::Pages(layers) => layers,
        Layers::Slots(_) => unreachable!("a cache belongs to one engine"),
    }
}

impl HostNorm {
    fn new(norm: &Norm) -> Self {
        Self { weight: read(norm.factor()), epsilon: norm.epsilon }
    }

    /// `[M, D]` → `[M, D]`.
    fn write(&self, x: &[f32], out: &mut Vec<f32>) {
        rms_norm_to(out, x, slice(&self.weight), self.epsilon);
    }

    /// The same in place; rows are as wide as the weight.
    fn apply(&self, x: &mut [f32]) {
        rms_norm(x, slice(&self.weight), self.epsilon);
    }
}

impl HostLayer {
    fn new(model: &CausalLm, number: usize, precision: Precision) -> Self {
        let layer = &model.layers[number];
        let Layer { spec, input_norm, head_norms, post_norm, output_norms, .. } = layer;
        let LayerAdapter(adapters) = model.layer_adapter(number);
        let [q_adapter, kv_adapter, o_adapter, gate_up_adapter, down_adapter] = adapters;
        let linear = |linear, adapter| HostLinear::new(linear, adapter, precision);
        Self {
            spec: *spec,
            input_norm: HostNorm::new(input_norm),
            q: layer.q.as_ref().map(|q| linear(q, q_adapter)),
            kv: linear(&layer.kv, kv_adapter),
            head_norms: head_norms.as_ref().map(|norms| [HostNorm::new(&norms.q), HostNorm::new(&norms.k)]),
            o: linear(&layer.o, o_adapter),
            post_norm: HostNorm::new(post_norm),
            gate_up: linear(&layer.gate_up, gate_up_adapter),
            down: linear(&layer.down, down_adapter),
            output_norms: output_norms
                .as_ref()
                .map(|norms| [HostNorm::new(&norms.attention), HostNorm::new(&norms.feed_forward)]),
        }
    }

    /// Takes the residual stream, `[M, D]`, through the layer.
    fn forward(&self, buffers: &mut Buffers, at: LayerAt, feeds: &mut [Feed], rows: &FedRows) {
        let Buffers { x, normed, q, kv, gate_up, active, update } = buffers;
        self.input_norm.write(x, normed);
        self.kv.forward(normed, kv);
        if self.q.is_none() {
            *q = split_queries(kv, self.kv.output, self.spec.attention.heads);
        }
        if let Some(wanted) = at.last {
            *x = select_rows(x, self.width(), wanted);
            let (source, width) =
                if self.q.is_some() { (&mut *normed, self.width()) } else { (&mut *q, self.o.input) };
            *source = select_rows(source, width, wanted);
        }
        if let Some(linear) = &self.q {
            linear.forward(normed, q);
        }
        self.turn(q, kv, at.last, rows);
        self.keep(at.number, kv, feeds);
        self.o.forward(&self.attend(q, at, feeds, rows), update);
        self.add_output(0, x, update);
        self.post_norm.write(x, normed);
        self.gate_up.forward(normed, gate_up);
        let inner = self.gate_up.output / 2;
        gated_rows(active, gate_up, inner, self.spec.activation);
        self.down.forward(active, update);
        self.add_output(1, x, update);
    }

    /// Adds the output of attention (0) or of the feed-forward network (1) to the residual stream.
    fn add_output(&self, which: usize, x: &mut [f32], update: &mut [f32]) {
        if let Some(norms) = &self.output_norms {
            norms[which].apply(update);
        }
        add_rows(x, update, self.width());
    }

    /// The width of the residual stream.
    fn width(&self) -> usize {
        self.kv.input
    }

    /// Head norms and rotation of queries and keys.
    fn turn(&self, q: &mut [f32], kv: &mut [f32], last: Option<&[usize]>, rows: &FedRows) {
        let Heads { kv: kv_heads, group, dim } = self.spec.attention.heads;
        let (cos, sin) = &rows.angles[self.spec.rope];
        let half = cos.len() / rows.seen.len();
        let norms = self.head_norms.as_ref();
        let turn = |norm: Option<&HostNorm>, row: usize, head: &mut [f32]| {
            if let Some(norm) = norm {
                rms_norm_row(head, slice(&norm.weight), norm.epsilon);
            }
            rotate_head(&mut head[..2 * half], &cos[row * half..][..half], &sin[row * half..][..half]);
        };
        for_rows(q, kv_heads * group * dim, |row, q| {
            let row = last.map_or(row, |wanted| wanted[row]);
            q.chunks_exact_mut(dim).for_each(|head| turn(norms.map(|norms| &norms[0]), row, head));
        });
        for_rows(kv, 2 * kv_heads * dim, |row, kv| {
            let keys = &mut kv[..kv_heads * dim];
            keys.chunks_exact_mut(dim).for_each(|head| turn(norms.map(|norms| &norms[1]), row, head));
        });
    }

    /// Puts the new keys and values into the feeds' caches.
    fn keep(&self, number: usize, kv: &[f32], feeds: &mut [Feed]) {
        let (heads, mut rest) = (self.spec.attention.heads, kv);
        for at in 0..feeds.len() {
            let rows = feeds[at].ids.len();
            if let Some((other, tokens)) = feeds[at].from {
                let shared = pages(&mut feeds[other].cache)[number].prefix(tokens);
                pages(&mut feeds[at].cache)[number] = shared;
            }
            let start = feeds[at].cache.tokens - rows;
            let (mine, others) = rest.split_at(rows * 2 * heads.kv * heads.dim);
            pages(&mut feeds[at].cache)[number].write(heads, start, mine);
            rest = others;
        }
    }

    fn attend(&self, q: &[f32], at: LayerAt, feeds: &[Feed], rows: &FedRows) -> Vec<f32> {
        let mut first = 0;
        let spans: Vec<Span> = feeds
            .iter()
            .zip(&rows.starts)
            .map(|(feed, start)| {
                let Layers::Pages(layers) = &feed.cache.layers else {
                    unreachable!("a cache belongs to one engine")
                };
                let count = if at.last.is_some() { feed.wanted } else { feed.ids.len() };
                let end = start + feed.ids.len();
                let span = Span { pages: &layers[at.number], first, seen: &rows.seen[end - count..end] };
                first += count;
                span
            })
            .collect();
        let AttentionSpec { heads, scale, window, .. } = self.spec.attention;
        PagedAttention { heads, scale, window }.attend(q, &spans)
    }
}

impl HostLinear {
    fn new(linear: &Linear, adapter: &LinearAdapter, precision: Precision) -> Self {
        let [output, input] = linear.weight.dims();
        let adapted = |module: &AdaptedModule| Adapted {
            columns: module.columns.clone(),
            ranks: module.ranks.clone(),
            b: read(module.lora.scaled_b(DType::F32)),
            gain: module.lora.gain(linear, &module.columns).map(|gain| read(gain.factor)),
            bias: linear
                .bias
                .clone()
                .map_or_else(Vec::new, |bias| slice(&read(bias))[module.columns.clone()].to_vec()),
        };
        let whole = adapter.whole();
        let adapter = &whole;
        let lora = adapter
            .stacked_a(DType::F32)
            .map(|a| HostLora { a: read(a), modules: adapter.modules.iter().map(adapted).collect() });
        let (weight, bias) = (HostWeight::new(&linear.weight), linear.bias.clone().map(read));
        Self { weight, bias, input, output, lora, precision }
    }

    /// `x` `[M, in]` → `y` `[M, out]`.
    fn forward(&self, x: &[f32], y: &mut Vec<f32>) {
        self.weight.product_to(y, x, self.precision);
        if let Some(bias) = &self.bias {
            add_rows(y, slice(bias), self.output);
        }
        let Some(lora) = &self.lora else { return };
        let low = product(x, slice(&lora.a), self.input);
        let all = low.len() / (x.len() / self.input);
        for Adapted { columns, ranks, b, gain, bias } in &lora.modules {
            let mine: Vec<f32> = low.chunks_exact(all).flat_map(|row| &row[ranks.clone()]).copied().collect();
            let delta = product(&mine, slice(b), ranks.len());
            for (row, delta) in y.chunks_exact_mut(self.output).zip(delta.chunks_exact(columns.len())) {
                let row = &mut row[columns.clone()];
                match gain {
                    None => add_row(row, delta),
                    Some(gain) => add_multiplied(row, delta, slice(gain), bias),
                }
            }
        }
    }
}

/// Adds an adapter's output to the base's and multiplies both, but not the base's bias.
fn add_multiplied(row: &mut [f32], delta: &[f32], gain: &[f32], bias: &[f32]) {
    for (at, ((y, delta), gain)) in row.iter_mut().zip(delta).zip(gain).enumerate() {
        let base = *y - bias.get(at).unwrap_or(&0.0);
        *y += (base + delta) * gain - base;
    }
}

/// Takes the queries out of rows of queries, keys and values; they are first in a row.
fn split_queries(rows: &mut Vec<f32>, width: usize, heads: Heads) -> Vec<f32> {
    let queries = heads.query_width();
    let part = |row: &[f32], range: Range<usize>| row[range].to_vec();
    let q = rows.chunks_exact(width).flat_map(|row| part(row, 0..queries)).collect();
    *rows = rows.chunks_exact(width).flat_map(|row| part(row, queries..width)).collect();
    q
}
