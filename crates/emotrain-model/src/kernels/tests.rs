//! The CPU form of each kernel against its form in tensor operations, which f64 tensors take, and each backward
//! against finite differences.

use burn::tensor::{DType, Device, Tensor, TensorData};
use emotrain_base::random::{Key, normal};
use emotrain_kernels::{Heads, product, product_bf16_to};

use super::elementwise::sum_of_squares;
use super::head_rows::head_major;
use super::softmax::{attention_probabilities, attention_scores_backward, log_sum_exp};
use super::*;
use crate::batch::{Target, Visible};
use crate::spec::{Activation, Rope};

const ROWS: usize = 5;

fn draw<const D: usize>(purpose: u64, shape: [usize; D]) -> Tensor<D> {
    let numbers = normal(Key::new(9).with(purpose), shape.iter().product(), 1.0);
    Tensor::from_data(TensorData::new(numbers, shape), (&Device::flex(), DType::F32))
}

fn wide<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
    tensor.clone().cast(DType::F64)
}

fn assert_close<const D: usize>(ours: Tensor<D>, reference: Tensor<D>, tolerance: f64) {
    assert_eq!(ours.dims(), reference.dims());
    let difference = (ours.cast(DType::F64) - reference.cast(DType::F64)).abs().max().into_scalar::<f64>();
    assert!(difference <= tolerance, "{difference} > {tolerance}");
}

/// `Σ grad ⊙ (f(x + h·d) - f(x - h·d)) / 2h` against `Σ backward ⊙ d` for a random direction `d`.
fn assert_gradient<const D: usize>(
    x: &Tensor<D>,
    f: impl Fn(Tensor<D>) -> Tensor<D>,
    backward: impl Fn(Tensor<D>) -> Tensor<D>,
) {
    let (direction, step) = (draw(77, x.dims()), 1e-2);
    let grad = draw(78, f(x.clone()).dims());
    let ahead = f(x.clone() + direction.clone() * step).cast(DType::F64);
    let behind = f(x.clone() - direction.clone() * step).cast(DType::F64);
    let numeric =
        ((ahead - behind) * grad.clone().cast(DType::F64)).sum().into_scalar::<f64>() / (2.0 * step);
    let analytic = (backward(grad).cast(DType::F64) * direction.cast(DType::F64)).sum().into_scalar::<f64>();
    assert!((numeric - analytic).abs() <= 2e-3 * numeric.abs().max(1.0), "{numeric} {analytic}");
}

#[test]
fn rms_norm_has_one_meaning() {
    for width in [7, 64, 576] {
        let (x, weight, grad) = (draw(1, [ROWS, width]), draw(2, [1, width]), draw(3, [ROWS, width]));
        assert_close(rms_norm(x.clone(), &weight, 1e-5), rms_norm(wide(&x), &wide(&weight), 1e-5), 1e-5);
        assert_close(
            head_norm_backward(grad.clone(), x.clone(), 1, &weight, 1e-5),
            head_norm_backward(wide(&grad), wide(&x), 1, &wide(&weight), 1e-5),
            2e-5,
        );
        assert_gradient(
            &x,
            |x| rms_norm(x, &weight, 1e-5),
            |grad| head_norm_backward(grad, x.clone(), 1, &weight, 1e-5),
        );
    }
}

/// Of three heads of eight numbers the first two, the third stays.
#[test]
fn head_norm_has_one_meaning_and_leaves_the_other_heads() {
    let (x, weight, grad) = (draw(1, [ROWS, 24]), draw(2, [1, 8]), draw(3, [ROWS, 24]));
    let normed = head_norm(x.clone(), 2, &weight, 1e-5);
    assert_close(normed.clone(), head_norm(wide(&x), 2, &wide(&weight), 1e-5), 1e-5);
    assert_close(normed.clone().narrow(1, 16, 8), x.clone().narrow(1, 16, 8), 0.0);
    let alone = rms_norm(x.clone().narrow(1, 8, 8), &weight, 1e-5);
    assert_close(normed.narrow(1, 8, 8), alone, 0.0);
    assert_close(
        head_norm_backward(grad.clone(), x.clone(), 2, &weight, 1e-5),
        head_norm_backward(wide(&grad), wide(&x), 2, &wide(&weight), 1e-5),
        2e-5,
    );
    assert_gradient(
        &x,
        |x| head_norm(x, 2, &weight, 1e-5),
        |grad| head_norm_backward(grad, x.clone(), 2, &weight, 1e-5),
    );
    assert_gradient(
        &weight,
        |weight| head_norm(x.clone(), 2, &weight, 1e-5),
        |grad| norm_weight_gradient(&grad, &x, [2, 8], 1e-5),
    );
    assert_close(
        norm_weight_gradient(&grad, &x, [2, 8], 1e-5),
        norm_weight_gradient(&wide(&grad), &wide(&x), [2, 8], 1e-5).cast(DType::F64),
        2e-5,
    );
}

