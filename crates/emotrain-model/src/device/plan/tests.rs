use proptest::prelude::*;

use super::*;

/// The forms of a linear layer `y = x·Wᵀ` and of its adapter `A`, `B`, forward and backward, as [`Form::factors`].
#[derive(Clone, Copy, Debug)]
enum Form {
    /// `y = x·Wᵀ`.
    Output,
    /// `dx = dy·W`.
    InputGradient,
    /// `low = x·Aᵀ`.
    Low,
    /// `y[:, c] += s·low[:, r]·Bᵀ`.
    AddedOutput,
    /// `dB += s·dy[:, c]ᵀ·low[:, r]`.
    GradientOfB,
    /// `dA += d_lowᵀ·x`.
    GradientOfA,
}

const FORMS: [Form; 6] =
    [Form::Output, Form::InputGradient, Form::Low, Form::AddedOutput, Form::GradientOfB, Form::GradientOfA];

impl Form {
    /// Which of left and right is taken transposed.
    fn transposed(self) -> [bool; 2] {
        match self {
            Self::Output | Self::Low | Self::AddedOutput => [false, true],
            Self::InputGradient => [false, false],
            Self::GradientOfB | Self::GradientOfA => [true, false],
        }
    }

    /// Whether it adds to what is there.
    fn adds(self) -> bool {
        matches!(self, Self::AddedOutput | Self::GradientOfB | Self::GradientOfA)
    }
}

/// Numbers that are small integers, so that sums are exact in any order.
fn numbers(count: usize, turn: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7 + turn * 5) % 11) as f32 - 5.0).collect()
}

/// All of the matrices that a block is of, with some numbers behind them.
fn memory(block: Block, turn: usize) -> Vec<f32> {
    let Batch { count, between } = block.batch;
    numbers(block.first + (count - 1) * between + block.rows * block.stride + 3, turn)
}

/// Element `(row, column)` of a matrix of a factor as the product takes it.
fn element(factor: Factor, memory: &[f32], matrix: usize, [row, column]: [usize; 2]) -> f32 {
    let (row, column) = if factor.transposed { (column, row) } else { (row, column) };
    let Block { first, stride, batch, .. } = factor.block;
    memory[first + matrix * batch.between + row * stride + column]
}

/// All places below these bounds.
fn places([a, b, c]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..a * b * c).map(move |at| [at / (b * c), at / c % b, at % c])
}

/// The product written out, row-major.
fn expected(asked: &Asked, left: &[f32], right: &[f32], out: &mut [f32]) {
    let [rows, sum] = asked.left.shape();
    let Block { columns, stride, first, batch, .. } = asked.out;
    for [matrix, row, column] in places([batch.count, rows, columns]) {
        let product = (0..sum).map(|k| {
            element(asked.left, left, matrix, [row, k]) * element(asked.right, right, matrix, [k, column])
        });
        let place = &mut out[first + matrix * batch.between + row * stride + column];
        *place = asked.alpha * product.sum::<f32>() + asked.beta * *place;
    }
}

/// The plan carried out by the definition of a column-major product.
fn carried_out(plan: &Plan, a: &[f32], b: &[f32], d: &mut [f32]) {
    let count = |number: u64| usize::try_from(number).unwrap();
    let place = |number: usize, matrix: usize, [row, column]: [usize; 2]| {
        let Layout { rows, columns, ld, transposed, batch, .. } = plan.layouts[number];
        let (row, column) = if transposed { (column, row) } else { (row, column) };
        assert!(row < count(rows) && column < count(columns) && matrix < batch.count, "{plan:?}");
        let first = count(plan.offsets[number]) / size_of::<f32>();
        first + matrix * batch.between + column * usize::try_from(ld).unwrap() + row
    };
    for [matrix, row, column] in places([plan.layouts[2].batch.count, count(plan.m), count(plan.n)]) {
        let product = (0..count(plan.k))
            .map(|k| a[place(0, matrix, [row, k])] * b[place(1, matrix, [k, column])])
            .sum::<f32>();
        let to = &mut d[place(2, matrix, [row, column])];
        *to = plan.alpha * product + plan.beta * *to;
    }
}

fn block(shape: [usize; 2], stride: usize, first: usize) -> Block {
    Block { rows: shape[0], columns: shape[1], stride, first, dtype: DType::F32, batch: Batch::ONE }
}

/// Blocks of this shape after up to 7 numbers of their row, in rows of up to 9 more, with up to 6 between two of them.
fn blocks(shape: [usize; 2], count: usize) -> impl Strategy<Value = Block> {
    (0_usize..8, 0_usize..10, 0_usize..7).prop_map(move |(first, more, apart)| {
        let stride = first + shape[1] + more;
        let batch = Batch { count, between: shape[0] * stride + apart };
        Block { batch, ..block(shape, stride, first) }
    })
}

fn products() -> impl Strategy<Value = Asked> {
    let shapes = (prop::sample::select(FORMS.to_vec()), 1_usize..9, 1_usize..9, 1_usize..9, 1_usize..4);
    shapes.prop_flat_map(|(form, rows, sum, columns, count)| {
        let turned =
            |[rows, columns]: [usize; 2], turned| if turned { [columns, rows] } else { [rows, columns] };
        let [left, right] = form.transposed();
        let sides = (
            blocks(turned([rows, sum], left), count),
            blocks(turned([sum, columns], right), count),
            blocks([rows, columns], count),
            prop::sample::select(vec![1.0_f32, 2.0, -0.5]),
        );
        sides.prop_map(move |(left_block, right_block, out, alpha)| Asked {
            left: Factor { block: left_block, transposed: left },
            right: Factor { block: right_block, transposed: right },
            out,
            alpha,
            beta: if form.adds() { 1.0 } else { 0.0 },
        })
    })
}

