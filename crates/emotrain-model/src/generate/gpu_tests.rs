//! Answers on a GPU, a software one included, where tokens follow one another without the host: those of the CPU.

use burn::tensor::{Device, Tensor};

use super::tests::{config, numbered, prompts};
use super::*;
use crate::config::Architecture;
use crate::engine::gpu_tests::gpu;
use crate::engine::tests::model_on;
use crate::weight::Weight;

fn greedy() -> GenerationConfig {
    GenerationConfig { sampling: Sampling::GREEDY, max_new_tokens: Some(50), max_batch_size: 3, ..config() }
}

/// On the CPU, and on the GPU.
fn models(gpu: &Device, architecture: Architecture) -> [CausalLm; 2] {
    [&Device::flex(), gpu].map(|device| model_on(device, architecture))
}

/// Answers end by stop tokens, by their length, and where the observer says so, in the middle of what is told at once.
#[test]
fn a_gpu_answers_as_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let (texts, most) = (prompts(), [Some(50), Some(7)]);
    let prompts = numbered(&texts);
    for (architecture, stop_tokens) in [(Architecture::Qwen3, vec![3, 11]), (Architecture::Gemma3, vec![])] {
        for (max_new_tokens, min_new_tokens) in [(most[0], 0), (most[1], 0), (most[0], 4)] {
            let config = GenerationConfig {
                max_new_tokens,
                min_new_tokens,
                stop_tokens: stop_tokens.clone(),
                ..greedy()
            };
            let [cpu, gpu] = models(&gpu, architecture).map(|model| {
                let mut seen = vec![Vec::new(); prompts.len()];
                let mut observe = |NewToken { prompt, position, id }: NewToken| {
                    assert_eq!(position, seen[prompt].len());
                    seen[prompt].push(id);
                    let ends = prompt == 1 && position == 20;
                    if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                };
                let answers = Generator::new(&model).generate(&prompts, &config, &mut observe).unwrap();
                let told: Vec<_> = answers.iter().map(|answer| answer.ids.clone()).collect();
                assert_eq!(told, seen);
                answers
            });
            assert_eq!(gpu, cpu, "{architecture:?} {config:?}");
        }
    }
}

#[test]
fn answers_on_a_gpu_may_fill_the_context() {
    let Some(gpu) = gpu() else { return };
    let long: Vec<Vec<u32>> = [(250, 5), (180, 6), (253, 7)].map(|(count, id)| vec![id; count]).to_vec();
    let config = GenerationConfig { max_new_tokens: None, stop_tokens: vec![], ..greedy() };
    let [cpu, gpu] = models(&gpu, Architecture::Llama).map(|model| {
        Generator::new(&model)
            .generate(&numbered(&long), &config, &mut |_| ControlFlow::Continue(()))
            .unwrap()
    });
    assert_eq!(gpu, cpu);
    assert_eq!(gpu.iter().map(|answer| answer.ids.len()).collect::<Vec<_>>(), [6, 76, 3]);
}

/// After a token whose embedding is no number, wherever it comes among those that are told at once.
#[test]
fn logits_that_are_not_finite_are_an_error_at_the_same_token_on_a_gpu() {
    let Some(gpu) = gpu() else { return };
    let texts = vec![vec![1, 2, 3], vec![4, 5]];
    let prompts = numbered(&texts);
    let config = GenerationConfig { stop_tokens: vec![], ..greedy() };
    let broken = |model: &CausalLm, id: u32| {
        let Weight::Dense(embed) = &model.embed else { unreachable!("a dense table") };
        let (row, [_, width]) = (id as usize, embed.dims());
        let nan = Tensor::full([1, width], f32::NAN, (&embed.device(), embed.dtype()));
        let embed = embed.clone().slice_assign([row..row + 1, 0..width], nan);
        CausalLm { embed: Weight::Dense(embed), ..model.clone() }
    };
    let [cpu, gpu] = models(&gpu, Architecture::Qwen3);
    let answers = |model: &CausalLm| {
        Generator::new(model).generate(&prompts, &config, &mut |_| ControlFlow::Continue(()))
    };
    let whole = answers(&cpu).unwrap();
    let known = texts.concat();
    // The first places of tokens that no prompt has.
    let answer = &whole[1].ids;
    let new: Vec<u32> =
        (0..answer.len()).filter(|&at| !answer[..at].contains(&answer[at])).map(|at| answer[at]).collect();
    let new: Vec<u32> = new.into_iter().filter(|id| !known.contains(id)).collect();
    assert!(new.len() > 3, "{answer:?}");
    for id in new {
        let [expected, found] =
            [&cpu, &gpu].map(|model| answers(&broken(model, id)).unwrap_err().to_string());
        assert_eq!(found, expected);
        assert!(found.contains("NaN"), "{found}");
    }
}
