//! What others call the columns and keys that are read.

use emotrain_recipe::{ColumnRole, folded};

/// Names that others give these columns, folded; for suggestions.
const OTHER_NAMES: &[(ColumnRole, &[&str])] = &[
    (
        ColumnRole::Dialogue,
        &[
            "dialogue_id",
            "dialog",
            "dialog_id",
            "conversation",
            "conversation_id",
            "conv",
            "conv_id",
            "session",
            "session_id",
            "thread",
            "thread_id",
            "chat_id",
            "scene",
            "scene_id",
        ],
    ),
    (
        ColumnRole::Position,
        &["utterance_id", "turn", "turn_id", "turn_number", "index", "order", "line", "utterance_number"],
    ),
    (
        ColumnRole::Speaker,
        &["who", "name", "role", "author", "user", "from", "character", "speaker_id", "speaker_name"],
    ),
    (
        ColumnRole::Text,
        &[
            "utterance",
            "utt",
            "sentence",
            "content",
            "message",
            "transcript",
            "transcription",
            "body",
            "value",
        ],
    ),
    (
        ColumnRole::Label,
        &["emotion", "emotions", "emotion_label", "sentiment", "class", "target", "category"],
    ),
];

/// What others call this, folded.
pub(super) fn others_of(role: ColumnRole) -> &'static [&'static str] {
    OTHER_NAMES.iter().find(|(other, _)| *other == role).map_or(&[], |(_, names)| *names)
}

/// Whether a key or column of this name may hold labels.
pub(super) fn means_label(name: &str) -> bool {
    others_of(ColumnRole::Label).contains(&folded(name).as_str())
}
