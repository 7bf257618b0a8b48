use std::collections::BTreeMap;

use burn::tensor::Tensor;
use emotrain_base::random::Key;
use expect_test::expect;
use proptest::prelude::*;
use rand::RngExt;

use super::*;
use crate::config::Architecture;
use crate::engine::tests::model;

pub(super) fn config() -> GenerationConfig {
    GenerationConfig {
        max_new_tokens: Some(20),
        min_new_tokens: 0,
        sampling: Sampling { temperature: 0.9, top_k: 30, top_p: 0.95, repetition_penalty: 1.1 },
        stop_tokens: vec![3, 11],
        seed: 7,
        max_batch_size: 4,
    }
}

/// Prompts of different lengths, some of which begin alike.
pub(super) fn prompts() -> Vec<Vec<u32>> {
    let ids = |count: u32, salt: u32| (0..count).map(move |at| (at * 13 + salt * 7 + at * at) % 70);
    let tails = [(3, 0), (60, 1), (1, 2), (12, 3), (33, 4), (12, 5)];
    let whole = |(number, (count, salt)): (usize, (u32, u32))| {
        ids(if number % 2 == 0 { 40 } else { 0 }, 9).chain(ids(count, salt)).collect()
    };
    tails.into_iter().enumerate().map(whole).collect()
}

pub(super) fn numbered(prompts: &[Vec<u32>]) -> Vec<TokenPrompt<'_>> {
    (0..).zip(prompts).map(|(sequence, ids)| TokenPrompt { ids, sequence }).collect()
}

