//! What makes a line no JSON.

use std::fmt;

/// A frequent reason why a line is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonSlip {
    /// Lines that end as on old Macs, so that the whole file is one.
    CarriageReturns,
    /// `//`, `/*` or `#`.
    Comment,
    /// Before `}` or `]`.
    TrailingComma,
    /// Behind the value.
    CommaBehind,
    /// Several values on one line.
    SeveralValues,
    /// `{id: 1}`
    BareKey,
    /// `“` instead of `"`.
    CurlyQuotes,
    /// A tab within a text, or another character that has to be escaped.
    ControlCharacter,
    /// A row of a table.
    Table,
}

impl JsonSlip {
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::CarriageReturns => "end them with line feeds: tr '\\r' '\\n' < FILE > lines.jsonl",
            Self::Comment => "leave it out, or keep it under a key of its own, as in \"comment\": \"…\"",
            Self::TrailingComma => "leave out the comma before the closing bracket",
            Self::CommaBehind => {
                "leave out the commas between lines: sed -E 's/,[[:space:]]*$//' FILE > lines.jsonl"
            }
            Self::SeveralValues => "write one dialogue or entry a line: jq -c . FILE",
            Self::BareKey => "put keys in quotation marks, as in {\"id\": 1}",
            Self::CurlyQuotes => "write \" instead",
            Self::ControlCharacter => "escape it, as in \\t, or write lines with a JSON library",
            Self::Table => {
                "write its rows as JSON lines: python3 -c \"import csv, json, sys; [print(json.dumps(row)) for row in \
                 csv.DictReader(sys.stdin)]\" < FILE > lines.jsonl"
            }
        }
    }
}

impl fmt::Display for JsonSlip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CarriageReturns => "lines end with carriage returns alone, which JSON lines do not",
            Self::Comment => "a comment, which JSON does not have",
            Self::TrailingComma => "a comma follows the last entry, which JSON does not have",
            Self::CommaBehind => "a comma follows the value, as in a list; JSON lines have none",
            Self::SeveralValues => "several JSON values on one line",
            Self::BareKey => "a key without quotation marks, which JSON does not have",
            Self::CurlyQuotes => "typographic quotation marks, which JSON does not read",
            Self::ControlCharacter => "a text has a control character, such as a tab, that is not escaped",
            Self::Table => "looks like a row of a table, not JSON",
        })
    }
}
