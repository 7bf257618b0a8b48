//! The engine on a GPU, a software one included, against the CPU's.

use burn::tensor::{Device, TensorData};
use emotrain_recipe::Dtype;
use expect_test::expect;

use super::tests::{assert_close, forward, ids, model_on};
use super::*;
use crate::config::Architecture;
use crate::device::{self, Recorded};
use crate::kernels::{Rows, put_rows};

/// In float32; none in a build without one.
pub(crate) fn gpu() -> Option<Device> {
    Some(device::open(&device::tests::gpu()?, Dtype::Float32).unwrap().device)
}

/// The same, in a build with wgpu alone: what is counted and refused there is another on CUDA.
fn wgpu() -> Option<Device> {
    gpu().filter(|_| device::compiled().contains(&"wgpu"))
}

/// What each row of prompts, their branches and their continuations gives.
fn course(engine: &Engine) -> Vec<f32> {
    // More new rows than attend one by one, between two with few.
    let (short, long, tail) = (ids(45, 1), ids(tensors::FEW + 7, 2), ids(3, 3));
    let fed = |ids, wanted| Feed { wanted, ..Feed::new(ids, Cache::default()) };
    let from = |other, tokens, wanted| Feed { from: Some((other, tokens)), ..fed(&tail, wanted) };
    let mut feeds = [fed(&short, 45), fed(&long, 20), from(0, 40, 3), from(1, long.len(), 2), from(2, 42, 1)];
    let mut found = forward(engine, &mut feeds);
    let mut caches: Vec<Cache> = feeds.into_iter().map(|feed| feed.cache).collect();
    // What is no longer needed makes room.
    caches.push(caches[1].prefix(100));
    caches.remove(2);
    for step in 0..4 {
        // In the second the pool grows, and keeps what it holds.
        let count = |at| if step == 1 && at == 0 { 200 } else { 1 };
        let next: Vec<Vec<u32>> = (0..caches.len()).map(|at| ids(count(at), 10 * step + at)).collect();
        let mut feeds: Vec<Feed> =
            next.iter().zip(std::mem::take(&mut caches)).map(|(ids, cache)| Feed::new(ids, cache)).collect();
        found.extend(forward(engine, &mut feeds));
        caches = feeds.into_iter().map(|feed| feed.cache).collect();
    }
    // One row alone.
    found.extend(forward(engine, &mut [Feed::new(&tail[..1], caches.swap_remove(0))]));
    found
}

#[test]
fn a_gpu_gives_the_hidden_states_of_the_cpu_over_branches_and_continuations() {
    let Some(device) = gpu() else { return };
    for architecture in Architecture::ALL {
        let [cpu, gpu] = [&Device::flex(), &device]
            .map(|device| Engine::new(&model_on(device, architecture), Precision::Full));
        assert!(matches!((&cpu, &gpu), (Engine::Host(_), Engine::Tensors(_))));
        assert_close(&course(&gpu), &course(&cpu));
    }
}

