//! Products on a CUDA device without a card: `tests/gpu/fake.sh` puts a driver and a cuBLASLt of the project's own in
//! place, and names in `EMOTRAIN_FAKE_CUDA` what there is of them. Kernels do nothing there, so all numbers are uploaded,
//! and what they become is read and compared on the host. They are small integers: sums are exact in any order and type.

use std::sync::{Arc, Mutex};
use std::thread;

use burn::tensor::{Device, TensorData};
use emotrain_recipe::{DeviceChoice, Dtype};

use super::*;
use crate::device::{self, OpenDevice, Recorded, multiplies};

/// The device where this is in place: a `library`, one that knows no gradients of bf16 in f32 (`refusal`), or the
/// `driver` alone.
pub(in crate::kernels) fn card(there: &str) -> Option<OpenDevice> {
    if std::env::var_os("EMOTRAIN_FAKE_CUDA").is_none_or(|what| what != there) {
        println!("skipped: not run by tests/gpu/fake.sh with the {there}");
        return None;
    }
    Some(device::open(&DeviceChoice::Cuda(None), Dtype::Float32).unwrap())
}

/// A matrix on the host.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::kernels) struct Host {
    pub(in crate::kernels) shape: [usize; 2],
    pub(in crate::kernels) numbers: Vec<f32>,
}

impl Host {
    /// Integers between -2 and 2.
    pub(in crate::kernels) fn drawn(shape: [usize; 2], turn: usize) -> Self {
        let number = |i: usize| ((i * i + 3 * i + turn * (i + 7)) % 5) as f32 - 2.0;
        Self { shape, numbers: (0..shape[0] * shape[1]).map(number).collect() }
    }

    fn of(tensor: Tensor<2>) -> Self {
        Self { shape: tensor.dims(), numbers: tensor.try_into_vec_as::<f32>().unwrap() }
    }

    fn on(&self, device: &Device, dtype: DType) -> Tensor<2> {
        Tensor::from_data(TensorData::new(self.numbers.clone(), self.shape), (device, dtype))
    }

    fn at(&self, row: usize, column: usize) -> f32 {
        self.numbers[row * self.shape[1] + column]
    }

    fn made(shape: [usize; 2], number: impl Fn(usize, usize) -> f32) -> Self {
        let rows = (0..shape[0]).flat_map(|row| (0..shape[1]).map(move |column| [row, column]));
        Self { shape, numbers: rows.map(|[row, column]| number(row, column)).collect() }
    }

    pub(in crate::kernels) fn transposed(&self) -> Self {
        Self::made([self.shape[1], self.shape[0]], |row, column| self.at(column, row))
    }

    pub(in crate::kernels) fn columns(&self, first: usize, count: usize) -> Self {
        Self::made([self.shape[0], count], |row, column| self.at(row, first + column))
    }

    pub(in crate::kernels) fn times(&self, right: &Self) -> Self {
        let sum = |row, column| (0..self.shape[1]).map(|k| self.at(row, k) * right.at(k, column)).sum();
        Self::made([self.shape[0], right.shape[1]], sum)
    }

    /// With `factor · delta` added from this row and column on.
    fn plus(&self, delta: &Self, [row, column]: [usize; 2], factor: f32) -> Self {
        let mut sum = self.clone();
        for y in 0..delta.shape[0] {
            for x in 0..delta.shape[1] {
                sum.numbers[(row + y) * self.shape[1] + column + x] += factor * delta.at(y, x);
            }
        }
        sum
    }
}

pub(in crate::kernels) const DTYPES: [DType; 3] = [DType::F32, DType::BF16, DType::F16];

#[test]
fn the_device_says_what_multiplies() {
    if let Some(on) = card("library") {
        assert!(on.name.ends_with(", products by cuBLASLt 13.0.2)"), "{}", on.name);
    }
    if let Some(on) = card("driver") {
        assert!(on.name.contains(", products by burn: libcublasLt.so.13 is missing"), "{}", on.name);
    }
    if let Some(on) = card("refusal") {
        let why =
            "cuBLASLt refuses the product [16, 16] · [16, 16] of bf16 into f32: CUBLAS_STATUS_NOT_SUPPORTED";
        assert!(on.name.ends_with(&format!(", products by burn: {why})")), "{}", on.name);
    }
}

