//! The data of a run, and what could leak from one part of it into another.

use emotrain_recipe::Availability;
use emotrain_runs::{RunRecord, ScoreContext};

use crate::block::{Block, DataTable, Section};
use crate::facts::{FileFacts, FileState, RunFacts};
use crate::text::{count, percent};

/// Digits of a digest that are shown.
const DIGITS: usize = 12;

/// The section.
pub(crate) fn section(facts: &RunFacts, context: Option<&ScoreContext>, labels: &[String]) -> Section {
    let record = &facts.run.record;
    let mut blocks = vec![Block::Table { table: files(record, &facts.files) }];
    if facts.files.iter().any(|file| file.counts.is_some()) {
        blocks.push(Block::Table { table: shares(&facts.files, labels) });
    }
    blocks.push(Block::Heading { text: "Leakage".to_owned() });
    blocks.push(Block::Facts { rows: leakage(facts, context) });
    if !facts.shared.is_empty() {
        blocks.push(Block::note(format!("Dialogues in two splits: {}", facts.shared.join("; "))));
    }
    if let Some(table) = knowledge(record) {
        blocks.push(Block::Table { table });
    }
    Section { id: "data", title: "Data and leakage".to_owned(), blocks }
}

fn files(record: &RunRecord, files: &[FileFacts]) -> DataTable {
    let columns = [
        "Split",
        "file",
        "SHA-256",
        "now",
        "#samples",
        "#tokens",
        "#dialogues",
        "#utterances",
        "#without label",
        "#mended",
        "#damaged",
    ];
    let mut table = DataTable::new("Data files; samples are utterances that were asked about", &columns);
    for (split, data) in &record.data {
        let file = files.iter().find(|file| file.split == *split);
        let state = match file.map(|file| &file.state) {
            Some(FileState::Same) => "the same".to_owned(),
            Some(FileState::Changed) => "changed since".to_owned(),
            Some(FileState::Unreadable(reason)) => reason.clone(),
            None => "not looked at".to_owned(),
        };
        let counts = file.and_then(|file| file.counts.as_ref());
        let numbers = counts
            .map(|one| [one.dialogues, one.utterances, one.unlabelled, one.mended, one.damaged].map(count));
        let digest = data.sha256.chars().take(DIGITS).collect();
        let begin = [split.clone(), data.path.display().to_string(), digest, state];
        let made = [count(data.samples), count(data.tokens)];
        table.row(begin.into_iter().chain(made).chain(numbers.unwrap_or([const { String::new() }; 5])));
    }
    table
}

/// The labels' shares of each split.
fn shares(files: &[FileFacts], labels: &[String]) -> DataTable {
    let known: Vec<_> = files.iter().filter_map(|file| Some((&file.split, file.counts.as_ref()?))).collect();
    let heads: Vec<String> =
        known.iter().flat_map(|(split, _)| [format!("#{split}"), format!("#{split}, %")]).collect();
    let columns: Vec<&str> = ["Label"].into_iter().chain(heads.iter().map(String::as_str)).collect();
    let mut table = DataTable::new("Utterances by label", &columns);
    for (at, label) in labels.iter().enumerate() {
        let cells = known.iter().flat_map(|(_, counts)| {
            let number = counts.labels.get(at).copied().unwrap_or(0);
            let all = counts.labels.iter().sum::<usize>().max(1);
            [count(number), percent(number as f64 / all as f64)]
        });
        table.row([label.clone()].into_iter().chain(cells));
    }
    table
}

fn leakage(facts: &RunFacts, context: Option<&ScoreContext>) -> Vec<(String, String)> {
    let record = &facts.run.record;
    let mut rows = Vec::new();
    let mut say = |name: &str, text: String| rows.push((name.to_owned(), text));
    let splits = facts.files.iter().filter(|file| file.counts.is_some()).count();
    say(
        "Dialogues in two splits",
        match (facts.shared.len(), splits) {
            (0, 0 | 1) => "not compared: the files are not at hand".to_owned(),
            (0, _) => format!("none in the {splits} files that were compared"),
            (shared, _) => count(shared),
        },
    );
    if let Some(context) = context {
        let online = context.availability == Availability::Online;
        let text = if online {
            "online: nothing in them comes from later than the utterance"
        } else {
            "offline: something in them comes from later than the utterance"
        };
        say("Prompts", text.to_owned());
        say(
            "Later utterances in prompts",
            match context.future_window {
                0 => "none".to_owned(),
                most => format!("at most {most}"),
            },
        );
    }
    if let Some(bank) = &record.retrieval {
        let digest: String = bank.sha256.chars().take(DIGITS).collect();
        say("Bank of demonstrations", format!("{} (SHA-256 {digest})", bank.bank.display()));
        say("Demonstrations found by", bank.engine.clone());
        if let Some(rules) = facts.recipe.as_ref().map(|recipe| &recipe.retrieval) {
            say(
                "Never shown",
                format!("demonstrations of held-out splits, and of the same {}", rules.exclude),
            );
            let text = if rules.exclude_same_text { "never shown" } else { "may be shown" };
            say("Demonstrations with the utterance's own text", text.to_owned());
        }
    } else {
        say("Demonstrations", "none: the recipe has no bank".to_owned());
    }
    rows
}

fn knowledge(record: &RunRecord) -> Option<DataTable> {
    let columns =
        ["Source", "split", "level", "availability", "#wanted", "#missing", "#for other data", "file"];
    let mut table = DataTable::new("Knowledge sources", &columns);
    for (split, sources) in record.knowledge.iter().flatten() {
        for source in sources {
            let words = [split.clone(), source.level.to_string(), source.availability.to_string()];
            let numbers = [source.wanted, source.missing, source.extra].map(count);
            let path = source.path.display().to_string();
            table.row([source.name.clone()].into_iter().chain(words).chain(numbers).chain([path]));
        }
    }
    (!table.rows.is_empty()).then_some(table)
}
