//! One decoder block: forward with a record of what the backward needs, and the backward written out.
//!
//! The backward is by hand and not by automatic differentiation because the base is frozen: no gradient of a
//! base weight, no stored copy of what can be computed again cheaply (normalised inputs, the activation,
//! attention probabilities, dropout masks), and no graph. The tests hold it against PyTorch's gradients.

mod ready;

use std::ops::Range;

use burn::tensor::Tensor;
use emotrain_kernels::DropoutMask;

use crate::adapted::{Adapted, AdaptedRows, InputGradient, LinearTape};
use crate::attention::{Attended, Blocks, Projected, Ready};
use crate::device::part;
use crate::gradients::Gradients;
use crate::kernels::{Inputs, Masks, Rotation, Rows, add, gated_backward, gated_inputs};
use crate::linear::Linear;
use crate::lora::{Dropout, Input, LayerAdapter, Low};
use crate::norm::{HeadNorms, Norm, OutputNorms};
use crate::spec::{AttentionSpec, BlockSpec, Heads};

/// One decoder block.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) spec: BlockSpec,
    pub(crate) input_norm: Norm,
    /// `None` where `kv` computes queries too, and before keys and values.
    pub(crate) q: Option<Linear>,
    pub(crate) kv: Linear,
    pub(crate) head_norms: Option<HeadNorms>,
    pub(crate) o: Linear,
    /// Before the feed-forward network.
    pub(crate) post_norm: Norm,
    pub(crate) gate_up: Linear,
    pub(crate) down: Linear,
    pub(crate) output_norms: Option<OutputNorms>,
}

/// Angles of a pass.
#[derive(Clone)]
pub(crate) struct Rotations {
    /// Of all rows: the keys.
    pub(crate) keys: Rotation,
    /// Of the rows that continue.
    pub(crate) queries: Rotation,
}

/// What all layers of one pass share; the last layer's differs in that it answers for some rows only.
pub(crate) struct Pass {
    pub(crate) blocks: Blocks,
    /// The angles of each of the decoder's frequencies.
    pub(crate) rotations: Vec<Rotations>,
    /// The rows that continue after this layer, `None` for all.
    pub(crate) rows: Option<Rows>,
    /// Behind one another, all rows.
    pub(crate) shares: Vec<ShareRows>,
}

/// The rows that go through one adapter.
#[derive(Clone, Debug)]
pub(crate) struct ShareRows {
    pub(crate) all: Range<usize>,
    /// Of the rows that continue, counted among them.
    pub(crate) kept: Range<usize>,
    pub(crate) dropout: Option<Dropout>,
}

impl ShareRows {
    /// All of these rows, which continue, without dropout.
    pub(crate) fn all(rows: usize) -> Self {
        Self { all: 0..rows, kept: 0..rows, dropout: None }
    }
}

/// What one layer is run with.
pub(crate) struct LayerRun<'a> {
    pub(crate) pass: &'a Pass,
    /// Of each share.
    pub(crate) adapters: Vec<&'a LayerAdapter>,
    /// Whether the backward gives the gradient of the input.
    pub(crate) input: bool,
}

/// The linear layers in the order of [`LayerAdapter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Q,
    Kv,
    O,
    GateUp,
    Down,
}

impl LayerRun<'_> {
    /// A linear layer with the adapters of its rows.
    fn adapted<'a>(&'a self, linear: &'a Linear, place: Place) -> Adapted<'a> {
        let parts = self.adapters.iter().zip(&self.pass.shares).map(|(LayerAdapter(adapters), share)| {
            let rows = if place == Place::Kv { &share.all } else { &share.kept };
            AdaptedRows { rows: rows.clone(), adapter: &adapters[place as usize], dropout: share.dropout }
        });
        Adapted { linear, parts: parts.collect() }
    }

    /// The mask of a linear layer's input, where one adapter takes all rows.
    fn mask(&self, place: Place) -> Option<DropoutMask> {
        let ([LayerAdapter(adapters)], [share]) = (self.adapters.as_slice(), self.pass.shares.as_slice())
        else {
            return None;
        };
        adapters[place as usize].mask(share.dropout)
    }
}