#[test]
#[expect(clippy::many_single_char_names, reason = "the names of the formulas")]
fn the_forms_of_a_layer_are_products_where_they_belong() {
    let Some(on) = card("library") else { return };
    // Widths that rows are pitched for, and ranks that begin in the middle of a row.
    let (rows, input, out, ranks) = (7, 9, 11, [3..5, 5..10]);
    let [x, w, dy] =
        [Host::drawn([rows, input], 1), Host::drawn([out, input], 2), Host::drawn([rows, out], 3)];
    let [a, low] = [Host::drawn([10, input], 4), Host::drawn([rows, 10], 5)];
    for dtype in DTYPES {
        let up = |host: &Host| host.on(&on.device, dtype);
        let [x_up, w_up, dy_up, a_up, low_up] = [&x, &w, &dy, &a, &low].map(up);
        assert!(multiplies(&x_up), "{dtype:?}");

        let y = product(&Side::of(&x_up), &Side::of(&w_up).transposed());
        assert_eq!(Host::of(y), x.times(&w.transposed()), "y, {dtype:?}");
        let dx = product(&Side::of(&dy_up), &Side::of(&w_up));
        assert_eq!(Host::of(dx), dy.times(&w), "dx, {dtype:?}");
        let low_found = product(&Side::of(&x_up), &Side::of(&a_up).transposed());
        assert_eq!(Host::of(low_found), x.times(&a.transposed()), "low, {dtype:?}");

        // The rows of one share of several, and the columns of one module of several.
        let (wide, rank) = (Host::drawn([rows + 4, out], 6), &ranks[1]);
        let b = Host::drawn([6, rank.len()], 7);
        let delta = low.columns(rank.start, rank.len()).times(&b.transposed());
        let sum =
            add_product(up(&wide), [2, 3], &Side::columns(&low_up, rank), &Side::of(&up(&b)).transposed());
        assert_eq!(Host::of(sum), wide.plus(&delta, [2, 3], 1.0), "y + low·Bᵀ, {dtype:?}");

        // Gradients in f32, of two passes.
        let (columns, mut db, mut da) = (4..9, None, None);
        for _ in 0..2 {
            let (left, right) = (Side::columns(&dy_up, &columns), Side::columns(&low_up, rank));
            sum_product(&mut db, [&left.transposed(), &right], 0.5).unwrap();
            let left = Side::columns(&low_up, rank).transposed();
            sum_product(&mut da, [&left, &Side::of(&x_up)], 1.0).unwrap();
        }
        let [db, da] = [db, da].map(Option::unwrap);
        assert_eq!([db.dtype(), da.dtype()], [DType::F32; 2]);
        let of_rank = low.columns(rank.start, rank.len());
        let db_right = dy.columns(4, 5).transposed().times(&of_rank);
        assert_eq!(Host::of(db), db_right, "dB, {dtype:?}");
        let da_right = of_rank.transposed().times(&x);
        assert_eq!(Host::of(da), da_right.plus(&da_right, [0, 0], 1.0), "dA, {dtype:?}");
    }
}

#[test]
fn products_lie_next_to_one_another() {
    let Some(on) = card("library") else { return };
    let dy = Host::drawn([5, 12], 1);
    let parts = [(0..4, Host::drawn([4, 3], 2)), (4..12, Host::drawn([8, 6], 3))];
    for dtype in DTYPES {
        let dy_up = dy.on(&on.device, dtype);
        let mut beside = Beside::new([5, 9], &dy_up);
        for (columns, b) in &parts {
            beside.push(&Side::columns(&dy_up, columns), &Side::of(&b.on(&on.device, dtype)));
        }
        let found = Host::of(beside.whole());
        for (first, (columns, b)) in [0, 3].into_iter().zip(&parts) {
            let right = dy.columns(columns.start, columns.len()).times(b);
            assert_eq!(found.columns(first, b.shape[1]), right, "{dtype:?}");
        }
    }
}

#[test]
fn products_of_products_are_in_order() {
    let Some(on) = card("library") else { return };
    let (x, w) = (Host::drawn([6, 6], 1), Host::drawn([6, 6], 2));
    let (mut right, mut found) = (x.clone(), x.on(&on.device, DType::F32));
    let w_up = Side::of(&w.on(&on.device, DType::F32));
    for _ in 0..5 {
        (right, found) = (right.times(&w), product(&Side::of(&found), &w_up));
    }
    assert_eq!(Host::of(found), right);
}

#[test]
fn a_transposed_tensor_is_read_where_it_lies() {
    let Some(on) = card("library") else { return };
    let (x, w) = (Host::drawn([5, 8], 1), Host::drawn([7, 5], 2));
    let [x_up, w_up] = [&x, &w].map(|host| host.on(&on.device, DType::F32).transpose());
    let both = product(&Side::of(&x_up), &Side::of(&w_up));
    assert_eq!(Host::of(both), x.transposed().times(&w.transposed()));
    let part = product(&Side::columns(&w_up, &(2..6)).transposed(), &Side::of(&w_up));
    assert_eq!(Host::of(part), w.transposed().columns(2, 4).transposed().times(&w.transposed()));
}

#[test]
fn sums_are_not_rounded_to_the_type_of_the_sides() {
    let Some(on) = card("library") else { return };
    // 257 takes nine bits, bf16 has eight.
    let ones = Host::made([257, 1], |_, _| 1.0).on(&on.device, DType::BF16);
    let sides = [Side::of(&ones).transposed(), Side::of(&ones)];
    let mut sum = None;
    sum_product(&mut sum, [&sides[0], &sides[1]], 1.0).unwrap();
    assert_eq!(Host::of(sum.unwrap()).numbers, [257.0]);
    assert_eq!(Host::of(product(&sides[0], &sides[1])).numbers, [256.0]);
}

