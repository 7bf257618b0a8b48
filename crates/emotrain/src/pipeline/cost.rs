//! What a run's evaluations cost beside its training, counted before it begins.

use emotrain_data::SplitKind;
use emotrain_prepare::{EncodedSplit, PreparedTraining};
use emotrain_train::{Packing, SampleOrder, validation_sample};

/// Tokens of a run.
pub(crate) struct Cost {
    /// Of all steps, those that are computed.
    training: u64,
    /// And those that are not, because they are another sample's, too.
    shared: u64,
    /// Evaluations during training, and what each has.
    evaluations: usize,
    samples: usize,
    each: u64,
    /// Of the splits that are measured before training, where they are, and after it.
    around: u64,
}

impl Cost {
    /// Counts the samples of a run that trains in this order.
    pub(super) fn of(prepared: &PreparedTraining<'_>, order: &SampleOrder) -> Self {
        let eval = &prepared.opened.recipe.eval;
        let lengths = |split: &EncodedSplit| -> Vec<usize> {
            split.samples.iter().map(|sample| sample.ids.len()).collect()
        };
        let valid = prepared.measured.iter().find(|split| split.name == SplitKind::Valid);
        let places = valid.map_or(Vec::new(), |split| validation_sample(&split.samples, eval.max_samples));
        let tokens = |place: &usize| valid.map_or(0, |split| split.samples[*place].ids.len() as u64);
        let measured: usize = prepared.measured.iter().flat_map(lengths).sum();
        let times = if eval.baseline { 2 } else { 1 };
        let shared = order.shared_tokens(&prepared.train.samples, Packing::of(prepared.opened.recipe));
        Self {
            training: order.tokens(&lengths(&prepared.train)) - shared,
            shared,
            evaluations: if valid.is_some() { order.evaluations(eval.eval_steps) } else { 0 },
            samples: places.len(),
            each: places.iter().map(tokens).sum(),
            around: times * measured as u64,
        }
    }

    /// Of all steps.
    pub(super) fn training(&self) -> u64 {
        self.training
    }

    /// Of all evaluations during training.
    fn during(&self) -> u64 {
        self.evaluations as u64 * self.each
    }

    /// The counts for people to read.
    pub(super) fn lines(&self) -> Vec<String> {
        let Self { training, shared, evaluations, samples, around, .. } = self;
        let shared = if *shared > 0 {
            format!(", and {shared} that are computed with another sample's")
        } else {
            String::new()
        };
        let mut lines = vec![format!("{:<11} {training} in training{shared}", "tokens")];
        if *evaluations > 0 {
            let (during, of) = (self.during(), if *evaluations == 1 { "evaluation" } else { "evaluations" });
            lines.push(format!(
                "{:<11} {during} in {evaluations} {of} during training, {samples} samples each",
                ""
            ));
        }
        if *around > 0 {
            lines.push(format!("{:<11} {around} in the evaluations before and after training", ""));
        }
        lines
    }

    /// Says that the evaluations during training outweigh it, if they do, and what is to be done.
    pub(crate) fn warning(&self) -> Option<String> {
        let (training, during) = (self.training, self.during());
        (during > training).then(|| {
            format!(
                "evaluations during training process {during} tokens, training itself {training}\n  hint: evaluate less \
                 often, such as twice per epoch with eval.eval_steps = 0.5, or on a part of data.valid with \
                 eval.max_samples"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn evaluations_that_outweigh_training_are_told() {
        let plain = Cost {
            training: 11_003_452,
            shared: 0,
            evaluations: 199,
            samples: 1109,
            each: 299_012,
            around: 1_200_000,
        };
        expect![[r"
            tokens      11003452 in training
                        59503388 in 199 evaluations during training, 1109 samples each
                        1200000 in the evaluations before and after training"]]
        .assert_eq(&plain.lines().join("\n"));
        expect![[r"
            evaluations during training process 59503388 tokens, training itself 11003452
              hint: evaluate less often, such as twice per epoch with eval.eval_steps = 0.5, or on a part of data.valid with eval.max_samples"]]
        .assert_eq(&plain.warning().unwrap());
        let fewer = Cost { evaluations: 8, ..plain };
        assert_eq!(fewer.warning(), None);
        let none = Cost { evaluations: 0, around: 0, ..fewer };
        assert_eq!(none.lines(), ["tokens      11003452 in training"]);
        let shared = Cost { training: 3_452, shared: 11_000_000, ..none };
        let line = "tokens      3452 in training, and 11000000 that are computed with another sample's";
        assert_eq!(shared.lines(), [line]);
    }
}