/// Rows with no, one and two targets, one of them twice the same token; with smoothing in some, and without.
#[test]
fn cross_entropy_has_one_meaning() {
    for smoothing in [[0.0; ROWS], std::array::from_fn(|row| 0.1 * (row % 3) as f32)] {
        cross_entropy_means_one_thing(smoothing);
    }
}

fn cross_entropy_means_one_thing(smoothing: [f32; ROWS]) {
    let terms = |factors: &[f32]| LossTerms { factors: factors.to_vec(), smoothing: smoothing.to_vec() };
    let logits = draw(1, [ROWS, 300]);
    let targets = [(0, 299), (2, 7), (2, 8), (4, 0), (4, 0)].map(|(row, id)| Target { row, id });
    let factors = [0.25, 1.25, 0.0, 2.25, 0.75];
    let (losses, grad) = cross_entropy(logits.clone(), &targets, &terms(&factors));
    let (wide_losses, wide_grad) = cross_entropy(wide(&logits), &targets, &terms(&factors));
    assert_close(losses.clone(), wide_losses, 2e-6);
    assert_close(grad.clone(), wide_grad, 1e-6);
    assert_close(grad.clone().narrow(0, 1, 1), Tensor::zeros([1, 300], (&Device::flex(), DType::F32)), 0.0);
    if smoothing.iter().all(|&smoothing| smoothing < 1e-9) {
        let log_probabilities = target_log_probabilities(logits.clone(), &targets);
        let negative: Vec<f32> = losses.into_data().convert::<f32>().try_into_vec().unwrap();
        assert_eq!(log_probabilities, negative.iter().map(|loss| -loss).collect::<Vec<_>>());
    }
    assert_gradient(
        &logits,
        |x| cross_entropy(x, &targets, &terms(&[1.0; 5])).0.reshape([targets.len(), 1]),
        |grad| {
            let each: Vec<f32> = grad.into_data().convert::<f32>().try_into_vec().unwrap();
            let parts = targets.iter().zip(each).map(|(target, weight)| {
                cross_entropy(logits.clone(), std::slice::from_ref(target), &terms(&[weight])).1
            });
            parts.reduce(|sum, part| sum + part).unwrap()
        },
    );
}

#[test]
fn rows_are_taken_and_put_back_alike() {
    let x = draw(1, [ROWS, 7]);
    let rows = Rows::new(vec![4, 1, 1], &Device::flex());
    assert_close(rows.of(&x), rows.of(&wide(&x)), 0.0);
    assert_gradient(&x, |x| rows.of(&x), |grad| rows.spread(grad, ROWS));
    let grad = draw(2, [3, 7]);
    assert_close(rows.spread(grad.clone(), ROWS), rows.spread(wide(&grad), ROWS), 1e-6);
}

#[test]
fn heads_are_laid_out_alike() {
    let (heads, x) = (Heads { kv: 2, group: 3, dim: 4 }, draw(1, [9, 24]));
    let block = head_major(heads, &x, &(2..8));
    assert_close(block.clone(), head_major(heads, &wide(&x), &(2..8)), 0.0);
    assert_close(token_major(heads, vec![block.reshape([2, 3, 6, 4])]), x.clone().narrow(0, 2, 6), 0.0);
    let (to, parts) = (draw(2, [9, 16]), [draw(3, [2, 5, 4]), draw(4, [2, 5, 4])]);
    for rows in [&[3..5, 5..8][..], &[0..2, 3..4, 7..9]] {
        let sum = add_key_values(heads, to.clone(), parts.clone(), rows);
        assert_close(sum.clone(), add_key_values(heads, wide(&to), parts.each_ref().map(wide), rows), 1e-6);
        assert_close(sum.narrow(0, 2, 1), to.clone().narrow(0, 2, 1), 0.0);
    }
}

