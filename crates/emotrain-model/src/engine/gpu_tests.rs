//! The engine on a GPU, a software one included, against the CPU's.

use burn::tensor::Device;
use emotrain_recipe::{DeviceChoice, Dtype};
use expect_test::expect;

use super::tests::{assert_close, forward, ids, model_on};
use super::*;
use crate::config::Architecture;
use crate::device;

/// In float32; none in a build without one.
fn gpu() -> Option<Device> {
    if !device::compiled().contains(&"wgpu") {
        println!("skipped: built without the wgpu feature");
        return None;
    }
    Some(device::open(&DeviceChoice::Wgpu(None), Dtype::Float32).unwrap().device)
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
    let Some(device) = gpu() else { return };
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
        3 RowsToSlots
        2 SelectKernel"]]
    .assert_eq(&told.join("\n"));
}