/// Attention of queries to keys and values.
pub(crate) type Attend<'a> = dyn FnMut(&Ready) -> Attended + 'a;

/// What [`Layer::backward`] needs of a forward pass.
pub(crate) struct Tape {
    pub(crate) x: Tensor<2>,
    /// Before the head norms, where there are any.
    unnormed: Option<Projected>,
    ready: Ready,
    pub(crate) attended: Tensor<2>,
    pub(crate) log_sums: Vec<Tensor<4>>,
    middle: Tensor<2>,
    gate_up: Tensor<2>,
    pub(crate) low: [Vec<Low>; 5],
    /// What attention and feed-forward network gave before their own norms, where there are any.
    pub(crate) outputs: [Option<Tensor<2>>; 2],
}

impl Layer {
    /// The layer over packed segments.
    ///
    /// # Shapes
    /// `x` `[N, D]` → `[N, D]`, or `[rows, D]` where the pass names rows.
    pub(crate) fn forward(&self, x: Tensor<2>, run: &LayerRun) -> (Tensor<2>, Tape) {
        let mask = run.mask(Place::O);
        self.forward_with(x, run, &mut |ready| self.attention().attend(ready, &run.pass.blocks, mask))
    }

    /// The same with an attention of the caller's, who may keep keys and values.
    pub(crate) fn forward_with(
        &self,
        x: Tensor<2>,
        run: &LayerRun,
        attend: &mut Attend,
    ) -> (Tensor<2>, Tape) {
        let mut tape = self.before_down(x, run, attend);
        let mask = [run.mask(Place::Down)];
        let active = Input::of(&self.gated(tape.gate_up.clone(), Masks::beside(&mask)), 0);
        let (down, low) = run.adapted(&self.down, Place::Down).forward(&active);
        let (update, out) = self.output(down, |norms| &norms.feed_forward);
        (tape.low[Place::Down as usize], tape.outputs[1]) = (low, out);
        (add(update, &tape.middle), tape)
    }

    /// The tape without what the last product leaves in it.
    pub(crate) fn before_down(&self, x: Tensor<2>, run: &LayerRun, attend: &mut Attend) -> Tape {
        let pass = run.pass;
        let project = |linear, place, input: &Input| run.adapted(linear, place).forward(input);
        let inputs = self.projection_inputs(x.clone(), run, true);
        let (kv, kv_low) = project(&self.kv, Place::Kv, &Input::of(&inputs, 1));
        let ((q, q_low), kv) = match &self.q {
            Some(q) => (project(q, Place::Q, &selected(&inputs, pass)), kv),
            None => self.split(&kv, pass),
        };
        let (ready, unnormed) = self.ready(Projected { q, kv }, pass);

        let Attended { rows: attended, dropped, log_sums } = attend(&ready);
        let (out, o_low) = project(&self.o, Place::O, &Input { x: attended.clone(), dropped });
        let (update, attention_out) = self.output(out, |norms| &norms.attention);
        let direct = select(x.clone(), pass);
        let (middle, inputs) =
            self.post_norm.of_sum([update, direct], Masks::beside(&[run.mask(Place::GateUp)]));

        let (gate_up, gate_up_low) = project(&self.gate_up, Place::GateUp, &Input::of(&inputs, 0));
        let (low, outputs) = ([q_low, kv_low, o_low, gate_up_low, Vec::new()], [attention_out, None]);
        Tape { x, unnormed, ready, attended, log_sums, middle, gate_up, low, outputs }
    }

