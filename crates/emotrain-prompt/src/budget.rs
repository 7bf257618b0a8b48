//! Fitting a prompt into the token limit: demonstrations are dropped, then context; never the target utterance, labels,
//! knowledge or answer.

use std::fmt;

/// Token counts of a prompt that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptLengths {
    /// Tokens of the prompt without demonstrations and context.
    pub prompt: usize,
    /// Tokens of its knowledge texts.
    pub knowledge: usize,
    /// Tokens reserved for the longest answer.
    pub answer: usize,
    /// The token limit of a sample.
    pub max_seq_length: usize,
}

impl fmt::Display for PromptLengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prompt, knowledge, answer, max_seq_length } = self;
        write!(f, "{prompt} tokens without any history")?;
        if *knowledge > 0 {
            write!(f, ", {knowledge} of them knowledge,")?;
        }
        write!(
            f,
            " and {answer} for the answer are more than \
             train.max_seq_length = {max_seq_length}"
        )
    }
}

/// How much is shown around the target utterance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// Demonstrations.
    pub(crate) demonstrations: usize,
    /// Utterances before it.
    pub(crate) history: usize,
    /// Utterances after it.
    pub(crate) future: usize,
}

impl Window {
    pub(crate) fn len(self) -> usize {
        self.demonstrations + self.history + self.future
    }

    /// The window without `count` items: the least similar demonstrations are dropped first, then the most distant
    /// later utterances, then the oldest.
    pub(crate) fn without(self, count: usize) -> Self {
        let examples = count.min(self.demonstrations);
        let later = (count - examples).min(self.future);
        Self {
            demonstrations: self.demonstrations - examples,
            future: self.future - later,
            history: self.history.saturating_sub(count - examples - later),
        }
    }
}

/// A result with as few items dropped as possible.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fitted<T> {
    pub(crate) made: T,
    pub(crate) window: Window,
}

/// Drops as few items as possible: `attempt` returns `None` for a window that is too long. A narrower window is never
/// longer, so a binary search works. `None` if even the empty window is too long.
pub(crate) fn fit<T, E>(
    window: Window,
    mut attempt: impl FnMut(Window) -> Result<Option<T>, E>,
) -> Result<Option<Fitted<T>>, E> {
    if let Some(made) = attempt(window)? {
        return Ok(Some(Fitted { made, window }));
    }
    let (mut too_few, mut enough) = (0, window.len());
    if enough == 0 {
        return Ok(None);
    }
    let narrowest = window.without(enough);
    let Some(mut made) = attempt(narrowest)? else { return Ok(None) };
    while enough - too_few > 1 {
        let middle = too_few + (enough - too_few) / 2;
        match attempt(window.without(middle))? {
            Some(better) => (made, enough) = (better, middle),
            None => too_few = middle,
        }
    }
    Ok(Some(Fitted { made, window: window.without(enough) }))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn demonstrations_go_first_and_later_utterances_before_earlier_ones() {
        let window = Window { demonstrations: 2, history: 2, future: 1 };
        let order: Vec<_> = (0..=6).map(|count| window.without(count)).collect();
        let expected = [(2, 2, 1), (1, 2, 1), (0, 2, 1), (0, 2, 0), (0, 1, 0), (0, 0, 0), (0, 0, 0)];
        let window = |(demonstrations, history, future)| Window { demonstrations, history, future };
        assert_eq!(order, expected.map(window));
    }

    proptest! {
        #[test]
        fn the_widest_window_that_fits_is_found(
            history in 0_usize..40, future in 0_usize..5, room in 0_usize..400, length in 1_usize..20,
            demonstrations in 0_usize..5,
        ) {
            let window = Window { demonstrations, history, future };
            let attempt = |window: Window| {
                let tokens = 10 + window.len() * length;
                Ok::<_, Infallible>((tokens <= room).then_some(tokens))
            };
            let found = fit(window, attempt).unwrap().map(|fitted| (fitted.window, fitted.made));
            let expected = (0..=window.len())
                .map(|count| window.without(count))
                .find_map(|window| Some((window, attempt(window).unwrap()?)));
            prop_assert_eq!(found, expected);
        }
    }
}
