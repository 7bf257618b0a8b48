//! Beside attention on the CPU in f32, over sequences and trees.

use std::collections::BTreeSet;

use burn::tensor::TensorData;
use emotrain_base::random::Key;
use emotrain_kernels::Arithmetic;
use emotrain_recipe::{DeviceChoice, Dtype};

use super::super::super::tests::{On, types};
use super::super::heads::head_major;
use super::*;
use crate::attention::{Attended, Projected, Ready, blocks};
use crate::batch::{Batch, Sequence};
use crate::device;
use crate::kernels;
use crate::spec::AttentionSpec;

/// A batch, the rows of it that are queries, and the window of its attention.
struct Case {
    batch: Batch,
    rows: Option<Vec<usize>>,
    window: Option<usize>,
}

fn cases() -> Vec<Case> {
    let ids = |length: u32, turn: u32| -> Vec<u32> { (0..length).map(|i| (i * i + turn) % 64).collect() };
    let all = |ids| Sequence { ids, supervised_from: 0 };
    let [one, few, some, long] = [ids(2, 1), ids(30, 2), ids(67, 3), ids(200, 4)];
    let start = ids(70, 5);
    let branches = [3, 9, 90].map(|length| [start.clone(), ids(length, length)].concat());
    let several = || Batch::sequences(&[all(&few), all(&one), all(&some)]);
    let third = (0..several().rows()).filter(|row| row % 3 == 0).collect();
    let plain = |batch| Case { batch, rows: None, window: None };
    vec![
        plain(several()),
        plain(Batch::sequences(&[all(&long)])),
        plain(Batch::trees(&branches.each_ref().map(|ids| all(ids)))),
        Case { batch: several(), rows: Some(third), window: None },
        Case { batch: Batch::sequences(&[all(&long)]), rows: None, window: Some(50) },
    ]
}

/// On the GPU and the CPU, with the same gradient of the rows.
fn check(on: &On, heads: Heads, case: &Case) {
    let Case { batch, rows, window } = case;
    let scale = 0.7 / (heads.dim as f32).sqrt();
    let spec = AttentionSpec { heads, window: *window, scale, eager: false, arithmetic: Arithmetic::F32 };
    let queries = rows.as_ref().map_or(batch.rows(), Vec::len);
    let (q, kv) =
        (on.draw(1, [queries, heads.query_width()]), on.draw(2, [batch.rows(), heads.key_value_width()]));
    let grad = on.draw(3, [queries, heads.query_width()]);
    let windows = BTreeSet::from([*window]);
    let (p, key) = (0.3, Key::new(5));
    let mask = DropoutMask::new(p, key.bits());

    let of_batch = blocks(batch, rows.as_deref(), &windows, &on.device);
    let in_blocks = |rows: &Tensor<2>| {
        let spans = of_batch.spans(&on.device);
        head_major(rows, heads.kv * heads.group, &(0..queries), Some(spans)).expect("a GPU's rows")
    };
    let of_heads = head_major(&kv, 2 * heads.kv, &(0..batch.rows()), None).expect("a GPU's rows");
    let ready =
        Ready::Heads { q: in_blocks(&q), kv: of_heads.reshape([2, heads.kv, batch.rows(), heads.dim]) };
    let ours = spec.attend(&ready, &of_batch, Some(mask));
    assert_eq!(ours.log_sums.len(), 1, "attention was in one launch");

    let cpu = device::open(&DeviceChoice::Cpu, Dtype::Float32).unwrap().device;
    let there = |x: &Tensor<2>| {
        let numbers: Vec<f32> = x.clone().cast(DType::F32).try_into_vec_as().unwrap();
        Tensor::<2>::from_data(TensorData::new(numbers, x.dims()), (&cpu, DType::F32))
    };
    let back = |x: Tensor<2>| {
        let numbers: Vec<f32> = x.clone().try_into_vec_as().unwrap();
        Tensor::<2>::from_data(TensorData::new(numbers, x.dims()), (&on.device, DType::F32))
    };
    let on_cpu = blocks(batch, rows.as_deref(), &windows, &cpu);
    let theirs = Ready::Rows(Projected { q: there(&q), kv: there(&kv) });
    let reference = spec.attend(&theirs, &on_cpu, None);
    on.check(&ours.rows, back(reference.rows.clone()), 1.0);
    let dropped = kernels::dropout(there(&ours.rows), p, key);
    on.check(ours.dropped.as_ref().expect("a mask was given"), back(dropped), 1.0);

    let given = Attended { rows: ours.rows, dropped: None, log_sums: ours.log_sums };
    let Ready::Heads { q: q_grad, kv: kv_grad } = spec.attend_backward(&grad, &ready, &of_batch, &given)
    else {
        panic!("blocks have gradients in blocks")
    };
    let Ready::Rows(expected) = spec.attend_backward(&there(&grad), &theirs, &on_cpu, &reference) else {
        panic!("rows have gradients in rows")
    };
    on.check(&q_grad, in_blocks(&back(expected.q)), 1.0);
    let expected = head_major(&back(expected.kv), 2 * heads.kv, &(0..batch.rows()), None);
    on.check(
        &kv_grad.reshape([1, batch.rows() * heads.key_value_width()]),
        expected.expect("a GPU's rows"),
        2.0,
    );
}

