//! The scores of a sweep over each of its axes.

use std::collections::BTreeMap;

use emotrain_eval::{Bootstrap, SeedSummary};
use indexmap::{IndexMap, IndexSet};
use plotters::prelude::*;
use serde_json::Value;

use crate::block::{Block, DataTable, Figure, Section};
use crate::error::ReportError;
use crate::interval_plot::{IntervalPlot, IntervalRow, range};
use crate::plot::{Area, Caption, LINE, Mark, SERIES, drawing, failed, marked, mesh, padded, tick};
use crate::sweep_facts::SweepFacts;
use crate::text::{between, capital, count, percent};

/// An axis with more values than this, all numbers, is drawn as a cloud of points.
const MOST_ROWS: usize = 10;
/// From this ratio of the greatest to the least value on, the axis is logarithmic.
const LOGARITHMIC: f64 = 50.0;
const CLOUD: u32 = 520;

/// An axis: its values with the scores of the runs that have them.
struct Axis<'a> {
    key: &'a str,
    values: IndexMap<String, Vec<f64>>,
    /// The values as numbers, if all are.
    numbers: Option<Vec<f64>>,
}

/// The section; none where every run has the same settings.
pub(crate) fn section(facts: &SweepFacts) -> Result<Option<Section>, ReportError> {
    let axes = axes(facts);
    if axes.is_empty() {
        return Ok(None);
    }
    let mut cells = Vec::new();
    for (number, axis) in axes.iter().enumerate() {
        let id = format!("axis-{number}");
        let heading = Block::Heading { text: axis.key.to_owned() };
        cells.push(vec![heading, Block::Figure { figure: axis.figure(facts, &id)? }]);
    }
    let text = "Every run with a score, by its value on one axis, whatever its values on the others; means with \
                Student's 95 % t intervals over those runs.";
    let blocks = vec![Block::text(text), Block::Grid { cells }];
    Ok(Some(Section { id: "axes", title: "Axes".to_owned(), blocks }))
}

fn axes(facts: &SweepFacts) -> Vec<Axis<'_>> {
    let runs = facts.board.groups.iter().flat_map(|group| &group.runs);
    let scores: BTreeMap<&str, f64> = runs.filter_map(|run| Some((run.id.as_str(), run.score?))).collect();
    let keys: IndexSet<&str> =
        facts.plans.iter().flat_map(|plan| plan.settings.keys().map(String::as_str)).collect();
    let axis = |key| {
        let mut values: IndexMap<String, Vec<f64>> = IndexMap::new();
        let mut numbers = Some(Vec::new());
        for plan in &facts.plans {
            let value = plan.settings.get(key);
            let text = value.map_or_else(|| "not set".to_owned(), written);
            if !values.contains_key(&text) {
                let number = value.and_then(Value::as_f64);
                numbers = numbers.zip(number).map(|(mut all, one): (Vec<f64>, f64)| {
                    all.push(one);
                    all
                });
            }
            values.entry(text).or_default().extend(scores.get(plan.id.as_str()));
        }
        Axis { key, values, numbers }
    };
    keys.into_iter().map(axis).filter(|axis| axis.values.len() > 1).collect()
}

fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Axis<'_> {
    fn figure(&self, facts: &SweepFacts, id: &str) -> Result<Figure, ReportError> {
        let board = &facts.board;
        let score = capital(&board.score.to_string());
        let mean = format!("#mean {}", board.score);
        let columns = ["Value", "#runs", mean.as_str(), "#sd", "95 % t interval"];
        let mut table = DataTable::new(format!("{score} by {}, in percent", self.key), &columns);
        let mut rows = Vec::new();
        for (value, scores) in self.values.iter().filter(|(_, scores)| !scores.is_empty()) {
            let summary = SeedSummary::of(scores, Bootstrap { samples: 1, level: 0.95, seed: 0 })?;
            let none = || "–".to_owned();
            let std = summary.std.map_or_else(none, percent);
            let interval = summary.t_interval.map_or_else(none, between);
            table.row([value.clone(), count(scores.len()), percent(summary.mean), std, interval]);
            rows.push(IntervalRow {
                name: value.clone(),
                note: format!(" ({})", scores.len()),
                score: 100.0 * summary.mean,
                interval: summary.t_interval.map(|one| (100.0 * one.low, 100.0 * one.high)),
                points: scores.iter().map(|score| 100.0 * score).collect(),
            });
        }
        let title = format!("{score} by {}", self.key);
        let axis = format!("{} in percent", board.score);
        let cloud = self.numbers.as_ref().filter(|_| self.values.len() > MOST_ROWS);
        let description = match cloud {
            Some(_) => format!("{title}: a circle for each run."),
            None => format!("{title}: small circles are runs, numbers of runs in brackets."),
        };
        let caption = Caption { id, title: &title, description: &description };
        let svg = if let Some(numbers) = cloud {
            let points = self.points(numbers);
            drawing(&caption, CLOUD, |area| draw(area, &points, self.key, &axis))?
        } else {
            let range = range(&rows);
            IntervalPlot { caption, rows, range, axis: &axis, reference: None }.svg()?
        };
        Ok(Figure::new(svg, description, table))
    }

    /// Values with scores in percent.
    fn points(&self, numbers: &[f64]) -> Vec<(f64, f64)> {
        let of_value = |(number, scores): (&f64, &Vec<f64>)| {
            let number = *number;
            scores.iter().map(move |score| (number, 100.0 * score)).collect::<Vec<_>>()
        };
        numbers.iter().zip(self.values.values()).flat_map(of_value).collect()
    }
}

fn draw(area: &Area<'_>, points: &[(f64, f64)], key: &str, axis: &str) -> Result<(), ReportError> {
    let least = points.iter().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let most = points.iter().map(|point| point.0).fold(f64::NEG_INFINITY, f64::max);
    let is_logarithmic = least > 0.0 && most / least >= LOGARITHMIC;
    let place = |value: f64| if is_logarithmic { value.log10() } else { value };
    let mut chart = ChartBuilder::on(area)
        .margin_top(16)
        .margin_right(40)
        .margin_bottom(8)
        .y_label_area_size(150)
        .x_label_area_size(2 * LINE + 8)
        .build_cartesian_2d(
            padded(points.iter().map(|point| place(point.0)), 0.05),
            padded(points.iter().map(|point| point.1), 0.08),
        )
        .map_err(failed)?;
    let across = |value: &f64| tick(if is_logarithmic { 10_f64.powf(*value) } else { *value });
    let down = |value: &f64| tick(*value);
    mesh(&mut chart)
        .x_labels(5)
        .y_labels(5)
        .x_label_formatter(&across)
        .y_label_formatter(&down)
        .x_desc(key)
        .y_desc(axis)
        .draw()
        .map_err(failed)?;
    for point in points {
        let at = chart.backend_coord(&(place(point.0), point.1));
        marked(area, at, SERIES[0], Mark::Circle)?;
    }
    Ok(())
}
