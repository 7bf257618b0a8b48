//! Scoring completions after prompts: the labels of a classification, each by its likelihood.

use emotrain_kernels::log_sum_exp_row;

use crate::batch::Batch;
use crate::decoder::CausalLm;
use crate::engine::{Cache, Engine, Feed, Hidden, Precision};

/// Rows whose logits exist at one time.
const PIECE: usize = 64;
/// A common prefix of at most this many tokens is recomputed: caching it is not worth the bookkeeping.
const SHARED: usize = 8;

/// A model that scores the same completions after many prompts. It shares the weights of the model it was made of,
/// which may be trained on only after the scorer is gone, or its scores are those of before.
///
/// A prompt is computed once for all completions. On the CPU in f32, what a prompt has in common with the one before
/// it is not computed again either, so prompts are best given in the order of their ids; the scores are the same, to
/// the bit, in every order.
pub struct Scorer<'a> {
    completions: &'a [Vec<u32>],
    form: Form<'a>,
}

enum Form<'a> {
    /// The engine, with the last prompt and its cache.
    Cached(Box<(Engine, Vec<u32>, Cache)>),
    /// Packed batches, for devices on which many small operations are slow.
    Packed(&'a CausalLm),
}

impl<'a> Scorer<'a> {
    /// Makes the model ready to score `completions`.
    ///
    /// # Panics
    /// If a completion is empty.
    pub fn new(model: &'a CausalLm, completions: &'a [Vec<u32>], precision: Precision) -> Self {
        assert!(completions.iter().all(|completion| !completion.is_empty()), "a completion needs a token");
        let form = match Engine::new(model, precision) {
            engine @ Engine::Host(_) => Form::Cached(Box::new((engine, Vec::new(), Cache::default()))),
            Engine::Tensors(_) => Form::Packed(model),
        };
        Self { completions, form }
    }

    /// The log-probability of each completion after each prompt, `[prompt][completion]`; the prompts go through the
    /// model together.
    ///
    /// # Panics
    /// If a prompt is empty.
    pub fn score(&mut self, prompts: &[&[u32]]) -> Vec<Vec<f32>> {
        assert!(prompts.iter().all(|prompt| !prompt.is_empty()), "a prompt needs a token");
        let completions = self.completions;
        let tokens = match &mut self.form {
            Form::Packed(model) => model.log_probabilities(&Batch::choices(prompts, completions)),
            Form::Cached(cached) => {
                let (engine, last, cache) = &mut **cached;
                let (hidden, newest) = hidden(engine, prompts, completions, last, cache);
                if let Some(prompt) = prompts.last() {
                    (*last, *cache) = (prompt.to_vec(), newest);
                }
                log_probabilities(engine, &hidden, completions)
            }
        };
        let mut tokens = tokens.into_iter();
        let mut next = |completion: &Vec<u32>| tokens.by_ref().take(completion.len()).sum();
        prompts.iter().map(|_| completions.iter().map(&mut next).collect()).collect()
    }
}

/// The hidden states that predict the completions' tokens: per prompt that of its last token, then those of the
/// completions' tokens but the last; and the last prompt's cache.
fn hidden(
    engine: &Engine,
    prompts: &[&[u32]],
    completions: &[Vec<u32>],
    last: &[u32],
    cache: &Cache,
) -> (Vec<f32>, Cache) {
    let mut feeds: Vec<Feed> = Vec::new();
    let mut before = 0;
    for (number, prompt) in prompts.iter().enumerate() {
        let earlier = if number == 0 { last } else { prompts[number - 1] };
        // The last token is computed in any case: its row predicts the completions' first tokens.
        let common = earlier.iter().zip(&prompt[..prompt.len() - 1]).take_while(|(a, b)| a == b).count();
        let place = feeds.len();
        feeds.push(match (common, number) {
            (0..=SHARED, _) => Feed::new(prompt, Cache::default()),
            (_, 0) => Feed::new(&prompt[common..], cache.prefix(common)),
            _ => Feed { from: Some((before, common)), ..Feed::new(&prompt[common..], Cache::default()) },
        });
        before = place;
        for completion in completions {
            let fed = &completion[..completion.len() - 1];
            if !fed.is_empty() {
                let feed = Feed::new(fed, Cache::default());
                feeds.push(Feed { from: Some((place, prompt.len())), wanted: fed.len(), ..feed });
            }
        }
    }
    let hidden = engine.forward(&mut feeds).numbers().into_owned();
    let newest = if prompts.is_empty() { Cache::default() } else { feeds.swap_remove(before).cache };
    (hidden, newest)
}

