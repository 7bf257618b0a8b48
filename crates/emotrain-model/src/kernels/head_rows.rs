//! Heads of packed rows, from token-major to head-major and back.

use std::ops::Range;

use burn::tensor::Tensor;

use super::host::{for_rows, is_host, read, restore, slice, tensor, write};
use crate::spec::Heads;

impl Heads {
    /// The heads of some rows, those that share keys below one another.
    ///
    /// # Shapes
    /// `x` `[N, kv·group·d]`, `Q` rows → `[kv, group·Q, d]`.
    pub(crate) fn head_major(self, x: &Tensor<2>, rows: &Range<usize>) -> Tensor<3> {
        let Self { kv, group, dim } = self;
        let queries = rows.len();
        if !is_host(x) {
            let block = x.clone().narrow(0, rows.start, queries).reshape([queries, kv, group, dim]);
            return block.permute([1, 2, 0, 3]).reshape([kv, group * queries, dim]);
        }
        let width = kv * group * dim;
        let x = read(x.clone());
        let x = &slice(&x)[rows.start * width..];
        let mut out = vec![0.0; queries * width];
        for_rows(&mut out, dim, |at, out| {
            let (head, row) = (at / queries, at % queries);
            out.copy_from_slice(&x[row * width + head * dim..][..dim]);
        });
        tensor(out, [kv, group * queries, dim])
    }

    /// The inverse of [`Heads::head_major`].
    ///
    /// # Shapes
    /// `[kv, group, Q, d]` → `[Q, kv·group·d]`.
    pub(crate) fn token_major(self, block: Tensor<4>) -> Tensor<2> {
        let [_, _, queries, dim] = block.dims();
        let width = self.kv * self.group * dim;
        if !is_host(&block) {
            return block.permute([2, 0, 1, 3]).reshape([queries, width]);
        }
        let block = read(block);
        let block = slice(&block);
        let mut out = vec![0.0; queries * width];
        for_rows(&mut out, width, |row, out| {
            for (head, out) in out.chunks_exact_mut(dim).enumerate() {
                out.copy_from_slice(&block[(head * queries + row) * dim..][..dim]);
            }
        });
        tensor(out, [queries, width])
    }

    /// Adds what a block of queries says about its keys and values to their rows.
    ///
    /// # Shapes
    /// `to` `[N, 2·kv·d]`, keys and values `[kv, T, d]` for the `T` rows.
    pub(crate) fn add_key_values(
        self,
        to: Tensor<2>,
        [keys, values]: [Tensor<3>; 2],
        rows: &Range<usize>,
    ) -> Tensor<2> {
        let Self { kv, dim, .. } = self;
        let (count, width) = (rows.len(), 2 * kv * dim);
        if !is_host(&to) {
            let both = Tensor::stack::<4>(vec![keys, values], 0).permute([2, 0, 1, 3]);
            let place = [rows.clone()];
            let sum = to.clone().slice(place.clone()) + both.reshape([count, width]);
            return to.slice_assign(place, sum);
        }
        let (mut to, keys, values) = (write(to), read(keys), read(values));
        let parts = [slice(&keys), slice(&values)];
        let place = &mut to.storage_mut::<f32>()[rows.start * width..rows.end * width];
        for_rows(place, width, |row, out| {
            for (head, out) in out.chunks_exact_mut(dim).enumerate() {
                let from = &parts[head / kv][(head % kv * count + row) * dim..][..dim];
                for (out, from) in out.iter_mut().zip(from) {
                    *out += from;
                }
            }
        });
        restore(to)
    }
}
