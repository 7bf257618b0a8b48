//! Scores by what utterances have in common.

use std::collections::BTreeMap;

use emotrain_data::{Dialogue, Label, UtteranceId};
use indexmap::IndexMap;

use crate::answers::{Answer, Answers, ends};
use crate::block::{Block, DataTable, Figure, Section};
use crate::error::ReportError;
use crate::facts::RunFacts;
use crate::interval_plot::{IntervalPlot, IntervalRow};
use crate::plot::{Caption, padded};
use crate::text::{count, percent};

/// Speakers with a row of their own.
const MOST_SPEAKERS: usize = 12;
/// Of fewer dialogues there is no interval to rely on.
const FEWEST_DIALOGUES: usize = 5;
/// The last position of each group of positions, counted from 1.
const POSITIONS: [usize; 5] = [1, 2, 4, 8, 16];

/// Utterances in groups.
struct Grouping {
    id: &'static str,
    title: &'static str,
    explanation: String,
    /// The places of the answers, by group.
    groups: IndexMap<String, Vec<usize>>,
}

/// The section.
pub(crate) fn section(facts: &RunFacts, answers: &Answers<'_>) -> Result<Section, ReportError> {
    let lead = format!(
        "Weighted F1 of groups of utterances, with 95 % bootstrap intervals over dialogues, of at least \
         {FEWEST_DIALOGUES} dialogues; the dotted line is that of all. Groups have different shares of the labels, \
         which by itself moves their scores."
    );
    let overall = 100.0 * answers.scores()?.weighted_f1.score;
    let turns = Turns::of(facts, answers);
    let groupings = [difficulty(facts, answers), shift(answers, &turns, true), shift(answers, &turns, false)];
    let more = [speakers(answers, &turns), Some(positions(answers)), retrieved(facts, answers)];
    let mut cells = Vec::new();
    for grouping in groupings.into_iter().chain(more).flatten() {
        let heading = Block::Heading { text: grouping.title.to_owned() };
        let text = Block::text(grouping.explanation.clone());
        cells.push(vec![heading, text, Block::Figure { figure: figure(&grouping, answers, overall)? }]);
    }
    let blocks = vec![Block::text(lead), Block::Grid { cells }];
    Ok(Section { id: "groups", title: "Scores by group".to_owned(), blocks })
}

fn figure(grouping: &Grouping, answers: &Answers<'_>, overall: f64) -> Result<Figure, ReportError> {
    let columns =
        ["Group", "#utterances", "#dialogues", "#accuracy", "95 % interval", "#weighted F1", "95 % interval"];
    let mut table = DataTable::new(format!("{}, in percent", grouping.title), &columns);
    let mut rows = Vec::new();
    for (name, members) in grouping.groups.iter().filter(|(_, members)| !members.is_empty()) {
        let mut scores = answers.scores_of(members)?;
        if scores.dialogues < FEWEST_DIALOGUES {
            scores.accuracy.interval = None;
            scores.weighted_f1.interval = None;
        }
        let (accuracy, f1) = (scores.accuracy, scores.weighted_f1);
        let numbers = [count(scores.utterances), count(scores.dialogues)];
        let measured = [percent(accuracy.score), ends(accuracy), percent(f1.score), ends(f1)];
        table.row([name.clone()].into_iter().chain(numbers).chain(measured));
        rows.push(IntervalRow {
            name: name.clone(),
            note: format!(" ({})", scores.utterances),
            score: 100.0 * f1.score,
            interval: f1.interval.map(|one| (100.0 * one.low, 100.0 * one.high)),
            points: Vec::new(),
        });
    }
    let all = rows.iter().flat_map(|row| {
        let (low, high) = row.interval.unwrap_or((row.score, row.score));
        [row.score, low, high]
    });
    let range = padded(all.chain([overall]), 0.05);
    let description = format!("Weighted F1: {}", grouping.title.to_lowercase());
    let caption = Caption { id: grouping.id, title: grouping.title, description: &description };
    let range = range.start.max(0.0)..range.end.min(100.0).max(range.start.max(0.0) + 1.0);
    let plot =
        IntervalPlot { caption, rows, range, axis: "weighted F1 in percent", reference: Some(overall) };
    let svg = plot.svg()?;
    Ok(Figure::new(svg, format!("{description}; numbers of utterances in brackets."), table))
}

/// What is known of the turns of the dialogues.
struct Turns<'a> {
    dialogues: BTreeMap<&'a str, &'a Dialogue>,
    /// Where the dialogues are not at hand: the true labels of what was asked.
    truth: BTreeMap<&'a UtteranceId, Label>,
}

/// How an utterance's emotion follows an earlier one.
enum Follows {
    First,
    Unknown,
    Same,
    Other,
}

impl<'a> Turns<'a> {
    fn of(facts: &'a RunFacts, answers: &Answers<'a>) -> Self {
        let dialogues = facts.dialogues.iter().map(|dialogue| (dialogue.id.as_str(), dialogue)).collect();
        let truth = answers.all.iter().map(|answer| (answer.id, answer.truth)).collect();
        Self { dialogues, truth }
    }

