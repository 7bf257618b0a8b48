//! Products of tensors on CUDA devices through cuBLASLt.

use std::sync::OnceLock;

use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_cubecl::Cube;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

use super::counted::timed;
use super::door::{self, Buffers};
use super::library::{self, Memory};
use crate::device::plan::{Asked, Block, Factor, plan};
use crate::device::traffic::moves_numbers;
use crate::device::{Side, Written};

/// The library's version, or why it is not used; unknown until a device is opened.
static LIBRARY: OnceLock<Result<String, String>> = OnceLock::new();

/// Looks for the library, tries it on this device, and returns what multiplies matrices, for people.
pub(in crate::device) fn multiplier(device: &Device) -> String {
    let usable = || library::version().and_then(|version| tried(device).map(|()| version));
    match LIBRARY.get_or_init(usable) {
        Ok(version) => format!("products by cuBLASLt {version}"),
        Err(reason) => format!("products by burn: {reason}"),
    }
}

/// Multiplies matrices of every type into every type, in every form, once. A library that does not fit the driver or the
/// card is known before it is needed.
///
/// # Errors
/// What the library refuses, or multiplies wrongly.
fn tried(device: &Device) -> Result<(), String> {
    let shape = [16, 16];
    let ones = |dtype| {
        let numbers = TensorData::new(vec![1.0_f32; shape[0] * shape[1]], shape);
        Tensor::<2>::from_data(numbers, (device, dtype))
    };
    let mut sums = Vec::new();
    for dtype in
        [DType::F32, DType::BF16, DType::F16].into_iter().filter(|dtype| device.supports_dtype(*dtype))
    {
        for (out, turned) in [dtype, DType::F32].iter().flat_map(|out| TURNED.map(|turned| (out, turned))) {
            let [left, right] = turned.map(|turned| {
                let side = Side::of(&ones(dtype));
                if turned { side.transposed() } else { side }
            });
            let mut sum = ones(*out);
            let written = Written { place: [0, 0], width: None, factor: 0.5, adds: true };
            multiplied(&mut sum, [&left, &right], written).ok_or("no product of the device's tensors")?;
            sums.push(sum);
        }
    }
    for sum in sums {
        let numbers = sum.try_into_vec_as::<f32>().map_err(|error| reason(&error.to_string()))?;
        if numbers.iter().any(|number| (number - 9.0).abs() > 0.0) {
            return Err(format!("cuBLASLt gives {} where 9 is right", numbers[0]));
        }
    }
    Ok(())
}

/// Which of left and right is taken transposed, in all forms of a linear layer.
const TURNED: [[bool; 2]; 3] = [[false, true], [false, false], [true, false]];

/// The line of an error of cubecl's that is ours.
fn reason(error: &str) -> String {
    let ours = error.lines().find_map(|line| line.find("cuBLASLt").map(|at| &line[at..]));
    ours.or(error.lines().next()).unwrap_or_default().to_owned()
}

/// The tensor's buffer if it is on a CUDA device.
fn on_cuda(tensor: &Tensor<2>) -> Option<CubeTensor> {
    let buffer = tensor.clone().try_into_primitive::<Cube>().ok()?;
    door::leads_to(&buffer.client).then_some(buffer)
}

/// The same where the library multiplies it.
fn buffer(tensor: &Tensor<2>) -> Option<CubeTensor> {
    LIBRARY.get().is_some_and(Result::is_ok).then(|| on_cuda(tensor))?
}

/// See [`crate::device::multiplies`].
pub(in crate::device) fn multiplies(tensor: &Tensor<2>) -> bool {
    buffer(tensor).is_some()
}

/// See [`crate::device::unwritten`].
pub(in crate::device) fn unwritten(shape: [usize; 2], like: &Tensor<2>, dtype: DType) -> Option<Tensor<2>> {
    let CubeTensor { client, device, .. } = buffer(like)?;
    Some(Tensor::from_primitive::<Cube>(empty_device_contiguous_dtype(client, device, shape.into(), dtype)))
}

/// See [`crate::device::multiply`].
pub(in crate::device) fn multiply(to: &mut Tensor<2>, sides: [&Side; 2], written: Written) -> Option<()> {
    multiplies(to).then(|| multiplied(to, sides, written))?
}

/// The same, whatever is known of the library.
fn multiplied(to: &mut Tensor<2>, sides: [&Side; 2], written: Written) -> Option<()> {
    let [left, right] = [Operand::of(sides[0])?, Operand::of(sides[1])?];
    drop(on_cuda(to)?);
    let empty = Tensor::empty([0; 2], (&to.device(), to.dtype()));
    let out = owned(std::mem::replace(to, empty).try_into_primitive::<Cube>().ok()?);
    let launched = launch([left, right], &out, [sides[0].dims()[0], sides[1].dims()[1]], written);
    *to = Tensor::from_primitive::<Cube>(out);
    launched
}

/// A matrix that nobody else has, row-major, to be written.
fn owned(matrix: CubeTensor) -> CubeTensor {
    let matrix = if Strides::of(&matrix).is_row_major() { matrix } else { into_contiguous(matrix) };
    let matrix = if matrix.can_mut() { matrix } else { matrix.copy() };
    assert!(Strides::of(&matrix).is_row_major(), "a matrix to be written has rows: {matrix:?}");
    matrix
}

