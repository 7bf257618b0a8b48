//! A generation under way: prompts join it, answers leave it.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use emotrain_base::random::Key;
use rand::RngExt;

use super::{Finish, Generated, GenerationConfig, Generator, NewToken, TokenPrompt, refuse};
use crate::engine::{Cache, Continued, Feed, Hidden, MOST_STEPS};
use crate::error::ModelError;

/// Rows of prompts that one pass computes at most, if it is not one prompt that is longer.
const PROMPT_ROWS: usize = 512;
/// A common prefix of at most this many tokens is recomputed: caching it is not worth the bookkeeping.
const SHARED: usize = 8;

/// Prompts that are being answered, at most `max_batch_size` at a time; the others wait.
pub struct Generation<'g> {
    generator: &'g mut Generator,
    config: GenerationConfig,
    pushed: usize,
    waiting: VecDeque<Answering>,
    running: Vec<Answering>,
}

/// A prompt that has not been answered to the end.
struct Answering {
    number: usize,
    sequence: u64,
    asked: Vec<u32>,
    ids: Vec<u32>,
    cache: Cache,
}

impl Answering {
    /// The part of prompt and answer that has gone through the model.
    fn fed(&self) -> [&[u32]; 2] {
        [&self.asked, &self.ids[..self.cache.tokens() - self.asked.len()]]
    }
}

/// Where the beginning of a prompt comes from, with its number of tokens.
#[derive(Clone, Copy)]
enum Source {
    /// It is computed.
    Nothing,
    /// The last prompt before.
    Last(usize),
    /// A prompt that is being answered.
    Running(usize, usize),
    /// A feed of this pass.
    Pass(usize, usize),
}

impl Source {
    fn tokens(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Last(tokens) | Self::Running(_, tokens) | Self::Pass(_, tokens) => tokens,
        }
    }
}

impl<'g> Generation<'g> {
    pub(super) fn new(generator: &'g mut Generator, config: GenerationConfig) -> Self {
        Self { generator, config, pushed: 0, waiting: VecDeque::new(), running: Vec::new() }
    }

    /// Adds a prompt, which gets the next number.
    ///
    /// # Errors
    /// [`ModelError::Generation`] if it is empty, too long, or has a token that the model does not know.
    pub fn push(&mut self, prompt: TokenPrompt) -> Result<(), ModelError> {
        refuse(self.config.problems_of(&prompt, self.pushed, &self.generator.config))?;
        let TokenPrompt { ids: asked, sequence } = prompt;
        let (number, asked) = (self.pushed, asked.to_vec());
        self.waiting.push_back(Answering {
            number,
            sequence,
            asked,
            ids: Vec::new(),
            cache: Cache::default(),
        });
        self.pushed += 1;
        Ok(())
    }

    /// Whether one more prompt would not have to wait.
    pub fn has_room(&self) -> bool {
        self.waiting.len() + self.running.len() < self.config.max_batch_size
    }

    /// Whether every prompt has been answered.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// One token more for every running answer, after waiting prompts have joined while there is room; on a GPU some more,
    /// where none joins. Returns the answers that have ended, with their prompts' numbers. `observe` is that of
    /// [`Generator::generate`].
    ///
    /// # Errors
    /// [`ModelError::NonFiniteLogits`], before any token of this step is observed; the answers that were running are given up.
    pub fn step(
        &mut self,
        observe: &mut dyn FnMut(NewToken) -> ControlFlow<()>,
    ) -> Result<Vec<(usize, Generated)>, ModelError> {
        let admitted = self.admit();
        if self.running.is_empty() && admitted.is_empty() {
            return Ok(Vec::new());
        }
        if admitted.is_empty()
            && let Some(chosen) = self.go_on()
        {
            return Ok(self.take(&chosen, observe));
        }
        let hidden = self.pass(admitted);
        let running = std::mem::take(&mut self.running);
        let chosen = self.choose(&running, &hidden)?;
        self.running = running;
        let chosen: Vec<Vec<u32>> = chosen.into_iter().map(|id| vec![id]).collect();
        Ok(self.take(&chosen, observe))
    }

