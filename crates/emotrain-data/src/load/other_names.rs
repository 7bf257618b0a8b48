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
        &[
            "utterance_id",
            "turn",
            "turn_id",
            "turn_number",
            "turn_index",
            "turn_idx",
            "turn_no",
            "utterance_number",
            "utterance_index",
            "utterance_idx",
            "utterance_no",
            "utt_id",
            "utt_no",
            "utt_idx",
            "index",
            "idx",
            "order",
            "seq",
            "sequence",
            "step",
            "line",
        ],
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
            "said",
            "value",
        ],
    ),
    (
        ColumnRole::Label,
        &[
            "emotion",
            "emotions",
            "emotion_label",
            "sentiment",
            "class",
            "target",
            "category",
            "mood",
            "feeling",
        ],
    ),
];

/// Words of names that say what a column holds where no name is known: `gold_emotion`, `Sentiment Tag`, `Sprecher`.
const WORDS: &[(ColumnRole, &[&str])] = &[
    (
        ColumnRole::Speaker,
        &[
            "speaker",
            "author",
            "sender",
            "character",
            "sprecher",
            "sprecherin",
            "absender",
            "autor",
            "locuteur",
            "hablante",
        ],
    ),
    (
        ColumnRole::Text,
        &[
            "text",
            "utterance",
            "message",
            "msg",
            "transcript",
            "nachricht",
            "äußerung",
            "texte",
            "texto",
            "mensaje",
        ],
    ),
    (
        ColumnRole::Label,
        &[
            "emotion",
            "emotions",
            "label",
            "labels",
            "sentiment",
            "mood",
            "feeling",
            "affect",
            "gefühl",
            "gefuehl",
            "stimmung",
            "émotion",
            "humeur",
            "emoción",
            "emocion",
            "sentimiento",
        ],
    ),
];

/// Whether a word of the name says that this is there.
pub(super) fn says(role: ColumnRole, name: &str) -> bool {
    let name = folded(name);
    let words = WORDS.iter().find(|(other, _)| *other == role).map_or(&[][..], |(_, words)| *words);
    // What counts, measures or numbers is something else.
    let has = |words: &[&str]| name.split('_').any(|word| words.contains(&word));
    has(words)
        && !has(&MEASURES)
        && !has(&["id", "no", "nr", "time", "date", "at", "ts", "score", "confidence"])
}

/// What others call this, folded.
pub(super) fn others_of(role: ColumnRole) -> &'static [&'static str] {
    OTHER_NAMES.iter().find(|(other, _)| *other == role).map_or(&[], |(_, names)| *names)
}

/// Whether a key or column of this name may hold labels.
pub(super) fn means_label(name: &str) -> bool {
    others_of(ColumnRole::Label).contains(&folded(name).as_str())
}

/// Words of names that tell conversations apart.
const CONVERSATIONS: [&str; 28] = [
    "dialogue",
    "dialog",
    "conversation",
    "conv",
    "session",
    "thread",
    "chat",
    "scene",
    "ticket",
    "case",
    "call",
    "room",
    "episode",
    "meeting",
    "interview",
    "interaction",
    "issue",
    "incident",
    "request",
    "contact",
    "discussion",
    "transcript",
    "recording",
    "video",
    "clip",
    "story",
    "group",
    "document",
];

/// Whether a column of this name may tell the dialogues apart: `ticket`, `call_id`, `Case No`.
pub(super) fn means_dialogue(name: &str) -> bool {
    let name = folded(name);
    name.split('_').any(|word| CONVERSATIONS.contains(&word))
}

/// Words of names that number utterances.
const NUMBERING: [&str; 18] = [
    "position",
    "pos",
    "order",
    "ord",
    "index",
    "idx",
    "seq",
    "sequence",
    "turn",
    "step",
    "line",
    "row",
    "no",
    "nr",
    "num",
    "number",
    "utt",
    "utterance",
];

/// Words of names that measure them instead.
const MEASURES: [&str; 8] = ["length", "len", "count", "total", "words", "chars", "tokens", "duration"];

/// Whether a column of this name may number the utterances of a dialogue: `turn_idx`, `Msg No`, `turnIndex`.
pub(super) fn means_position(name: &str) -> bool {
    let name = folded(name);
    let has = |words: &[&str]| name.split('_').any(|word| words.contains(&word));
    let is_joined = ["turn", "index", "idx", "order", "seq"].iter().any(|word| name.contains(word));
    (is_joined || has(&NUMBERING)) && !has(&MEASURES)
}
