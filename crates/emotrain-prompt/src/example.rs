//! An example conversation, for everything that needs one before there is data.

use emotrain_data::{Dialogue, Label, Utterance};

/// The target utterance, with others before and after it.
pub(crate) const POSITION: usize = 3;

/// Five utterances by two speakers; the one at [`POSITION`] carries the first label of any set.
pub(crate) fn dialogue() -> Dialogue {
    let lines = [
        ("Mira", "Did you see the letter on the table?"),
        ("Jonas", "Not yet. Is it from the school?"),
        ("Mira", "It is. Read the second line, slowly."),
        ("Jonas", "They took me? After 14 months… they really took me!"),
        ("Mira", "I'll put the kettle on."),
    ];
    let utterance = |(position, (speaker, text)): (usize, (&str, &str))| {
        Utterance::new(
            speaker.to_owned(),
            text.to_owned(),
            (position == POSITION).then_some(Label::from_index(0)),
        )
    };
    Dialogue::new("example".to_owned(), lines.into_iter().enumerate().map(utterance).collect())
}

/// A text for each of these sources.
pub(crate) fn knowledge(sources: &[String]) -> Vec<String> {
    sources.iter().map(|name| format!("(what {name} has to say)")).collect()
}
