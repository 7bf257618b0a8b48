//! The prompt contract of an export beside that of the run.

use emotrain_hub::Trained;
use emotrain_prompt::{PromptContract, PromptError};
use serde::Serialize;

use crate::error::VerifyError;

/// The export's prompt contract, compared with the run's.
#[derive(Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum Contract {
    Equal,
    Missing,
    Different { differences: Vec<String> },
}

impl Contract {
    /// Compares what files next to both say; `own` is what the export's tokenizer makes of the prompts.
    pub(crate) fn compare(
        run: &Trained,
        export: &Trained,
        own: Option<&PromptContract>,
    ) -> Result<Self, VerifyError> {
        let Some(run) = run.contract()? else { return Ok(Self::Missing) };
        let stated = export.contract()?;
        let mut found = differences(&run, stated.as_ref())?;
        let made = differences(&run, own)?.into_iter();
        found.extend(made.map(|one| format!("with the export's tokenizer {one}")));
        Ok(match (found.is_empty(), stated) {
            (false, _) => Self::Different { differences: found },
            (true, None) => Self::Missing,
            (true, Some(_)) => Self::Equal,
        })
    }
}

fn differences(run: &PromptContract, other: Option<&PromptContract>) -> Result<Vec<String>, PromptError> {
    match other.map_or(Ok(()), |other| run.check(other)) {
        Ok(()) => Ok(Vec::new()),
        Err(PromptError::ContractMismatch(differences)) => Ok(differences),
        Err(error) => Err(error),
    }
}
