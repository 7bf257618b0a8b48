//! Magnitudes and dropout together, for which PEFT has no numbers to compare with: its masks are others.

use burn::tensor::{DType, Device, Tensor, TensorData};
use emotrain_base::random::{Key, normal};

use super::*;
use crate::gradients::Gradients;
use crate::weight::Weight;

const SHAPE: [usize; 2] = [7, 5];

fn draw(key: u64, shape: [usize; 2]) -> Tensor<2> {
    let numbers = normal(Key::new(key), shape[0] * shape[1], 0.5);
    Tensor::from_data(TensorData::new(numbers, shape), (&Device::flex(), DType::F32))
}

fn linear() -> Linear {
    let [out, _] = SHAPE;
    let module = |path: &str, columns| Module { path: path.to_owned(), columns };
    Linear {
        weight: Weight::Dense(draw(1, SHAPE)),
        bias: Some(draw(2, [1, out])),
        modules: vec![module("a.q_proj", 0..4), module("a.k_proj", 4..out)],
        trained: false,
    }
}

/// One module with magnitudes, one without.
fn adapter(linear: &Linear) -> LinearAdapter {
    let plain = LoraConfig { r: 2, lora_alpha: 3.0, ..LoraConfig::default() };
    let dora = LoraConfig { use_dora: true, ..plain.clone() };
    let settings = [("a.q_proj".to_owned(), dora), ("a.k_proj".to_owned(), plain)].into();
    let mut adapter = LinearAdapter::new(linear, &settings, 1);
    for (at, (_, parameter)) in adapter.parameters().enumerate() {
        *parameter = parameter.clone() + draw(10 + at as u64, parameter.dims());
    }
    adapter
}

fn numbers(x: &Tensor<2>) -> Vec<f32> {
    x.clone().try_into_vec_as().unwrap()
}

fn furthest(one: &Tensor<2>, other: &Tensor<2>) -> f32 {
    assert_eq!(one.dims(), other.dims());
    numbers(&(one.clone() - other.clone())).into_iter().fold(0.0, |most, value| most.max(value.abs()))
}

#[test]
fn norms_are_those_of_the_adapted_rows() {
    let linear = linear();
    let adapter = adapter(&linear);
    let AdaptedModule { columns, lora, .. } = &adapter.modules[0];
    let whole = draw(1, SHAPE).narrow(0, 0, 4) + lora.b.clone().matmul(lora.a.clone()) * lora.scale;
    let norms = whole.square().sum_dim(1).sqrt().transpose();
    assert!(furthest(&lora.gain(&linear, columns).unwrap().norm, &norms) < 1e-5);
}

#[test]
fn magnitudes_multiply_what_was_dropped_as_in_peft() {
    let linear = linear();
    let adapter = adapter(&linear);
    let x = draw(3, [6, SHAPE[1]]);
    for p in [0.0, 0.4] {
        let dropout = Some(Dropout { p, key: Key::new(9) });
        let at = PartAt { linear: &linear, first: 1, dropout };
        let above = Tensor::cat(vec![draw(4, [1, SHAPE[1]]), x.clone()], 0);
        let (y, _) = adapter.forward(&Input::plain(x.clone()), linear.forward(above.clone()), at);
        let dropped = adapter.dropped(Input::plain(x.clone()), dropout);
        let AdaptedModule { columns, lora, .. } = &adapter.modules[0];
        let factor = lora.gain(&linear, columns).unwrap().factor;
        let again = linear.weight.times(dropped.clone()).narrow(1, 0, 4);
        let delta =
            dropped.matmul(lora.a.clone().transpose()).matmul(lora.b.clone().transpose()) * lora.scale;
        // `base_layer(x) + (g - 1)·W·drop(x) + g·s·B·A·drop(x)`
        let expected =
            linear.forward(x.clone()).narrow(1, 0, 4) + again * (factor.clone() - 1.0) + delta * factor;
        assert!(furthest(&y.clone().narrow(0, 1, 6).narrow(1, 0, 4), &expected) < 1e-5, "{p}");
        let untouched = linear.forward(above).narrow(0, 0, 1);
        assert!(furthest(&y.narrow(0, 0, 1), &untouched) < 1e-6, "{p}");
    }
}

/// The sum of the outputs times `weights`, through the pass of a layer.
fn loss(linear: &Linear, adapter: &LinearAdapter, x: &Tensor<2>, dropout: Option<Dropout>) -> f64 {
    let at = PartAt { linear, first: 0, dropout };
    let (y, _) = adapter.forward(&Input::plain(x.clone()), linear.forward(x.clone()), at);
    let products = numbers(&(y * draw(20, [6, SHAPE[0]])));
    products.into_iter().map(f64::from).sum()
}

/// Norms are constants: they are known before a number changes, and stay.
#[test]
fn gradients_are_those_of_finite_differences_with_the_norms_held() {
    let linear = linear();
    let x = draw(3, [6, SHAPE[1]]);
    for p in [0.0, 0.4] {
        let dropout = Some(Dropout { p, key: Key::new(9) });
        let adapter = adapter(&linear);
        let at = PartAt { linear: &linear, first: 0, dropout };
        let (_, low) = adapter.forward(&Input::plain(x.clone()), linear.forward(x.clone()), at);
        let mut gradients = Gradients::default();
        let (grad, rows) = (draw(20, [6, SHAPE[0]]), 0..6);
        let saved = Saved { input: Input::plain(x.clone()), low: low.unwrap(), at };
        let through = linear
            .weight
            .times_transposed(adapter.base_gradient(grad.clone(), &rows, at), std::slice::from_ref(&rows));
        let dx = adapter.backward(&grad, saved, Some(through), &mut gradients).unwrap();

        let step = |x: &Tensor<2>, direction: &Tensor<2>, size: f32| x.clone() + direction.clone() * size;
        let slope = |loss: &dyn Fn(f32) -> f64| (loss(1e-2) - loss(-1e-2)) / 2e-2;
        let along = |gradient: &Tensor<2>, direction: &Tensor<2>| {
            let products = numbers(&(gradient.clone() * direction.clone()));
            products.into_iter().map(f64::from).sum::<f64>()
        };
        let direction = draw(30, x.dims());
        let measured = slope(&|size| loss(&linear, &adapter, &step(&x, &direction, size), dropout));
        assert!((measured - along(&dx, &direction)).abs() < 1e-2, "x, {p}: {measured}");

        for (number, name) in [(0, "lora_A.weight"), (1, "lora_B.weight"), (2, MAGNITUDE)] {
            let of = |adapter: &mut LinearAdapter, size: f32| {
                // Not through `parameters`, which forgets the norms.
                let Lora { a, b, dora, .. } = &mut adapter.modules[0].lora;
                let parameter =
                    [a, b, &mut dora.as_mut().unwrap().magnitude].into_iter().nth(number).unwrap();
                let direction = draw(40, parameter.dims());
                *parameter = step(parameter, &direction, size);
                direction
            };
            let direction = of(&mut adapter.clone(), 0.0);
            let measured = slope(&|size| {
                let mut changed = adapter.clone();
                of(&mut changed, size);
                loss(&linear, &changed, &x, dropout)
            });
            let computed = along(&gradients.get(&format!("a.q_proj.{name}")).unwrap(), &direction);
            assert!((measured - computed).abs() < 1e-2, "{name}, {p}: {measured}, not {computed}");
        }
    }
}
