//! Products of tensors on CUDA devices through cuBLASLt.

use std::ops::Range;
use std::sync::OnceLock;

use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_cubecl::Cube;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::zspace::metadata::Metadata;

use super::counted::timed;
use super::door::{self, Buffers};
use super::library::{self, Memory};
use crate::device::plan::{Asked, Batch, Block, Factor, plan};
use crate::device::traffic::moves_numbers;
use crate::device::{Side, Stack, StackPlace, Written};

/// Bytes that a kernel reads at once at most: what a buffer has to be aligned to.
const WIDEST_LOAD: u64 = 32;

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
    let all_of = |number: f32, dtype| {
        let numbers = TensorData::new(vec![number; 256], [16, 16]);
        Tensor::<2>::from_data(numbers, (device, dtype))
    };
    let ones = |dtype| all_of(1.0, dtype);
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
            multiplied(&mut sum, [&left, &right], written).ok_or(NONE)?;
            sums.push(sum);
        }
        // Of two heads; sums of 16 numbers are to be 9, too.
        let [left, right] =
            [1.0, 0.5625].map(|number| Stack::of(&all_of(number, dtype).reshape([2, 1, 8, 16])));
        let scores = stacks([&left, &right.transposed()]).ok_or(NONE)?;
        sums.push(scores.reshape([16, 8]));
    }
    for sum in sums {
        let numbers = sum.try_into_vec_as::<f32>().map_err(|error| reason(&error.to_string()))?;
        if numbers.iter().any(|number| (number - 9.0).abs() > 0.0) {
            return Err(format!("cuBLASLt gives {} where 9 is right", numbers[0]));
        }
    }
    Ok(())
}

/// Why no product is tried: what the device's tensors are was changed, by a version of burn.
const NONE: &str = "no product of the device's tensors";

/// Which of left and right is taken transposed, in all forms of a linear layer.
const TURNED: [[bool; 2]; 3] = [[false, true], [false, false], [true, false]];

/// The line of an error of cubecl's that is ours.
fn reason(error: &str) -> String {
    let ours = error.lines().find_map(|line| line.find("cuBLASLt").map(|at| &line[at..]));
    ours.or(error.lines().next()).unwrap_or_default().to_owned()
}

/// The tensor's buffer if it is on a CUDA device.
fn on_cuda<const D: usize>(tensor: &Tensor<D>) -> Option<CubeTensor> {
    let buffer = tensor.clone().try_into_primitive::<Cube>().ok()?;
    door::leads_to(&buffer.client).then_some(buffer)
}

/// The same where the library multiplies it.
fn buffer<const D: usize>(tensor: &Tensor<D>) -> Option<CubeTensor> {
    LIBRARY.get().is_some_and(Result::is_ok).then(|| on_cuda(tensor))?
}

/// See [`crate::device::part`].
pub(in crate::device) fn part<const D: usize>(
    tensor: &Tensor<D>,
    dim: usize,
    range: &Range<usize>,
) -> Option<Tensor<D>> {
    let CubeTensor { client, handle, meta, device, dtype, .. } = on_cuda(tensor)?;
    let (mut shape, strides) = (meta.shape().clone(), meta.strides().clone());
    let bytes = |numbers: usize| (strides[dim] * numbers * dtype.size()) as u64;
    let (before, after) = (bytes(range.start), bytes(shape[dim] - range.end));
    if meta.is_tiled() || !before.is_multiple_of(WIDEST_LOAD) {
        return None;
    }
    shape[dim] = range.len();
    let handle = handle.offset_start(before).offset_end(after);
    let part = CubeTensor::new(client, handle, Metadata::new(shape, strides), device, dtype);
    Some(Tensor::from_primitive::<Cube>(part))
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
    let operands = [Operand::of(sides[0])?, Operand::of(sides[1])?];
    let [rows, columns] = [sides[0].dims()[0], sides[1].dims()[1]];
    let Written { place: [row, column], width, factor, adds } = written;
    in_place(
        to,
        |out| Strides::of(out).is_row_major(),
        |out| {
            let Strides { stride: all, .. } = Strides::of(out);
            let (stride, first) = (width.unwrap_or(all), row * all + column);
            let block = Block { rows, columns, stride, first, dtype: out.dtype, batch: Batch::ONE };
            launch(operands, out, block, Factors { alpha: factor, adds })
        },
    )
}

