//! What a comparison comes to, for people and for machines.

use std::path::Path;

use emotrain_base::Complaint;
use emotrain_eval::{Agreement, AgreementLimits, Finding};
use emotrain_hub::Trained;
use emotrain_prompt::{PromptContract, PromptError};
use serde::Serialize;
use serde_json::json;

use crate::exit::Exit;
use crate::printer::Printer;

/// The export's prompt contract, compared with the run's.
#[derive(Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum Contract {
    Equal,
    Missing,
    Different { differences: Vec<String> },
}

impl Contract {
    /// Compares what files next to both say; `own` is what the export's tokenizer makes of the prompts.
    pub(super) fn compare(
        run: &Trained,
        export: &Trained,
        own: Option<&PromptContract>,
    ) -> anyhow::Result<Self> {
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

/// Bits of significand of codes of eight bits.
const EIGHT_BITS: i32 = 6;

/// Utterances with the same label, of weights in codes of fewer bits.
const SAME_LABELS: f64 = 0.9;

/// The limits for weights that are stored in this many bits of significand. Codes of fewer than eight bits change
/// log-probabilities by amounts that limit little: there the labels count.
pub(super) fn limits(tolerance: f64, bits: i32) -> AgreementLimits {
    let limits = AgreementLimits::new(tolerance, bits);
    if bits < EIGHT_BITS { AgreementLimits { same_labels: SAME_LABELS, ..limits } } else { limits }
}

/// The result of the command.
pub(super) struct Verdict<'a> {
    pub(super) folder: &'a Path,
    pub(super) contract: Contract,
    pub(super) agreement: Agreement,
}

impl Verdict<'_> {
    /// Prints it.
    ///
    /// # Errors
    /// An export that does not agree: what is wrong, and what to do.
    pub(super) fn tell(&self, as_json: bool, printer: &Printer) -> anyhow::Result<Exit> {
        let Self { contract, agreement, .. } = self;
        let complaint = self.complaint();
        if as_json {
            let passed = complaint.is_none();
            let result = json!({"passed": passed, "prompt_contract": contract, "answers": agreement});
            printer.result(format!("{result:#}"))?;
        } else {
            let contract = match contract {
                Contract::Equal => "equal".to_owned(),
                Contract::Missing => "missing".to_owned(),
                Contract::Different { differences } => differences.join("; "),
            };
            printer.result(format!("{}\n\nprompt contract: {contract}", agreement.table()))?;
        }
        if matches!(contract, Contract::Missing) {
            printer
                .warn("there is no prompt_contract.json to compare: prompts may differ from the training's");
        }
        if let Some(complaint) = complaint {
            return Err(complaint.into());
        }
        if agreement.proves_little() {
            printer.warn(
                "the base without the training is within the tolerance, too: the training has changed little, \
or the tolerance is too large",
            );
        }
        printer.say("the export answers as the run");
        Ok(Exit::Done)
    }

    fn complaint(&self) -> Option<Complaint> {
        let folder = self.folder.display();
        let Agreement { finding, to_run, utterances, .. } = &self.agreement;
        match (finding, &self.contract) {
            (Finding::AsBase, _) => Some(
                Complaint::input(format!("{folder}: the export answers as the base without the adapter")).hint(
                    "its lora_B tensors may be zero, or the model may be the base itself: export the run again",
                ),
            ),
            (Finding::Differs, _) => Some(
                Complaint::input(format!(
                    "{folder}: the export answers otherwise than the run: log-probabilities differ by up to {:.1e}, {} \
of {utterances} labels are the same",
                    to_run.log_probs.map_or(f64::NAN, |apart| apart.largest), to_run.same_labels
                ))
                .hint("it is of another run or step, was merged onto another base, or its weights were changed: export the run again"),
            ),
            (Finding::Agrees, Contract::Different { .. }) => Some(
                Complaint::input(format!("{folder}: its prompt contract is not that of the run"))
                    .hint("a server would be given other prompts than the training's: copy prompt_contract.json from the run, tokenizer and chat template from its base"),
            ),
            (Finding::Agrees, Contract::Equal | Contract::Missing) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use emotrain_model::FloatType;

    use super::*;

    #[test]
    fn codes_of_few_bits_are_judged_by_their_labels() {
        let said = [FloatType::F32.significand_bits(), FloatType::Bf16.significand_bits(), EIGHT_BITS, 2]
            .map(|bits| {
                let AgreementLimits { tolerance, same_labels } = limits(1e-3, bits);
                format!("{tolerance} {same_labels}")
            });
        assert_eq!(said, ["0.001 1", "0.1 0.99", "0.4 0.99", "6.4 0.9"]);
    }
}
