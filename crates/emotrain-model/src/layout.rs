//! Where the trained numbers of an adapter stand when all of them are in one buffer, as on a GPU: what is done to all is
//! few launches then, however many matrices there are.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::device::part;
use crate::kernels::{Columns, Part, add_part, integers_on};

/// Matrices begin at multiples of so many numbers, so that each is a tensor of its own without a copy: CUDA's tensors
/// begin at multiples of 256 bytes, and numbers have two or four.
const ALIGNMENT: usize = 128;

/// A matrix, row by row from number `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) first: usize,
    pub(crate) shape: [usize; 2],
}

impl Place {
    fn numbers(self) -> usize {
        let [rows, columns] = self.shape;
        rows * columns
    }

    /// The matrix, in a buffer `[1, N]`.
    pub(crate) fn of(self, numbers: &Tensor<2>) -> Tensor<2> {
        part(numbers, 1, &(self.first..self.first + self.numbers())).reshape(self.shape)
    }
}

/// The places of the factors of a linear layer as products take them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FactorPlaces {
    /// The `A` matrices below one another, `[Σ R, in]`, among all numbers.
    pub(crate) a: Place,
    /// The `B` matrices in one, `[out, Σ R]`, in a buffer of these alone; none where there are magnitudes.
    pub(crate) b: Option<Place>,
}

/// The places of all parameters: first the `A` matrices, then what LoRA+ makes learn faster.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    places: BTreeMap<String, Place>,
    /// Numbers before the first `B` matrix.
    pub(crate) slow: usize,
    /// All numbers.
    pub(crate) total: usize,
    /// Of each adapted linear layer, layer by layer.
    pub(crate) factors: Vec<FactorPlaces>,
    /// Of each `B` matrix: its first number and the one after its last, its columns, those of the matrix that it is put
    /// into, and its place there.
    matrices: Vec<[usize; 5]>,
    /// What each is multiplied by there.
    scales: Vec<f32>,
    /// Numbers of all matrices that they are put into.
    blocks: usize,
    /// The same on the device, if there is any.
    columns: OnceLock<Option<Columns>>,
}

impl Layout {
    /// Appends a parameter.
    pub(crate) fn put(&mut self, name: String, shape: [usize; 2]) {
        let place = Place { first: self.total, shape };
        self.total += place.numbers();
        self.places.insert(name, place);
    }

    /// Leaves numbers out, so that the next matrix can be a tensor of its own.
    pub(crate) fn align(&mut self) {
        self.total = self.total.next_multiple_of(ALIGNMENT);
    }

    /// Appends the factors of a linear layer, whose `A` matrices begin here.
    pub(crate) fn put_factors(&mut self, shape: [usize; 2]) {
        self.factors.push(FactorPlaces { a: Place { first: self.total, shape }, b: None });
    }

    /// Appends a matrix of this shape for the `B` matrices of a linear layer, by its number; returns its first number.
    pub(crate) fn put_block(&mut self, number: usize, shape: [usize; 2]) -> usize {
        let place = Place { first: self.blocks, shape };
        self.factors[number].b = Some(place);
        self.blocks = (place.first + place.numbers()).next_multiple_of(ALIGNMENT);
        place.first
    }

    /// A `B` matrix that goes, times `scale`, into columns of a matrix with `stride` columns, from number `to` on.
    pub(crate) fn put_columns(&mut self, name: &str, [stride, to]: [usize; 2], scale: f32) {
        let Place { first, shape: [rows, columns] } = self.places[name];
        self.matrices.push([first, first + rows * columns, columns, stride, to]);
        self.scales.push(scale);
    }

    /// Where a parameter is, if it is one of the adapter's.
    pub(crate) fn place(&self, name: &str) -> Option<Place> {
        self.places.get(name).copied()
    }

    /// The place of a matrix of these parameters below one another, if they are behind one another.
    pub(crate) fn stacked(&self, names: &[String], shape: [usize; 2]) -> Option<Place> {
        let first = self.place(names.first()?)?.first;
        let mut end = first;
        for name in names {
            let place = self.place(name)?;
            if place.first != end || place.shape[1] != shape[1] {
                return None;
            }
            end += place.numbers();
        }
        (end == first + shape[0] * shape[1]).then_some(Place { first, shape })
    }

    /// All parameters, by name.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&str, Place)> {
        self.places.iter().map(|(name, place)| (name.as_str(), *place))
    }

    /// Zeros in the place of every number, `[1, N]` in f32.
    pub(crate) fn zeros(&self, device: &Device) -> Tensor<2> {
        Tensor::zeros([1, self.total], (device, DType::F32))
    }

    /// Matrices of a device in their places, `[1, N]`; zeros where there is none.
    pub(crate) fn gathered(&self, device: &Device, matrix: impl Fn(&str) -> Option<Tensor<2>>) -> Tensor<2> {
        self.places().fold(self.zeros(device), |numbers, (name, Place { first, shape })| match matrix(name) {
            Some(matrix) => {
                let part = Part { first, stride: shape[1], from: [0, 0], shape, factor: 1.0 };
                add_part(numbers, &matrix, part)
            }
            None => numbers,
        })
    }

    /// Where the `B` matrices go on this device; `None` where none goes anywhere, or a kernel could not count so far.
    pub(crate) fn columns(&self, device: &Device) -> Option<&Columns> {
        let columns = || {
            let divides = |size: &usize| self.matrices.iter().all(|[_, _, rank, ..]| rank % size == 0);
            let size = [4, 2, 1].into_iter().find(divides).unwrap_or(1);
            let vectors = self.matrices.iter().flatten().map(|number| i32::try_from(number / size));
            let (table, count) = (vectors.collect::<Result<Vec<i32>, _>>().ok()?, self.matrices.len());
            let scales = TensorData::new(self.scales.clone(), [1, count]);
            (count > 0).then(|| Columns {
                table: integers_on(device, table, [count, 5]),
                factors: Tensor::from_data(scales, (device, DType::F32)),
                size,
                first: self.slow,
                numbers: self.blocks,
            })
        };
        self.columns.get_or_init(columns).as_ref()
    }
}