    fn dialogue(&self, id: &UtteranceId) -> Option<&'a Dialogue> {
        self.dialogues.get(id.dialogue.as_str()).copied().filter(|one| id.position < one.utterances.len())
    }

    /// After the same speaker's last utterance, or whoever's; `None` without the dialogue that this takes.
    fn follows(&self, answer: &Answer<'_>, of_speaker: bool) -> Option<Follows> {
        let judged = |label: Option<Label>| match label {
            None => Follows::Unknown,
            Some(label) if label == answer.truth => Follows::Same,
            Some(_) => Follows::Other,
        };
        let position = answer.id.position;
        let Some(dialogue) = self.dialogue(answer.id) else {
            let previous = UtteranceId { position: position.saturating_sub(1), ..answer.id.clone() };
            let told = (position > 0).then(|| judged(self.truth.get(&previous).copied()));
            return (!of_speaker).then(|| told.unwrap_or(Follows::First));
        };
        let turns = &dialogue.utterances;
        let speaker = &turns[position].speaker;
        let mut earlier =
            turns[..position].iter().rev().filter(|turn| !of_speaker || turn.speaker == *speaker);
        Some(earlier.next().map_or(Follows::First, |turn| judged(turn.label)))
    }
}

fn shift(answers: &Answers<'_>, turns: &Turns<'_>, of_speaker: bool) -> Option<Grouping> {
    let first = if of_speaker { "speaker's first" } else { "dialogue's first" };
    let names = ["no shift", "shift", first, "unknown before"];
    let mut groups: IndexMap<String, Vec<usize>> =
        names.into_iter().map(|name| (name.to_owned(), Vec::new())).collect();
    for (at, answer) in answers.all.iter().enumerate() {
        let group = match turns.follows(answer, of_speaker)? {
            Follows::Same => 0,
            Follows::Other => 1,
            Follows::First => 2,
            Follows::Unknown => 3,
        };
        groups[group].push(at);
    }
    let (id, title, whose) = if of_speaker {
        ("shift-speaker", "By emotion shift within a speaker", "the same speaker's last utterance")
    } else {
        ("shift-previous", "By emotion shift between utterances", "the previous utterance")
    };
    let explanation = format!("A shift: the true emotion is not that of {whose}.");
    Some(Grouping { id, title, explanation, groups })
}

fn difficulty(facts: &RunFacts, answers: &Answers<'_>) -> Option<Grouping> {
    let facts = facts.difficulty.as_ref()?;
    let mut places = BTreeMap::new();
    let mut groups = IndexMap::new();
    for (number, bucket) in facts.buckets.iter().enumerate() {
        groups.insert(format!("{}: {:.2} to {:.2}", number + 1, bucket.low, bucket.high), Vec::new());
        places.extend(bucket.dialogues.iter().map(|dialogue| (dialogue.as_str(), number)));
    }
    for (at, answer) in answers.all.iter().enumerate() {
        if let Some(&bucket) = places.get(answer.id.dialogue.as_str()) {
            groups[bucket].push(at);
        }
    }
    let explanation = format!("Dialogues in buckets by {}, the easiest first.", facts.name);
    Some(Grouping { id: "difficulty", title: "By difficulty of the dialogue", explanation, groups })
}

fn speakers(answers: &Answers<'_>, turns: &Turns<'_>) -> Option<Grouping> {
    let mut members: IndexMap<&str, Vec<usize>> = IndexMap::new();
    for (at, answer) in answers.all.iter().enumerate() {
        let dialogue = turns.dialogue(answer.id)?;
        members.entry(&dialogue.utterances[answer.id.position].speaker).or_default().push(at);
    }
    members.sort_by(|one, of_one, other, of_other| of_other.len().cmp(&of_one.len()).then(one.cmp(other)));
    let all = members.len();
    let mut groups: IndexMap<String, Vec<usize>> = IndexMap::new();
    let mut others = Vec::new();
    for (number, (speaker, of_speaker)) in members.into_iter().enumerate() {
        if number < MOST_SPEAKERS || all == MOST_SPEAKERS + 1 {
            groups.insert(speaker.to_owned(), of_speaker);
        } else {
            others.extend(of_speaker);
        }
    }
    let rest = all - groups.len();
    if rest > 0 {
        groups.insert(format!("{rest} others"), others);
    }
    let explanation = format!("{} speakers by name, those with the most utterances first.", count(all));
    Some(Grouping { id: "speakers", title: "By speaker", explanation, groups })
}

fn positions(answers: &Answers<'_>) -> Grouping {
    let mut first = 1;
    let mut groups = IndexMap::new();
    for last in POSITIONS {
        let name = if first == last { format!("{last}") } else { format!("{first} to {last}") };
        groups.insert(name, Vec::new());
        first = last + 1;
    }
    groups.insert(format!("{first} and later"), Vec::new());
    for (at, answer) in answers.all.iter().enumerate() {
        let group = POSITIONS.iter().position(|last| answer.id.position < *last).unwrap_or(POSITIONS.len());
        groups[group].push(at);
    }
    let title = "By position in the dialogue";
    Grouping { id: "positions", title, explanation: "Positions are counted from 1.".to_owned(), groups }
}

fn retrieved(facts: &RunFacts, answers: &Answers<'_>) -> Option<Grouping> {
    if facts.demonstrations.is_empty() {
        return None;
    }
    let names = ["with the true label", "other labels only", "none found"];
    let mut groups: IndexMap<String, Vec<usize>> =
        names.into_iter().map(|name| (name.to_owned(), Vec::new())).collect();
    for (at, answer) in answers.all.iter().enumerate() {
        let found = facts.demonstrations.get(answer.id).map_or(&[][..], Vec::as_slice);
        let truth = answers.name(answer.truth);
        let group = match found {
            [] => 2,
            found if found.iter().any(|one| one.label == truth) => 0,
            _ => 1,
        };
        groups[group].push(at);
    }
    let explanation =
        "Whether demonstrations were found for an utterance, and whether one of them has its true label.";
    let title = "By retrieved demonstrations";
    Some(Grouping { id: "retrieved", title, explanation: explanation.to_owned(), groups })
}
