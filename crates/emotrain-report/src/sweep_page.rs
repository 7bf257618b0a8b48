//! The report of a sweep.

use emotrain_sweep::{BoardGroup, BoardRun, StoredPlan, SweepState};

use crate::block::{Block, DataTable, Figure, Link, Section, Tile};
use crate::error::ReportError;
use crate::interval_plot::{IntervalPlot, IntervalRow, range};
use crate::page::{Page, render};
use crate::plot::Caption;
use crate::sweep_facts::SweepFacts;
use crate::text::{between, capital, count, percent, shortened};
use crate::{axes, significance};

/// Recipes in the plot of the board.
const MOST_DRAWN: usize = 40;
/// Characters of what a failed run said.
const LONGEST: usize = 400;

/// The report of a sweep as one HTML file that needs nothing else.
///
/// # Errors
/// A score that is not finite.
pub fn sweep_page(facts: &SweepFacts) -> Result<String, ReportError> {
    let board = &facts.board;
    let mut sections = vec![board_section(facts)?];
    sections.extend(axes::section(facts)?);
    sections.extend(facts.comparison.as_ref().map(significance::section));
    sections.push(runs_section(facts));
    let name = facts.folder.file_name().unwrap_or(facts.folder.as_os_str()).to_string_lossy();
    render(&Page {
        title: format!("Sweep {name}"),
        lead: format!(
            "{} runs of {} recipes, compared by {} on the {} split. Folder: {}.",
            count(facts.plans.len()),
            count(board.groups.len()),
            board.score,
            board.split,
            facts.folder.display()
        ),
        notes: facts.missing.clone(),
        sections,
    })
}

fn board_section(facts: &SweepFacts) -> Result<Section, ReportError> {
    let board = &facts.board;
    let tile = |(state, number): &(SweepState, usize)| Tile {
        name: state.to_string(),
        value: count(*number),
        note: String::new(),
    };
    let mut blocks = vec![Block::Tiles { tiles: facts.states.iter().map(tile).collect() }];
    let mean = format!("#mean {}", board.score);
    let columns =
        ["Recipe", "#seeds", mean.as_str(), "#sd", "95 % t interval", "#least", "#most", "#without a score"];
    let score = capital(&board.score.to_string());
    let caption = format!("{score} on the {} split, in percent; the best mean first", board.split);
    let mut table = DataTable::new(caption, &columns);
    for group in &board.groups {
        let scores = scores(group);
        let none = || "–".to_owned();
        let extreme =
            |pick: fn(f64, f64) -> f64| scores.iter().copied().reduce(pick).map_or_else(none, percent);
        let summary = group.summary;
        let [mean, std] = [summary.map(|one| one.mean), summary.and_then(|one| one.std)]
            .map(|value| value.map_or_else(none, percent));
        let interval = summary.and_then(|one| one.t_interval).map_or_else(none, between);
        let without = count(group.runs.len() - scores.len());
        let (least, most) = (extreme(f64::min), extreme(f64::max));
        table.row([group.name.clone(), count(scores.len()), mean, std, interval, least, most, without]);
    }
    blocks.push(Block::Table { table });
    let scored: Vec<&BoardGroup> = board.groups.iter().filter(|group| group.summary.is_some()).collect();
    if !scored.is_empty() {
        blocks.push(Block::Figure { figure: figure(facts, &scored)? });
    }
    blocks.push(Block::text(
        "Small circles are seeds, the large one is their mean, with Student's 95 % t interval over seeds. A recipe with \
         one seed has no interval.",
    ));
    Ok(Section { id: "board", title: "Board".to_owned(), blocks })
}

fn figure(facts: &SweepFacts, groups: &[&BoardGroup]) -> Result<Figure, ReportError> {
    let board = &facts.board;
    let mut table = DataTable::new("Scores of all seeds, in percent", &["Recipe", "seeds and scores"]);
    let mut rows = Vec::new();
    for group in groups {
        let seeds =
            group.runs.iter().filter_map(|run| Some(format!("{}: {}", run.seed, percent(run.score?))));
        table.row([group.name.clone(), seeds.collect::<Vec<_>>().join(", ")]);
        let Some(summary) = group.summary else { continue };
        rows.push(IntervalRow {
            name: group.name.clone(),
            note: String::new(),
            score: 100.0 * summary.mean,
            interval: summary.t_interval.map(|one| (100.0 * one.low, 100.0 * one.high)),
            points: scores(group).into_iter().map(|score| 100.0 * score).collect(),
        });
    }
    rows.truncate(MOST_DRAWN);
    let axis = format!("{} in percent", board.score);
    let score = capital(&board.score.to_string());
    let description = match rows.len() {
        1 => format!("{score} of the seeds of one recipe."),
        count => format!("{score} of the best {count} recipes, the best first."),
    };
    let range = range(&rows);
    let caption = Caption { id: "board-plot", title: "Board", description: &description };
    let plot = IntervalPlot { caption, rows, range, axis: &axis, reference: None };
    let svg = plot.svg()?;
    Ok(Figure::new(svg, description, table))
}

fn runs_section(facts: &SweepFacts) -> Section {
    let mut blocks = Vec::new();
    let without = &facts.board.without_score;
    let text = match without.len() {
        0 => "Every run has a score.".to_owned(),
        number => format!("{} of {} runs have no score.", count(number), count(facts.plans.len())),
    };
    blocks.push(Block::text(text));
    if !without.is_empty() {
        let mut table =
            DataTable::new("Runs without a score", &["Run", "recipe", "#seed", "state", "message"]);
        for BoardRun { id, name, seed, state, message, .. } in without {
            let message = message.as_deref().map_or(String::new(), |text| shortened(text, LONGEST));
            table.row([id.clone(), name.clone(), seed.to_string(), state.to_string(), message]);
        }
        blocks.push(Block::Table { table });
    }
    let link = |plan: &StoredPlan| {
        let href = facts.reports.get(&plan.id)?.clone();
        Some(Link { href, text: format!("{}, seed {}", plan.name, plan.seed) })
    };
    let links: Vec<Link> = facts.plans.iter().filter_map(link).collect();
    if links.is_empty() {
        blocks
            .push(Block::text("No run has a report of its own; emotrain report FOLDER/runs/ID writes one."));
    } else {
        blocks.push(Block::Heading { text: "Reports of runs".to_owned() });
        blocks.push(Block::Links { links });
    }
    Section { id: "runs", title: "Runs".to_owned(), blocks }
}

/// The scores of a recipe's seeds.
fn scores(group: &BoardGroup) -> Vec<f64> {
    group.runs.iter().filter_map(|run| run.score).collect()
}