/// Types and heads for which the GPU has kernels: in bfloat16 several kinds of heads, in float16 one.
fn applying() -> Vec<(On, Heads)> {
    let on_fake = std::env::var_os("EMOTRAIN_FAKE_CUDA").is_some();
    let mut all = Vec::new();
    for (number, heads) in [[2, 2, 16], [1, 2, 128], [1, 3, 48]].into_iter().enumerate() {
        let heads = Heads { kv: heads[0], group: heads[1], dim: heads[2] };
        for on in types() {
            let q = on.draw(1, [1, heads.query_width()]);
            let applies = takes(&q, heads).is_some();
            assert!(applies || !on_fake || q.dtype() == DType::F32, "{:?} {heads:?}", q.dtype());
            let again = number > 0 && q.dtype() == DType::F16;
            all.extend((applies && !again).then_some((on, heads)));
        }
    }
    all
}

#[test]
fn attention_on_tensor_cores_is_that_of_the_cpu() {
    for (on, heads) in applying() {
        cases().iter().for_each(|case| check(&on, heads, case));
    }
}

/// Numbers of rows from `first` on, of attention and its backward, where those before are all `before`.
fn behind(on: &On, heads: Heads, batch: &Batch, before: f32) -> Vec<Vec<f32>> {
    let first = batch.segments[0].len();
    let spec = AttentionSpec { heads, window: None, scale: 0.1, eager: false, arithmetic: Arithmetic::F32 };
    let draw = |purpose, width| {
        let drawn = on.draw(purpose, [batch.rows() - first, width]);
        Tensor::cat(vec![Tensor::full([first, width], before, (&on.device, drawn.dtype())), drawn], 0)
    };
    let (q, grad) = (draw(1, heads.query_width()), draw(3, heads.query_width()));
    let kv = draw(2, heads.key_value_width());
    let of_batch = blocks(batch, None, &BTreeSet::from([None]), &on.device);
    let spans = of_batch.spans(&on.device);
    let q = head_major(&q, heads.kv * heads.group, &(0..batch.rows()), Some(spans)).expect("a GPU's rows");
    let kv = head_major(&kv, 2 * heads.kv, &(0..batch.rows()), None).expect("a GPU's rows");
    let kv_rows = |kv: Tensor<4>| kv.narrow(2, first, batch.rows() - first).reshape([-1]);
    let ready = Ready::Heads { q, kv: kv.reshape([2, heads.kv, batch.rows(), heads.dim]) };
    let ours = spec.attend(&ready, &of_batch, None);
    let rows = ours.rows.clone().narrow(0, first, batch.rows() - first).reshape([-1]);
    let Ready::Heads { q, kv } = spec.attend_backward(&grad, &ready, &of_batch, &ours) else {
        panic!("blocks have gradients in blocks")
    };
    let q = q.narrow(1, first * heads.query_width(), (batch.rows() - first) * heads.query_width());
    let numbers = |numbers: Tensor<1>| numbers.try_into_vec_as::<f32>().unwrap();
    [rows, q.reshape([-1]), kv_rows(kv)].map(numbers).into()
}

#[test]
fn what_is_no_number_stays_in_its_sequence() {
    let ids: Vec<u32> = (0..90).collect();
    let parts = [&ids[..30], &ids[30..33], &ids[20..]];
    let batch = Batch::sequences(&parts.map(|ids| Sequence { ids, supervised_from: 0 }));
    for (on, heads) in applying() {
        let clean = behind(&on, heads, &batch, 0.25);
        assert!(clean.iter().flatten().all(|number| number.is_finite()));
        assert!(clean == behind(&on, heads, &batch, f32::NAN));
    }
}
