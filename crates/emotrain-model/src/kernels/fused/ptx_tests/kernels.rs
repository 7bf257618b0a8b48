//! The kernels as they are compiled for the shapes of Qwen3-8B.

use std::sync::Arc;

use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::*;

use super::super::gpu::{
    adamw, blocks, cross_entropy, decode, dropout, encoder, flash, gated, gather, heads, likeliest, low_rank,
    reduce, rms_norm, rope, slots, softmax, sums, tokens, turn,
};
use super::properties;
use crate::spec::Activation;

/// A kernel as cubecl's compilers take it, on numbers of a type, so many to a vector.
type Defined = fn(FloatKind, VectorSize) -> KernelDefinition;

/// A kernel for cubes of so many threads, given what it is compiled for: its arguments, the vectors' size, what is known
/// before it runs, its types.
macro_rules! defined {
    ($kernel:path, $units:expr, $($given:expr),+) => {{
        let dim = CubeDim::new_1d(u32::try_from($units).unwrap());
        let settings = KernelSettings::new(*dim, ExecutionMode::Checked, AddressType::U32);
        <$kernel>::new(settings, properties(), Arc::new(TargetProperties::default()), $($given),+).define()
    }};
}

fn buffer() -> BufferCompilationArg {
    BufferCompilationArg { inplace: None }
}

/// Rows of 4,096, Qwen3-8B's width.
fn norm_plan(size: VectorSize) -> rms_norm::Plan {
    let vectors = 4096 / size;
    let units = reduce::units(vectors);
    rms_norm::Plan { vectors, heads: 1, normed: 1, units, adds: true, copies: 2, written: true, rounds: true }
}

/// 16 heads of 128.
fn head_plan(size: VectorSize) -> heads::Plan {
    heads::Plan { heads: 16, vectors: 128 / size, whole: false }
}

/// The same, all of them normalised and rotated.
fn turn_plan() -> turn::Plan {
    turn::Plan { heads: head_plan(4), turned: 16, half: 16, normed: true, units: 32 }
}

const MASK: dropout::MaskCompilationArg =
    dropout::MaskCompilationArg { scale: (), threshold: (), low: (), high: () };

const SHAPE: softmax::ShapeCompilationArg =
    softmax::ShapeCompilationArg { vectors: (), queries: (), ranges: (), scale: () };

const PLACES: blocks::PlacesCompilationArg =
    blocks::PlacesCompilationArg { first: (), stride: (), from: (), from_stride: (), vectors: (), count: () };
const STEP: adamw::StepCompilationArg = adamw::StepCompilationArg {
    beta_1: (),
    beta_2: (),
    epsilon: (),
    keep: (),
    learning_rate: (),
    first_correction: (),
    second_correction: (),
};

const FLASH: flash::ShapeCompilationArg =
    flash::ShapeCompilationArg { queries: (), keys: (), ranges: (), scale: () };

/// Heads of Qwen3-8B.
const FLASH_PLAN: flash::Plan = flash::Plan { kv: 8, group: 4, dim: 128 };

/// Those that need tensor cores, for numbers of 16 bits.
pub(super) const ON_TENSOR_CORES: [(&str, Defined); 3] = [
    ("flash_forward", |float, _| {
        type Kernel = flash::forward::flash_forward::FlashForward;
        let dtype = ElemType::Float(float);
        defined!(
            Kernel,
            flash::UNITS,
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            FLASH,
            MASK,
            true,
            FLASH_PLAN,
            dtype
        )
    }),
    ("flash_backward_queries", |float, _| {
        type Kernel = flash::backward::flash_backward_queries::FlashBackwardQueries;
        let dtype = ElemType::Float(float);
        defined!(
            Kernel,
            flash::UNITS,
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            FLASH,
            FLASH_PLAN,
            dtype
        )
    }),
    ("flash_backward_keys", |float, _| {
        type Kernel = flash::backward::flash_backward_keys::FlashBackwardKeys;
        let dtype = ElemType::Float(float);
        defined!(
            Kernel,
            flash::UNITS,
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            FLASH,
            FLASH_PLAN,
            dtype
        )
    }),
];

