//! What came of a training, in plain words.

use emotrain_eval::{EvalReport, Headline};
use emotrain_recipe::{Metric, Recipe};
use emotrain_runs::{EvalResult, RunReport};
use emotrain_train::LossRise;

/// What the reader of a run's last lines should not overlook: in what the model fails, and what was not measured.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Findings {
    /// Something is wrong.
    pub(super) warnings: Vec<String>,
    /// Something was not done.
    pub(super) remarks: Vec<String>,
}

impl Findings {
    /// Of scores before and after a training, if any were measured.
    pub(super) fn of(recipe: &Recipe, report: Option<&RunReport>, rise: Option<LossRise>) -> Self {
        let mut found = Self::default();
        for after in report.iter().flat_map(|report| &report.after) {
            let before = report.iter().flat_map(|report| &report.before);
            let before = before.into_iter().find(|before| before.split == after.split);
            found.judge(before, after, recipe);
        }
        if let Some(LossRise { before, after }) = rise {
            found.warnings.push(format!(
                "the training loss rose at the end: {after:.4} on average in the last tenth of the steps, {before:.4} in the \
                 tenth before\n  hint: a lower train.learning_rate, or fewer steps, may do better"
            ));
        }
        if recipe.data.has_test() && !recipe.eval.test {
            found.remarks.push(
                "data.test was not scored, since eval.test = false; emotrain eval with --run and --split test \
                 scores it"
                    .to_owned(),
            );
        }
        found
    }

    fn judge(&mut self, before: Option<&EvalResult>, after: &EvalResult, recipe: &Recipe) {
        let split = &after.split;
        let start = start(recipe);
        let Some(report) = &after.report else {
            if let Some(before) = before.filter(|before| after.loss > before.loss) {
                let (now, then) = (after.loss, before.loss);
                self.warnings.push(format!("{split}: worse than {start}: loss {now:.4}, {then:.4} before"));
            }
            return;
        };
        if let Some(label) = only_answer(report) {
            self.warnings.push(format!("{split}: the model answers {label:?} to everything"));
        }
        let (name, value) = score(recipe.eval.metric_for_best_model);
        let percent = |headline: &Headline| 100.0 * value(headline);
        let now = value(&report.scores);
        if let Some(earlier) = before.and_then(|before| before.report.as_ref())
            && now < value(&earlier.scores)
        {
            let (now, then) = (percent(&report.scores), percent(&earlier.scores));
            self.warnings.push(format!("{split}: worse than {start}: {name} {now:.2}, {then:.2} before"));
        }
        if now < value(&report.majority) {
            let (now, most) = (percent(&report.scores), percent(&report.majority));
            self.warnings.push(format!(
                "{split}: worse than always the most frequent label: {name} {now:.2}, that label alone {most:.2}"
            ));
        }
    }
}

/// What the training of a recipe starts from.
fn start(recipe: &Recipe) -> &'static str {
    if recipe.lora.init_from.is_some() { "the adapter that it started from" } else { "the base model" }
}

/// The label of all answers, where there are several labels to be found.
fn only_answer(report: &EvalReport) -> Option<&str> {
    let answers = |column: usize| report.confusion.iter().map(|row| row[column]).sum::<usize>();
    let only = (0..report.labels.len()).find(|&column| answers(column) == report.utterances)?;
    let occurring = report.labels.iter().filter(|label| label.support > 0).count();
    (report.utterances > 1 && occurring > 1).then(|| report.labels[only].label.as_str())
}

