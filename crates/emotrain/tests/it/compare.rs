//! Runs compared by their predictions.

use serde_json::Value;

use crate::workbench::{Said, Workbench, refused};

/// Trains briefly, with a seed, and scores the test split.
fn train(bench: &Workbench, output: &str, seed: u64, more: &[&str]) {
    let seed = format!("train.seed={seed}");
    let brief = ["--set", "eval.test=true", "--set", "eval.baseline=false", "--set", "train.max_steps=4"];
    bench.train(output, &[&brief[..], &["--set", &seed], more].concat()).done();
}

/// Two runs of a recipe and two of another one, with the same seeds.
fn trained() -> Workbench {
    let bench = Workbench::new();
    for seed in [1, 2] {
        train(&bench, &format!("a-{seed}"), seed, &[]);
        train(&bench, &format!("b-{seed}"), seed, &["--set", "train.learning_rate=1e-5"]);
    }
    bench
}

fn compare(bench: &Workbench, args: &[&str]) -> Said {
    bench.run(&[&["compare"], args].concat())
}

#[test]
fn runs_are_compared_over_dialogues_and_seeds() {
    let bench = trained();
    let said = compare(&bench, &["a-1,a-2", "b-1,b-2", "a-1,a-2"]).done();
    for part in ["12 utterances in 4 dialogues", "against a-1 + 1", "weighted F1", "p Holm", "detectable"] {
        assert!(said.out.contains(part), "{part} is not in\n{}", said.out);
    }
    assert_eq!(compare(&bench, &["a-1,a-2", "b-1,b-2", "a-1,a-2"]).done().out, said.out);
    assert!(
        said.err.contains("a-1 + 1: its runs give the answers of a-1 + 1 to every utterance"),
        "{}",
        said.err
    );
    let labels = |run: &str| -> Vec<Value> {
        let rows = bench.read(&format!("{run}/predictions.test.jsonl"));
        rows.lines().map(|row| serde_json::from_str::<Value>(row).unwrap()["label"].clone()).collect()
    };
    let is_same = ["1", "2"].iter().all(|seed| labels(&format!("a-{seed}")) == labels(&format!("b-{seed}")));
    assert_eq!(said.err.contains("b-1 + 1: its runs give the answers"), is_same, "{}", said.err);

    let said = compare(&bench, &["a-1,a-2", "b-2,b-1", "--json", "--metric", "accuracy"]).done();
    let found: Value = serde_json::from_str(&said.out).unwrap();
    let one = &found["comparisons"][0];
    assert_eq!((&one["matching"], &one["pairs"]), (&"seed".into(), &2.into()));
    let of = |run: &str| {
        bench.json(&format!("{run}/report.json"))["after"][1]["report"]["scores"]["accuracy"]
            .as_f64()
            .unwrap()
    };
    let expected = (of("b-1") + of("b-2") - of("a-1") - of("a-2")) / 2.0;
    assert!((one["difference"].as_f64().unwrap() - expected).abs() < 1e-12, "{one}");
    assert_eq!(found["groups"][0]["scores"][0], of("a-1"));
    assert_eq!(one["randomisation"]["exact"], true);

    assert!(!said.err.contains("samples"), "{}", said.err);
    train(&bench, "longer", 1, &["--set", "train.max_steps=3"]);
    let said = compare(&bench, &["a-1", "longer"]).done();
    let line = "warning: longer: trained on 12 samples, a-1 on 16: the difference may come from that\n";
    assert!(said.err.contains(line), "{}", said.err);

    let said = compare(&bench, &["a-1,a-2", "b-1", "--split", "valid", "--samples", "100"]).done();
    assert!(said.err.contains("warning") && said.err.contains("1 of its runs"), "{}", said.err);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let bench = Workbench::new();
    train(&bench, "a", 1, &[]);
    train(&bench, "same", 1, &[]);
    refused(&compare(&bench, &["a"]), 2, &["GROUP"]);
    refused(&compare(&bench, &["a,", "a"]), 2, &["joined by commas"]);
    refused(&compare(&bench, &["a,same", "a"]), 2, &["a and same", "same seed, 1", "hint:"]);
    refused(&compare(&bench, &["a", "nowhere"]), 3, &["nowhere: no such folder", "hint:"]);
    refused(&compare(&bench, &["a", "same", "--split", "train"]), 3, &["no scores of train", "hint:"]);

    let whole = bench.read("same/predictions.test.jsonl");
    let others = [
        (whole.replace("test-0#0", "test-9#0"), "utterance test-9#0 is not in the other test set"),
        (whole.split_inclusive('\n').skip(1).collect(), "test-0#0 of the other test set is missing"),
        (format!("{whole}{{\"id\":\"a\"}}\n"), "predictions.test.jsonl:13"),
    ];
    for (text, message) in others {
        bench.write("same/predictions.test.jsonl", &text);
        refused(&compare(&bench, &["a", "same"]), 3, &["same/predictions.test.jsonl", message]);
    }
    // As somebody makes it who wants other scores.
    let answered = |row: &str| {
        let mut row: Value = serde_json::from_str(row).unwrap();
        row["label"] = row["truth"].clone();
        format!("{row}\n")
    };
    bench.write("same/predictions.test.jsonl", &whole.lines().map(answered).collect::<String>());
    let message = "its answers are not those that report.json has the scores of";
    refused(&compare(&bench, &["a", "same"]), 3, &["same/predictions.test.jsonl", message, "hint:"]);
    bench.write("same/predictions.test.jsonl", &whole);
    let report = bench.read("same/report.json").replace("\"label\": \"joy\"", "\"label\": \"glee\"");
    bench.write("same/report.json", &report.replace("\"label\":\"joy\"", "\"label\":\"glee\""));
    refused(&compare(&bench, &["a", "same"]), 3, &["same/report.json", "a/report.json", "label_set"]);
}
