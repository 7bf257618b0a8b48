//! Whole pages: hostile texts, large runs, runs with little to show.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use emotrain_data::{Dialogue, Label, LabelSet, ShownDemonstration, SplitKind, Utterance, UtteranceId};
use emotrain_eval::{EvalReport, Prediction, majority, score};
use emotrain_report::{Against, PromptFacts, RunFacts, confident_errors, run_page};
use emotrain_runs::{EvalResult, MetricsLine, RunRecord, RunReport, RunState, StoredRun};

const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "</style></svg><img src=x onerror=alert(1)>",
    "\"quotes\" and 'others' & more",
    "\u{202e}right to left\u{202c} {{ 1 + 1 }} {% raw %}",
    "nul \0, escape \u{1b}[31m and a\nline",
    "]]>",
];

const RECIPE: &str = "[model]\nmodel_name_or_path = \"<i>acme</i>/tiny\"\n[data]\ntrain = \"<b>.jsonl\"\n\
                      [eval]\nload_best_model_at_end = false\n";

/// A run with so many dialogues of ten utterances, all texts of which are taken in turn from these.
fn facts(dialogues: usize, texts: &[&str], labels: &[String]) -> RunFacts {
    let text = |number: usize| texts[number % texts.len()].to_owned();
    let utterance = |number: usize| {
        Utterance::new(
            text(number + 1),
            format!("{} {number}", text(number)),
            Some(Label::from_index(number % labels.len())),
        )
    };
    let dialogue = |number: usize| {
        Dialogue::new(
            format!("{}-{number}", text(number)),
            (0..10).map(|at| utterance(number * 7 + at)).collect(),
        )
    };
    let dialogues: Vec<Dialogue> = (0..dialogues).map(dialogue).collect();
    let mut predictions = Vec::new();
    for (number, dialogue) in dialogues.iter().enumerate() {
        for position in 0..dialogue.utterances.len() {
            let answer = (number * 7 + position + usize::from(position % 3 == 0)) % labels.len();
            let sure = -(((number * 31 + position * 17) % 100) as f64) / 25.0 - 0.01;
            let scores = (0..labels.len()).map(|at| if at == answer { sure } else { -4.5 - at as f64 });
            predictions.push(Prediction {
                id: dialogue.utterance_id(position),
                label: Some(labels[answer].clone()),
                truth: dialogue.utterances[position].label.map(|label| labels[label.index()].clone()),
                scores: labels.iter().cloned().zip(scores).collect(),
            });
        }
    }
    let errors = confident_errors(&predictions, labels, 20).unwrap();
    let shown = |id: &UtteranceId| {
        let prompt = PromptFacts {
            system: text(0),
            user: text(1).repeat(50),
            demonstrations: 1,
            knowledge: vec![(text(2), text(3))],
        };
        (id.clone(), prompt)
    };
    let found = |prediction: &Prediction| {
        let one = ShownDemonstration { text: text(0), label: labels[0].clone(), source: None, score: None };
        (prediction.id.clone(), vec![one])
    };
    RunFacts {
        run: run(&predictions, labels, &text(0)),
        split: SplitKind::Test,
        metrics: (1..2_000).map(metrics_line).collect(),
        prompts: errors.iter().map(shown).collect(),
        demonstrations: predictions.iter().map(found).collect(),
        errors,
        recipe: Some(emotrain_recipe::parse(RECIPE, "a.toml".as_ref(), &[]).unwrap()),
        against: Against::Defaults,
        files: Vec::new(),
        shared: vec![text(2)],
        dialogues,
        difficulty: None,
        missing: vec![text(0)],
        predictions,
    }
}

fn metrics_line(step: usize) -> MetricsLine {
    let scalars = [("loss", Some(3.0 / step as f64)), ("learning_rate", None)];
    let event = if step.is_multiple_of(100) { "eval" } else { "train" };
    let scalars = scalars.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    MetricsLine { event: event.to_owned(), step, scalars }
}

