//! Sequences that go on on a GPU, a token after the other, without the host in between.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::fused::{self, TokenTables};
use super::{Rows, integers_on};

/// Where some sequences are on a GPU. Copies share its memory, and each sees what another does to it.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    tables: TokenTables,
    /// By a window, of each sequence where among all slots those begin and end that its last token sees.
    ranges: BTreeMap<Option<usize>, Tensor<2, Int>>,
}

/// Where they are as the host says it, a number a sequence.
pub(crate) struct TokenPlaces {
    /// The last tokens.
    pub(crate) ids: Vec<i32>,
    /// How many are before them.
    pub(crate) places: Vec<i32>,
    /// The rows of the pool for all tokens that a sequence has room for, sequence by sequence.
    pub(crate) slots: Vec<i32>,
}

impl Tokens {
    /// So many sequences with room for `capacity` tokens each, of which at least the last `kept` are told.
    pub(crate) fn new(
        [sequences, capacity, kept]: [usize; 3],
        windows: &BTreeSet<Option<usize>>,
        device: &Device,
    ) -> Self {
        let numbers = |count: usize| whole(vec![0; count], device);
        let tables = TokenTables {
            ids: numbers(sequences),
            places: numbers(sequences),
            slots: numbers(sequences * capacity),
            new: numbers(sequences),
            told: numbers(sequences * kept),
            capacity,
            kept,
        };
        let range =
            |&window: &Option<usize>| (window, integers_on(device, vec![0; 2 * sequences], [sequences, 2]));
        Self { tables, ranges: windows.iter().map(range).collect() }
    }

    /// How many sequences, and the tokens that each has room for.
    pub(crate) fn shape(&self) -> [usize; 2] {
        [self.tables.places.dims()[0], self.tables.capacity]
    }

    /// Goes on from here. `None` where there is no kernel for it.
    pub(crate) fn begin(&self, from: TokenPlaces) -> Option<()> {
        let TokenTables { ids, places, slots, .. } = &self.tables;
        let device = ids.device();
        fused::overwrite(ids, &whole(from.ids, &device))?;
        fused::overwrite(places, &whole(from.places, &device))?;
        fused::overwrite(slots, &whole(from.slots, &device))
    }

    /// The slots of the last tokens, and what each sees. `None` where there is no kernel for it.
    pub(crate) fn place(&self) -> Option<()> {
        self.ranges.iter().try_for_each(|(window, ranges)| fused::place_tokens(&self.tables, ranges, *window))
    }

    /// Goes on to the likeliest tokens. `None` where there is no kernel for it.
    ///
    /// # Shapes
    /// `logits` `[sequences, V]`.
    pub(crate) fn take(&self, logits: &Tensor<2>) -> Option<()> {
        fused::take_tokens(&self.tables, &fused::likeliest(logits)?)
    }

    /// The last tokens.
    pub(crate) fn ids(&self) -> Rows {
        Rows::on_device(self.tables.ids.clone())
    }

    /// How many are before them.
    pub(crate) fn places(&self) -> Rows {
        Rows::on_device(self.tables.places.clone())
    }

    /// The slots of the last tokens.
    pub(crate) fn new_slots(&self) -> Rows {
        Rows::on_device(self.tables.new.clone())
    }

    /// All slots.
    pub(crate) fn slots(&self) -> Rows {
        Rows::on_device(self.tables.slots.clone())
    }

    /// Where among these those begin and end that the last tokens see with a window.
    pub(crate) fn ranges(&self, window: Option<usize>) -> &Tensor<2, Int> {
        &self.ranges[&window]
    }

    /// The tokens that were chosen after the last places, `kept` a sequence, each at its place modulo `kept`; -1 where
    /// logits were not finite. Waits for the device.
    pub(crate) fn told(&self) -> Option<Vec<i32>> {
        self.tables.told.clone().try_into_vec_as::<i32>().ok()
    }
}

/// Whole numbers on a device.
fn whole(numbers: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let shape = [numbers.len()];
    Tensor::from_data(TensorData::new(numbers, shape), (device, DType::I32))
}
