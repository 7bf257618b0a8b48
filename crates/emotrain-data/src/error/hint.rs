//! Whose fault a problem is, hints for fixing it, and whether the file may be of another format.

use emotrain_base::{Advice, Fault, Problems};

use super::unknown_labels::ways_out;
use super::{DataError, DataProblem};

impl DataError {
    /// The fix, if there is one to suggest.
    pub fn hint(&self) -> Option<String> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others have a hint without particulars, or none")]
        match &*self.problem {
            DataProblem::MissingColumn { nearest: Some(name), .. } => {
                Some(format!("did you mean \"{name}\"?"))
            }
            DataProblem::UnknownLabel { nearest, known, label } => Some(match nearest {
                Some(name) => ways_out(&format!("\"{name}\""), &[(label.as_str(), name.as_str())], &[], known),
                None => ways_out("", &[], &[label.as_str()], known),
            }),
            DataProblem::OtherRows(rows) => Some(rows.hint().to_owned()),
            DataProblem::BothKeys { keys: [one, other], .. } => {
                Some(format!("they say the same: leave out `{one}` or `{other}`"))
            }
            DataProblem::NoContent { key, .. } => {
                let list = if *key == "value" { "conversations" } else { "messages" };
                Some(format!("leave such messages out: jq -c '.{list} |= map(select(.{key} != null))' FILE"))
            }
            DataProblem::JsonSlip(slip) => Some(slip.hint().to_owned()),
            DataProblem::WrongValue(value) => Some(value.hint()),
            DataProblem::UnknownKey { near, .. } => Some(format!("did you mean `{near}`?")),
            DataProblem::NoLabels { instead: Some(key), .. } => {
                Some(format!("write columns = {{ label = {key:?} }} under [data]"))
            }
            DataProblem::MissingKey { role, .. } => {
                Some(format!("columns = {{ {role} = \"…\" }} under [data] names the key that has it"))
            }
            DataProblem::MissingColumns(columns) => Some(columns.hint()),
            DataProblem::UnknownLabels(labels) => Some(labels.hint()),
            DataProblem::Write(error) => error.hint().map(str::to_owned),
            DataProblem::StandIn(stand_in) => Some(stand_in.hint().to_owned()),
            DataProblem::OtherKind(kind) => Some(kind.hint.to_owned()),
            DataProblem::OtherFormat { format, .. } => Some(format!("write data.format = \"{format}\"")),
            DataProblem::OtherSeparator(separator) => Some(format!(
                "write it with commas: python3 -c \"import csv, sys; csv.writer(sys.stdout).writerows(csv.reader(\
                 sys.stdin, delimiter='{separator}'))\" < FILE > commas.csv"
            )),
            DataProblem::KnowledgeLevel { found, .. } => {
                Some(format!("write level = \"{found}\" under that [[knowledge]]"))
            }
            DataProblem::MissingKnowledge(gap) => Some(match (gap.missing == gap.wanted, gap.extra) {
                (true, 1..) => "the texts are for other data: with {split} in the path each split has its own file",
                _ => "add them, fill them in with emotrain interpret, or write required = false to leave the slot empty",
            }.to_owned()),
            problem => problem.fixed_hint().map(str::to_owned),
        }
    }
}

/// What a command without a recipe calls keys of `[data]`.
#[derive(Clone, Copy, Debug)]
pub struct DataOptions {
    /// The option that says the format, with its dashes; `None` where there is none.
    pub format: Option<&'static str>,
    /// How columns are named.
    pub columns: ColumnsOption,
}

/// How a command without a recipe is told the columns of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnsOption {
    /// `--columns dialogue=conv_id,text=utt`
    Columns,
    /// `--set data.format=csv --set 'data.columns={ dialogue = "conv_id", text = "utt" }'`; the first because columns are
    /// refused where the recipe's own data is no table.
    Set,
}

impl DataError {
    /// The fix where there is no recipe to write it in.
    pub fn hint_without_recipe(&self, options: DataOptions) -> Option<String> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other hints name no keys of a recipe")]
        match &*self.problem {
            DataProblem::NotFound => None,
            DataProblem::OtherFormat { format, .. } => {
                let option = options.format.map(|option| format!("say {option} {format}"));
                option.or_else(|| self.hint())
            }
            DataProblem::MissingColumns(columns) => Some(match options.columns {
                ColumnsOption::Columns => format!("name them: --columns {}", columns.pairs()),
                ColumnsOption::Set => {
                    format!("name them: --set data.format=csv --set 'data.columns={}'", columns.table())
                }
            }),
            DataProblem::NoLabels { instead, keys } if options.columns == ColumnsOption::Columns => {
                let key = instead.as_deref().unwrap_or("…");
                let others = if instead.is_some() || keys.is_empty() {
                    String::new()
                } else {
                    format!("; there are {}", keys.join(", "))
                };
                Some(format!("name the key that has them: --columns label={key}{others}"))
            }
            DataProblem::MissingKey { role, .. } => Some(match options.columns {
                ColumnsOption::Columns => format!("name the key that has it: --columns {role}=…"),
                ColumnsOption::Set => {
                    format!("name the key that has it: --set 'data.columns={{ {role} = \"…\" }}'")
                }
            }),
            DataProblem::UnknownLabel { .. } | DataProblem::UnknownLabels(_)
                if options.columns == ColumnsOption::Columns && options.format.is_none() =>
            {
                let hint = self.hint().unwrap_or_default();
                Some(format!("{hint}\nwrite that in the recipe that is made without --valid and --test"))
            }
            DataProblem::Empty(_) => Some("name a file with at least one".to_owned()),
            DataProblem::EmptyUtterance => {
                Some("leave the utterance out, or write what was heard".to_owned())
            }
            _ => self.hint(),
        }
    }
}

