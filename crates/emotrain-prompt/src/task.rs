//! The questions that samples put about utterances.

use emotrain_data::Dialogue;

/// What a sample asks about an utterance.
///
/// The auxiliary questions are those of Lei 2023 (arXiv 2309.11911); training alone puts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// What its speaker feels in saying it.
    #[default]
    Emotion,
    /// Who said it; its speaker is not shown.
    SpeakerIdentification,
    /// What its speaker will feel, before it is said: it is not shown.
    EmotionImpact,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Emotion, Self::SpeakerIdentification, Self::EmotionImpact];

    /// The questions that training may put besides those about emotions.
    pub const AUXILIARY: [Self; 2] = [Self::SpeakerIdentification, Self::EmotionImpact];

    /// The name, which for an auxiliary question is that of its key in a recipe.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Emotion => "emotion",
            Self::SpeakerIdentification => "speaker_identification",
            Self::EmotionImpact => "emotion_impact",
        }
    }

    /// Whether the question can be put, with an answer, about the utterance at `position`: who spoke needs several
    /// speakers to choose from, and what somebody's words do to another needs another.
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

    /// Utterances before the one in question without which there is nothing to ask.
    pub(crate) const fn least_history(self) -> usize {
        match self {
            Self::Emotion | Self::SpeakerIdentification => 0,
            Self::EmotionImpact => 1,
        }
    }
}
