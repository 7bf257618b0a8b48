//! A layer with adapters on a CUDA device without a card (`tests/gpu/fake.sh`) gives the numbers of the CPU, to the bit:
//! they are small integers. What kernels would make there, the factors in the type of the activations, is uploaded.

use burn::tensor::{Device, Tensor, TensorData};
use emotrain_recipe::{DeviceChoice, Dtype};

use super::*;
use crate::gradients::Gradients;
use crate::weight::Weight;

/// Rows of all shares, and of the one of the adapter.
const ROWS: [usize; 2] = [9, 6];
/// The first of its rows.
const FIRST: usize = 2;
const INPUT: usize = 10;
/// The columns of the modules, of which the second is not adapted.
const MODULES: [Range<usize>; 3] = [0..5, 5..9, 9..14];
const OUT: usize = 14;
const RANK: usize = 3;
const SCALE: f64 = 2.0;

/// Integers between -2 and 2, on the device of which the numbers are asked for.
fn draw(device: &Device, shape: [usize; 2], turn: usize) -> Tensor<2> {
    let numbers = (0..shape[0] * shape[1]).map(|i| ((i * i + 3 * i + turn * (i + 7)) % 5) as f32 - 2.0);
    let numbers: Vec<f32> = numbers.collect();
    Tensor::from_data(TensorData::new(numbers, shape), (device, DType::F32))
}

fn linear(device: &Device) -> Linear {
    let modules = MODULES.iter().zip(["a", "b", "c"]);
    let modules = modules.map(|(columns, path)| Module { path: path.to_owned(), columns: columns.clone() });
    Linear {
        weight: Weight::Dense(draw(device, [OUT, INPUT], 1)),
        bias: None,
        modules: modules.collect(),
        trained: true,
    }
}

fn adapter(linear: &Linear, device: &Device) -> LinearAdapter {
    let config = LoraConfig { r: RANK, lora_alpha: SCALE * RANK as f64, ..LoraConfig::default() };
    let settings = ["a", "c"].map(|path| (path.to_owned(), config.clone())).into();
    let mut adapter = LinearAdapter::new(linear, &settings, 1);
    for (number, module) in adapter.modules.iter_mut().enumerate() {
        module.lora.a = draw(device, [RANK, INPUT], 2 + number);
        module.lora.b = draw(device, [module.columns.len(), RANK], 4 + number);
    }
    let cpu = Device::flex();
    let a = Tensor::cat((0..2).map(|number| draw(&cpu, [RANK, INPUT], 2 + number)).collect(), 0);
    let b = [0, 2].into_iter().enumerate().fold(Tensor::zeros([OUT, 2 * RANK], &cpu), |b, (number, of)| {
        let place = [MODULES[of].clone(), number * RANK..(number + 1) * RANK];
        b.slice_assign(place, draw(&cpu, [MODULES[of].len(), RANK], 4 + number) * SCALE)
    });
    adapter.factors = Factors::given(moved(a, device), moved(b, device));
    adapter
}

/// Uploaded: what is computed on the CPU is there, too.
fn moved(tensor: Tensor<2>, device: &Device) -> Tensor<2> {
    Tensor::from_data(tensor.into_data(), (device, DType::F32))
}

/// Everything that two passes give: outputs, gradients of the input, and by name of the parameters.
fn passes(device: &Device) -> Vec<(String, Vec<f32>)> {
    let linear = linear(device);
    let (adapter, mut gradients, mut all) = (adapter(&linear, device), Gradients::default(), Vec::new());
    let at = PartAt { linear: &linear, first: FIRST, dropout: None };
    for pass in 0..2 {
        let x = draw(device, [ROWS[1], INPUT], 7 + pass);
        let input = Input::plain(x.clone());
        let (y, low) = adapter.forward(&input, draw(device, [ROWS[0], OUT], 9 + pass), at);
        all.push((format!("y {pass}"), y));
        let grad = draw(device, [ROWS[1], OUT], 11 + pass);
        linear.add_gradients(&grad, &x, &mut gradients);
        let dx = Some(draw(device, [ROWS[0], INPUT], 13 + pass));
        let saved = Saved { input, low: low.unwrap(), at };
        all.push((format!("dx {pass}"), adapter.backward(&grad, saved, dx, &mut gradients).unwrap()));
        let rows = 0..ROWS[1];
        let whole = linear.weight.times_transposed(grad, &[rows]);
        all.push((format!("dy·W {pass}"), whole.clone()));
        all.push((format!("x·Wᵀ {pass}"), linear.forward(whole)));
    }
    let names = gradients.names();
    all.extend(names.into_iter().map(|name| (name.clone(), gradients.remove(&name).unwrap())));
    all.into_iter().map(|(name, tensor)| (name, tensor.try_into_vec_as::<f32>().unwrap())).collect()
}

#[test]
fn an_adapted_layer_gives_the_numbers_of_the_cpu() {
    if std::env::var_os("EMOTRAIN_FAKE_CUDA").is_none_or(|what| what != "library") {
        println!("skipped: not run by tests/gpu/fake.sh with the library");
        return;
    }
    let on = crate::device::open(&DeviceChoice::Cuda(None), Dtype::Float32).unwrap();
    let (ours, right) = (passes(&on.device), passes(&Device::flex()));
    let names: Vec<&str> = right.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), 8 + 5, "{names:?}");
    for (ours, right) in ours.iter().zip(&right) {
        assert_eq!(ours, right);
        assert!(right.1.iter().any(|number| number.abs() > 0.0), "{}", right.0);
    }
}
