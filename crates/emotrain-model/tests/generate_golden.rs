//! Generation against transformers (`tests/golden/generate/make.py`): token for token.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use emotrain_model::{
    CausalLm, Checkpoint, Finish, Generated, GenerationConfig, Generator, Sampling, TokenPrompt,
};
use serde::Deserialize;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_str(&fs_err::read_to_string(golden().join("generate").join(name)).unwrap()).unwrap()
}

fn load(path: &Path) -> CausalLm {
    CausalLm::load(&Checkpoint::open(path).unwrap(), &Device::flex(), DType::F32).unwrap()
}

/// Tokens as transformers gives them: with the one that ended the answer.
fn whole(answer: &Generated) -> Vec<u32> {
    let stop = if let Finish::StopToken(id) = answer.finish { Some(id) } else { None };
    answer.ids.iter().copied().chain(stop).collect()
}

fn run(generator: &mut Generator, prompts: &[&[u32]], config: &GenerationConfig) -> Vec<Vec<u32>> {
    let prompts: Vec<TokenPrompt> =
        (0..).zip(prompts).map(|(sequence, ids)| TokenPrompt { ids, sequence }).collect();
    let answers = generator.generate(&prompts, config, &mut |_| ControlFlow::Continue(())).unwrap();
    answers.iter().map(whole).collect()
}

fn greedy(max_new_tokens: usize, stop_tokens: Vec<u32>) -> GenerationConfig {
    GenerationConfig {
        max_new_tokens: Some(max_new_tokens),
        min_new_tokens: 0,
        sampling: Sampling::GREEDY,
        stop_tokens,
        seed: 0,
        max_batch_size: 8,
    }
}

#[derive(Deserialize)]
struct Tiny {
    stop: Vec<u32>,
    cases: Vec<TinyCase>,
}

#[derive(Deserialize)]
struct TinyCase {
    model: String,
    prompt: Vec<u32>,
    options: Options,
    new: Vec<u32>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
struct Options {
    max_new_tokens: usize,
    #[serde(default)]
    min_new_tokens: usize,
    #[serde(default = "one")]
    repetition_penalty: f32,
}

fn one() -> f32 {
    1.0
}

#[test]
fn answers_of_tiny_models_equal_those_of_transformers() {
    let Tiny { stop, cases } = read("tiny.json");
    let mut compared = 0;
    for name in ["llama3_tiny", "qwen2_tiny", "qwen3_tiny"] {
        let mut generator = Generator::new(&load(&golden().join("decoder").join(name)));
        let mut left: Vec<&TinyCase> = cases.iter().filter(|case| case.model == name).collect();
        while let Some(options) = left.first().map(|case| case.options) {
            let (same, others) = left.into_iter().partition(|case| case.options == options);
            let same: Vec<&TinyCase> = same;
            let mut config = greedy(options.max_new_tokens, stop.clone());
            config.min_new_tokens = options.min_new_tokens;
            config.sampling.repetition_penalty = options.repetition_penalty;
            let prompts: Vec<&[u32]> = same.iter().map(|case| case.prompt.as_slice()).collect();
            let expected: Vec<&[u32]> = same.iter().map(|case| case.new.as_slice()).collect();
            assert_eq!(run(&mut generator, &prompts, &config), expected, "{name}");
            compared += same.len();
            left = others;
        }
    }
    assert!(compared > 50, "{compared} cases");
}

#[derive(Deserialize)]
struct Smollm2 {
    stop: u32,
    cases: Vec<Smollm2Case>,
}

#[derive(Deserialize)]
struct Smollm2Case {
    prompt: Vec<u32>,
    max_new_tokens: usize,
    new: Vec<u32>,
}

/// `SmolLM2-135M-Instruct` from its `Q4_1` file; `tests/fixtures/fetch-models.sh` brings it.
#[test]
fn answers_of_smollm2_equal_those_of_transformers() {
    let script = golden().join("../fixtures/fetch-models.sh");
    let output =
        std::process::Command::new("bash").arg(script).arg("smollm2-135m-instruct").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let folder = String::from_utf8(output.stdout).unwrap();
    let mut generator = Generator::new(&load(Path::new(folder.trim())));
    let Smollm2 { stop, cases } = read("smollm2.json");
    assert_eq!(cases.len(), 20);
    for case in &cases {
        let config = greedy(case.max_new_tokens, vec![stop]);
        assert_eq!(run(&mut generator, &[&case.prompt], &config), [case.new.as_slice()]);
    }
    // Together, whole answers begin with those that ended earlier at their limit.
    let prompts: Vec<&[u32]> = cases.iter().map(|case| case.prompt.as_slice()).collect();
    let longest = cases.iter().map(|case| case.max_new_tokens).max().unwrap();
    let together = run(&mut generator, &prompts, &greedy(longest, vec![stop]));
    for (answer, case) in together.iter().zip(&cases) {
        assert_eq!(&answer[..answer.len().min(case.max_new_tokens)], case.new);
    }
}
