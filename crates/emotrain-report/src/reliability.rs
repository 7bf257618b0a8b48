//! Whether the model is right as often as it is sure.

use emotrain_eval::{Calibration, SureAnswer};
use plotters::prelude::*;

use crate::answers::Answers;
use crate::block::{Block, DataTable, Figure, Section, Tile};
use crate::error::ReportError;
use crate::plot::{Area, Caption, FAINT, LINE, Mark, SERIES, drawing, failed, marked, mesh, tick};
use crate::text::{count, percent};

const BINS: usize = 10;
/// Heights of the two plots.
const DIAGRAM: u32 = 620;
const COUNTS: u32 = 250;

/// The section, and the calibration if there is one.
pub(crate) fn section(answers: &Answers<'_>) -> Result<(Section, Option<Calibration>), ReportError> {
    let sure: Vec<SureAnswer> = answers.all.iter().filter_map(|answer| answer.sure.clone()).collect();
    let title = "Calibration".to_owned();
    if sure.is_empty() {
        let note = Block::note("The predictions have no probabilities of labels.");
        return Ok((Section { id: "calibration", title, blocks: vec![note] }, None));
    }
    let calibration = Calibration::of(&sure, BINS)?;
    let columns = ["Confidence", "#answers", "#mean confidence", "#accuracy", "#difference"];
    let mut table = DataTable::new("Answers by confidence, in percent", &columns);
    for (at, bin) in calibration.bins.iter().enumerate() {
        let [low, high] = [at, at + 1].map(|edge| 100 * edge / BINS);
        let shown = |value: f64| if bin.answers == 0 { "–".to_owned() } else { percent(value) };
        let numbers = [bin.confidence, bin.accuracy, bin.accuracy - bin.confidence].map(shown);
        table.row([format!("{low} to {high}"), count(bin.answers)].into_iter().chain(numbers));
    }
    let description = "Bars: the share of right answers among those of some confidence; circles are at their mean \
                       confidence. On the dotted line a model is right as often as it is sure; below it, it is too \
                       sure. Under it, how many answers there are.";
    let caption = Caption { id: "reliability", title: "Reliability diagram", description };
    let svg = drawing(&caption, DIAGRAM + COUNTS, |area| draw(area, &calibration))?;
    let figure = Figure::new(svg, description, table);
    let tile =
        |name: &str, value: String, note: &str| Tile { name: name.to_owned(), value, note: note.to_owned() };
    let mean = |value: fn(&SureAnswer) -> f64| sure.iter().map(value).sum::<f64>() / sure.len() as f64;
    let tiles = vec![
        tile("ECE", percent(calibration.ece), "expected calibration error, in percentage points; 0 is best"),
        tile("Mean confidence", percent(mean(SureAnswer::confidence)), "percent"),
        tile("Accuracy", percent(mean(|one| f64::from(one.predicted == one.truth))), "percent"),
        tile("Brier score", format!("{:.4}", calibration.brier), "0 is best, 2 worst"),
        tile("Log loss", format!("{:.4}", calibration.log_loss), "nats; 0 is best"),
    ];
    let method = format!(
        "Confidence is the probability of the answer among all labels. {} answers in {BINS} bins of equal width.",
        count(calibration.answers)
    );
    let blocks = vec![Block::text(method), Block::Tiles { tiles }, Block::Figure { figure }];
    Ok((Section { id: "calibration", title, blocks }, Some(calibration)))
}

fn draw(area: &Area<'_>, calibration: &Calibration) -> Result<(), ReportError> {
    let (above, below) = area.split_vertically(DIAGRAM);
    let mut chart = ChartBuilder::on(&above)
        .margin_top(16)
        .margin_right(30)
        .margin_bottom(10)
        .y_label_area_size(130)
        .build_cartesian_2d(0.0..100.0, 0.0..100.0)
        .map_err(failed)?;
    let usual = |value: &f64| tick(*value);
    mesh(&mut chart)
        .x_labels(6)
        .y_labels(6)
        .y_label_formatter(&usual)
        .y_desc("right, in percent")
        .draw()
        .map_err(failed)?;
    let edge = |at: usize| (100 * at) as f64 / calibration.bins.len() as f64;
    let filled = || calibration.bins.iter().enumerate().filter(|(_, bin)| bin.answers > 0);
    let bars = filled().map(|(at, bin)| {
        let corners = [(edge(at) + 0.6, 0.0), (edge(at + 1) - 0.6, 100.0 * bin.accuracy)];
        Rectangle::new(corners, SERIES[0].mix(0.45).filled())
    });
    chart.draw_series(bars).map_err(failed)?;
    let line = DashedLineSeries::new([(0.0, 0.0), (100.0, 100.0)], 6, 10, FAINT.stroke_width(3));
    chart.draw_series(line).map_err(failed)?;
    for (_, bin) in filled() {
        let at = chart.backend_coord(&(100.0 * bin.confidence, 100.0 * bin.accuracy));
        marked(&above, at, SERIES[0], Mark::Circle)?;
    }
    counts(&below, calibration)
}

fn counts(area: &Area<'_>, calibration: &Calibration) -> Result<(), ReportError> {
    let most = calibration.bins.iter().map(|bin| bin.answers).max().unwrap_or(1) as f64;
    let mut chart = ChartBuilder::on(area)
        .margin_top(16)
        .margin_right(30)
        .margin_bottom(8)
        .y_label_area_size(130)
        .x_label_area_size(2 * LINE + 8)
        .build_cartesian_2d(0.0..100.0, 0.0..1.08 * most)
        .map_err(failed)?;
    let whole = |value: &f64| format!("{value:.0}");
    mesh(&mut chart)
        .disable_x_mesh()
        .x_labels(6)
        .y_labels(3)
        .x_label_formatter(&whole)
        .y_label_formatter(&whole)
        .y_desc("answers")
        .x_desc("confidence in percent")
        .draw()
        .map_err(failed)?;
    let edge = |at: usize| (100 * at) as f64 / calibration.bins.len() as f64;
    let bars = calibration.bins.iter().enumerate().map(|(at, bin)| {
        let corners = [(edge(at) + 0.6, 0.0), (edge(at + 1) - 0.6, bin.answers as f64)];
        Rectangle::new(corners, FAINT.mix(0.6).filled())
    });
    chart.draw_series(bars).map_err(failed)?;
    Ok(())
}
