//! `[auxiliary]`: auxiliary questions of the training.

use std::path::PathBuf;

use crate::blank;
use crate::key::Kind;

section! {
    /// `[auxiliary]`: auxiliary questions of the training (Lei 2023, arXiv 2309.11911).
    AuxiliarySection = "auxiliary" {
        /// The fraction of the trained utterances about which training asks who the speaker is, in [0, 1].
        speaker_identification: f64 = Kind::SHARE;
        /// The fraction of them about which training asks, before the utterance, what its speaker will feel, in [0, 1].
        emotion_impact: f64 = Kind::SHARE;
        /// A user's template for the first question; `None` = the built-in one.
        #[serde(with = "blank::path")]
        speaker_identification_template: Option<PathBuf> = Kind::InputPath;
        /// A user's template for the second question; `None` = the built-in one.
        #[serde(with = "blank::path")]
        emotion_impact_template: Option<PathBuf> = Kind::InputPath;
    }
}
