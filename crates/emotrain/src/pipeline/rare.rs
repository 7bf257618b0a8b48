//! What a recipe does for rare emotions: what it comes to, and what of it has no effect or too much.

use emotrain_data::{Label, SplitKind};
use emotrain_prepare::{EncodedSplit, PreparedTraining};
use emotrain_prompt::Task;
use emotrain_recipe::{ClassWeights, LabelSampling, Recipe};
use emotrain_train::SampleOrder;

/// Settings that cancel out, and those that count twice.
pub(crate) fn warnings(recipe: &Recipe) -> Vec<String> {
    let train = &recipe.train;
    if train.class_weights == ClassWeights::None {
        return Vec::new();
    }
    let mut found = Vec::new();
    if train.per_device_train_batch_size * train.gradient_accumulation_steps == 1 {
        found.push(
            "train.class_weights changes nothing in steps of one sample: the loss is divided by the weights of its step\n  \
             hint: raise train.gradient_accumulation_steps, or use data.sampling in its place"
                .to_owned(),
        );
    }
    if recipe.data.sampling != LabelSampling::Natural {
        found.push(format!(
            "rare labels count twice: by train.class_weights and by data.sampling = \"{}\"\n  hint: leave one of the two \
             out",
            recipe.data.sampling
        ));
    }
    found
}

/// Labels that no sample of a split has: what is not trained on is not learned, and what is not asked is not measured.
pub(crate) fn missing(prepared: &PreparedTraining<'_>) -> Vec<String> {
    let labels = &prepared.opened.labels;
    if prepared.opened.encoder().is_none() {
        return Vec::new();
    }
    let of = |split: &EncodedSplit| {
        let is_there = |label: &Label| {
            split.samples.iter().any(|one| one.task == Some(Task::Emotion) && one.label == Some(*label))
        };
        let missing: Vec<&str> =
            labels.iter().filter(|label| !is_there(label)).map(|label| labels.name(label)).collect();
        (!missing.is_empty()).then(|| {
            let so = if split.name == SplitKind::Train { "not learned" } else { "not measured" };
            format!("{}: no utterance is labelled {}: what that is is {so}", split.name, missing.join(" or "))
        })
    };
    prepared.splits().filter_map(of).collect()
}

/// The weight of each label and how often its samples are drawn in the last epoch, where a recipe sets either.
pub(crate) fn line(prepared: &PreparedTraining<'_>) -> Option<String> {
    let recipe = prepared.opened.recipe;
    let is_natural = recipe.data.sampling == LabelSampling::Natural;
    if recipe.train.class_weights == ClassWeights::None && is_natural {
        return None;
    }
    let samples = &prepared.train.samples;
    let order = SampleOrder::new(&recipe.train, recipe.data.sampling, samples, &prepared.schedule);
    let drawn = order.epoch(prepared.schedule.epochs.len() - 1);
    let is = |place: usize, label: Label| {
        samples[place].task == Some(Task::Emotion) && samples[place].label == Some(label)
    };
    let told = prepared.opened.labels.iter().filter_map(|label| {
        let first = (0..samples.len()).find(|place| is(*place, label))?;
        let times = drawn.iter().filter(|place| is(**place, label)).count();
        let weight = prepared.weights.as_ref().map_or(1.0, |weights| weights[first]);
        Some(format!("{} {weight:.2} × {times}", prepared.opened.labels.name(label)))
    });
    Some(format!("class weight × samples an epoch: {}", told.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(data: &str, train: &str, expected: &Expect) {
        let text = format!(
            "[model]\nmodel_name_or_path = \"tiny\"\n[data]\ntrain = \"a\"\nvalid = \"b\"\n{data}\n[train]\n{train}\n"
        );
        let recipe = emotrain_recipe::parse(&text, Path::new("erc.toml"), &[]).unwrap();
        expected.assert_eq(&warnings(&recipe).join("\n"));
    }

    #[test]
    fn settings_that_cancel_out_or_count_twice_are_told() {
        let single = "per_device_train_batch_size = 1\ngradient_accumulation_steps = 1";
        check("", single, &expect![[""]]);
        check("sampling = \"sqrt\"", single, &expect![[""]]);
        check("", "class_weights = \"balanced\"", &expect![[""]]);
        check(
            "sampling = \"sqrt\"",
            &format!("class_weights = \"balanced\"\n{single}"),
            &expect![[r#"
                train.class_weights changes nothing in steps of one sample: the loss is divided by the weights of its step
                  hint: raise train.gradient_accumulation_steps, or use data.sampling in its place
                rare labels count twice: by train.class_weights and by data.sampling = "sqrt"
                  hint: leave one of the two out"#]],
        );
    }
}
