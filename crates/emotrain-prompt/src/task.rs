//! The questions that samples ask about utterances.

use emotrain_data::Dialogue;

/// What a sample asks about an utterance.
///
/// The auxiliary questions are those of Lei 2023 (arXiv 2309.11911); only training asks them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// The speaker's emotion.
    #[default]
    Emotion,
    /// Who the speaker is, who is not shown.
    SpeakerIdentification,
    /// The next speaker's emotion, before the utterance, which is not shown.
    EmotionImpact,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Emotion, Self::SpeakerIdentification, Self::EmotionImpact];

    /// The auxiliary questions that training may ask.
    pub const AUXILIARY: [Self; 2] = [Self::SpeakerIdentification, Self::EmotionImpact];

    /// The name; for an auxiliary question, that of its key in a recipe.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Emotion => "emotion",
            Self::SpeakerIdentification => "speaker_identification",
            Self::EmotionImpact => "emotion_impact",
        }
    }

    /// Whether the question applies, with an answer, to the utterance at `position`: who the speaker is needs several
    /// speakers to choose from, and the effect of somebody's words needs another speaker.
    pub fn suits(self, dialogue: &Dialogue, position: usize) -> bool {
        let Some(utterance) = dialogue.utterances.get(position) else { return false };
        match self {
            Self::Emotion => true,
            Self::SpeakerIdentification => !utterance.speaker.is_empty() && dialogue.speakers().len() > 1,
            Self::EmotionImpact => {
                let before = position.checked_sub(1).map(|before| &dialogue.utterances[before].speaker);
                before.is_some_and(|before| *before != utterance.speaker) && utterance.label.is_some()
            }
        }
    }

    /// The number of preceding utterances that the question needs.
    pub(crate) const fn least_history(self) -> usize {
        match self {
            Self::Emotion | Self::SpeakerIdentification => 0,
            Self::EmotionImpact => 1,
        }
    }
}