#[test]
fn a_token_takes_as_many_launches_for_many_sequences_as_for_one() {
    let Some(device) = wgpu() else { return };
    let model = model_on(&device, Architecture::Qwen3);
    let engine = Engine::new(&model, Precision::Full);
    let launched = |sequences: usize| {
        let prompts: Vec<Vec<u32>> = (0..sequences).map(|at| ids(20 + at, at)).collect();
        let mut feeds: Vec<Feed> = prompts.iter().map(|prompt| Feed::new(prompt, Cache::default())).collect();
        engine.forward(&mut feeds);
        let next: Vec<Vec<u32>> = (0..sequences).map(|at| ids(1, at)).collect();
        let caches = feeds.into_iter().map(|feed| feed.cache);
        let mut feeds: Vec<Feed> =
            next.iter().zip(caches).map(|(ids, cache)| Feed::new(ids, cache)).collect();
        let (chosen, profile) = device::profiled(|| engine.likeliest(&engine.forward(&mut feeds)));
        assert_eq!(chosen.unwrap().len(), sequences);
        profile.kernels
    };
    // The first pass makes what all share.
    launched(1);
    let [one, many] = [1, 16].map(launched);
    let counts = |kernels: &std::collections::BTreeMap<String, device::Launches>| {
        kernels.values().map(|launches| launches.count).sum::<usize>()
    };
    assert_eq!(counts(&many), counts(&one), "{one:?} {many:?}");
    let told: Vec<String> =
        many.iter().map(|(name, launches)| format!("{} {name}", launches.count)).collect();
    expect![[r"
        15 AddLowProduct
        3 AttentionToSlots
        3 GatedForward
        3 KernelBinop
        1 LikeliestOfRows
        31 MatmulEntry
        13 RmsNormForward
        6 RotateHeads
        2 RowsOfTable
        3 RowsToSlots"]]
    .assert_eq(&told.join("\n"));
}

/// A token, and the hidden state that it is the likeliest after.
type Chosen = (u32, Vec<f32>);

/// Each prompt's likeliest tokens by passes, `count` of them.
fn answers(engine: &Engine, prompts: &[Vec<u32>], count: usize) -> Vec<Vec<Chosen>> {
    let mut feeds: Vec<Feed> = prompts.iter().map(|prompt| Feed::new(prompt, Cache::default())).collect();
    let mut chosen = likeliest(engine, &mut feeds);
    let mut caches: Vec<Cache> = feeds.into_iter().map(|feed| feed.cache).collect();
    let mut answers: Vec<Vec<Chosen>> = chosen.iter().map(|chosen| vec![chosen.clone()]).collect();
    while answers[0].len() < count {
        let last: Vec<[u32; 1]> = chosen.iter().map(|(id, _)| [*id]).collect();
        let mut feeds: Vec<Feed> = last.iter().zip(caches).map(|(id, cache)| Feed::new(id, cache)).collect();
        chosen = likeliest(engine, &mut feeds);
        caches = feeds.into_iter().map(|feed| feed.cache).collect();
        answers.iter_mut().zip(&chosen).for_each(|(answer, chosen)| answer.push(chosen.clone()));
    }
    answers
}

fn likeliest(engine: &Engine, feeds: &mut [Feed]) -> Vec<Chosen> {
    let hidden = engine.forward(feeds);
    let largest = |logits: &[f32]| {
        let most = logits.iter().copied().fold(f32::MIN, f32::max);
        u32::try_from(logits.iter().position(|&logit| logit >= most).unwrap()).unwrap()
    };
    let (logits, numbers) = (engine.logits(&hidden), hidden.numbers());
    let rows = logits.chunks_exact(70).zip(numbers.chunks_exact(engine.width()));
    rows.map(|(logits, hidden)| (largest(logits), hidden.to_vec())).collect()
}

/// Sequences that have been fed all but their last token.
struct Going {
    ids: Vec<u32>,
    cache: Cache,
    expected: Vec<Chosen>,
}

impl Going {
    /// Prompts with their first tokens.
    fn begin(engine: &Engine, prompts: &[Vec<u32>], count: usize) -> Vec<Self> {
        let expected = answers(engine, prompts, count);
        let mut feeds: Vec<Feed> = prompts.iter().map(|prompt| Feed::new(prompt, Cache::default())).collect();
        engine.forward(&mut feeds);
        let begun = |(feed, expected): (Feed, Vec<Chosen>)| Self {
            ids: vec![expected[0].0],
            cache: feed.cache,
            expected,
        };
        feeds.into_iter().zip(expected).map(begun).collect()
    }

    /// Goes on, and on what that left looks with a pass.
    fn go_on(engine: &Engine, all: &mut [Self], count: usize) {
        let mut sequences: Vec<Continued> = Vec::new();
        for Self { ids, cache, .. } in &mut *all {
            sequences.push(Continued { last: ids[ids.len() - 1], cache });
        }
        let told = engine.go_on(&mut sequences, count).expect("kernels for it");
        for (going, told) in all.iter_mut().zip(told) {
            going.ids.extend(told);
            let expected: Vec<u32> = going.expected.iter().map(|(id, _)| *id).collect();
            assert_eq!(going.ids, expected[..going.ids.len()], "after {} tokens", going.cache.tokens());
        }
        let fed = |Self { ids, cache, .. }: &Self| (ids[ids.len() - 1..].to_vec(), cache.clone());
        let fed: Vec<(Vec<u32>, Cache)> = all.iter().map(fed).collect();
        let mut feeds: Vec<Feed> = fed.iter().map(|(last, cache)| Feed::new(last, cache.clone())).collect();
        for ((_, hidden), Self { ids, expected, .. }) in likeliest(engine, &mut feeds).iter().zip(all) {
            assert_close(hidden, &expected[ids.len()].1);
        }
    }
}

/// Sequences join, leave and outgrow what was made for them, while tokens are launched, recorded and made again.
#[test]
fn sequences_that_go_on_by_themselves_choose_what_passes_choose() {
    let Some(device) = gpu() else { return };
    for architecture in [Architecture::Qwen3, Architecture::Gemma3] {
        let engine = Engine::new(&model_on(&device, architecture), Precision::Full);
        let prompts: Vec<Vec<u32>> = [9, 30, 220].into_iter().enumerate().map(|(at, n)| ids(n, at)).collect();
        let mut going = Going::begin(&engine, &prompts, 60);
        // Three go on as four.
        for count in [1, 2, 4, 8, 8, 3] {
            Going::go_on(&engine, &mut going, count);
        }
        // Beyond 256 tokens.
        Going::go_on(&engine, &mut going, 8);
        // Others join, in memory that a graph may have used, and the pool grows.
        going.extend(Going::begin(&engine, &[ids(100, 5), ids(150, 6)], 60));
        for count in [5, 8, 8] {
            Going::go_on(&engine, &mut going, count);
        }
        going.drain(1..4);
        for count in [1, 2] {
            Going::go_on(&engine, &mut going, count);
        }
    }
}

#[test]
fn a_token_that_is_recorded_is_one_that_is_launched() {
    let Some(device) = gpu() else { return };
    let engine = Engine::new(&model_on(&device, Architecture::Qwen3), Precision::Full);
    let Engine::Tensors(model) = &engine else { unreachable!("a GPU") };
    let mut going = Going::begin(&engine, &[ids(20, 1), ids(21, 2)], 70);
    for _ in 0..3 {
        assert!(!model.replays());
        Going::go_on(&engine, &mut going, 8);
    }
    assert!(model.replays());
    Going::go_on(&engine, &mut going, 8);
    // A pass in between, and a prompt that uses what the recording used and is kept.
    let more = Going::begin(&engine, &[ids(60, 3)], 20);
    Going::go_on(&engine, &mut going, 8);
    going.extend(more);
    Going::go_on(&engine, &mut going, 8);
    // On another thread.
    std::thread::scope(|scope| {
        scope.spawn(|| Going::go_on(&engine, &mut going[..2], 8)).join().unwrap();
    });
    Going::go_on(&engine, &mut going[..2], 3);
}

/// What reaches the device from the host cannot be recorded. What such work writes to is lost, and nothing else.
#[test]
fn work_that_cannot_be_recorded_leaves_the_rest_as_it_is() {
    let Some(device) = wgpu() else { return };
    let recorded = |pool: &Tensor<2>, upload: bool| {
        let rows = Rows::new(vec![2], &device);
        let ones =
            || Tensor::<2>::from_data(TensorData::new(vec![1.0_f32; 8], [1, 8]), (&device, DType::F32));
        let (mut pool, once) = (pool.clone(), ones());
        let (on, fresh) = (device.clone(), TensorData::new(vec![1.0_f32; 8], [1, 8]));
        Recorded::new(&device, move || {
            let added =
                if upload { Tensor::from_data(fresh.clone(), (&on, DType::F32)) } else { once.clone() };
            let sum = rows.of(&pool) + added;
            put_rows(&mut pool, &sum, &rows);
        })
    };
    let [lost, pool] = [0, 1].map(|_| Tensor::<2>::zeros([4, 8], (&device, DType::F32)));
    assert!(!recorded(&lost, true).is_recorded());
    let row = || pool.clone().try_into_vec_as::<f32>().unwrap()[16].to_bits();
    assert_eq!(row(), 0.0_f32.to_bits());
    let mut recorded = recorded(&pool, false);
    assert!(recorded.is_recorded());
    let before = f32::from_bits(row());
    recorded.run();
    recorded.run();
    assert_eq!(row(), (before + 2.0).to_bits());
}