/// The kernels by name, in the shapes of Qwen3-8B.
pub(super) const KERNELS: [(&str, Defined); 33] = [
    ("rms_norm_forward", |float, size| {
        let (plan, dtypes) = (norm_plan(size), [ElemType::Float(float); 2]);
        type Kernel = rms_norm::rms_norm_forward::RmsNormForward;
        defined!(
            Kernel,
            plan.units,
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            (),
            MASK,
            MASK,
            size,
            plan,
            dtypes
        )
    }),
    ("rms_norm_backward", |float, size| {
        let (plan, dtypes) = (norm_plan(size), [ElemType::Float(float); 2]);
        type Kernel = rms_norm::rms_norm_backward::RmsNormBackward;
        defined!(Kernel, plan.units, buffer(), buffer(), buffer(), buffer(), buffer(), (), size, plan, dtypes)
    }),
    ("gated_forward", |float, size| {
        let (kind, dtype) = (Activation::GeluTanh, ElemType::Float(float));
        let written = gated::Kept { rows: true, dropped: true };
        type Kernel = gated::gated_forward::GatedForward;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), MASK, size, written, 12_288 / size, kind, dtype)
    }),
    ("gated_backward", |float, size| {
        let (kind, dtype) = (Activation::GeluTanh, ElemType::Float(float));
        type Kernel = gated::gated_backward::GatedBackward;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), size, 12_288 / size, kind, dtype)
    }),
    ("rotate_heads", |float, _| {
        let (plan, dtype) =
            (rope::Plan { row: 1024, turned: 1024, head: 32, half: 16 }, ElemType::Float(float));
        type Kernel = rope::rotate_heads::RotateHeads;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), buffer(), (), 4, plan, dtype)
    }),
    ("drop_numbers", |float, size| {
        let dtype = ElemType::Float(float);
        type Kernel = dropout::drop_numbers::DropNumbers;
        defined!(Kernel, 256, buffer(), buffer(), MASK, size, dtype)
    }),
    ("add_kept_numbers", |float, size| {
        let dtype = ElemType::Float(float);
        type Kernel = dropout::add_kept_numbers::AddKeptNumbers;
        defined!(Kernel, 256, buffer(), buffer(), (), MASK, size, dtype)
    }),
    ("cross_entropy", |float, _| {
        let plan = cross_entropy::Plan { vectors: 151_936 / 4, units: 256, smooth: true, grad: true };
        let dtype = ElemType::Float(float);
        type Kernel = cross_entropy::cross_entropy::CrossEntropy;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), buffer(), buffer(), (), 4, plan, dtype)
    }),
    ("softmax_forward", |float, _| {
        let dtype = ElemType::Float(float);
        type Kernel = softmax::softmax_forward::SoftmaxForward;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), buffer(), SHAPE, 4, 256, dtype)
    }),
    ("softmax_backward", |float, _| {
        let dtype = ElemType::Float(float);
        type Kernel = softmax::softmax_backward::SoftmaxBackward;
        defined!(
            Kernel,
            256,
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            SHAPE,
            4,
            256,
            dtype
        )
    }),
    ("adamw_update", |_, _| {
        type Kernel = adamw::adamw_update::AdamwUpdate;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), buffer(), STEP, (), (), 4)
    }),
    ("add_to_block", |float, size| {
        let dtypes = [FloatKind::F32, float].map(ElemType::Float);
        type Kernel = blocks::add_to_block::AddToBlock;
        defined!(Kernel, 256, buffer(), buffer(), PLACES, (), size.min(4), dtypes)
    }),
    ("spread_columns", |float, size| {
        let dtype = ElemType::Float(float);
        type Kernel = blocks::spread_columns::SpreadColumns;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), buffer(), (), (), size.min(4), 8, dtype)
    }),
    ("convert", |float, size| {
        let dtypes = [FloatKind::F32, float].map(ElemType::Float);
        type Kernel = blocks::convert::Convert;
        defined!(Kernel, 256, buffer(), buffer(), (), (), size.min(4), dtypes)
    }),
    ("decode_words", |float, _| {
        let dtype = ElemType::Float(float);
        type Kernel = decode::decode_words::DecodeWords;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), buffer(), 8, 4, 64, dtype)
    }),
    ("blocks_of_rows", |float, size| {
        let (plan, dtype) = (head_plan(size), ElemType::Float(float));
        type Kernel = heads::blocks_of_rows::BlocksOfRows;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), (), (), size, plan, dtype)
    }),
    ("rows_of_blocks", |float, size| {
        let (plan, dtype) = (head_plan(size), ElemType::Float(float));
        type Kernel = heads::rows_of_blocks::RowsOfBlocks;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), buffer(), (), (), MASK, size, true, plan, dtype)
    }),
    ("put_keys_and_values", |float, size| {
        let (plan, dtype) = (head_plan(size), ElemType::Float(float));
        type Kernel = heads::put_keys_and_values::PutKeysAndValues;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), (), (), (), size, true, plan, dtype)
    }),
    ("turn_heads", |float, _| {
        let (plan, dtypes) = (turn_plan(), [ElemType::Float(float); 2]);
        type Kernel = turn::turn_heads::TurnHeads;
        defined!(
            Kernel,
            plan.units,
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            (),
            (),
            4,
            plan,
            dtypes
        )
    }),
    ("turn_heads_back", |float, _| {
        let (plan, dtypes) = (turn_plan(), [ElemType::Float(float); 2]);
        type Kernel = turn::turn_heads_back::TurnHeadsBack;
        defined!(
            Kernel,
            plan.units,
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            buffer(),
            (),
            (),
            4,
            plan,
            dtypes
        )
    }),
    ("add_low_product", |float, _| {
        let (plan, dtype) = (low_rank::Plan { depth: 32, turned: true, drops: true }, ElemType::Float(float));
        type Kernel = low_rank::add_low_product::AddLowProduct;
        let target = low_rank::TargetCompilationArg { rows: (), columns: (), first: (), stride: () };
        defined!(Kernel, 256, buffer(), buffer(), buffer(), target, MASK, 4, plan, dtype)
    }),
    ("squares", |float, size| {
        let dtype = ElemType::Float(float);
        type Kernel = adamw::squares::Squares;
        defined!(Kernel, adamw::UNITS, buffer(), buffer(), (), (), size, adamw::UNITS, dtype)
    }),
    ("sum_of_all", |_, _| {
        type Kernel = sums::sum_of_all::SumOfAll;
        defined!(Kernel, sums::UNITS, buffer(), buffer(), (), sums::UNITS)
    }),
    ("sums_of_rows", |float, size| {
        let dtypes = [float, FloatKind::F32].map(ElemType::Float);
        type Kernel = sums::sums_of_rows::SumsOfRows;
        defined!(Kernel, sums::UNITS, buffer(), buffer(), (), (), (), size.min(4), dtypes)
    }),
    ("likeliest_of_rows", |float, _| {
        let (plan, dtype) = (likeliest::Plan { vectors: 151_936 / 4, units: 256 }, ElemType::Float(float));
        type Kernel = likeliest::likeliest_of_rows::LikeliestOfRows;
        defined!(Kernel, plan.units, buffer(), buffer(), 4, plan, dtype)
    }),
    ("layer_norm_of_sum", |float, _| {
        let (plan, dtype) = (encoder::Plan { vectors: 1024 / 4, units: 256 }, ElemType::Float(float));
        type Kernel = encoder::layer_norm_of_sum::LayerNormOfSum;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), buffer(), buffer(), buffer(), (), 4, plan, dtype)
    }),
    ("gelu_of_sum", |float, size| {
        let dtype = ElemType::Float(float);
        type Kernel = encoder::gelu_of_sum::GeluOfSum;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), size, 4096 / size, dtype)
    }),
    ("rows_to_slots", |float, size| {
        let dtype = ElemType::Float(float);
        type Kernel = slots::rows_to_slots::RowsToSlots;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), (), size, 2048 / size, dtype)
    }),
    ("attention_to_slots", |float, size| {
        let plan = slots::Plan { heads: 8, group: 4, vectors: 128 / size };
        let dtype = ElemType::Float(float);
        type Kernel = slots::attention_to_slots::AttentionToSlots;
        defined!(Kernel, 128, buffer(), buffer(), buffer(), buffer(), buffer(), (), size, plan, dtype)
    }),
    ("rows_of_table", |float, size| {
        let dtype = ElemType::Float(float);
        type Kernel = gather::rows_of_table::RowsOfTable;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), (), (), size, 4096 / size, dtype)
    }),
    ("overwrite_numbers", |_, _| {
        type Kernel = tokens::overwrite_numbers::OverwriteNumbers;
        defined!(Kernel, 256, buffer(), buffer(), ())
    }),
    ("places_of_tokens", |_, _| {
        type Kernel = tokens::places_of_tokens::PlacesOfTokens;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), buffer(), (), (), 2048)
    }),
    ("next_tokens", |_, _| {
        type Kernel = tokens::next_tokens::NextTokens;
        defined!(Kernel, 256, buffer(), buffer(), buffer(), buffer(), (), 2048, 8)
    }),
];
