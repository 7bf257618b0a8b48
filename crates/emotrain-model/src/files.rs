//! Reading the files of a model: a file that is not what it should be is reported with its path and the fix.

use std::path::{Path, PathBuf};

use emotrain_base::limits;
use emotrain_recipe::StandIn;
use serde::de::DeserializeOwned;

use crate::error::ModelError;

/// Weights in other formats, by the safetensors file in whose place they stand: name, what they are, the way out.
const OTHERS: [(&str, &str, &str, &str); 7] = [
    ("adapter_model.safetensors", "adapter_model.bin", PICKLED, ADAPTER_WAY_OUT),
    ("model.safetensors", "pytorch_model.bin", PICKLED, MODEL_WAY_OUT),
    ("model.safetensors", "pytorch_model.bin.index.json", PICKLED, MODEL_WAY_OUT),
    ("model.safetensors", "consolidated.00.pth", PICKLED, MODEL_WAY_OUT),
    ("model.safetensors", "tf_model.h5", "weights of TensorFlow, which are not read", MODEL_WAY_OUT),
    ("model.safetensors", "flax_model.msgpack", "weights of Flax, which are not read", MODEL_WAY_OUT),
    (
        "model.safetensors",
        "model.onnx",
        "a graph of ONNX, which is not read",
        "download the model's safetensors",
    ),
];

const PICKLED: &str = "pickled tensors, which are not read: such a file can run any program";

const ADAPTER_WAY_OUT: &str =
    "load it in Python with PEFT and save it again: save_pretrained writes safetensors";

const MODEL_WAY_OUT: &str =
    "load it in Python with transformers and save it again: save_pretrained writes safetensors";

/// Whether something has this name, be it a link that leads nowhere.
pub(crate) fn lies_at(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Whether a path has the name of a GGUF file.
pub fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf")) && !path.is_dir()
}

/// Refuses a stand-in for a file (such as a Git LFS pointer), and a missing file.
pub(crate) fn check_present(path: &Path) -> Result<(), ModelError> {
    if let Some(stand_in) = StandIn::at(path) {
        return Err(ModelError::file_with_hint(path, stand_in.message(), stand_in.hint()));
    }
    if path.exists() { Ok(()) } else { Err(missing(path)) }
}

/// The error of a file that is not there.
fn missing(path: &Path) -> ModelError {
    let download = "check the path, or download the folder again";
    other_form_of(path)
        .unwrap_or_else(|| ModelError::file_with_hint(path, "no such file or folder", download))
}

/// The error of a safetensors file that is not there while another form of it is.
pub(crate) fn other_form_of(path: &Path) -> Option<ModelError> {
    let name = path.file_name().unwrap_or_default();
    let mut others = OTHERS.iter().filter(|(safe, ..)| name == *safe);
    let (_, other, what, way_out) = others.find(|(_, other, ..)| lies_at(&path.with_file_name(other)))?;
    let message = format!("holds {what}");
    Some(ModelError::file_with_hint(&path.with_file_name(other), message, *way_out))
}

/// The text of a small file.
pub(crate) fn read_text(path: &Path) -> Result<String, ModelError> {
    check_present(path)?;
    Ok(emotrain_base::read_to_string(path, limits::CONFIG)?)
}

/// The JSON of a file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ModelError> {
    parse_json(&read_text(path)?, path)
}

/// The JSON of a text; `origin` is named in errors.
pub(crate) fn parse_json<T: DeserializeOwned>(text: &str, origin: &Path) -> Result<T, ModelError> {
    // Some editors on Windows begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str(text).map_err(|source| ModelError::Json { path: PathBuf::from(origin), source })
}
