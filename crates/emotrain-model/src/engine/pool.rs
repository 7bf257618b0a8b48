//! Memory for the keys and values of all sequences of an engine: a tensor a layer, of whose rows each token of a sequence has
//! one, wherever it is free (a page of one token in the words of Kwon et al. 2023).

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Tensor;

use crate::kernels::{Rows, put_rows};

/// Rows by which a pool grows at least.
const GROWTH: usize = 256;

/// A row of the pool, free again when nobody holds it.
#[derive(Debug)]
pub(super) struct Slot {
    row: usize,
    free: Arc<Mutex<Vec<usize>>>,
}

impl Slot {
    pub(super) fn row(&self) -> usize {
        self.row
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.row);
    }
}

/// The rows of all layers.
#[derive(Default)]
pub(super) struct Pool {
    rows: usize,
    free: Arc<Mutex<Vec<usize>>>,
    /// `[rows, 2·kv·d]` each, fewer in a layer that was not written to since the pool grew.
    layers: Vec<Tensor<2>>,
}

impl Pool {
    /// So many rows that nobody holds. If too few are free, it grows by half at least.
    pub(super) fn take(&mut self, count: usize) -> Vec<Arc<Slot>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < count {
            let rows = self.rows + (count - free.len()).max(self.rows / 2).next_multiple_of(GROWTH);
            free.extend((self.rows..rows).rev());
            self.rows = rows;
        }
        let taken = free.len() - count..;
        free.drain(taken).rev().map(|row| Arc::new(Slot { row, free: Arc::clone(&self.free) })).collect()
    }

    /// Rows of all layers.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// All layers with all their rows, once each has been written to.
    pub(super) fn whole(&mut self) -> &[Tensor<2>] {
        for layer in &mut self.layers {
            grow(layer, self.rows);
        }
        &self.layers
    }

    /// Keeps a layer's keys and values.
    ///
    /// # Shapes
    /// `kv` `[M, 2·kv·d]`, `slots` `M` rows of the pool → all of the layer's.
    pub(super) fn keep(&mut self, layer: usize, kv: &Tensor<2>, slots: &Rows) -> &Tensor<2> {
        let ([_, width], options) = (kv.dims(), (&kv.device(), kv.dtype()));
        if self.layers.len() == layer {
            self.layers.push(Tensor::empty([0, width], options));
        }
        let kept = &mut self.layers[layer];
        grow(kept, self.rows);
        put_rows(kept, kv, slots);
        kept
    }
}

/// Makes a layer so many rows long, if it is shorter.
fn grow(kept: &mut Tensor<2>, rows: usize) {
    let ([before, width], options) = (kept.dims(), (&kept.device(), kept.dtype()));
    if before < rows {
        kept.inplace(|kept| {
            // Made as one row: a matrix has memory between its rows on CUDA.
            let kept = kept.reshape([before * width]);
            let more = Tensor::<1>::empty([(rows - before) * width], options);
            Tensor::cat(vec![kept, more], 0).reshape([rows, width])
        });
    }
}