proptest! {
    /// Of every form, one or several at once, with columns of wider matrices and rows that memory is left between; nothing beside the result is
    /// written.
    #[test]
    fn a_plan_is_the_product_that_was_asked_for(asked in products()) {
        let [left, right] = [memory(asked.left.block, 1), memory(asked.right.block, 2)];
        let mut ours = memory(asked.out, 3);
        let mut right_one = ours.clone();
        let plan = plan(&asked).unwrap();
        carried_out(&plan, &right, &left, &mut ours);
        expected(&asked, &left, &right, &mut right_one);
        prop_assert_eq!(ours, right_one);
    }
}

/// The table of the forms, in cuBLASLt's terms: the operations of A and B, and their leading dimensions.
#[test]
fn the_forms_are_those_of_the_table() {
    let (rows, input, out, rank) = (5, 8, 12, 4);
    let whole = |shape: [usize; 2]| block(shape, shape[1], 0);
    let part = |shape: [usize; 2], stride, first| block(shape, stride, first);
    let forms = FORMS.map(|form| {
        let (left, right, to) = match form {
            Form::Output => (whole([rows, input]), whole([out, input]), whole([rows, out])),
            Form::InputGradient => (whole([rows, out]), whole([out, input]), whole([rows, input])),
            Form::Low => (whole([rows, input]), whole([rank, input]), whole([rows, rank])),
            Form::AddedOutput => (part([rows, rank], 7, 3), whole([6, rank]), part([rows, 6], out, 6)),
            Form::GradientOfB => (part([rows, 6], out, 6), part([rows, rank], 7, 3), whole([6, rank])),
            Form::GradientOfA => (part([rows, rank], 7, 3), whole([rows, input]), whole([rank, input])),
        };
        let [left_turned, right_turned] = form.transposed();
        let asked = Asked {
            left: Factor { block: left, transposed: left_turned },
            right: Factor { block: right, transposed: right_turned },
            out: to,
            alpha: 1.0,
            beta: 0.0,
        };
        let Plan { m, n, k, layouts: [a, b, d], offsets, .. } = plan(&asked).unwrap();
        let op = |layout: Layout| if layout.transposed { 'T' } else { 'N' };
        format!(
            "{form:?}: {m} x {n} x {k}, {}{}, ld {} {} {}, bytes {offsets:?}\n",
            op(a),
            op(b),
            a.ld,
            b.ld,
            d.ld
        )
    });
    expect_test::expect![[r"
        Output: 12 x 5 x 8, TN, ld 8 8 12, bytes [0, 0, 0]
        InputGradient: 8 x 5 x 12, NN, ld 8 12 8, bytes [0, 0, 0]
        Low: 4 x 5 x 8, TN, ld 8 8 4, bytes [0, 0, 0]
        AddedOutput: 6 x 5 x 4, TN, ld 4 7 12, bytes [0, 12, 24]
        GradientOfB: 4 x 6 x 5, NT, ld 7 12 4, bytes [12, 24, 0]
        GradientOfA: 8 x 4 x 5, NT, ld 8 7 8, bytes [0, 12, 0]
    "]]
    .assert_eq(&forms.concat());
}

#[test]
fn what_is_not_multiplied_has_no_plan() {
    let right = Factor { block: block([3, 4], 4, 0), transposed: false };
    let left = Factor { block: block([2, 3], 3, 0), transposed: false };
    let asked = Asked { left, right, out: block([2, 4], 4, 0), alpha: 1.0, beta: 0.0 };
    let of = |left: DType, right: DType, out: DType| {
        let mut asked = asked;
        (asked.left.block.dtype, asked.right.block.dtype, asked.out.dtype) = (left, right, out);
        plan(&asked)
    };
    for (left, right, out) in [
        (DType::F32, DType::F32, DType::F32),
        (DType::BF16, DType::BF16, DType::BF16),
        (DType::BF16, DType::BF16, DType::F32),
        (DType::F16, DType::F16, DType::F32),
    ] {
        assert!(of(left, right, out).is_some(), "{left:?} {right:?} {out:?}");
    }
    assert_eq!(of(DType::BF16, DType::F32, DType::F32), None);
    assert_eq!(of(DType::F32, DType::F32, DType::BF16), None);
    assert_eq!(of(DType::F64, DType::F64, DType::F64), None);
    let mut overlapping = asked;
    overlapping.right.block.stride = 0;
    assert_eq!(plan(&overlapping), None);
    let mut several = asked;
    for block in [&mut several.left.block, &mut several.right.block, &mut several.out] {
        block.batch = Batch { count: 2, between: 12 };
    }
    assert_eq!(plan(&several).unwrap().to_string(), "2 times [2, 3] · [3, 4] of f32 into f32");
    several.out.batch.between = 7;
    assert_eq!(plan(&several), None, "the second begins in the first");
    let mut empty = asked;
    (empty.left.block.rows, empty.out.rows) = (0, 0);
    assert_eq!(plan(&empty), None);
    assert_eq!(plan(&asked).unwrap().to_string(), "[2, 3] · [3, 4] of f32 into f32");
}
