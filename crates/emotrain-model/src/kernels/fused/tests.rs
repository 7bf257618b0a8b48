//! Each kernel against its form in tensor operations, on the first GPU of this machine, a software one included.

mod encoder;
mod heads;
mod losses;
mod products;
mod slots;

use burn::tensor::{DType, Device, Tensor, TensorData};
use emotrain_base::random::{Key, normal};
use emotrain_kernels::{DropoutMask, HeadRows};
use emotrain_recipe::Dtype;

use crate::batch::Visible;
use crate::device::{self, tests::gpu};
use crate::kernels::{
    AdamW, Masks, Part, Rotation, Scores, Seen, adamw, attention_softmax, attention_softmax_backward,
    dropout, elementwise, gated, head_rows, rms_norm, rope, softmax,
};
use crate::spec::{Activation, Rope};

/// A type that the machine's GPU computes in.
pub(super) struct On {
    pub(super) device: Device,
    dtype: DType,
    /// The rounding error of numbers about 1.
    rounding: f32,
}

impl On {
    pub(super) fn draw<const D: usize>(&self, purpose: u64, shape: [usize; D]) -> Tensor<D> {
        let numbers = normal(Key::new(3).with(purpose), shape.iter().product(), 1.0);
        Tensor::from_data(TensorData::new(numbers, shape), (&self.device, self.dtype))
    }

    /// The result of a kernel, in f32 within so many roundings of what tensor operations give in f32.
    pub(super) fn check<const D: usize>(&self, fused: &Tensor<D>, reference: Tensor<D>, roundings: f32) {
        assert_eq!(fused.dims(), reference.dims());
        let difference = (fused.clone().cast(DType::F32) - reference.cast(DType::F32)).abs().max();
        let (difference, most) = (difference.into_scalar::<f32>(), self.rounding * roundings);
        assert!(difference <= most, "{:?} {:?}: {difference} > {most}", self.dtype, fused.dims());
    }
}

fn wide<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    x.clone().cast(DType::F32)
}

/// The types that the machine's GPU computes in; none in a build without one.
pub(super) fn types() -> Vec<On> {
    let Some(gpu) = gpu() else { return Vec::new() };
    let all = [(Dtype::Float32, 2e-6), (Dtype::Float16, 2e-3), (Dtype::Bfloat16, 1.6e-2)];
    let opened = |(dtype, rounding)| {
        let open = device::open(&gpu, dtype).ok()?;
        Some(On { device: open.device, dtype: open.dtype, rounding })
    };
    let types: Vec<On> = all.into_iter().filter_map(opened).collect();
    assert!(!types.is_empty(), "a build for GPUs is tested where there is one");
    types
}

/// Both ways, against tensor operations in f32.
fn check_head_norm(on: &On, [grad, x]: [&Tensor<2>; 2], layout: HeadRows, weight: &Tensor<2>) {
    let fused = super::head_norm(x, layout, weight, 1e-5).expect("a kernel for rows of heads");
    assert_eq!(fused.dtype(), on.dtype);
    on.check(&fused, rms_norm::heads_in_tensors(wide(x), layout, &wide(weight), 1e-5), 10.0);
    let fused =
        super::head_norm_backward([grad, x], layout, weight, 1e-5, None).expect("a kernel for rows of heads");
    let both = [wide(grad), wide(x)];
    on.check(&fused, rms_norm::backward_in_tensors(both, layout, &wide(weight), 1e-5), 20.0);
}

#[test]
fn norms_on_a_gpu_are_those_of_tensor_operations() {
    for on in types() {
        for [rows, width] in [[1, 1], [5, 7], [3, 64], [9, 100], [4, 576], [2, 4096], [70_000, 8]] {
            let (x, grad, weight) =
                (on.draw(1, [rows, width]), on.draw(2, [rows, width]), on.draw(3, [1, width]));
            let layout = HeadRows { width, heads: 1, dim: width };
            check_head_norm(&on, [&grad, &x], layout, &weight);
            // A weight in f32, of a norm that adds 1 to it.
            check_head_norm(&on, [&grad, &x], layout, &wide(&weight));
        }
    }
}