#[test]
fn sums_and_products_have_one_meaning() {
    let (x, y, row) = (draw(1, [ROWS, 600]), draw(2, [ROWS, 600]), draw(3, [1, 600]));
    assert_close(add(x.clone(), &y), wide(&x) + wide(&y), 1e-6);
    assert_close(add(x.clone(), &row), wide(&x) + wide(&row), 1e-6);
    assert_close(scale(x.clone(), 0.3), wide(&x) * 0.3, 1e-6);
    assert_close(sum_rows(x.clone()), wide(&x).sum_dim(0), 1e-5);
    assert_close(sum_of_squares(&x), wide(&x).square().sum(), 1e-2);
    let view = x.clone().narrow(1, 100, 40);
    assert_close(scale(view.clone(), 2.0), wide(&x).narrow(1, 100, 40) * 2.0, 1e-6);
    assert_close(view, wide(&x).narrow(1, 100, 40), 0.0);
}

/// Three updates in both forms, and the first by hand: with moments of zero it is `lr · sign(gradient)`.
#[test]
fn adamw_has_one_meaning() {
    let rule = AdamW { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.1 };
    let mut ours = (draw(1, [ROWS, 7]), None);
    let mut reference = (wide(&ours.0), None);
    let start = ours.0.clone();
    for step in 0..3 {
        let gradient = draw(10 + step, [ROWS, 7]);
        let (parameter, moments) = rule.update(ours.0, gradient.clone(), ours.1, 1e-2);
        let (wide_parameter, wide_moments) = rule.update(reference.0, wide(&gradient), reference.1, 1e-2);
        if step == 0 {
            let by_hand = wide(&start) * (1.0 - 1e-3) - wide(&gradient).sign() * 1e-2;
            assert_close(parameter.clone(), by_hand, 1e-6);
        }
        assert_close(parameter.clone(), wide_parameter.clone(), 1e-6);
        assert_close(moments.second.clone(), wide_moments.second.clone(), 1e-6);
        (ours, reference) = ((parameter, Some(moments)), (wide_parameter, Some(wide_moments)));
    }
}

/// On the host wherever the parameter is, and near to moments in f32: the first moment of a first step is the gradient.
#[test]
fn adamw_in_eight_bits_has_one_meaning() {
    let rule = AdamW { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.1 };
    let start = draw(1, [ROWS, 900]);
    let (mut ours, mut reference, mut full) = ((start.clone(), None), (wide(&start), None), (start, None));
    for step in 0..3 {
        let gradient = draw(10 + step, [ROWS, 900]);
        let (parameter, moments) = rule.update_8bit(ours.0, gradient.clone(), ours.1, 1e-2);
        let (elsewhere, same) = rule.update_8bit(reference.0, wide(&gradient), reference.1, 1e-2);
        assert_close(parameter.clone(), wide(&elsewhere), 0.0);
        assert_eq!(moments, same);
        let (exact, exact_moments) = rule.update(full.0, gradient, full.1, 1e-2);
        assert_close(parameter.clone(), wide(&exact), 5e-3);
        (ours, reference, full) =
            ((parameter, Some(moments)), (wide(&elsewhere), Some(same)), (exact, Some(exact_moments)));
    }
}

#[test]
fn gated_activations_have_one_meaning() {
    for kind in [Activation::Silu, Activation::GeluTanh] {
        for width in [2, 14, 128] {
            let (x, grad) = (draw(1, [ROWS, width]), draw(2, [ROWS, width / 2]));
            assert_close(gated::gated(x.clone(), kind), gated::gated(wide(&x), kind), 1e-5);
            let backward = gated_backward(grad.clone(), x.clone(), kind);
            assert_close(backward, gated_backward(wide(&grad), wide(&x), kind), 1e-5);
        }
        let x = draw(1, [ROWS, 8]);
        let f = |x: Tensor<2>| Tensor::cat(vec![gated::gated(x.clone(), kind), x.narrow(1, 0, 4) * 0.0], 1);
        assert_gradient(&x, f, |grad| gated_backward(grad.narrow(1, 0, 4), x.clone(), kind));
    }
}

#[test]
fn rotation_has_one_meaning_and_its_inverse_undoes_it() {
    let x = draw(7, [ROWS, 3 * 6]);
    for frequencies in [vec![1.0, 0.3, 0.01], vec![1.0, 0.2]] {
        let part = 2 * frequencies.len();
        let rope = Rope { frequencies, factor: 1.0 };
        let rotation = Rotation::new(&[0, 1, 5, 100, 3], &rope, &Device::flex());
        let rotated = rotate(x.clone(), 2, 6, &rotation);
        assert_close(rotated.clone(), rotate(wide(&x), 2, 6, &rotation), 1e-6);
        for (start, kept) in
            [(12, 6), (part, 6 - part), (6 + part, 6 - part)].into_iter().filter(|(_, kept)| *kept > 0)
        {
            assert_close(rotated.clone().narrow(1, start, kept), x.clone().narrow(1, start, kept), 0.0);
        }
        assert_close(rotate(rotated, 2, 6, &rotation.inverse()), x.clone(), 1e-6);
    }
}