/// Multiplies two sides into the block of this shape of a row-major matrix.
fn launch(sides: [Operand; 2], out: &CubeTensor, shape: [usize; 2], written: Written) -> Option<()> {
    let ([left, right], [rows, columns]) = (sides, shape);
    let Written { place: [row, column], width, factor, adds } = written;
    let Strides { stride: all, .. } = Strides::of(out);
    let stride = width.unwrap_or(all);
    let asked = Asked {
        left: left.factor,
        right: right.factor,
        out: Block { rows, columns, stride, first: row * all + column, dtype: out.dtype },
        alpha: factor,
        beta: if adds { 1.0 } else { 0.0 },
    };
    let plan = plan(&asked)?;
    let read_again = adds.then_some(asked.out);
    for Block { rows, columns, dtype, .. } in
        [asked.left.block, asked.right.block, asked.out].into_iter().chain(read_again)
    {
        moves_numbers(rows * columns, dtype);
    }
    let (client, device) = (&out.client, out.client.service_id().device.index_id);
    let workspace_bytes = library::workspace_bytes(device);
    let buffers = Buffers {
        reads: vec![right.matrix.handle, left.matrix.handle],
        writes: vec![out.handle.clone(), client.empty(workspace_bytes)],
        updates: adds,
    };
    let multiply = move |stream, addresses: &[u64]| {
        let &[a, b, d, workspace] = addresses else { unreachable!("an address for each of four buffers") };
        let memory = Memory { matrices: [a, b, d], workspace, workspace_bytes };
        library::launch(&plan, memory, device, stream)
    };
    timed(client, || door::submit(client, buffers, multiply));
    Some(())
}

/// How a matrix lies in its buffer.
struct Strides {
    shape: [usize; 2],
    /// Numbers from a row to the next.
    stride: usize,
    /// Numbers from a column to the next.
    step: usize,
    /// Whether it consists of tiles, of which strides say nothing.
    tiled: bool,
}

impl Strides {
    /// # Panics
    /// If it is no matrix.
    fn of(matrix: &CubeTensor) -> Self {
        let (shape, strides) = (matrix.meta.shape(), matrix.meta.strides());
        let shape = [shape[0], shape[1]];
        // The stride of the only row or column is never used and may be anything.
        let stride = if shape[0] == 1 { shape[1] } else { strides[0] };
        let step = if shape[1] == 1 { 1 } else { strides[1] };
        Self { shape, stride, step, tiled: matrix.meta.is_tiled() }
    }

    /// Whether rows are behind one another, with memory left between them or not.
    fn is_row_major(&self) -> bool {
        !self.tiled && self.step == 1 && self.stride >= self.shape[1]
    }

    /// Whether columns are.
    fn is_column_major(&self) -> bool {
        !self.tiled && self.stride == 1 && self.step >= self.shape[0]
    }
}

/// A side in memory.
struct Operand {
    matrix: CubeTensor,
    factor: Factor,
}

impl Operand {
    /// Copies the matrix if neither its rows nor its columns are behind one another.
    fn of(side: &Side) -> Option<Self> {
        let matrix = on_cuda(&side.matrix)?;
        let strides = Strides::of(&matrix);
        let readable = strides.is_row_major() || strides.is_column_major();
        let matrix = if readable { matrix } else { into_contiguous(matrix) };
        let (Strides { shape: [rows, _], stride, step, .. }, [start, columns]) =
            (Strides::of(&matrix), side.columns);
        let dtype = matrix.dtype;
        // Columns behind one another are the rows of the transposed matrix.
        let (block, turned) = if Strides::of(&matrix).is_row_major() {
            (Block { rows, columns, stride, first: start, dtype }, false)
        } else {
            (Block { rows: columns, columns: rows, stride: step, first: start * step, dtype }, true)
        };
        Some(Self { matrix, factor: Factor { block, transposed: side.transposed != turned } })
    }
}

#[cfg(test)]
mod tests {
    use emotrain_recipe::{DeviceChoice, Dtype};

    use super::*;

    /// Where `tests/gpu/fake.sh` has put a library in place, which counts; it runs one test at a time.
    #[test]
    fn fake_card_a_plan_is_made_once() {
        if std::env::var_os("EMOTRAIN_FAKE_CUDA").is_none_or(|what| what != "library") {
            println!("skipped: not run by tests/gpu/fake.sh with the library");
            return;
        }
        let on = crate::device::open(&DeviceChoice::Cuda(None), Dtype::Float32).unwrap();
        let ones = |shape: [usize; 2]| {
            let numbers = vec![1.0_f32; shape[0] * shape[1]];
            Tensor::<2>::from_data(TensorData::new(numbers, shape), (&on.device, DType::F32))
        };
        let (left, right) = (ones([8, 128]), ones([64, 4]));
        let asked_for = |column: usize| {
            let before = library::algorithms_asked_for();
            let left = Side::columns(&left, &(column..column + 64));
            let mut out = unwritten([8, 4], &right, DType::F32).unwrap();
            let written = Written { place: [0, 0], width: None, factor: 1.0, adds: false };
            multiply(&mut out, [&left, &Side::of(&right)], written).unwrap();
            assert_eq!(out.try_into_vec_as::<f32>().unwrap(), [64.0; 32]);
            library::algorithms_asked_for() - before
        };
        // Column 64 is as aligned as the first; column 1 begins at 4 bytes.
        assert_eq!([0, 0, 64, 1, 0, 1].map(asked_for), [1, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn of_an_error_our_line_is_told() {
        let error = "An error happened\nCaused by:\n  cuBLASLt refuses the product\nBacktrace:\n";
        assert_eq!(reason(error), "cuBLASLt refuses the product");
        assert_eq!(reason("out of memory\nmore"), "out of memory");
    }
}
