//! Which encoder is meant, and where it is.

use std::path::{Path, PathBuf};

use emotrain_base::Complaint;
use emotrain_model::device::{self, OpenDevice};
use emotrain_recipe::{DeviceChoice, Dtype, RetrievalSection};
use emotrain_retrieval::{Bank, Embedder, VectorsRecord, encoder_name, same_encoder};

use super::TextEncoder;
use crate::error::HubError;
use crate::hub::{Hub, Wanted};

/// The branch of a repository on the hub.
const REVISION: &str = "main";

/// The encoder to search a bank with: by name; with "auto" the one that made the bank's vectors, if it is at hand
/// without a network; `None` for words in common. Says why an encoder of "auto" is not used.
///
/// # Errors
/// A named encoder that is not there; an encoder that is there but damaged, or not computed here; a device that
/// is unavailable.
pub fn encoder_for_bank(
    bank: &Bank,
    wanted: &str,
    device: &DeviceChoice,
    hub: Hub<'_>,
) -> Result<Option<TextEncoder>, HubError> {
    let record = bank.manifest().vectors.as_ref();
    match (wanted, record) {
        (RetrievalSection::LEXICAL, _) | (RetrievalSection::AUTO, None) => Ok(None),
        (RetrievalSection::AUTO, Some(record)) => match own(record, device, hub)? {
            Own::Found(encoder) => Ok(Some(*encoder)),
            Own::Missing(why) => {
                hub.listener().say(&format!(
                    "{}: {why}; words in common are compared instead of its vectors",
                    bank.folder().display()
                ));
                Ok(None)
            }
        },
        (name, _) => open(name, device, hub).map(Some),
    }
}

/// The encoder that gives the texts of a bank their vectors: by name; with "auto" the one that made those it has;
/// `None` for no vectors. `bank` is what is there already.
///
/// # Errors
/// As [`encoder_for_bank`], and a bank whose vectors could not be added to.
pub fn encoder_for_new_vectors(
    bank: Option<&Bank>,
    wanted: &str,
    hub: Hub<'_>,
) -> Result<Option<TextEncoder>, HubError> {
    let device = &DeviceChoice::Auto;
    match (wanted, bank.and_then(|bank| Some((bank, bank.manifest().vectors.as_ref()?)))) {
        (RetrievalSection::LEXICAL, _) | (RetrievalSection::AUTO, None) => Ok(None),
        (RetrievalSection::AUTO, Some((bank, record))) => match own(record, device, hub)? {
            Own::Found(encoder) => Ok(Some(*encoder)),
            Own::Missing(why) => {
                let message = format!("{}: {why}, so new texts cannot get vectors", bank.folder().display());
                let hint =
                    "say where it is with --encoder PATH, or build without vectors with --encoder lexical";
                Err(Complaint::input(message).hint(hint).into())
            }
        },
        (name, _) => open(name, device, hub).map(Some),
    }
}

/// A bank's own encoder, or why it is unavailable.
enum Own {
    Found(Box<TextEncoder>),
    Missing(String),
}

/// Looks for the encoder that made vectors, on this machine alone.
fn own(record: &VectorsRecord, device: &DeviceChoice, hub: Hub<'_>) -> Result<Own, HubError> {
    let name = encoder_name(&record.encoder);
    let missing = |what: &str| Own::Missing(format!("its encoder {name} {what}"));
    let path = Path::new(name);
    let folder =
        if path.exists() { Some(path.to_path_buf()) } else { hub.cached(name, REVISION, Wanted::Encoder) };
    let Some(folder) = folder else { return Ok(missing("is not at hand")) };
    let encoder = opened(name, &folder, device::open(device, Dtype::Float32)?, hub)?;
    if same_encoder(&record.encoder, &encoder.identity()) {
        return Ok(Own::Found(Box::new(encoder)));
    }
    Ok(missing("is another by now"))
}

/// A named encoder: a folder, or a name on the hub, which is fetched if it is not in the cache.
fn open(name: &str, device: &DeviceChoice, hub: Hub<'_>) -> Result<TextEncoder, HubError> {
    let on = device::open(device, Dtype::Float32)?;
    if Path::new(name).exists() {
        // A bank may be searched from anywhere.
        let whole = fs_err::canonicalize(name).unwrap_or_else(|_| PathBuf::from(name));
        return opened(&whole.display().to_string(), &whole, on, hub);
    }
    let folder = hub.folder(name, REVISION, Wanted::Encoder)?;
    opened(name, &folder, on, hub)
}

fn opened(name: &str, folder: &Path, on: OpenDevice, hub: Hub<'_>) -> Result<TextEncoder, HubError> {
    let encoder = TextEncoder::open(name, folder, on)?;
    encoder.warnings().iter().for_each(|warning| hub.listener().warn(warning));
    Ok(encoder)
}
