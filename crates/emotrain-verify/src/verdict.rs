//! What a comparison comes to, for people and for machines.

use std::path::Path;

use emotrain_base::Complaint;
use emotrain_eval::{Agreement, AgreementLimits, Finding};
use serde_json::{Value, json};

use crate::contract::Contract;

/// What a comparison comes to.
#[derive(Debug)]
pub struct Verdict {
    /// For people.
    pub text: String,
    /// For machines.
    pub json: Value,
    /// What is remarkable.
    pub warnings: Vec<&'static str>,
    /// The conclusion where all is well; else what is wrong, and what to do.
    pub conclusion: Result<&'static str, Complaint>,
}

/// Bits of significand of codes of eight bits.
const EIGHT_BITS: i32 = 6;

/// Utterances with the same label, of weights in codes of fewer bits.
const SAME_LABELS: f64 = 0.9;

/// The limits for weights that are stored in this many bits of significand. Codes of fewer than eight bits change
/// log-probabilities by amounts that limit little: there the labels count.
pub(crate) fn limits(tolerance: f64, bits: i32) -> AgreementLimits {
    let limits = AgreementLimits::new(tolerance, bits);
    if bits < EIGHT_BITS { AgreementLimits { same_labels: SAME_LABELS, ..limits } } else { limits }
}

/// The verdict on an export.
pub(crate) fn of_export(place: &Path, contract: &Contract, agreement: &Agreement) -> Verdict {
    let complaint = complaint(place, contract, agreement);
    let passed = complaint.is_none();
    let shown = match contract {
        Contract::Equal => "equal".to_owned(),
        Contract::Missing => "missing".to_owned(),
        Contract::Different { differences } => differences.join("; "),
    };
    let missing = matches!(contract, Contract::Missing)
        .then_some("there is no prompt_contract.json to compare: prompts may differ from the training's");
    let little = (passed && agreement.proves_little()).then_some(
        "the base without the training is within the tolerance, too: the training has changed little, or the tolerance \
is too large",
    );
    Verdict {
        text: format!("{}\n\nprompt contract: {shown}", agreement.table()),
        json: json!({"passed": passed, "prompt_contract": contract, "answers": agreement}),
        warnings: missing.into_iter().chain(little).collect(),
        conclusion: complaint.map_or(Ok("the export answers as the run"), Err),
    }
}

fn complaint(place: &Path, contract: &Contract, agreement: &Agreement) -> Option<Complaint> {
    let folder = place.display();
    let Agreement { finding, to_run, utterances, .. } = agreement;
    match (finding, contract) {
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
                .hint("it is of another run or step, was merged onto another base, its weights were changed, or it has so few bits that it answers otherwise: export the run again, or with q8_0 in the place of a type of fewer bits"),
            ),
            (Finding::Agrees, Contract::Different { .. }) => Some(
                Complaint::input(format!("{folder}: its prompt contract is not that of the run"))
                    .hint("a server would be given other prompts than the training's: copy prompt_contract.json from the run, tokenizer and chat template from its base"),
            ),
            (Finding::Agrees, Contract::Equal | Contract::Missing) => None,
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