    /// Adds the gradients of what is trained and returns that of the input, if it is wanted.
    ///
    /// # Shapes
    /// `grad` like the output of the forward → `[N, D]`.
    pub(crate) fn backward(
        &self,
        grad: &Tensor<2>,
        tape: Tape,
        run: &LayerRun,
        gradients: &mut [&mut Gradients],
    ) -> Option<Tensor<2>> {
        let Tape { x, unnormed, ready, attended, log_sums, middle, gate_up, low, outputs } = tape;
        let [attention_out, feed_forward_out] = outputs;
        let [q_low, kv_low, o_low, gate_up_low, down_low] = low;
        let pass = run.pass;
        let back = |(linear, place), grad: &Tensor<2>, input, low, gradients: &mut [&mut Gradients]| {
            run.adapted(linear, place)
                .backward(grad, LinearTape { input, low }, InputGradient::Wanted, gradients)
                .expect("the gradient of an input that was asked for")
        };

        let down_grad =
            self.output_backward(grad.clone(), feed_forward_out, gradients[0], |n| &n.feed_forward);
        let mask = [run.mask(Place::Down)];
        let masks = Masks::instead(&mask, self.down.trained);
        let active = Input::of(&self.gated(gate_up.clone(), masks), 0);
        let active_grad = back((&self.down, Place::Down), &down_grad, active, down_low, gradients);
        let gate_up_grad = gated_backward(active_grad, gate_up, self.spec.activation);
        let mask = [run.mask(Place::GateUp)];
        let masks = Masks::instead(&mask, self.gate_up.trained);
        let normed = Input::of(&self.post_norm.inputs(middle.clone(), masks), 0);
        let normed_grad = back((&self.gate_up, Place::GateUp), &gate_up_grad, normed, gate_up_low, gradients);
        let middle_grad = self.post_norm.backward_beside([normed_grad, middle], grad, gradients[0]);

        let o_grad = self.output_backward(middle_grad.clone(), attention_out, gradients[0], |n| &n.attention);
        let gave = Attended { rows: attended, dropped: None, log_sums };
        let attended = Input::plain(gave.rows.clone());
        let attended_grad = back((&self.o, Place::O), &o_grad, attended, o_low, gradients);
        let grads = self.attention().attend_backward(&attended_grad, &ready, &pass.blocks, &gave);
        let grads = self.ready_backward(grads, unnormed, pass, gradients[0]);
        let Projected { q: q_grad, kv: kv_grad } = grads;

        let inputs = self.projection_inputs(x.clone(), run, self.kv.trained || pass.rows.is_some());
        let (wanted, kv_input) = (|| InputGradient::wanted(run.input), Input::of(&inputs, 1));
        let (kv_grad, of_input) = if let Some(q) = &self.q {
            let tape = LinearTape { input: selected(&inputs, pass), low: q_low };
            let from_q = run.adapted(q, Place::Q).backward(&q_grad, tape, wanted(), gradients);
            let beside = |from_q| InputGradient::Beside(spread(from_q, &x, pass));
            (kv_grad, from_q.map_or(InputGradient::Unwanted, beside))
        } else {
            (Tensor::cat(vec![spread(q_grad, &x, pass), kv_grad], 1), wanted())
        };
        let tape = LinearTape { input: kv_input, low: kv_low };
        let normed_grad = run.adapted(&self.kv, Place::Kv).backward(&kv_grad, tape, of_input, gradients)?;
        let direct = spread(middle_grad, &x, pass);
        Some(self.input_norm.backward_beside([normed_grad, x], &direct, gradients[0]))
    }

    /// Attention as it is trained: on the CPU it multiplies as the layer does that takes what it gives.
    fn attention(&self) -> AttentionSpec {
        AttentionSpec { arithmetic: self.o.weight.arithmetic(), ..self.spec.attention }
    }

    /// What queries, and keys and values, are projected of; with its rows themselves if they are read whatever masks say.
    fn projection_inputs(&self, x: Tensor<2>, run: &LayerRun, rows: bool) -> Inputs {
        let all = run.pass.rows.is_none() && self.q.is_some();
        let queries = run.mask(Place::Q).filter(|_| all);
        self.input_norm.inputs(x, Masks::instead(&[queries, run.mask(Place::Kv)], rows))
    }

    /// Queries of the rows that continue, and keys and values of all, of rows that have all three.
    fn split(&self, rows: &Tensor<2>, pass: &Pass) -> ((Tensor<2>, Vec<Low>), Tensor<2>) {
        let Heads { kv, group, dim } = self.spec.attention.heads;
        let (queries, others) = (kv * group * dim, 2 * kv * dim);
        let q = select(part(rows, 1, &(0..queries)), pass);
        ((q, Vec::new()), part(rows, 1, &(queries..queries + others)))
    }