    /// The next tokens of each running answer, as many of all, where they are found without the host in between.
    fn go_on(&mut self) -> Option<Vec<Vec<u32>>> {
        if !self.takes_the_likeliest(&self.running) {
            return None;
        }
        let room = self.running.iter().map(|answering| self.most(answering) - answering.ids.len()).min()?;
        // No answer has more tokens computed in vain than it has tokens.
        let shortest = self.running.iter().map(|answering| answering.ids.len()).min()?;
        let count = room.min(shortest).min(MOST_STEPS);
        let mut sequences = Vec::with_capacity(self.running.len());
        for Answering { ids, cache, .. } in &mut self.running {
            sequences.push(Continued { last: ids[ids.len() - 1], cache });
        }
        let chosen = self.generator.engine.go_on(&mut sequences, count)?;
        let finite = chosen.iter().map(Vec::len).min()?;
        for answering in &mut self.running {
            answering.cache.truncate(answering.cache.tokens() - (count - finite));
        }
        // A pass says what is not finite.
        (finite > 0).then(|| chosen.into_iter().map(|ids| ids[..finite].to_vec()).collect())
    }

    /// Takes the next tokens of each running answer, as many of all, and returns the answers that have ended.
    fn take(
        &mut self,
        chosen: &[Vec<u32>],
        observe: &mut dyn FnMut(NewToken) -> ControlFlow<()>,
    ) -> Vec<(usize, Generated)> {
        let mut running: Vec<(Answering, Option<Finish>)> =
            std::mem::take(&mut self.running).into_iter().map(|answering| (answering, None)).collect();
        let mut ended = Vec::new();
        for step in 0..chosen[0].len() {
            for ((answering, finish), ids) in running.iter_mut().zip(chosen) {
                if finish.is_none() {
                    *finish = self.next(answering, ids[step], observe);
                    if let Some(finish) = *finish {
                        let ids = std::mem::take(&mut answering.ids);
                        ended.push((answering.number, Generated { ids, finish }));
                    }
                }
            }
        }
        let going = running.into_iter().filter(|(_, finish)| finish.is_none());
        self.running = going.map(|(answering, _)| answering).collect();
        ended
    }

    /// The prompts that join in the next pass, and where their beginnings come from.
    fn admit(&mut self) -> Vec<(Answering, Source)> {
        let (mut admitted, mut rows) = (Vec::new(), 0);
        while self.running.len() + admitted.len() < self.config.max_batch_size {
            let Some(next) = self.waiting.front() else { break };
            let source = self.source(&next.asked, &admitted);
            rows += next.asked.len() - source.tokens();
            if rows > PROMPT_ROWS && !admitted.is_empty() {
                break;
            }
            admitted.extend(self.waiting.pop_front().map(|next| (next, source)));
        }
        admitted
    }

    /// Where most of a prompt's beginning has been computed or is about to be.
    fn source(&self, asked: &[u32], admitted: &[(Answering, Source)]) -> Source {
        // The last token is computed in any case: its row gives the first logits.
        let asked = &asked[..asked.len() - 1];
        let mut best = Source::Nothing;
        let mut offer = |source: Source| {
            if source.tokens() > best.tokens().max(SHARED) {
                best = source;
            }
        };
        offer(Source::Last(common(asked, [&self.generator.last, &[]])));
        for (number, answering) in self.running.iter().enumerate() {
            offer(Source::Running(number, common(asked, answering.fed())));
        }
        for (number, (answering, _)) in admitted.iter().enumerate() {
            offer(Source::Pass(self.running.len() + number, common(asked, [&answering.asked, &[]])));
        }
        best
    }

