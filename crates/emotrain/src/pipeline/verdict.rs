//! What came out of a run, in plain words: what its scores mean, where that is bad.

use emotrain_eval::EvalReport;
use emotrain_recipe::Recipe;
use emotrain_runs::{EvalResult, MetricsLine};

/// A tenth of the run's training losses must be this many to be compared.
const FEWEST: usize = 5;
/// Losses rose if they are higher by this share, and by more than their noise.
const RISE: f64 = 0.1;

/// What is to be said of the trained model on one split.
pub(super) fn of_scores(before: Option<&EvalResult>, after: &EvalResult) -> Vec<String> {
    let Some(report) = &after.report else { return Vec::new() };
    let split = &after.split;
    let mut said = Vec::new();
    if let Some(label) = only_label(report) {
        said.push(format!("{split}: the model gives every utterance the label {label:?}"));
    }
    let score = report.scores.weighted_f1;
    if let Some(before) = before.and_then(|before| before.report.as_ref())
        && score < before.scores.weighted_f1
    {
        let (score, before) = (percent(score), percent(before.scores.weighted_f1));
        said.push(format!("{split}: training made it worse: weighted F1 {before} before, {score} after"));
    }
    if score < report.majority.weighted_f1 {
        let (score, majority) = (percent(score), percent(report.majority.weighted_f1));
        said.push(format!(
            "{split}: it is worse than always giving the most frequent label: weighted F1 {score} and {majority}"
        ));
    }
    said
}

/// The label of all answers, where there is more than one true label.
fn only_label(report: &EvalReport) -> Option<&str> {
    let true_labels = report.labels.iter().filter(|label| label.support > 0).count();
    let given = |label: usize| report.confusion.iter().any(|row| row[label] > 0);
    let mut labels = (0..report.labels.len()).filter(|label| given(*label));
    let only =
        labels.next().filter(|_| labels.next().is_none() && report.unparsed == 0 && true_labels > 1)?;
    Some(&report.labels[only].label)
}

/// What is to be said of how the loss went.
pub(super) fn of_losses(lines: &[MetricsLine]) -> Vec<String> {
    let losses = |event: &str| -> Vec<(usize, f64)> {
        let of_event = lines.iter().filter(|line| line.event == event);
        of_event.filter_map(|line| Some((line.step, line.scalars.get("loss").copied()??))).collect()
    };
    let mut said = Vec::new();
    if let Some((earlier, last)) = rise(&losses("train")) {
        said.push(format!(
            "the training loss rose at the end: {earlier:.4} in the last tenth but one, {last:.4} in the last; a lower \
             train.learning_rate may help"
        ));
    }
    let valid = losses("eval");
    let least = valid.iter().min_by(|one, other| one.1.total_cmp(&other.1));
    if let (Some((step, least)), Some((end, last))) = (least, valid.last())
        && *last > *least * (1.0 + RISE)
    {
        said.push(format!(
            "the validation loss rose from {least:.4} at step {step} to {last:.4} at step {end}: fewer steps may do"
        ));
    }
    said
}

/// The mean losses of the last tenth but one and of the last, if the last is higher by more than their noise: by twice
/// the standard error of the difference.
fn rise(losses: &[(usize, f64)]) -> Option<(f64, f64)> {
    let tenth = losses.len() / 10;
    if tenth < FEWEST {
        return None;
    }
    let (rest, last) = losses.split_at(losses.len() - tenth);
    let (earlier, last) = (moments(&rest[rest.len() - tenth..]), moments(last));
    let noise = 2.0 * (earlier.1 + last.1).sqrt();
    (last.0 > earlier.0 * (1.0 + RISE) && last.0 - earlier.0 > noise).then_some((earlier.0, last.0))
}

/// The mean, and the variance of the mean.
fn moments(losses: &[(usize, f64)]) -> (f64, f64) {
    let count = losses.len() as f64;
    let mean = losses.iter().map(|(_, loss)| loss).sum::<f64>() / count;
    let squares: f64 = losses.iter().map(|(_, loss)| (loss - mean).powi(2)).sum();
    (mean, squares / (count - 1.0) / count)
}

/// That a test split is named and stays unseen.
pub(super) fn of_test(recipe: &Recipe) -> Option<String> {
    let is_unseen = recipe.data.test.is_some() && !recipe.eval.test;
    is_unseen.then(|| {
        "the test split is named and was not scored: write test = true under [eval], or run emotrain eval with --split \
         test"
            .to_owned()
    })
}

fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use emotrain_data::{Label, LabelSet};
    use emotrain_eval::{majority, score};
    use expect_test::expect;

    use super::*;

    fn result(truth: &[usize], predicted: &[usize]) -> EvalResult {
        let labels = LabelSet::custom(["neutral", "joy", "anger"], []).unwrap();
        let truth: Vec<Label> = truth.iter().map(|label| Label::from_index(*label)).collect();
        let predicted: Vec<_> = predicted.iter().map(|label| Some(Label::from_index(*label))).collect();
        let scores = score(&truth, &predicted, 3).unwrap();
        let report = EvalReport::new("test", &labels, &scores, &majority(&truth, 3).unwrap());
        EvalResult { split: "test".to_owned(), loss: 1.0, report: Some(report), context: None }
    }

    #[test]
    fn bad_scores_are_told_and_good_ones_are_not() {
        let truth = [0, 0, 0, 1, 1, 2];
        let (good, one, bad) =
            (result(&truth, &truth), result(&truth, &[1; 6]), result(&truth, &[1, 2, 1, 0, 2, 0]));
        assert!(of_scores(Some(&one), &good).is_empty() && of_scores(None, &good).is_empty());
        expect![[r#"
            test: the model gives every utterance the label "joy"
            test: training made it worse: weighted F1 100.00 before, 16.67 after
            test: it is worse than always giving the most frequent label: weighted F1 16.67 and 33.33"#]]
        .assert_eq(&of_scores(Some(&good), &one).join("\n"));
        expect!["test: it is worse than always giving the most frequent label: weighted F1 0.00 and 33.33"]
            .assert_eq(&of_scores(None, &bad).join("\n"));
    }

    fn lines(event: &str, losses: impl Iterator<Item = f64>) -> Vec<MetricsLine> {
        let line = |(number, loss): (usize, f64)| MetricsLine {
            event: event.to_owned(),
            step: 10 * (number + 1),
            scalars: [("loss".to_owned(), Some(loss))].into_iter().collect(),
        };
        losses.enumerate().map(line).collect()
    }

    #[test]
    fn a_loss_that_rises_at_the_end_is_told_and_noise_is_not() {
        let wave = |step: usize| 0.05 * (step as f64).sin();
        let falls = (0..100).map(|step| 2.0 / (1.0 + step as f64) + 0.5 + wave(step));
        assert!(of_losses(&lines("train", falls.clone())).is_empty());
        let rises = falls.enumerate().map(|(step, loss)| if step < 90 { loss } else { loss + 0.5 });
        expect!["the training loss rose at the end: 0.5193 in the last tenth but one, 1.0247 in the last; a lower train.learning_rate may help"]
        .assert_eq(&of_losses(&lines("train", rises)).join("\n"));
        assert!(of_losses(&lines("train", (0..40).map(|step| step as f64))).is_empty(), "too few to say");
        expect!["the validation loss rose from 0.5000 at step 20 to 0.8000 at step 40: fewer steps may do"]
            .assert_eq(&of_losses(&lines("eval", [0.9, 0.5, 0.6, 0.8].into_iter())).join("\n"));
    }
}
