//! Files that an output may take the place of: those that an earlier one of its kind wrote, and never an input.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use emotrain_base::Complaint;
use emotrain_runs::RunRecord;
use serde_json::{Map, Value};

/// So much of a file tells its kind.
const HEAD: u64 = 1 << 20;
/// What the predictions of `eval` are called beside what was trained.
pub(super) const EVAL_PREDICTIONS: &str = "predictions.eval-";

/// What a command writes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Output {
    /// A page of `emotrain report`.
    Report,
    /// A drawing, which has these words in it.
    Drawing(&'static str),
    /// Rows of JSON that have these keys.
    Rows(&'static str, &'static [&'static str]),
    /// A safetensors file that has these tensors.
    Tensors(&'static str, &'static [&'static str]),
    /// Rows whose like people write too: they replace nothing.
    New(&'static str),
}

impl Output {
    pub(super) const PREDICTIONS: Self = Self::Rows("file of predictions", &["id", "label", "truth"]);
    pub(super) const SCORES: Self =
        Self::Rows("file of scores", &["id", "dif", "n_utt", "n_spk", "n_shift_same"]);
    pub(super) const NEIGHBOURS: Self = Self::Rows("file of neighbours", &["id", "neighbours"]);
    pub(super) const GRADIENTS: Self =
        Self::Tensors("file of gradients", &["ids", "completion", "scale", "loss"]);
    pub(super) const HISTOGRAM: Self = Self::Drawing("Curriculum ");

    fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Drawing(_) => "drawing of this command",
            Self::Rows(name, _) | Self::Tensors(name, _) | Self::New(name) => name,
        }
    }

    /// Whether a file that begins so is one.
    fn is(self, head: &[u8]) -> bool {
        let text = || String::from_utf8_lossy(head);
        match self {
            Self::Report => {
                let text = text();
                text.trim_start().starts_with("<!DOCTYPE html>")
                    && text.contains("content=\"emotrain report\"")
            }
            Self::Drawing(words) => text().starts_with("<svg ") && text().contains(words),
            Self::Rows(_, keys) => {
                head.lines().next().and_then(Result::ok).is_some_and(|row| has(row.as_bytes(), keys))
            }
            Self::Tensors(_, names) => {
                let Some((length, rest)) = head.split_first_chunk::<8>() else { return false };
                let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
                rest.get(..length).is_some_and(|header| has(header, names))
            }
            Self::New(_) => false,
        }
    }
}

/// Whether this is a JSON object with these keys.
fn has(text: &[u8], keys: &[&str]) -> bool {
    serde_json::from_slice::<Map<String, Value>>(text)
        .is_ok_and(|object| keys.iter().all(|key| object.contains_key(*key)))
}

/// Refuses to write in the place of an input or of what is no earlier output of the same kind.
///
/// # Errors
/// A file that is one of `inputs`, belongs to a run, or is of another kind.
pub(super) fn check_replaced(path: &Path, output: Output, inputs: &[&Path]) -> Result<(), Complaint> {
    // A pipe would wait for what is written to it.
    if !path.is_file() {
        return Ok(());
    }
    let place = |path: &Path| fs_err::canonicalize(path).ok();
    let refused = |what: &str| {
        let complaint = Complaint::usage(format!("{}: {what}", path.display()));
        Err(complaint.hint("name a file that does not exist yet"))
    };
    if inputs.iter().any(|input| place(input) == place(path)) {
        return refused("is an input of this command");
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = |file: &str| place(path).is_some_and(|path| path.with_file_name(file).is_file());
    if name.starts_with("predictions.") && !name.starts_with(EVAL_PREDICTIONS) && beside(RunRecord::FILE) {
        return refused("belongs to the run in that folder");
    }
    let Ok(file) = fs_err::File::open(path) else { return Ok(()) };
    let mut head = Vec::new();
    let is_read = BufReader::new(file.take(HEAD)).read_to_end(&mut head).is_ok();
    if !is_read || head.trim_ascii().is_empty() || output.is(&head) {
        return Ok(());
    }
    refused(&format!("is there already, and is no {} that this command may replace", output.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with this name and text is replaced, or the words that refuse it.
    fn replaced(name: &str, text: &str, output: Output, inputs: &[&str]) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs_err::write(place(name), text).unwrap();
        let inputs: Vec<_> = inputs.iter().map(|name| place(name)).collect();
        let inputs: Vec<&Path> = inputs.iter().map(std::path::PathBuf::as_path).collect();
        let told = check_replaced(&place(name), output, &inputs).map_err(|error| error.to_string());
        told.map_err(|told| told.rsplit_once(": ").unwrap().1.to_owned())
    }

    #[test]
    fn nothing_but_an_earlier_output_of_the_kind_is_replaced() {
        let page = "<!DOCTYPE html>\n<meta name=\"generator\" content=\"emotrain report\">\n";
        let prediction = "{\"id\":\"d:0\",\"label\":\"joy\",\"truth\":null,\"scores\":{}}\n";
        let score = "{\"id\":\"d\",\"dif\":0.5,\"n_shift_same\":1,\"n_utt\":2,\"n_spk\":1}\n";
        let header = "{\"ids\":{},\"completion\":{},\"scale\":{},\"loss\":{}}";
        let tensors = format!("{}{header}", "\u{2f}\0\0\0\0\0\0\0");
        assert_eq!(header.len(), 0x2f);
        for (output, own) in [
            (Output::Report, page),
            (Output::PREDICTIONS, prediction),
            (Output::SCORES, score),
            (Output::NEIGHBOURS, "{\"id\":\"1\",\"neighbours\":[]}\n"),
            (Output::GRADIENTS, &tensors),
            (Output::HISTOGRAM, "<svg xmlns=\"\">\n<text>Curriculum es: dialogues</text>"),
        ] {
            assert_eq!(replaced("file", own, output, &[]), Ok(()), "{output:?}");
            assert_eq!(replaced("file", " \n", output, &[]), Ok(()), "{output:?}");
            for other in [
                "[model]\nname = \"<!DOCTYPE html>\"\n",
                "<!DOCTYPE html>\n<p>mine</p>",
                "{\"id\":\"d1\",\"utterances\":[]}\n",
                "{\"id\":\"d1\",\"dif\":1}\n",
                "<svg><text>a drawing</text></svg>",
                "\u{10}\0\0\0\0\0\0\0{\"a\":{\"dtype\":1}}",
                "\u{ff}\u{ff}",
            ] {
                let told = replaced("file", other, output, &[]).unwrap_err();
                assert!(told.starts_with("is there already, and is no "), "{output:?} {other} {told}");
            }
        }
        assert!(replaced("file", prediction, Output::New("file of demonstrations"), &[]).is_err());
    }

    #[test]
    fn an_input_and_what_belongs_to_a_run_are_not_replaced() {
        let row = "{\"id\":\"d:0\",\"label\":\"joy\",\"truth\":null}\n";
        let told = replaced("in.jsonl", row, Output::PREDICTIONS, &["other", "in.jsonl"]);
        assert_eq!(told, Err("is an input of this command".to_owned()));
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join(RunRecord::FILE), "{}").unwrap();
        for (name, is_refused) in [("predictions.test.jsonl", true), ("predictions.eval-test.jsonl", false)] {
            fs_err::write(folder.path().join(name), row).unwrap();
            let told = check_replaced(&folder.path().join(name), Output::PREDICTIONS, &[]);
            assert_eq!(told.is_err(), is_refused, "{name}");
        }
    }

    #[test]
    fn devices_and_folders_are_left_to_who_writes() {
        let folder = tempfile::tempdir().unwrap();
        for path in [Path::new("/dev/null"), folder.path(), Path::new("missing")] {
            assert!(check_replaced(path, Output::Report, &[]).is_ok());
        }
    }
}