impl Advice for DataError {
    fn fault(&self) -> Fault {
        if matches!(*self.problem, DataProblem::Write(_)) { Fault::Output } else { Fault::Input }
    }

    fn several(&self) -> Option<&Problems> {
        if let DataProblem::Several(problems) = &*self.problem { Some(problems) } else { None }
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}

impl DataProblem {
    fn fixed_hint(&self) -> Option<&'static str> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the message says all there is to say")]
        Some(match self {
            Self::NotFound => "paths in a recipe are relative to the recipe's own folder",
            Self::Empty(_) => "name a file with at least one; data.format says how it is read",
            Self::MissingLabel => {
                "with data.unlabelled = \"context\" such utterances are context and not labelled"
            }
            Self::NoLabels { .. } => "training and evaluation need labels; emotrain predict finds them",
            Self::NotUtf8(_) => {
                "save the file as UTF-8; spreadsheets often write Windows-1252: iconv -f WINDOWS-1252 -t UTF-8"
            }
            Self::JsonList => "write one dialogue or entry a line: jq -c '.[]' FILE",
            Self::JsonOverLines => "write one dialogue or entry a line: jq -c . FILE",
            Self::PythonForm => "write lines with Python's json.dumps",
            Self::NotANumberOfJson(_) => "write null where there is no value",
            Self::OpenQuote(_) => {
                "put the whole cell in quotation marks and write those within it twice, or leave it out"
            }
            Self::SharedDialogue { .. } => {
                "leave it out of one of them, or write data.shared_dialogues = \"report\" if that is how the data set \
                 is published"
            }
            Self::IsFolder => "name the file inside it",
            Self::NotOneDialoguesFile(_) => "give the path of the dialogues file itself",
            Self::NoSpeaker(_) => "add a list `speakers` with one name per sentence",
            Self::NoKnowledgeField { .. } => "name the key in the source's field",
            Self::DuplicateKnowledge { .. } => "keep one of the two",
            Self::NoManifest => "let emotrain interpret come to its end, or name the file itself",
            Self::TooFewDialogues { .. } | Self::PartWithoutLabels(_) => {
                "add dialogues, or leave out data.split and name files in data.valid and data.test"
            }
            Self::ScatteredDialogue { .. } => "sort the file by its dialogues",
            Self::NotStreamed(_) => "give it as \"jsonl\", \"csv\" or \"tsv\"",
            Self::NotAPosition { .. } => {
                "times are read as 2024-05-01 10:01, 2024-05-01T10:01:30Z or 01.05.2024 10:01; without a position rows keep \
                 their order"
            }
            Self::ControlInLabel(_) => "write the label on one line; of several labels write one",
            Self::MixedPositions { .. } => {
                "write all positions of a dialogue as numbers, or all as times, each with its zone or none of them"
            }
            Self::SeparatorLine => "remove that line",
            Self::NoHeader(_) => {
                "write a line with the names of the columns above it, as in dialogue,speaker,text,label"
            }
            Self::LooksLikeNothing => {
                "a table has a header and a column each for the dialogue's id, the text and the label; data.format in \
                 recipes/default.toml lists all formats"
            }
            Self::NoDialoguesInText => {
                "plain text is for language-model training; choose another data.format for dialogues"
            }
            _ => return None,
        })
    }
}

impl DataProblem {
    /// Whether a file of another format may have it.
    pub(crate) fn is_of_form(&self) -> bool {
        matches!(
            self,
            Self::InvalidJson(_)
                | Self::JsonSlip(_)
                | Self::JsonList
                | Self::JsonOverLines
                | Self::OtherRows(_)
                | Self::WrongForm(_)
                | Self::WrongValue(_)
                | Self::BothKeys { .. }
                | Self::MissingKey { .. }
                | Self::UnknownKey { .. }
                | Self::InvalidCsv(_)
                | Self::OpenQuote(_)
                | Self::OtherSeparator(_)
                | Self::MissingColumn { .. }
                | Self::MissingColumns(_)
                | Self::NotADialoguesFile
                | Self::NoEmotionFile(_)
        )
    }
}
