//! A key of a recipe and its valid values.

use std::ops::Bound::{self, Excluded, Included};

/// A key within a section.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Every recipe must set it: the default is blank.
    pub(crate) required: bool,
}

impl Key {
    /// A key that a recipe need not set.
    pub(crate) const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, required: false }
    }

    /// The same key, which every recipe must set.
    pub(crate) const fn required(self) -> Self {
        Self { required: true, ..self }
    }
}

/// The valid values of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Switch,
    /// An integer, at least the first and at most the second.
    Count(i64, i64),
    /// An integer from 0 to the limit, or a number with a decimal point above 0 and at most 1.
    CountOrShare(i64),
    /// A number between the bounds.
    Number(Bound<f64>, Bound<f64>),
    /// Any text.
    Text,
    /// A path relative to the recipe's folder; `""` = none.
    InputPath,
    /// A path relative to the current directory; `""` = the default place, or none.
    OutputPath,
    /// A Hub id, or a path relative to the recipe's folder.
    Model,
    /// One of these words, or the path of a `.toml` file relative to the recipe's folder.
    WordOrFile(&'static [&'static str]),
    /// One of these words, or a path relative to the recipe's folder; `""` = the first word.
    WordOrPath(&'static [&'static str]),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A device name.
    Device,
    /// Any texts.
    Texts,
    /// Up to three numbers between 0 and 1.
    Shares,
    /// Some of these words, each at most once.
    Choices(&'static [&'static str]),
    /// The one word, or some of the others.
    WordOrChoices(&'static str, &'static [&'static str]),
    /// The one word, or any texts.
    WordOrTexts(&'static str),
    /// `true`, or the name of a start.
    LoraInit,
    /// Texts by text.
    TextTable,
    /// Texts by some of these words.
    TextsBy(&'static [&'static str]),
    /// Integers, each at least the first and at most the second, by text.
    CountTable(i64, i64),
    /// Numbers above 0 and at most this, by text.
    NumberTable(f64),
    /// Integers from 0 to the limit, each at most once.
    Counts(i64),
    /// One of these words, or numbers above 0 by text.
    WordOrNumbers(&'static [&'static str]),
}

/// The upper limit of counts that are not stored: steps, samples, questions.
pub(crate) const MOST: i64 = 1_000_000_000;

impl Kind {
    pub(crate) const SHARE: Self = Self::Number(Included(0.0), Included(1.0));
    pub(crate) const SHARE_BELOW_ONE: Self = Self::Number(Included(0.0), Excluded(1.0));
    pub(crate) const SHARE_ABOVE_ZERO: Self = Self::Number(Excluded(0.0), Included(1.0));

    /// From 0, which means "none" or "all", or that another key decides.
    pub(crate) const fn up_to(most: i64) -> Self {
        Self::Count(0, most)
    }

    /// At least one.
    pub(crate) const fn one_to(most: i64) -> Self {
        Self::Count(1, most)
    }

    /// Whether every value of this kind is text.
    pub(crate) fn holds_text(self) -> bool {
        match self {
            Self::Text
            | Self::InputPath
            | Self::OutputPath
            | Self::Model
            | Self::WordOrFile(_)
            | Self::WordOrPath(_)
            | Self::Choice(_)
            | Self::Device => true,
            Self::Switch
            | Self::Count(..)
            | Self::CountOrShare(_)
            | Self::Number(..)
            | Self::Texts
            | Self::Shares
            | Self::Choices(_)
            | Self::WordOrChoices(..)
            | Self::WordOrTexts(_)
            | Self::LoraInit
            | Self::TextTable
            | Self::CountTable(..)
            | Self::NumberTable(_)
            | Self::Counts(_)
            | Self::TextsBy(_)
            | Self::WordOrNumbers(_) => false,
        }
    }
}