    /// One pass: the last token of each running answer and the prompts of the admitted ones, which then run as well.
    /// Returns the hidden state of each, `[running, D]`.
    fn pass(&mut self, admitted: Vec<(Answering, Source)>) -> Hidden {
        let Self { generator, running, .. } = self;
        let prefixes: Vec<Cache> = admitted
            .iter()
            .map(|(_, source)| match *source {
                Source::Last(tokens) => generator.cache.prefix(tokens),
                Source::Running(number, tokens) => running[number].cache.prefix(tokens),
                Source::Nothing | Source::Pass(..) => Cache::default(),
            })
            .collect();
        let caches: Vec<Cache> = running.iter_mut().map(|one| std::mem::take(&mut one.cache)).collect();
        let going =
            running.iter().zip(caches).map(|(one, cache)| Feed::new(&one.ids[one.ids.len() - 1..], cache));
        let joining = admitted.iter().zip(prefixes).map(|((one, source), cache)| Feed {
            from: if let Source::Pass(feed, tokens) = *source { Some((feed, tokens)) } else { None },
            ..Feed::new(&one.asked[source.tokens()..], cache)
        });
        let mut feeds: Vec<Feed> = going.chain(joining).collect();
        let hidden = generator.engine.forward(&mut feeds);
        let caches: Vec<Cache> = feeds.into_iter().map(|feed| feed.cache).collect();
        if let (Some((newest, _)), Some(cache)) = (admitted.last(), caches.last()) {
            generator.last.clone_from(&newest.asked);
            generator.cache = cache.clone();
        }
        running.extend(admitted.into_iter().map(|(answering, _)| answering));
        for (answering, cache) in running.iter_mut().zip(caches) {
            answering.cache = cache;
        }
        hidden
    }

    /// The next token of each answer.
    fn choose(&self, running: &[Answering], hidden: &Hidden) -> Result<Vec<u32>, ModelError> {
        let generator = &self.generator;
        if self.takes_the_likeliest(running)
            && let Some(chosen) = generator.engine.likeliest(hidden)
        {
            return Ok(chosen);
        }
        let mut logits = generator.engine.logits(hidden);
        let rows = logits.chunks_mut(generator.config.vocab_size);
        running.iter().zip(rows).map(|(answering, logits)| self.choose_of(answering, logits)).collect()
    }

    /// Whether the next token of each is the likeliest, whichever it is.
    fn takes_the_likeliest(&self, running: &[Answering]) -> bool {
        let GenerationConfig { min_new_tokens, sampling, .. } = &self.config;
        let free = |answering: &Answering| answering.ids.len() >= *min_new_tokens;
        sampling.takes_the_likeliest() && running.iter().all(free)
    }

    /// Tokens that an answer has at most.
    fn most(&self, answering: &Answering) -> usize {
        let room = self.generator.config.context_length() - answering.asked.len();
        self.config.max_new_tokens.unwrap_or(room)
    }

    /// The next token of an answer, of its logits.
    fn choose_of(&self, answering: &Answering, logits: &mut [f32]) -> Result<u32, ModelError> {
        let GenerationConfig { min_new_tokens, sampling, stop_tokens, seed, .. } = &self.config;
        let Answering { number, sequence, asked, ids, .. } = answering;
        let (prompt, position) = (*number, ids.len());
        if let Some(value) = logits.iter().find(|value| !value.is_finite()) {
            return Err(ModelError::NonFiniteLogits { prompt, position, value: *value });
        }
        let forbidden = if position < *min_new_tokens { stop_tokens.as_slice() } else { &[] };
        let draw = || Key::new(*seed).named("generate").with(*sequence).with(position as u64).rng().random();
        Ok(sampling.choose(logits, &[asked, ids], forbidden, draw))
    }

    /// Goes on with a token, or says why an answer ends.
    fn next(
        &self,
        answering: &mut Answering,
        id: u32,
        observe: &mut dyn FnMut(NewToken) -> ControlFlow<()>,
    ) -> Option<Finish> {
        let most = self.most(answering);
        let Answering { number, ids, .. } = answering;
        let (prompt, position) = (*number, ids.len());
        if self.config.stop_tokens.contains(&id) {
            return Some(Finish::StopToken(id));
        }
        ids.push(id);
        if observe(NewToken { prompt, position, id }).is_break() {
            return Some(Finish::Observer);
        }
        (ids.len() == most).then_some(Finish::Length)
    }
}

/// The length of the common beginning of `ids` and of two pieces one after the other.
fn common(ids: &[u32], [first, second]: [&[u32]; 2]) -> usize {
    ids.iter().zip(first.iter().chain(second)).take_while(|(one, other)| one == other).count()
}