#[test]
fn attention_softmax_has_one_meaning_and_sees_only_what_is_visible() {
    let visible = (0..ROWS)
        .map(|row| match row {
            0 => Visible::causal(1).within(Some(1)),
            _ => Visible::after(&std::iter::once(row / 2..row).collect(), row + 1..row + 2),
        })
        .collect();
    let seen = Seen::new(visible);
    let raw = draw(8, [2, 3, ROWS, 9]);
    let scores = |raw: Tensor<4>| Scores { raw, seen: &seen, scale: 0.7 };
    let sums = log_sum_exp(&scores(raw.clone()));
    let wide_sums = log_sum_exp(&scores(wide(&raw)));
    assert_close(sums.clone(), wide_sums.clone(), 1e-5);
    let probabilities = attention_probabilities(scores(raw.clone()), &sums);
    assert_close(probabilities.clone(), attention_probabilities(scores(wide(&raw)), &wide_sums), 1e-5);
    assert_close(probabilities.clone().sum_dim(3), Tensor::ones([2, 3, ROWS, 1], &Device::flex()), 1e-5);
    let unseen = probabilities.clone().slice([0..2, 0..3, 1..2, 1..2]);
    assert_close(unseen.clone(), unseen * 0.0, 0.0);

    let grad = draw(9, [2, 3, ROWS, 9]);
    assert_close(
        attention_scores_backward(probabilities.clone(), grad.clone(), 0.7),
        attention_scores_backward(wide(&probabilities), wide(&grad), 0.7),
        1e-5,
    );
    let softmax = |raw: Tensor<4>| {
        let sums = log_sum_exp(&scores(raw.clone()));
        attention_probabilities(scores(raw), &sums)
    };
    assert_gradient(&raw, softmax, |grad| attention_scores_backward(probabilities.clone(), grad, 0.7));
}

#[test]
fn dropout_drops_its_share_scales_the_rest_and_repeats() {
    let x = Tensor::ones([200, 500], &Device::flex());
    let key = Key::new(3).named("dropout");
    let dropped = dropout(x.clone(), 0.2, key);
    assert_close(dropped.clone(), dropout(x.clone(), 0.2, key), 0.0);
    assert_close(dropped.clone(), dropout(wide(&x), 0.2, key), 1e-6);
    let numbers = dropped.try_into_vec_as::<f32>().unwrap();
    let zeros = numbers.iter().filter(|&&v| v == 0.0).count() as f64 / numbers.len() as f64;
    assert!((zeros - 0.2).abs() < 0.01, "{zeros}");
    assert!(numbers.iter().all(|&v| v == 0.0 || (v - 1.25).abs() < 1e-6));
    let other = dropout(x, 0.2, key.with(1)).try_into_vec_as::<f32>().unwrap();
    let agree = numbers.iter().zip(&other).filter(|(a, b)| (**a == 0.0) == (**b == 0.0)).count();
    assert!((agree as f64 / numbers.len() as f64 - 0.68).abs() < 0.01);
}

#[test]
fn blocks_are_added_in_place_and_in_views() {
    let (to, delta) = (draw(10, [ROWS, 12]), draw(11, [ROWS, 4]));
    let sum = add_block(to.clone(), delta.clone(), [0, 3]);
    assert_close(sum, add_block(wide(&to), wide(&delta), [0, 3]), 1e-6);
    let view = to.clone().narrow(0, 1, 3);
    assert_close(
        add_block(view.clone(), delta.clone().narrow(0, 0, 3), [0, 8]),
        add_block(wide(&view), wide(&delta).narrow(0, 0, 3), [0, 8]),
        1e-6,
    );
    let (rows, whole) = (delta.narrow(0, 0, 2), draw(12, [2, 12]));
    for (delta, place) in [(rows, [1, 5]), (whole, [2, 0])] {
        let sum = add_block(to.clone(), delta.clone(), place);
        assert_close(sum, add_block(wide(&to), wide(&delta), place), 1e-6);
    }
}

#[test]
fn layer_norm_has_one_meaning() {
    for width in [7, 64, 384] {
        let (x, residual, bias) = (draw(12, [ROWS, width]), draw(13, [ROWS, width]), draw(14, [1, width]));
        let norm = LayerNorm { weight: draw(15, [1, width]), bias: draw(16, [1, width]), epsilon: 1e-12 };
        let wide_norm = LayerNorm { weight: wide(&norm.weight), bias: wide(&norm.bias), epsilon: 1e-12 };
        assert_close(
            add_layer_norm(x.clone(), &bias, residual.clone(), &norm),
            add_layer_norm(wide(&x), &wide(&bias), wide(&residual), &wide_norm),
            1e-5,
        );
    }
}

