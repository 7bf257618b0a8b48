//! Rows of other programs that are no dialogues.

use std::fmt;

/// What the rows of a file are instead of dialogues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherRows {
    /// A prompt with its answer, as other trainers read them; the form in words.
    Prompts(&'static str),
    /// One utterance each, as JSON.
    Utterances,
    /// A list of utterances each.
    Lists,
    /// A dialogue each, whose list of utterances has a name of its own.
    Turns,
}

impl OtherRows {
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Prompts(_) => {
                "emotrain reads dialogues with one utterance per turn and the label beside it, and writes the prompts \
                 itself; recipes/coming_from.md of the project has a script that makes them of such rows"
            }
            Self::Utterances => {
                "write them as a table: python3 -c \"import csv, json, sys; text = sys.stdin.read().strip(); rows = \
                 json.loads(text) if text[0] == '[' else [json.loads(row) for row in text.splitlines()]; out = \
                 csv.DictWriter(sys.stdout, list(rows[0]), extrasaction='ignore'); out.writeheader(); \
                 out.writerows(rows)\" < FILE > table.csv"
            }
            Self::Turns => {
                "call that list `utterances`; data.columns names the keys of a dialogue and of its utterances"
            }
            Self::Lists => {
                "write one dialogue a line: jq -c 'to_entries[] | {id: .key, utterances: .value}' FILE > dialogues.jsonl"
            }
        }
    }
}

impl fmt::Display for OtherRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prompts(form) => write!(f, "this looks like {form}: each row is a prompt with its answer"),
            Self::Utterances => f.write_str("each row is one utterance, as JSON"),
            Self::Turns => {
                f.write_str("each row seems to be a dialogue, and has neither `utterances` nor `messages`")
            }
            Self::Lists => f.write_str("is a JSON list of lists, not JSON lines"),
        }
    }
}