#[test]
fn norms_of_heads_on_a_gpu_leave_the_other_heads() {
    for on in types() {
        for (rows, heads, normed, dim) in [(1, 2, 1, 8), (5, 3, 2, 7), (9, 4, 4, 16), (3, 8, 4, 128)] {
            let width = heads * dim;
            let (x, grad, weight) =
                (on.draw(1, [rows, width]), on.draw(2, [rows, width]), on.draw(3, [1, dim]));
            let layout = HeadRows { width, heads: normed, dim };
            check_head_norm(&on, [&grad, &x], layout, &weight);
        }
        let (x, weight) = (on.draw(1, [2, 7]), on.draw(2, [1, 3]));
        let layout = HeadRows { width: 7, heads: 2, dim: 3 };
        assert!(super::head_norm(&x, layout, &weight, 1e-5).is_none(), "no rows of heads");
    }
}

/// As one after the other: the sum, its norm, what each mask leaves of that; the gradient, and another beside it.
#[test]
fn norms_on_a_gpu_take_sums_and_give_what_dropout_leaves() {
    for on in types() {
        for [rows, width] in [[1, 1], [5, 7], [3, 64], [2, 4096], [300, 8]] {
            let draw = |turn| on.draw(turn, [rows, width]);
            let (x, update, weight) = (draw(1), draw(2), on.draw(3, [1, width]));
            let masks = [DropoutMask::new(0.1, 5), DropoutMask::new(0.6, 9)];
            let of = masks.map(Some);
            let [sum, normed, copies] =
                super::sum_norm([&x, &update], &weight, 1e-5, Masks::beside(&of)).expect("a kernel for rows");
            on.check(&sum, wide(&x) + wide(&update), 4.0);
            let layout = HeadRows { width, heads: 1, dim: width };
            on.check(&normed, wide(&super::head_norm(&sum, layout, &weight, 1e-5).unwrap()), 0.0);
            let each = masks.map(|mask| wide(&super::dropout(&normed, mask).unwrap()));
            on.check(&copies, Tensor::cat(each.to_vec(), 0), 0.0);
            let norm = |masks| super::dropped_norm(&sum, &weight, 1e-5, masks).unwrap();
            let [again, one] = norm(Masks::beside(&of[..1]));
            on.check(&again, wide(&normed), 0.0);
            on.check(&one, each[0].clone(), 0.0);
            let [_, alone] = norm(Masks::instead(&of, false));
            on.check(&alone, wide(&copies), 0.0);

            let (grad, other) = (draw(4), draw(5));
            let both = super::head_norm_backward([&grad, &x], layout, &weight, 1e-5, Some(&other)).unwrap();
            let alone = rms_norm::backward_in_tensors([wide(&grad), wide(&x)], layout, &wide(&weight), 1e-5);
            on.check(&both, alone + wide(&other), 20.0);
        }
    }
}

#[test]
fn a_strided_view_is_normalised_in_its_own_order() {
    for on in types() {
        let (x, grad, weight) = (on.draw(1, [6, 4]), on.draw(2, [4, 6]), on.draw(3, [1, 6]));
        let layout = HeadRows { width: 6, heads: 1, dim: 6 };
        check_head_norm(&on, [&grad, &x.transpose()], layout, &weight);
    }
}