fn run(predictions: &[Prediction], labels: &[String], name: &str) -> StoredRun {
    let set = LabelSet::custom(labels.iter().map(String::as_str), []).unwrap();
    let place = |name: &String| Label::from_index(labels.iter().position(|label| label == name).unwrap());
    let truth: Vec<Label> = predictions.iter().map(|one| place(one.truth.as_ref().unwrap())).collect();
    let predicted: Vec<Option<Label>> = predictions.iter().map(|one| one.label.as_ref().map(place)).collect();
    let scores = score(&truth, &predicted, labels.len()).unwrap();
    let report = EvalReport::new("test", &set, &scores, &majority(&truth, labels.len()).unwrap());
    let result = EvalResult { split: "test".to_owned(), loss: 0.5, report: Some(report), context: None };
    let mut record = RunRecord::default();
    name.clone_into(&mut record.recipe.name);
    name.clone_into(&mut record.model.name);
    StoredRun {
        folder: PathBuf::from(name),
        record,
        report: Some(RunReport::new(Vec::new(), vec![result])),
        state: RunState::Finished,
    }
}

fn named(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|&label| label.to_owned()).collect()
}

/// The names of the elements of a page.
fn elements(page: &str) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let name = after.split(|one: char| !one.is_ascii_alphanumeric() && one != '!').next().unwrap_or("");
        if !name.is_empty() {
            *counts.entry(name).or_default() += 1;
        }
        rest = after;
    }
    counts
}

#[test]
fn no_text_of_a_run_becomes_markup() {
    let labels = named(&["<b>calm</b>", "\"angry\"", "{{ sad }}"]);
    let page = run_page(&facts(12, &HOSTILE, &labels)).unwrap();
    let plain = run_page(&facts(12, &["text"; 6], &named(&["calm", "angry", "sad"]))).unwrap();
    assert_eq!(elements(&page).keys().collect::<Vec<_>>(), elements(&plain).keys().collect::<Vec<_>>());
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>calm"));
    assert!(page.contains("&lt;script&gt;") && page.contains("{{ 1 + 1 }}"));
    let is_allowed = |one: char| !one.is_control() || one == '\n' || one == '\t';
    assert!(page.chars().all(is_allowed) && page.contains("nul \u{fffd}, escape \u{fffd}[31m"));
    for name in ["section", "table", "svg", "details", "article", "figure", "ol", "dl", "bdi", "h3"] {
        let opened = [">", " "].map(|end| page.matches(&format!("<{name}{end}")).count());
        assert_eq!(opened.iter().sum::<usize>(), page.matches(&format!("</{name}>")).count(), "{name}");
    }
}

#[test]
fn a_run_with_ten_thousand_answers_fits_in_three_megabytes() {
    let text =
        "a rather long utterance, of the kind that people say when they are tired of waiting for the train";
    let labels = named(&["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"]);
    let facts = facts(1_000, &[text; 3], &labels);
    assert_eq!(facts.predictions.len(), 10_000);
    let page = run_page(&facts).unwrap();
    assert!(page.len() < 3_000_000, "{}", page.len());
    assert_eq!(page.matches("<article").count(), 20);
}

#[test]
fn a_run_without_its_data_shows_the_rest_and_says_what_is_missing() {
    let labels = named(&["calm", "angry"]);
    let mut bare = facts(4, &["text"; 2], &labels);
    bare.dialogues.clear();
    bare.prompts.clear();
    bare.demonstrations.clear();
    bare.metrics.clear();
    bare.missing = vec!["test.jsonl has moved".to_owned()];
    let page = run_page(&bare).unwrap();
    for part in
        ["What is missing here", "test.jsonl has moved", "no metrics.jsonl", "By emotion shift between"]
    {
        assert!(page.contains(part), "{part}");
    }
    for part in ["By speaker", "within a speaker", "<summary>Prompt", "By retrieved"] {
        assert!(!page.contains(part), "{part}");
    }
}

#[test]
fn answers_that_are_not_those_of_the_scores_are_refused() {
    let labels = named(&["calm", "angry"]);
    let mut damaged = facts(4, &["text"; 2], &labels);
    damaged.predictions.pop();
    let message = run_page(&damaged).unwrap_err().to_string();
    assert!(message.contains("predictions.test.jsonl: its answers are not those"), "{message}");
    damaged.split = SplitKind::Valid;
    assert!(run_page(&damaged).unwrap_err().to_string().contains("no scores of valid"));
}
