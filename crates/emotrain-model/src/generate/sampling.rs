//! From logits to a token: transformers' logits processors in transformers' order (`generation/logits_process.py`),
//! then the likeliest token or a draw.

use std::ops::Range;

/// How the next token is chosen; the parameters are those of transformers' `GenerationConfig`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// What logits are divided by before a draw; 0 takes the likeliest token (`do_sample=False`).
    pub temperature: f32,
    /// Draw among this many of the likeliest tokens (top-k); 0 for all.
    pub top_k: usize,
    /// Draw among the fewest of the likeliest tokens whose probability together reaches this (Holtzman et al. 2020);
    /// 1 for all.
    pub top_p: f32,
    /// What divides the positive and multiplies the negative logits of tokens that occur in the prompt or the answer
    /// so far (Keskar et al. 2019); 1 for none.
    pub repetition_penalty: f32,
}

/// A token that may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) token: u32,
    pub(super) score: f32,
}

impl Candidate {
    /// Larger scores first, of equal ones the smaller token.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that sorting asks for")]
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        other.score.total_cmp(&self.score).then(self.token.cmp(&other.token))
    }
}

impl Sampling {
    /// Always the likeliest token.
    pub const GREEDY: Self = Self { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0 };

    /// What is wrong with the values, each with the name of its parameter.
    pub(crate) fn problems(&self) -> Vec<String> {
        let Self { temperature, top_p, repetition_penalty, .. } = *self;
        let mut problems = Vec::new();
        let mut check = |good: bool, name: &str, value: f32, range: &str| {
            if !good {
                problems.push(format!("{name} is {value}, but must be {range}"));
            }
        };
        let finite = f32::is_finite;
        check(finite(temperature) && temperature >= 0.0, "temperature", temperature, "0 or above");
        check(top_p > 0.0 && top_p <= 1.0, "top_p", top_p, "above 0 and at most 1");
        let penalty = repetition_penalty;
        check(finite(penalty) && penalty > 0.0, "repetition_penalty", penalty, "above 0");
        problems
    }

    /// Whether the next token is the one with the largest logit, unless that is forbidden.
    pub(super) fn takes_the_likeliest(&self) -> bool {
        self.temperature == 0.0 && !self.penalises()
    }

    fn penalises(&self) -> bool {
        (self.repetition_penalty - 1.0).abs() >= f32::EPSILON
    }

    /// The next token. `history` are the tokens before it, `forbidden` those it must not be, `draw` gives a number in
    /// `0..1` and is asked only if there is something to draw.
    ///
    /// # Panics
    /// If every token is forbidden.
    pub(crate) fn choose(
        &self,
        scores: &mut [f32],
        history: &[&[u32]],
        forbidden: &[u32],
        draw: impl FnOnce() -> f64,
    ) -> u32 {
        self.process(scores, history, forbidden);
        if self.temperature == 0.0 { likeliest(scores) } else { draw_from(&self.kept(scores), draw()) }
    }

    /// What changes scores: `RepetitionPenaltyLogitsProcessor`, `MinNewTokensLengthLogitsProcessor` and, for a draw,
    /// `TemperatureLogitsWarper`.
    pub(super) fn process(&self, scores: &mut [f32], history: &[&[u32]], forbidden: &[u32]) {
        self.penalise(scores, history);
        for &id in forbidden {
            scores[id as usize] = f32::NEG_INFINITY;
        }
        if self.temperature > 0.0 {
            for score in scores.iter_mut() {
                *score /= self.temperature;
            }
        }
    }

    fn penalise(&self, scores: &mut [f32], history: &[&[u32]]) {
        let penalty = self.repetition_penalty;
        if !self.penalises() {
            return;
        }
        let mut seen = history.concat();
        seen.sort_unstable();
        seen.dedup();
        for id in seen {
            let score = &mut scores[id as usize];
            *score = if *score < 0.0 { *score * penalty } else { *score / penalty };
        }
    }

    /// `TopKLogitsWarper`, then `TopPLogitsWarper`: the tokens that may be drawn, with their scores.
    pub(super) fn kept(&self, scores: &[f32]) -> Vec<Candidate> {
        let all = (0..).zip(scores).map(|(token, &score)| Candidate { token, score });
        let mut kept: Vec<Candidate> = all.filter(|one| one.score > f32::NEG_INFINITY).collect();
        if self.top_k > 0 && self.top_k < kept.len() {
            let last = kept.select_nth_unstable_by(self.top_k - 1, Candidate::order).1.score;
            // Tokens as likely as the last one stay too.
            kept.retain(|one| one.score >= last);
        }
        if self.top_p < 1.0 {
            let nucleus = self.nucleus(&mut kept);
            kept.truncate(nucleus);
        }
        kept
    }

    /// Sorts as many of the likeliest tokens to the front as are needed for `top_p`, and says how many that is.
    fn nucleus(&self, kept: &mut [Candidate]) -> usize {
        const FIRST: usize = 128;
        let largest = kept.iter().map(|one| one.score).fold(f32::NEG_INFINITY, f32::max);
        let weight = |score: f32| f64::from(score - largest).exp();
        let enough = f64::from(self.top_p) * kept.iter().map(|one| weight(one.score)).sum::<f64>();
        let (mut before, mut sorted) = (0.0, 0..FIRST);
        loop {
            let Range { start, end } = sorted;
            let end = end.min(kept.len());
            if end < kept.len() {
                kept[start..].select_nth_unstable_by(end - start, Candidate::order);
            }
            kept[start..end].sort_unstable_by(Candidate::order);
            for (at, one) in kept.iter().enumerate().take(end).skip(start) {
                if at > 0 && before >= enough {
                    return at;
                }
                before += weight(one.score);
            }
            if end == kept.len() {
                return end;
            }
            sorted = end..end * 8;
        }
    }
}

/// The token with the largest score, the first of equal ones.
fn likeliest(scores: &[f32]) -> u32 {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let place = scores.iter().position(|&score| score >= largest);
    u32::try_from(place.expect("a token that may be chosen")).expect("vocabularies fit 32 bits")
}

/// The token where the running sum of probabilities passes `draw`.
fn draw_from(kept: &[Candidate], draw: f64) -> u32 {
    let largest = kept.iter().map(|one| one.score).fold(f32::NEG_INFINITY, f32::max);
    let weight = |score: f32| f64::from(score - largest).exp();
    let mut left = draw * kept.iter().map(|one| weight(one.score)).sum::<f64>();
    for Candidate { token, score } in kept {
        left -= weight(*score);
        if left < 0.0 {
            return *token;
        }
    }
    kept.last().expect("a token that may be drawn").token
}