fn answers(model: &CausalLm, prompts: &[TokenPrompt], config: &GenerationConfig) -> Vec<Generated> {
    Generator::new(model).generate(prompts, config, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn company_changes_no_answer() {
    let model = model(Architecture::Qwen2);
    let texts = prompts();
    let prompts = numbered(&texts);
    for sampling in [Sampling::GREEDY, config().sampling] {
        let config = GenerationConfig { sampling, ..config() };
        let together = answers(&model, &prompts, &config);
        let single: Vec<Generated> =
            prompts.iter().flat_map(|prompt| answers(&model, &[*prompt], &config)).collect();
        assert_eq!(together, single);
        let backwards: Vec<TokenPrompt> = prompts.iter().rev().copied().collect();
        let config = GenerationConfig { max_batch_size: 3, ..config };
        let mut backwards = answers(&model, &backwards, &config);
        backwards.reverse();
        assert_eq!(backwards, single);
    }
}

#[test]
fn a_generator_that_has_answered_answers_the_same_again() {
    let model = model(Architecture::Qwen3);
    let texts = prompts();
    let prompts = numbered(&texts);
    let mut generator = Generator::new(&model);
    let mut run =
        |prompts| generator.generate(prompts, &config(), &mut |_| ControlFlow::Continue(())).unwrap();
    let first = run(&prompts);
    assert_eq!(run(&prompts), first);
    assert_eq!(run(&prompts[2..3]), first[2..3]);
}

#[test]
fn prompts_may_come_later_and_answers_may_fill_the_context() {
    let model = model(Architecture::Llama);
    let texts = prompts();
    let prompts = numbered(&texts);
    let config = GenerationConfig { max_batch_size: 2, ..config() };
    let expected = answers(&model, &prompts, &config);
    let mut generator = Generator::new(&model);
    let mut generation = generator.start(config.clone()).unwrap();
    let (mut found, mut next) = (vec![None; prompts.len()], 0);
    loop {
        while generation.has_room() && next < prompts.len() {
            generation.push(prompts[next]).unwrap();
            next += 1;
        }
        if generation.is_idle() {
            break;
        }
        for (number, answer) in generation.step(&mut |_| ControlFlow::Continue(())).unwrap() {
            found[number] = Some(answer);
        }
    }
    assert_eq!(found.into_iter().flatten().collect::<Vec<_>>(), expected);

    let config = GenerationConfig { max_new_tokens: None, stop_tokens: vec![], ..config };
    let long = vec![5; 250];
    let answer = answers(&model, &[TokenPrompt { ids: &long, sequence: 0 }], &config).remove(0);
    assert_eq!((answer.ids.len(), answer.finish), (6, Finish::Length));
}

#[test]
fn seed_and_sequence_decide_draws() {
    let model = model(Architecture::Llama);
    let ids = vec![5, 6, 7];
    let answer = |seed, sequence| {
        let config = GenerationConfig { seed, stop_tokens: vec![], ..config() };
        answers(&model, &[TokenPrompt { ids: &ids, sequence }], &config).remove(0).ids
    };
    assert_eq!(answer(1, 1), answer(1, 1));
    assert_ne!(answer(1, 1), answer(2, 1));
    assert_ne!(answer(1, 1), answer(1, 2));
}

#[test]
fn every_token_is_seen_as_it_comes_and_may_be_the_last() {
    let model = model(Architecture::Llama);
    let texts = prompts();
    let config = GenerationConfig { stop_tokens: vec![], ..config() };
    let mut seen: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    let mut observe = |token: NewToken| {
        let ids = seen.entry(token.prompt).or_default();
        assert_eq!(token.position, ids.len());
        ids.push(token.id);
        if token.prompt == 1 && ids.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let answers = Generator::new(&model).generate(&numbered(&texts), &config, &mut observe).unwrap();
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.ids, seen[&number]);
        let expected = if number == 1 { (3, Finish::Observer) } else { (20, Finish::Length) };
        assert_eq!((answer.ids.len(), answer.finish), expected);
    }
}

#[test]
fn a_stop_token_ends_an_answer_but_not_too_early() {
    let model = model(Architecture::Llama);
    let texts = prompts();
    let free = GenerationConfig { stop_tokens: vec![], sampling: Sampling::GREEDY, ..config() };
    let whole = answers(&model, &numbered(&texts)[..1], &free).remove(0).ids;
    let stop = whole[4];
    let place = whole.iter().position(|&id| id == stop).unwrap();
    let stopped = GenerationConfig { stop_tokens: vec![69, stop], ..free.clone() };
    let answer = answers(&model, &numbered(&texts)[..1], &stopped).remove(0);
    assert_eq!(answer, Generated { ids: whole[..place].to_vec(), finish: Finish::StopToken(stop) });
    let longer = GenerationConfig { min_new_tokens: 9, ..stopped };
    let answer = answers(&model, &numbered(&texts)[..1], &longer).remove(0);
    assert!(answer.ids.len() >= 9);
    assert!(!answer.ids[..9].contains(&stop));
}

#[test]
fn what_cannot_be_generated_is_said_before_anything_is() {
    let model = model(Architecture::Llama);
    let texts = [vec![], vec![1; 250], vec![1, 70]];
    let sampling = Sampling { temperature: -1.0, top_k: 0, top_p: 0.0, repetition_penalty: f32::NAN };
    let config = GenerationConfig { min_new_tokens: 21, sampling, stop_tokens: vec![99], ..config() };
    let error = Generator::new(&model)
        .generate(&numbered(&texts), &config, &mut |_| ControlFlow::Continue(()))
        .unwrap_err();
    expect![[r"
        temperature is -1, but must be 0 or above
        top_p is 0, but must be above 0 and at most 1
        repetition_penalty is NaN, but must be above 0
        min_new_tokens is 21, above max_new_tokens, 20
        stop token 99 is not in the model's vocabulary of 70
        prompt 0 is empty
        prompt 1 has 250 tokens, which leaves no room for 20 more in the model's context of 256 (max_position_embeddings)
        prompt 2 has token 70, which is not in the model's vocabulary of 70"]]
    .assert_eq(&error.to_string());
}

#[test]
fn logits_that_are_not_finite_are_an_error() {
    let mut model = model(Architecture::Llama);
    model.norm.weight = Tensor::full_like(&model.norm.weight, f32::NAN);
    let ids = [1, 2];
    let error = Generator::new(&model)
        .generate(&[TokenPrompt { ids: &ids, sequence: 0 }], &config(), &mut |_| ControlFlow::Continue(()))
        .unwrap_err();
    expect!["prompt 0: the logits of token 0 of its answer are not finite (NaN)"]
        .assert_eq(&error.to_string());
}

#[test]
fn draws_follow_the_probabilities() {
    const DRAWS: u32 = 40_000;
    let logits = [2.0f32, 1.0, 0.0, -1.0, 1.5];
    let sampling = Sampling { temperature: 0.8, top_k: 4, ..Sampling { top_p: 1.0, ..Sampling::GREEDY } };
    let weight = |logit: f32| f64::from(logit / 0.8).exp();
    let total: f64 = [0, 1, 2, 4].iter().map(|&id| weight(logits[id])).sum();
    let mut counts = [0u32; 5];
    for number in 0..DRAWS {
        let draw = || Key::new(1).with(u64::from(number)).rng().random();
        counts[sampling.choose(&mut logits.to_vec(), &[], &[], draw) as usize] += 1;
    }
    assert_eq!(counts[3], 0, "not among the four likeliest");
    for id in [0, 1, 2, 4] {
        let (share, expected) = (f64::from(counts[id]) / f64::from(DRAWS), weight(logits[id]) / total);
        // Five standard deviations.
        let tolerance = 5.0 * (expected * (1.0 - expected) / f64::from(DRAWS)).sqrt();
        assert!((share - expected).abs() < tolerance, "{id}: {share}, not {expected}");
    }
}

/// The scores that are left for a draw, as transformers' processors leave them
/// (`tests/golden/generate/make.py`).
#[test]
fn logits_are_processed_as_by_transformers() {
    #[derive(serde::Deserialize)]
    struct Golden {
        cases: Vec<Case>,
    }
    #[derive(serde::Deserialize)]
    struct Case {
        repetition_penalty: f32,
        temperature: f32,
        top_k: usize,
        top_p: f32,
        history: Vec<u32>,
        logits: Vec<f32>,
        scores: Vec<Option<f32>>,
    }
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/generate/processors.json");
    let Golden { cases } = serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
    assert!(cases.len() >= 10);
    for Case { repetition_penalty, temperature, top_k, top_p, history, mut logits, scores } in cases {
        let sampling = Sampling { temperature, top_k, top_p, repetition_penalty };
        sampling.process(&mut logits, &[&history[..7], &history[7..]], &[]);
        let mut ours = vec![None; logits.len()];
        for kept in sampling.kept(&logits) {
            ours[kept.token as usize] = Some(kept.score);
        }
        for (id, (ours, expected)) in ours.iter().zip(&scores).enumerate() {
            match (ours, expected) {
                // The same two operations in f32.
                (Some(ours), Some(expected)) => {
                    assert!((ours - expected).abs() <= 1e-6 * expected.abs(), "{ours}, not {expected}");
                }
                (None, None) => {}
                _ => panic!("{sampling:?}: token {id} is {ours:?}, not {expected:?}"),
            }
        }
    }
}

proptest! {
    /// The fast ways of filtering keep what sorting everything keeps.
    #[test]
    fn filters_keep_what_sorting_would(
        scores in prop::collection::vec(-8.0f32..8.0, 1..1500),
        top_k in 0usize..40,
        top_p in 0.01f32..1.0,
    ) {
        let sampling = Sampling { temperature: 1.0, top_k, top_p, repetition_penalty: 1.0 };
        let mut sorted: Vec<f32> = scores.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        if top_k > 0 && top_k < sorted.len() {
            let last = sorted[top_k - 1];
            sorted.retain(|score| *score >= last);
        }
        let weight = |score: f32| f64::from(score - sorted[0]).exp();
        let total: f64 = sorted.iter().map(|score| weight(*score)).sum();
        let (mut before, mut count) = (0.0, 0);
        while count < sorted.len() && (count == 0 || before < f64::from(top_p) * total) {
            before += weight(sorted[count]);
            count += 1;
        }
        let mut kept: Vec<f32> = sampling.kept(&scores).into_iter().map(|kept| kept.score).collect();
        kept.sort_by(|a, b| b.total_cmp(a));
        // Where the sum meets top_p exactly up to rounding, one more or one fewer is as good.
        prop_assert!(kept.len().abs_diff(count) <= 1, "{} {}", kept.len(), count);
        let common = kept.len().min(count);
        prop_assert_eq!(&kept[..common], &sorted[..common]);
    }
}