    fn gated(&self, gate_up: Tensor<2>, masks: Masks) -> Inputs {
        gated_inputs(gate_up, self.spec.activation, masks)
    }

    /// What is added to the residual stream, and what it was before its own norm.
    fn output(&self, out: Tensor<2>, norm: impl Fn(&OutputNorms) -> &Norm) -> (Tensor<2>, Option<Tensor<2>>) {
        match &self.output_norms {
            Some(norms) => (norm(norms).forward(out.clone()), Some(out)),
            None => (out, None),
        }
    }

    fn output_backward(
        &self,
        grad: Tensor<2>,
        out: Option<Tensor<2>>,
        gradients: &mut Gradients,
        norm: impl Fn(&OutputNorms) -> &Norm,
    ) -> Tensor<2> {
        match (&self.output_norms, out) {
            (Some(norms), Some(out)) => norm(norms).backward(grad, out, gradients),
            _ => grad,
        }
    }

    /// The linear layers.
    pub(crate) fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.q.iter().chain([&self.kv, &self.o, &self.gate_up, &self.down])
    }

    /// The norms.
    pub(crate) fn norms(&self) -> Vec<&Norm> {
        let heads = self.head_norms.iter().flat_map(|norms| [&norms.q, &norms.k]);
        let outputs = self.output_norms.iter().flat_map(|norms| [&norms.attention, &norms.feed_forward]);
        [&self.input_norm, &self.post_norm].into_iter().chain(heads).chain(outputs).collect()
    }

    /// Makes every weight trainable.
    pub(crate) fn train(&mut self) {
        let linears = [&mut self.kv, &mut self.o, &mut self.gate_up, &mut self.down];
        self.q.iter_mut().chain(linears).for_each(|linear| linear.trained = true);
        let heads = self.head_norms.iter_mut().flat_map(|norms| [&mut norms.q, &mut norms.k]);
        let outputs = self.output_norms.iter_mut();
        let outputs = outputs.flat_map(|norms| [&mut norms.attention, &mut norms.feed_forward]);
        for norm in [&mut self.input_norm, &mut self.post_norm].into_iter().chain(heads).chain(outputs) {
            norm.trained = true;
        }
    }

    /// The trained parameters by name.
    pub(crate) fn parameters<'a>(&'a mut self, visit: &mut dyn FnMut(String, &'a mut Tensor<2>)) {
        let Self { input_norm, q, kv, head_norms, o, post_norm, gate_up, down, output_norms, .. } = self;
        for linear in q.iter_mut().chain([kv, o, gate_up, down]) {
            linear.parameters(visit);
        }
        let heads = head_norms.iter_mut().flat_map(|norms| [&mut norms.q, &mut norms.k]);
        let outputs =
            output_norms.iter_mut().flat_map(|norms| [&mut norms.attention, &mut norms.feed_forward]);
        let norms = [input_norm, post_norm].into_iter().chain(heads).chain(outputs);
        for norm in norms.filter(|norm| norm.trained) {
            visit(format!("{}.weight", norm.path), &mut norm.weight);
        }
    }
}

/// The rows that continue.
fn select(x: Tensor<2>, pass: &Pass) -> Tensor<2> {
    match &pass.rows {
        Some(rows) => rows.of(&x),
        None => x,
    }
}

/// What queries are projected of: of the rows that continue.
fn selected(inputs: &Inputs, pass: &Pass) -> Input {
    match &pass.rows {
        Some(_) => Input::plain(select(inputs.rows.clone(), pass)),
        None => Input::of(inputs, 0),
    }
}

/// The backward of [`select`]: the rows in their places among those of `like`, zeros elsewhere.
fn spread(grad: Tensor<2>, like: &Tensor<2>, pass: &Pass) -> Tensor<2> {
    match &pass.rows {
        Some(rows) => rows.spread(grad, like.dims()[0]),
        None => grad,
    }
}