#[test]
fn gated_activations_on_a_gpu_are_those_of_tensor_operations() {
    for on in types() {
        for kind in [Activation::Silu, Activation::GeluTanh] {
            for [rows, width] in [[1, 1], [5, 7], [3, 64], [9, 100], [4, 1536], [70_000, 2]] {
                let (x, grad) = (on.draw(1, [rows, 2 * width]) * 2.0, on.draw(2, [rows, width]));
                let mask = DropoutMask::new(0.2, 7);
                let of = [Some(mask)];
                let active = |masks| super::gated(&x, kind, masks).expect("a kernel for every width");
                let [fused, dropped] = active(Masks::beside(&of));
                let [_, alone] = active(Masks::instead(&of, false));
                on.check(&alone, wide(&dropped), 0.0);
                on.check(&dropped, super::dropout(&fused, mask).unwrap(), 0.0);
                assert_eq!(fused.dtype(), on.dtype);
                on.check(&fused, gated::in_tensors(wide(&x), kind), 20.0);
                let fused = super::gated_backward(&grad, &x, kind).expect("a kernel for every width");
                on.check(&fused, gated::backward_in_tensors(wide(&grad), wide(&x), kind), 20.0);
            }
            // Far out the gate is closed or open.
            let far = Tensor::from_data([[-1e4, 1e4, 1.0, 1.0]], (&on.device, on.dtype));
            let [fused, _] = super::gated(&far, kind, Masks::beside(&[])).expect("a kernel for every width");
            let numbers = fused.cast(DType::F32).try_into_vec_as::<f32>().unwrap();
            assert!(numbers[0].abs() < 1e-6 && (numbers[1] / 1e4 - 1.0).abs() < 1e-2, "{numbers:?}");
        }
    }
}

#[test]
fn rotations_on_a_gpu_are_those_of_tensor_operations() {
    let frequencies = |half: usize| (0..half).map(|i| 0.5_f32.powi(i32::try_from(i).unwrap())).collect();
    for on in types() {
        for (rows, [heads, dim], half, width) in [
            (1, [1, 2], 1, 2),
            (5, [3, 6], 3, 18),
            (7, [2, 6], 2, 17),
            (4, [4, 128], 64, 1024),
            (3, [2, 16], 4, 48),
        ] {
            let x = on.draw(1, [rows, width]);
            let positions: Vec<u32> = (0..rows).map(|row| u32::try_from(row * 3).unwrap()).collect();
            let rope = Rope { frequencies: frequencies(half), factor: 1.2 };
            let rotation = Rotation::new(&positions, &rope, &on.device);
            for rotation in [rotation.inverse(), rotation] {
                let fused = rope::rotate(x.clone(), heads, dim, &rotation);
                assert_eq!(fused.dtype(), on.dtype);
                on.check(&fused, rope::rotate_in_tensors(wide(&x), heads, dim, &rotation), 5.0);
            }
        }
    }
}

/// Of ones, what is kept is the scale: the mask is the CPU's to the bit.
#[test]
fn dropout_on_a_gpu_has_the_masks_of_the_cpu() {
    for on in types() {
        for ([rows, width], p) in
            [([1, 1], 0.5), ([5, 7], 0.1), ([64, 96], 0.05), ([3, 4096], 0.9), ([70_000, 3], 0.3)]
        {
            let key = Key::new(8).named("mask");
            let mask = DropoutMask::new(p, key.bits());
            let ones = Tensor::<2>::ones([rows, width], (&on.device, on.dtype));
            let kept = super::dropout(&ones, mask).expect("a kernel for every shape");
            assert_eq!(kept.dtype(), on.dtype);
            let kept = kept.cast(DType::F32).try_into_vec_as::<f32>().unwrap();
            let mut cpu = vec![1.0; rows * width];
            emotrain_kernels::dropout(&mut cpu, width, p, key.bits());
            assert!(kept.iter().zip(&cpu).all(|(a, b)| (*a == 0.0) == (*b == 0.0)), "{rows} {width}");
            let x = on.draw(1, [rows, width]);
            let fused = super::dropout(&x, mask).expect("a kernel for every shape");
            let expected = dropout::in_tensors(wide(&x), p, key);
            on.check(&fused, expected.clone(), 30.0);
            let mut sum = on.draw(2, [rows + 2, width]);
            let zeros = Tensor::zeros([1, width], (&on.device, DType::F32));
            let expected = wide(&sum) + Tensor::cat(vec![zeros.clone(), expected, zeros], 0);
            super::add_dropped(&mut sum, &x, 1, mask).expect("a kernel for every shape");
            on.check(&sum, expected, 30.0);
        }
    }
}

