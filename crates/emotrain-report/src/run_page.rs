//! The report of a run.

use emotrain_base::Complaint;

use crate::answers::Answers;
use crate::block::Section;
use crate::error::ReportError;
use crate::facts::RunFacts;
use crate::page::{Page, render};
use crate::text::moment;
use crate::{
    confusion, curves, data, errors, groups, labels, provenance, recipe_changes, reliability, scores,
};

/// The report of a run as one HTML file that needs nothing else.
///
/// # Errors
/// A run without scores of the split; predictions with labels that its report does not have; a recipe that is damaged.
pub fn run_page(facts: &RunFacts) -> Result<String, ReportError> {
    let (record, split) = (&facts.run.record, facts.split.as_str());
    let results = facts.run.report.iter();
    let after = results.clone().flat_map(|report| &report.after).find(|result| result.split == split);
    let before = results.flat_map(|report| &report.before).find(|result| result.split == split);
    let Some((result, report)) = after.and_then(|result| Some((result, result.report.as_ref()?))) else {
        let folder = facts.run.folder.display();
        return Err(Complaint::input(format!("{folder}: the run has no scores of {split}")).into());
    };
    let names: Vec<String> = report.labels.iter().map(|row| row.label.clone()).collect();
    let answers = Answers::of(&facts.predictions, &names)?;
    facts.run.check_scored(facts.split, &facts.predictions)?;
    let intervals = answers.scores()?;
    let (reliability, calibration) = reliability::section(&answers)?;
    let of_before = before.and_then(|before| before.report.as_ref());
    let best = record.training.as_ref().and_then(|training| training.best);
    let sections: Vec<Section> = vec![
        scores::section(result, before, &intervals, calibration.as_ref()),
        curves::section(&facts.metrics, best)?,
        confusion::section(report)?,
        labels::section(report, of_before, &intervals)?,
        groups::section(facts, &answers)?,
        reliability,
        errors::section(facts, &answers),
        data::section(facts, result.context.as_ref(), &names),
        recipe_changes::section(facts.recipe.as_ref(), &facts.against),
        provenance::section(&facts.run),
    ];
    render(&Page {
        title: format!("Run {}", record.recipe.name),
        lead: format!(
            "Base model {}, seed {}, begun {}. What is shown is the {split} split.",
            record.model.name,
            record.seed,
            moment(record.begun_unix_s)
        ),
        notes: facts.missing.clone(),
        sections,
    })
}