/// See [`crate::device::multiply_stacks`].
pub(in crate::device) fn multiply_stacks<const D: usize>(
    to: &mut Tensor<D>,
    sides: [&Stack; 2],
    place: StackPlace,
) -> Option<()> {
    let operands = [Operand::of_stack(sides[0])?, Operand::of_stack(sides[1])?];
    drop(buffer(to)?);
    in_place(to, CubeTensor::is_contiguous, |out| {
        let StackPlace { first, between, adds } = place;
        let block = stack_block(&operands, [first, between], out.dtype);
        launch(operands, out, block, Factors { alpha: 1.0, adds })
    })
}

/// See [`crate::device::multiplied_stacks`].
pub(in crate::device) fn multiplied_stacks(sides: [&Stack; 2]) -> Option<Tensor<4>> {
    drop(buffer(&sides[0].heads)?);
    stacks(sides)
}

/// The same, whatever is known of the library.
fn stacks([left, right]: [&Stack; 2]) -> Option<Tensor<4>> {
    let CubeTensor { client, device, dtype, .. } = on_cuda(&left.heads)?;
    let operands = [Operand::of_stack(left)?, Operand::of_stack(right)?];
    let [heads, group, rows, _] = left.heads.dims();
    let Block { columns, .. } = stack_block(&operands, [0, 0], dtype);
    // Rows that begin where the widest loads may.
    let stride = columns.next_multiple_of(16 / dtype.size());
    let handle = client.empty(heads * group * rows * stride * dtype.size());
    let strides = [group * rows * stride, rows * stride, stride, 1];
    let shape = Metadata::new([heads, group, rows, columns], strides);
    let out = CubeTensor::new(client, handle, shape, device, dtype);
    let block = Block { stride, ..stack_block(&operands, [0, group * rows * stride], dtype) };
    launch(operands, &out, block, Factors { alpha: 1.0, adds: false })?;
    Some(Tensor::from_primitive::<Cube>(out))
}

/// The product of stacks whose rows are behind one another, from number `first` on.
fn stack_block([left, right]: &[Operand; 2], [first, between]: [usize; 2], dtype: DType) -> Block {
    let ([rows, _], [_, columns]) = (left.factor.shape(), right.factor.shape());
    let Batch { count, .. } = left.factor.block.batch;
    Block { rows, columns, stride: columns, first, dtype, batch: Batch { count, between } }
}

/// Writes into a tensor that nobody else has and that lies as it has to.
fn in_place<const D: usize>(
    to: &mut Tensor<D>,
    fits: fn(&CubeTensor) -> bool,
    write: impl FnOnce(&CubeTensor) -> Option<()>,
) -> Option<()> {
    drop(on_cuda(to)?);
    let fitting = |tensor: CubeTensor| if fits(&tensor) { tensor } else { into_contiguous(tensor) };
    let empty = Tensor::empty([0; D], (&to.device(), to.dtype()));
    let out = fitting(std::mem::replace(to, empty).try_into_primitive::<Cube>().ok()?);
    let out = if out.can_mut() { out } else { fitting(out.copy()) };
    let written = write(&out);
    *to = Tensor::from_primitive::<Cube>(out);
    written
}

/// What a product is multiplied by, and whether it is added to what is there.
struct Factors {
    alpha: f32,
    adds: bool,
}

