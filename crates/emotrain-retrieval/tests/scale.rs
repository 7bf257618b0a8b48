//! Opening and searching a bank of synthetic vectors. 5,000 of them unless `EMOTRAIN_BANK_COUNT` sets the number: with
//! a million, a bank must open within two seconds and answer within 200 milliseconds (on an otherwise idle machine),
//! and the search takes hardly any memory in addition to the mapped vectors.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use emotrain_data::{Origin, SplitKind};
use emotrain_retrieval::{Bank, Builder, Embedder, EmbedderError, HeldOut, Retriever};

const WIDTH: usize = 384;

/// Vectors that depend only on the text, nearly orthogonal to each other.
struct Noise;

impl Embedder for Noise {
    fn identity(&self) -> String {
        "noise".to_owned()
    }

    fn dimensions(&self) -> usize {
        WIDTH
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<f32>, EmbedderError> {
        Ok(texts.iter().flat_map(|text| vector(text)).collect())
    }
}

fn vector(text: &str) -> Vec<f32> {
    let mut state = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f32::from(u16::try_from(state >> 48).unwrap()) / 65_536.0 - 0.5
    };
    let raw: Vec<f32> = (0..WIDTH).map(|_| next()).collect();
    let length = raw.iter().map(|value| value * value).sum::<f32>().sqrt();
    raw.iter().map(|value| value / length).collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Resident memory in MiB: of the process alone, and of mapped files.
fn resident() -> (f64, f64) {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    };
    (of("RssAnon:"), of("RssFile:"))
}

#[test]
fn a_large_bank_opens_and_answers_at_once() {
    let wanted = std::env::var_os("EMOTRAIN_BANK_COUNT").and_then(|count| count.to_str()?.parse().ok());
    let count = wanted.unwrap_or(5_000);
    let place = tempfile::tempdir().unwrap();
    let (lines, path) = (place.path().join("lines.jsonl"), place.path().join("bank"));
    let mut text = String::new();
    for row in 0..count {
        let (dialogue, position) = (row / 10, row % 10);
        writeln!(text, r#"{{"dialogue":"{dialogue}","position":{position},"text":"Line {row} of a long, long play.","label":"joy"}}"#)
            .unwrap();
    }
    fs_err::write(&lines, &text).unwrap();
    drop(text);
    let start = Instant::now();
    let mut builder = Builder::new(HeldOut::Refuse);
    builder.add_jsonl(&lines, Origin { dataset: "play", split: SplitKind::Train, domain: None }).unwrap();
    builder.write(&path, Some(&Noise), &mut |_| {}).unwrap();
    eprintln!("{count} vectors of {WIDTH} built in {:?}", start.elapsed());

    let before = resident();
    let start = Instant::now();
    let bank = Bank::open(&path).unwrap();
    let opened = start.elapsed();
    let after = resident();
    let recipe = "[model]\nmodel_name_or_path = \"m\"\n[data]\ntrain = \"t\"\nvalid = \"v\"";
    let section = emotrain_recipe::parse(recipe, "a.toml".as_ref(), &[]).unwrap().retrieval;
    let retriever = Retriever::new(&bank, &section, Some(&Noise)).unwrap();
    let ask = |query: usize| {
        let text = format!("Line {} of a long, long play", query * (count / 40));
        let start = Instant::now();
        let found = retriever.for_texts(&[&text]).unwrap().remove(0);
        assert_eq!(found.len(), 3);
        start.elapsed()
    };
    ask(0);
    let single = median((0..40).map(ask).collect());
    let searched = resident();
    let questions: Vec<String> = (0..400).map(|query| format!("Question {query}?")).collect();
    let questions: Vec<&str> = questions.iter().map(String::as_str).collect();
    let start = Instant::now();
    let together = retriever.for_texts(&questions).unwrap();
    let batch = start.elapsed() / 400;
    for (question, found) in questions.iter().zip(&together).take(5) {
        assert_eq!(retriever.for_texts(&[question]).unwrap()[0], *found);
    }
    eprintln!("opened in {opened:?}; one query {single:?}; {batch:?} a query of 400 together");
    eprintln!("resident MiB (own, mapped): {before:.0?} opened {after:.0?} searched {searched:.0?}");
    if count >= 1_000_000 {
        assert!(opened < Duration::from_secs(2) && single < Duration::from_millis(200));
    }
}