/// A causal row, one with a window, and rows of trees, over and over.
fn visible(queries: usize, keys: usize) -> Seen {
    let row = |row: usize| {
        let last = keys - queries + row;
        match row % 4 {
            1 => Visible::causal(last).within(Some(2)),
            2 if last > 4 => Visible::after(&[0..1, 2..3].into(), last / 2 + 2..last + 1),
            3 if last > 3 => Visible::after(&std::iter::once(1..2).collect(), last..last + 1),
            _ => Visible::causal(last),
        }
    };
    Seen::new((0..queries).map(row).collect())
}

#[test]
fn attention_softmax_on_a_gpu_is_that_of_tensor_operations() {
    for on in types() {
        for shape in
            [[1, 1, 1, 1], [2, 3, 5, 7], [1, 2, 9, 64], [2, 2, 3, 100], [1, 1, 130, 2_500], [3, 1, 6, 6]]
        {
            let [kv_heads, group, queries, keys] = shape;
            let seen = visible(queries, keys);
            let (raw, grad) = (on.draw(1, shape) * 3.0, on.draw(2, shape));
            let scores = |raw: &Tensor<4>| Scores { raw: raw.clone(), seen: &seen, scale: 0.7 };
            let [probabilities, log_sums] = attention_softmax(scores(&raw));
            assert_eq!((probabilities.dtype(), log_sums.dtype()), (on.dtype, DType::F32));
            assert_eq!(log_sums.dims(), [kv_heads, group, queries, 1]);
            let expected_sums = softmax::log_sum_exp(&scores(&wide(&raw)));
            let difference = (log_sums.clone() - expected_sums.clone()).abs().max().into_scalar::<f32>();
            assert!(difference < 1e-5, "{shape:?}: {difference}");
            let expected = softmax::attention_probabilities(scores(&wide(&raw)), &expected_sums);
            on.check(&probabilities, expected.clone(), 2.0);
            let hidden = expected.clone().equal_scalar(0.0);
            let leaked = wide(&probabilities).mask_fill(hidden.bool_not(), 0.0).abs().max();
            assert!(leaked.into_scalar::<f32>() < f32::MIN_POSITIVE, "{shape:?}: a hidden key is seen");

            let [again, score_grad] = attention_softmax_backward(scores(&raw), &log_sums, grad.clone());
            on.check(&again, wide(&probabilities), 1.0);
            on.check(&score_grad, softmax::attention_scores_backward(expected, wide(&grad), 0.7), 10.0);
        }
    }
}

/// In f32 always.
#[test]
fn adamw_and_squares_on_a_gpu_are_those_of_tensor_operations() {
    let rule = AdamW { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.1 };
    for on in types() {
        let mut all = Vec::new();
        for (number, shape) in [[1, 1], [5, 7], [64, 96], [300, 1000], [1, 3]].into_iter().enumerate() {
            let draw = |purpose| wide(&on.draw(10 * number as u64 + purpose, shape));
            let tensors = [draw(1), draw(2), draw(3), draw(4).square()];
            let step = rule.at(3, 1e-2);
            let [parameter, gradient, first, second] = tensors;
            all.push(gradient.clone());
            // Other tensors have the buffers at first, and keep their numbers.
            let mut updated = [parameter.clone(), first.clone(), second.clone()];
            let numbers = 0..shape[0] * shape[1];
            super::adamw(updated.each_mut(), &gradient, &numbers, step).expect("a kernel for every shape");
            let mut parts = [parameter.clone(), first.clone(), second.clone()];
            for part in [0..numbers.end / 3, numbers.end / 3..numbers.end].iter().filter(|p| !p.is_empty()) {
                AdamW::update_part(parts.each_mut(), &gradient, part, step);
            }
            let expected = adamw::in_tensors(parameter, gradient, [first, second], step);
            for (ours, theirs) in
                updated.into_iter().chain(parts).zip(expected.clone().into_iter().chain(expected))
            {
                let difference = (ours - theirs).abs().max().into_scalar::<f32>();
                assert!(difference < 2e-6, "{shape:?}: {difference}");
            }
        }
        let sum = |tensors: &[&Tensor<2>]| super::squares(tensors).unwrap().into_scalar::<f32>();
        let each: Vec<&Tensor<2>> = all.iter().collect();
        let expected: f32 = all.iter().map(|x| x.clone().square().sum().into_scalar::<f32>()).sum();
        assert!((sum(&each) / expected - 1.0).abs() < 1e-5, "{} {expected}", sum(&each));
        let nan = Tensor::<2>::full([3, 5], f32::NAN, (&on.device, DType::F32));
        assert!(sum(&[each[0], &nan]).is_nan());
    }
}