/// Multiplies two sides into a block.
fn launch([left, right]: [Operand; 2], out: &CubeTensor, block: Block, factors: Factors) -> Option<()> {
    let Factors { alpha, adds } = factors;
    let beta = if adds { 1.0 } else { 0.0 };
    let asked = Asked { left: left.factor, right: right.factor, out: block, alpha, beta };
    let plan = plan(&asked)?;
    let read_again = adds.then_some(asked.out);
    for block in [asked.left.block, asked.right.block, asked.out].into_iter().chain(read_again) {
        moves_numbers(block.batch.count * block.rows * block.columns, block.dtype);
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

/// How a matrix lies in its buffer, or several of one shape that begin the same distance after one another.
struct Strides {
    shape: [usize; 2],
    /// Numbers from a row to the next.
    stride: usize,
    /// Numbers from a column to the next.
    step: usize,
    /// Whether it consists of tiles, of which strides say nothing.
    tiled: bool,
    batch: Batch,
}

impl Strides {
    /// # Panics
    /// If it is no matrix.
    fn of(matrix: &CubeTensor) -> Self {
        let (shape, strides) = (matrix.meta.shape(), matrix.meta.strides());
        Self::new([shape[0], shape[1]], [strides[0], strides[1]], matrix)
    }

    /// Of the matrices `[G·n, w]` of heads `[K, G, n, w]`, if their rows are evenly apart.
    fn of_stack(heads: &CubeTensor) -> Option<Self> {
        let (shape, strides) = (heads.meta.shape(), heads.meta.strides());
        let [count, group, rows, columns] = shape.dims();
        let row = if rows == 1 { strides[1] } else { strides[2] };
        let even = group == 1 || rows == 1 || strides[1] == rows * row;
        let batch = Batch { count, between: strides[0] };
        even.then(|| Self { batch, ..Self::new([group * rows, columns], [row, strides[3]], heads) })
    }

    fn new(shape: [usize; 2], [row, column]: [usize; 2], tensor: &CubeTensor) -> Self {
        // The stride of the only row or column is never used and may be anything.
        let stride = if shape[0] == 1 { shape[1] } else { row };
        let step = if shape[1] == 1 { 1 } else { column };
        Self { shape, stride, step, tiled: tensor.meta.is_tiled(), batch: Batch::ONE }
    }

    /// Whether rows are behind one another, with memory left between them or not.
    fn is_row_major(&self) -> bool {
        !self.tiled && self.step == 1 && self.stride >= self.shape[1]
    }

    /// Whether columns are.
    fn is_column_major(&self) -> bool {
        !self.tiled && self.stride == 1 && self.step >= self.shape[0]
    }

    /// Whether the library reads them where they lie.
    fn is_readable(&self) -> bool {
        self.is_row_major() || self.is_column_major()
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
        let readable = Strides::of(&matrix).is_readable();
        let matrix = if readable { matrix } else { into_contiguous(matrix) };
        let strides = Strides::of(&matrix);
        Some(Self::new(matrix, &strides, side.columns, side.transposed))
    }

    /// Copies the heads if neither the rows nor the columns of each matrix are behind one another.
    fn of_stack(stack: &Stack) -> Option<Self> {
        let heads = on_cuda(&stack.heads)?;
        let readable = Strides::of_stack(&heads).is_some_and(|strides| strides.is_readable());
        let heads = if readable { heads } else { into_contiguous(heads) };
        let strides = Strides::of_stack(&heads)?;
        Some(Self::new(heads, &strides, stack.columns, stack.transposed))
    }

    /// Some columns of matrices that lie so.
    fn new(matrix: CubeTensor, strides: &Strides, [start, columns]: [usize; 2], transposed: bool) -> Self {
        let Strides { shape: [rows, _], stride, step, batch, .. } = *strides;
        let dtype = matrix.dtype;
        // Columns behind one another are the rows of the transposed matrix.
        let (block, turned) = if strides.is_row_major() {
            (Block { rows, columns, stride, first: start, dtype, batch }, false)
        } else {
            (Block { rows: columns, columns: rows, stride: step, first: start * step, dtype, batch }, true)
        };
        Self { matrix, factor: Factor { block, transposed: transposed != turned } }
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