/// The log-probability of each completion token of each prompt, given what [`hidden`] returned.
fn log_probabilities(engine: &Engine, hidden: &[f32], completions: &[Vec<u32>]) -> Vec<f32> {
    // The tokens that each row of one prompt predicts, and where their results go.
    let mut targets: Vec<Vec<(u32, usize)>> = vec![Vec::new()];
    let mut place = 0;
    for completion in completions {
        for (at, &id) in completion.iter().enumerate() {
            if at == 0 {
                targets[0].push((id, place));
            } else {
                targets.push(vec![(id, place)]);
            }
            place += 1;
        }
    }
    let width = engine.width();
    let prompts = hidden.len() / width / targets.len();
    let mut out = vec![0.0; prompts * place];
    for (piece, hidden) in hidden.chunks(PIECE * width).enumerate() {
        let rows = hidden.len() / width;
        let logits = engine.logits(&Hidden::Memory(hidden.to_vec()));
        for (row, logits) in logits.chunks_exact(logits.len() / rows).enumerate() {
            let row = piece * PIECE + row;
            let (prompt, row) = (row / targets.len(), row % targets.len());
            let log_sum = log_sum_exp_row(logits);
            for &(id, at) in &targets[row] {
                out[prompt * place + at] = logits[id as usize] - log_sum;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Architecture;
    use crate::engine::tests::model;

    fn ids(count: u32, salt: u32) -> Vec<u32> {
        (0..count).map(|at| (at * 29 + salt * 11 + at * at) % 70).collect()
    }

    #[test]
    fn scores_in_bf16_are_near_those_in_full_and_do_not_depend_on_company() {
        let completions = vec![vec![4], vec![5, 6], vec![7, 8, 9]];
        let prompts: Vec<Vec<u32>> = (0..5).map(|salt| [ids(35, 9), ids(7 + salt, salt)].concat()).collect();
        let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        for architecture in Architecture::ALL {
            let model = model(architecture);
            let score = |precision| Scorer::new(&model, &completions, precision).score(&prompts);
            let (full, bf16) = (score(Precision::Full), score(Precision::Bf16));
            assert_ne!(full, bf16);
            for (full, bf16) in full.iter().flatten().zip(bf16.iter().flatten()) {
                assert!((full - bf16).abs() < 0.05 * full.abs(), "{bf16}, in full {full}");
            }
            let alone = prompts
                .iter()
                .flat_map(|prompt| Scorer::new(&model, &completions, Precision::Bf16).score(&[prompt]));
            assert_eq!(alone.collect::<Vec<_>>(), bf16);
        }
    }

    #[test]
    fn scores_are_those_of_packed_batches_and_do_not_depend_on_company() {
        let completions = vec![vec![4], vec![5, 6], vec![7, 8, 9], vec![7, 1]];
        let prompts: Vec<Vec<u32>> = [(30, 1), (1, 0), (30, 2), (45, 3), (0, 0), (7, 4)]
            .into_iter()
            .map(|(count, salt)| [ids(35, 9), ids(count, salt)].concat())
            .collect();
        let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).chain([&[3][..]]).collect();
        for architecture in Architecture::ALL {
            let model = model(architecture);
            let together = Scorer::new(&model, &completions, Precision::Full).score(&prompts);
            let tokens = model.log_probabilities(&Batch::choices(&prompts, &completions));
            let mut tokens = tokens.into_iter();
            for scores in &together {
                for (score, completion) in scores.iter().zip(&completions) {
                    let packed: f32 = tokens.by_ref().take(completion.len()).sum();
                    // Sums of f32 in another order.
                    assert!((score - packed).abs() < 1e-4 * packed.abs().max(1.0), "{score}, not {packed}");
                }
            }
            let mut scorer = Scorer::new(&model, &completions, Precision::Full);
            let pairs: Vec<Vec<f32>> = prompts.chunks(2).flat_map(|pair| scorer.score(pair)).collect();
            assert_eq!(pairs, together);
            let alone: Vec<Vec<f32>> = prompts.iter().flat_map(|prompt| scorer.score(&[prompt])).collect();
            assert_eq!(alone, together);
        }
    }
}