/// The score that a selection metric looks at, with its name; one that looks at losses is told in weighted F1.
fn score(metric: Metric) -> (&'static str, fn(&Headline) -> f64) {
    match metric {
        Metric::WeightedF1 | Metric::Loss => ("weighted F1", |headline| headline.weighted_f1),
        Metric::MacroF1 => ("macro F1", |headline| headline.macro_f1),
        Metric::Accuracy => ("accuracy", |headline| headline.accuracy),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use emotrain_data::{Label, LabelSet};
    use emotrain_eval::{majority, score};
    use emotrain_recipe::LabelSetName;
    use expect_test::{Expect, expect};

    use super::*;

    /// Scores of answers to ten utterances: six neutral (0), two of joy (4) and two of anger (6).
    fn result(split: &str, answers: [usize; 10]) -> EvalResult {
        let labels = LabelSet::builtin(LabelSetName::Meld);
        let truth = [0, 0, 0, 0, 0, 0, 4, 4, 6, 6].map(Label::from_index);
        let scores =
            score(&truth, &answers.map(|label| Some(Label::from_index(label))), labels.len()).unwrap();
        let report = EvalReport::new(split, &labels, &scores, &majority(&truth, labels.len()).unwrap());
        EvalResult { split: split.to_owned(), loss: 1.0, report: Some(report), context: None }
    }

    fn recipe(more: &str) -> Recipe {
        let text = format!(
            "[model]\nmodel_name_or_path = \"tiny\"\n[data]\ntrain = \"a\"\nvalid = \"b\"\ntest = \"c\"\n[eval]\n{more}\n"
        );
        emotrain_recipe::parse(&text, Path::new("erc.toml"), &[]).unwrap()
    }

    #[track_caller]
    fn check(recipe: &Recipe, before: Vec<EvalResult>, after: Vec<EvalResult>, expected: &Expect) {
        let rise = LossRise { before: 0.5, after: 0.75 };
        let report = RunReport::new(before, after);
        let Findings { warnings, remarks } =
            Findings::of(recipe, Some(&report), (!recipe.eval.test).then_some(rise));
        expected.assert_eq(&[warnings, remarks].concat().join("\n"));
    }

    const RIGHT: [usize; 10] = [0, 0, 0, 0, 0, 0, 4, 4, 6, 6];
    const NEUTRAL: [usize; 10] = [0; 10];
    const WRONG: [usize; 10] = [1, 1, 1, 1, 1, 0, 4, 0, 0, 6];

    #[test]
    fn what_is_wrong_is_told_for_each_split() {
        check(
            &recipe("test = true"),
            vec![result("valid", RIGHT), result("test", WRONG)],
            vec![result("valid", NEUTRAL), result("test", WRONG)],
            &expect![[r#"
                valid: the model answers "neutral" to everything
                valid: worse than the base model: weighted F1 45.00, 100.00 before
                test: worse than always the most frequent label: weighted F1 40.00, that label alone 45.00"#]],
        );
        check(
            &recipe("test = true\nmetric_for_best_model = \"accuracy\""),
            vec![result("valid", RIGHT)],
            vec![result("valid", WRONG)],
            &expect![[r"
                valid: worse than the base model: accuracy 30.00, 100.00 before
                valid: worse than always the most frequent label: accuracy 30.00, that label alone 60.00"]],
        );
    }

    #[test]
    fn a_loss_that_rose_and_a_test_file_that_was_not_scored() {
        check(
            &recipe("test = false"),
            Vec::new(),
            vec![result("valid", RIGHT)],
            &expect![[r"
            the training loss rose at the end: 0.7500 on average in the last tenth of the steps, 0.5000 in the tenth before
              hint: a lower train.learning_rate, or fewer steps, may do better
            data.test was not scored, since eval.test = false; emotrain eval with --run and --split test scores it"]],
        );
    }

    #[test]
    fn a_run_from_an_adapter_is_compared_with_it() {
        check(
            &recipe("test = true\n[lora]\ninit_from = \"first\""),
            vec![result("valid", RIGHT)],
            vec![result("valid", WRONG)],
            &expect![[r"
                valid: worse than the adapter that it started from: weighted F1 40.00, 100.00 before
                valid: worse than always the most frequent label: weighted F1 40.00, that label alone 45.00"]],
        );
    }

    #[test]
    fn a_good_run_has_nothing_to_tell() {
        check(
            &recipe("test = true"),
            vec![result("valid", NEUTRAL)],
            vec![result("valid", RIGHT)],
            &expect![[""]],
        );
    }

    #[test]
    fn plain_text_has_its_loss_alone() {
        let text = |loss| EvalResult { split: "valid".to_owned(), loss, report: None, context: None };
        check(
            &recipe("test = true"),
            vec![text(2.0)],
            vec![text(2.5)],
            &expect!["valid: worse than the base model: loss 2.5000, 2.0000 before"],
        );
    }
}
