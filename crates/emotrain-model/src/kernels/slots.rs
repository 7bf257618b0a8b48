//! Keys and values in a pool, whose rows belong to many sequences.

use burn::tensor::{Int, Tensor};

use super::fused::{self, SeenSlots};
use super::{Form, Rows};
use crate::spec::AttentionSpec;

/// Writes `rows` in the place of those of `pool` that `slots` names, which are all different. On a GPU they are written in
/// the pool's buffer, and whoever else has it sees them.
///
/// # Shapes
/// `pool` `[S, W]`, `rows` `[M, W]`, `slots` `M`.
pub(crate) fn put_rows(pool: &mut Tensor<2>, rows: &Tensor<2>, slots: &Rows) {
    if Form::of(rows) == Form::Fused && fused::rows_to_slots(pool, rows, slots.index()).is_some() {
        return;
    }
    let [_, width] = rows.dims();
    let mut first = 0;
    for run in slots.numbers().chunk_by(|slot, next| slot + 1 == *next) {
        let part = rows.clone().narrow(0, first, run.len());
        pool.inplace(|pool| pool.slice_assign([run[0]..run[0] + run.len(), 0..width], part));
        first += run.len();
    }
}

/// Attention of each row of `q` to the keys and values in the rows of `pool` that stand in `slots` from the first to before
/// the second number of its range. A row that sees none may be anything. `None` where there is no kernel for it.
///
/// # Shapes
/// `q` `[Q, kv·group·d]`, `pool` `[S, 2·kv·d]`, `ranges` `[Q, 2]` → like `q`.
pub(crate) fn attention_to_slots(
    q: &Tensor<2>,
    pool: &Tensor<2>,
    slots: &Rows,
    ranges: &Tensor<2, Int>,
    attention: AttentionSpec,
) -> Option<Tensor<2>> {
    if Form::of(q) != Form::Fused {
        return None;
    }
    let seen = SeenSlots { slots: slots.index(), ranges };
    fused::attention_to_slots(q, pool, seen, attention.heads, attention.scale)
}

/// The place of the first of the largest numbers of each row, in one launch and a few numbers for the host; `None` where
/// there is no kernel for it, and where a number is not finite.
///
/// # Shapes
/// `[N, V]` → `N`.
pub(crate) fn likeliest(logits: &Tensor<2>) -> Option<Vec<u32>> {
    if Form::of(logits) != Form::Fused {
        return None;
    }
    let found = fused::likeliest(logits)?.try_into_vec_as::<f32>().ok()?;
    let place = |row: &[f32]| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place")]
        (row[2] == 0.0).then_some(row[0] as u32)
    };
    found.chunks_exact(3).map(place).collect()
}