#[test]
fn blocks_on_a_gpu_are_added_in_place_and_stacked() {
    for on in types() {
        for ([rows, width], [height, count], [row, column]) in [
            ([1, 1], [1, 1], [0, 0]),
            ([5, 12], [5, 4], [0, 3]),
            ([9, 64], [4, 32], [5, 32]),
            ([7, 9], [2, 9], [4, 0]),
            ([6, 24], [6, 8], [0, 4]),
        ] {
            let (before, delta) = (on.draw(1, [rows, width]), on.draw(2, [height, count]));
            let place = [row..row + height, column..column + count];
            let expected = elementwise::block_in_tensors(wide(&before), wide(&delta), place);
            // Another tensor has the buffer at first, and keeps its numbers.
            let mut to = before.clone();
            let part = Part {
                first: row * width + column,
                stride: width,
                from: [0, 0],
                shape: [height, count],
                factor: 1.0,
            };
            super::add_part(&mut to, &delta, part).expect("a kernel for every block");
            on.check(&to, expected.clone(), 4.0);
            on.check(&before, wide(&on.draw(1, [rows, width])), 0.0);
            drop(before);
            super::add_part(&mut to, &delta, Part { factor: -1.0, ..part })
                .expect("a kernel for every block");
            on.check(&to, wide(&on.draw(1, [rows, width])), 4.0);

            let parts = [wide(&delta), wide(&on.draw(3, [2, count]))];
            let stacked = super::stacked(&parts.each_ref(), 0.5, on.dtype).expect("a kernel for all parts");
            assert_eq!(stacked.dtype(), on.dtype);
            on.check(&stacked, Tensor::cat(parts.to_vec(), 0) * 0.5, 2.0);
            let back = super::stacked(&[&delta], 2.0, DType::F32).expect("a kernel for all parts");
            on.check(&back, wide(&delta) * 2.0, 0.0);
        }
    }
}

#[test]
fn parts_on_a_gpu_are_added_to_one_buffer() {
    for on in types() {
        for (numbers, first, [rows, width], from, shape) in [
            (64, 0, [4, 8], [0, 0], [4, 8]),
            (200, 64, [5, 12], [1, 4], [3, 8]),
            (50, 7, [5, 9], [2, 1], [3, 5]),
            (300, 128, [70, 3], [69, 1], [1, 2]),
        ] {
            let (sums, delta) = (wide(&on.draw(1, [1, numbers])), on.draw(2, [rows, width]));
            let part = Part { first, stride: shape[1], from, shape, factor: -0.5 };
            let expected = elementwise::part_in_tensors(sums.clone(), &wide(&delta), part);
            let mut ours = sums;
            super::add_part(&mut ours, &delta, part).expect("a kernel for every part");
            assert_eq!(ours.dtype(), DType::F32);
            let difference = (ours - expected).abs().max().into_scalar::<f32>();
            assert!(difference < 1e-6, "{shape:?}: {difference}");
        }
    }
}