#[test]
fn gelu_has_one_meaning() {
    let (x, bias) = (draw(17, [ROWS, 99]) * 3.0, draw(18, [1, 99]));
    assert_close(bias_gelu(x.clone(), &bias), bias_gelu(wide(&x), &wide(&bias)), 1e-6);
}

#[test]
fn self_attention_has_one_meaning_and_stays_in_its_segment() {
    // Lengths around the padding of keys and the blocks of queries.
    let lengths = [1, 2, 3, 4, 5, 15, 16, 17, 33];
    let mut segments = Vec::new();
    for length in lengths {
        let start = segments.last().map_or(0, |last: &std::ops::Range<usize>| last.end);
        segments.push(start..start + length);
    }
    let rows = lengths.iter().sum();
    for (heads, dim) in [(2, 8), (3, 5), (1, 32)] {
        let width = heads * dim;
        let (qkv, bias) = (draw(19, [rows, 3 * width]), draw(20, [1, 3 * width]));
        let attend = |qkv: Tensor<2>, bias: &Tensor<2>, segments: &[_]| {
            self_attention(Projected { qkv, bias, heads }, segments)
        };
        let ours = attend(qkv.clone(), &bias, &segments);
        assert_close(ours.clone(), attend(wide(&qkv), &wide(&bias), &segments), 1e-5);
        for segment in &segments {
            let alone = qkv.clone().narrow(0, segment.start, segment.len());
            let whole = 0..segment.len();
            let alone = attend(alone, &bias, std::slice::from_ref(&whole));
            assert_close(alone, ours.clone().narrow(0, segment.start, segment.len()), 0.0);
        }
    }
}

#[test]
fn products_are_those_of_the_tensors_and_alone_as_in_company() {
    for (rows, columns, width) in
        [(1, 1, 1), (1, 50, 37), (3, 7, 16), (6, 400, 100), (70, 300, 48), (131, 29, 5)]
    {
        let (x, weight) = (draw::<2>(1, [rows, width]), draw::<2>(2, [columns, width]));
        let numbers = |tensor: &Tensor<2>| tensor.clone().try_into_vec_as::<f32>().unwrap();
        let (from, by) = (numbers(&x), numbers(&weight));
        let ours = product(&from, &by, width);
        let alone: Vec<f32> = from.chunks_exact(width).flat_map(|row| product(row, &by, width)).collect();
        assert_eq!(ours, alone);
        let ours = Tensor::from_data(TensorData::new(ours, [rows, columns]), (&Device::flex(), DType::F32));
        assert_close::<2>(ours, wide(&x).matmul(wide(&weight).transpose()), 1e-4);
    }
}

fn in_bf16(x: &[f32], weight: &[f32], width: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; 7];
    product_bf16_to(&mut out, x, weight, width);
    out
}

#[test]
fn products_in_bf16_are_those_of_rounded_numbers_and_alone_as_in_company() {
    for (rows, columns, width) in
        [(1, 1, 1), (1, 50, 37), (3, 7, 16), (6, 400, 100), (70, 300, 48), (131, 29, 5), (13, 130, 576)]
    {
        let (x, weight) = (draw::<2>(1, [rows, width]), draw::<2>(2, [columns, width]));
        let numbers = |tensor: Tensor<2>| tensor.try_into_vec_as::<f32>().unwrap();
        let (from, by) = (numbers(x.clone()), numbers(weight.clone()));
        let ours = in_bf16(&from, &by, width);
        let alone: Vec<f32> = from.chunks_exact(width).flat_map(|row| in_bf16(row, &by, width)).collect();
        assert_eq!(ours, alone);
        // The tensor library rounds as it stores; products and sums of what is stored are those of f32.
        let stored = |tensor: Tensor<2>| numbers(tensor.cast(DType::BF16).cast(DType::F32));
        let expected = product(&stored(x), &stored(weight), width);
        for (one, other) in ours.iter().zip(&expected) {
            assert!((one - other).abs() < 1e-5 * width as f32, "{one}, not {other}");
        }
    }
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -0.0];
    let ours = in_bf16(&odd, &[1.0], 1);
    assert!(ours[0].is_nan() && ours[1..4] == [f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY], "{ours:?}");
}
