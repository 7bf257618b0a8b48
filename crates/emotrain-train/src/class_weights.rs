//! What the loss of a sample is multiplied by.

use std::collections::BTreeMap;

use emotrain_base::{Complaint, Problems};
use emotrain_data::{Label, LabelSet};
use emotrain_prompt::{Sample, Task};
use emotrain_recipe::ClassWeights;

/// The weight of each sample, if they are not all 1. Samples that ask for something else than an emotion have 1.
///
/// # Errors
/// Labels that the label set does not have, or twice.
pub fn sample_weights(
    weights: &ClassWeights,
    labels: &LabelSet,
    samples: &[Sample],
) -> Result<Option<Vec<f32>>, Problems> {
    let label = |sample: &Sample| sample.label.filter(|_| sample.task == Some(Task::Emotion));
    let of_labels = match weights {
        ClassWeights::None => return Ok(None),
        ClassWeights::Balanced => {
            let mut counts = BTreeMap::<Label, usize>::new();
            samples.iter().filter_map(label).for_each(|label| *counts.entry(label).or_default() += 1);
            let (kinds, all) = (counts.len() as f64, counts.values().sum::<usize>() as f64);
            counts.into_iter().map(|(label, count)| (label, all / (kinds * count as f64))).collect()
        }
        ClassWeights::Table(table) => resolved(table, labels)?,
    };
    #[expect(clippy::cast_possible_truncation, reason = "the loss is in f32")]
    let weight =
        |sample| label(sample).and_then(|label| of_labels.get(&label)).map_or(1.0, |&weight| weight as f32);
    Ok(Some(samples.iter().map(weight).collect()))
}

fn resolved(table: &BTreeMap<String, f64>, labels: &LabelSet) -> Result<BTreeMap<Label, f64>, Problems> {
    let (mut problems, mut found) = (Problems::default(), BTreeMap::new());
    for (name, &weight) in table {
        let Some(label) = labels.resolve(name) else {
            let complaint = Complaint::usage(format!("train.class_weights: unknown label {name:?}"));
            let names = labels.names().iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            problems.add(complaint.hint(format!("the labels are {names}")));
            continue;
        };
        if found.insert(label, weight).is_some() {
            let twice = labels.name(label);
            problems.add(Complaint::usage(format!(
                "train.class_weights: {twice:?} is there twice, once as {name:?}"
            )));
        }
    }
    problems.finish()?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use emotrain_recipe::LabelSetName;

    use super::*;
    use crate::fixture;

    fn sample(task: Task, label: usize) -> Sample {
        fixture::sample(0, Some(task), label)
    }

    /// scikit-learn: `compute_class_weight("balanced", classes=[0, 1, 4], y=[0, 0, 0, 0, 1, 4])` is `[0.5, 2, 2]`.
    #[test]
    fn balanced_weights_are_scikit_learns() {
        let labels = LabelSet::builtin(LabelSetName::Meld);
        let mut samples: Vec<Sample> = [0, 0, 0, 0, 1, 4].map(|label| sample(Task::Emotion, label)).into();
        samples.push(sample(Task::EmotionImpact, 1));
        let weights = sample_weights(&ClassWeights::Balanced, &labels, &samples).unwrap().unwrap();
        assert_eq!(weights, [0.5, 0.5, 0.5, 0.5, 2.0, 2.0, 1.0]);
        assert_eq!(sample_weights(&ClassWeights::None, &labels, &samples).unwrap(), None);
    }

    #[test]
    fn a_table_names_labels_of_the_set() {
        let labels = LabelSet::builtin(LabelSetName::Meld);
        let table = |names: &[&str]| {
            ClassWeights::Table(names.iter().map(|name| ((*name).to_owned(), 3.0)).collect())
        };
        let samples =
            [sample(Task::Emotion, 0), sample(Task::Emotion, labels.resolve("joy").unwrap().index())];
        assert_eq!(sample_weights(&table(&["Joy"]), &labels, &samples).unwrap().unwrap(), [1.0, 3.0]);
        let error =
            sample_weights(&table(&["joy", "Joy", "joyy"]), &labels, &samples).unwrap_err().to_string();
        assert!(error.contains("unknown label \"joyy\"\n  hint: the labels are \"neutral\""), "{error}");
        assert!(error.contains("\"joy\" is there twice"), "{error}");
    }
}