/// Work of a stream is only done when somebody waits for it: what does not wait finds numbers that nobody has written.
#[test]
fn a_tensor_of_another_thread_is_waited_for() {
    let Some(on) = card("library") else { return };
    let (x, w) = (Host::drawn([4, 6], 1), Host::drawn([5, 6], 2));
    let first = thread::scope(|scope| {
        let work = || {
            let [x, w] = [&x, &w].map(|host| Side::of(&host.on(&on.device, DType::F32)));
            product(&x, &w.transposed())
        };
        scope.spawn(work).join().unwrap()
    });
    let second = product(&Side::of(&first), &Side::of(&w.on(&on.device, DType::F32)));
    assert_eq!(Host::of(second), x.times(&w.transposed()).times(&w));
}

#[test]
fn a_profile_counts_and_times_products() {
    let Some(on) = card("library") else { return };
    let [x, w] = [1, 2].map(|turn| Side::of(&Host::drawn([4, 4], turn).on(&on.device, DType::F32)));
    let (_, launches) = device::profiled(|| [product(&x, &w), product(&w, &x)]);
    let products = launches.kernels["CublasLtMatmul"];
    // The clock of the fake driver: a millisecond from one event to the other.
    assert!(products.count == 2 && (products.seconds - 2e-3).abs() < 1e-9, "{launches:?}");
    // Two sides and what is written, each of 4 x 4 numbers of four bytes.
    assert_eq!(launches.bytes, 2 * 3 * 4 * 4 * 4);
}

#[test]
fn a_refused_product_is_an_error_of_who_reads_it() {
    let Some(on) = card("library") else { return };
    let up = |shape, turn| Side::of(&Host::drawn(shape, turn).on(&on.device, DType::F32));
    // The library has no algorithm for sums of 13, and fails to launch sums of 17.
    for (sum, reason) in [(13, "NOT_SUPPORTED"), (17, "EXECUTION_FAILED")] {
        let refused = product(&up([3, sum], 1), &up([sum, 4], 2));
        let after = product(&Side::of(&refused), &up([4, 2], 3));
        for tensor in [refused, after] {
            let error = format!("{:?}", tensor.try_into_data().unwrap_err());
            let message = format!("cuBLASLt refuses the product [3, {sum}] · [{sum}, 4] of f32 into f32: ");
            assert!(error.contains(&message) && error.contains(reason), "{error}");
        }
    }
    let (x, w) = (Host::drawn([3, 12], 1), Host::drawn([12, 4], 2));
    let [x_up, w_up] = [&x, &w].map(|host| Side::of(&host.on(&on.device, DType::F32)));
    assert_eq!(Host::of(product(&x_up, &w_up)), x.times(&w), "other products go on");
}

#[test]
fn without_the_library_burn_multiplies() {
    let Some(on) = card("driver") else { return };
    let [x, w] =
        [Host::drawn([8, 16], 1), Host::drawn([8, 16], 2)].map(|host| host.on(&on.device, DType::F32));
    assert!(!multiplies(&x));
    let mut none = None;
    assert_eq!(sum_product(&mut none, [&Side::of(&x).transposed(), &Side::of(&w)], 1.0), None);
    assert!(none.is_none());
    let (product, launches) = device::profiled(|| product(&Side::of(&x), &Side::of(&w).transposed()));
    assert!(!launches.kernels.contains_key("CublasLtMatmul"), "{launches:?}");
    assert_eq!(product.dims(), [8, 8]);
    assert!(launches.kernels.keys().any(|name| name.contains("Matmul")), "{launches:?}");
}

/// A product that a graph has is made again whenever the graph is.
#[test]
fn a_product_can_be_recorded() {
    let Some(on) = card("library") else { return };
    let [x, w, sum] = [Host::drawn([7, 9], 1), Host::drawn([9, 11], 2), Host::drawn([7, 11], 3)];
    let [left, right] = [&x, &w].map(|host| Side::of(&host.on(&on.device, DType::F32)));
    let to = Arc::new(Mutex::new(sum.on(&on.device, DType::F32)));
    let written = Written { place: [0, 0], width: None, factor: 1.0, adds: true };
    let mut recorded = Recorded::new(&on.device, {
        let to = Arc::clone(&to);
        move || multiply(&mut to.lock().unwrap(), [&left, &right], written).expect("a library")
    });
    assert!(recorded.is_recorded());
    let now = || Host::of(to.lock().unwrap().clone());
    // Three times before it was recorded.
    assert_eq!(now(), sum.plus(&x.times(&w), [0, 0], 3.0));
    recorded.run();
    recorded.run();
    assert_eq!(now(), sum.plus(&x.times(&w), [0, 0], 5.0));
}
