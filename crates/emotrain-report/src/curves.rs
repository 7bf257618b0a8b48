//! Loss, scores, learning rate and curriculum over the steps of a training.

use emotrain_runs::{BestRecord, MetricsLine};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::block::{Block, DataTable, Figure, Section};
use crate::error::ReportError;
use crate::plot::{
    Area, Caption, FAINT, INK, LINE, Mark, SERIES, WIDTH, drawing, failed, marked, mesh, padded, series,
    text_style, tick, width, write,
};

/// Points of a line that are drawn; of more, the least and the greatest of each stretch.
const MOST_POINTS: usize = 400;
/// Rows of the table for each kind of line.
const MOST_ROWS: usize = 100;

/// Plots under one another, over the same steps.
struct Panel {
    title: &'static str,
    height: u32,
    lines: Vec<Curve>,
}

struct Curve {
    name: &'static str,
    points: Vec<(f64, f64)>,
    mark: Mark,
}

/// The section; without measurements it says so.
pub(crate) fn section(metrics: &[MetricsLine], best: Option<BestRecord>) -> Result<Section, ReportError> {
    let panels = panels(metrics);
    let mut blocks = Vec::new();
    if panels.is_empty() {
        blocks.push(Block::note(
            "The run has no metrics.jsonl: its recipe leaves \"jsonl\" out of logging.report_to.",
        ));
    } else {
        let names: Vec<&str> = panels.iter().map(|panel| panel.title).collect();
        let last = metrics.iter().map(|line| line.step).max().unwrap_or(0);
        let mark = best.map_or(String::new(), |best| {
            format!(" The dotted line is at step {}, whose weights were kept.", best.step)
        });
        let description =
            format!("{} over {last} optimizer steps, one plot under the other.{mark}", names.join(", "));
        let caption = Caption { id: "curves", title: "Training curves", description: &description };
        let height = panels.iter().map(|panel| panel.height).sum::<u32>() + 2 * LINE.unsigned_abs() + 16;
        let steps = 0.0..(last.max(1) as f64);
        let svg = drawing(&caption, height, |area| draw(area, &panels, steps.clone(), best))?;
        let mut figure = Figure::new(svg, description, table(metrics));
        figure.wide = true;
        blocks.push(Block::Figure { figure });
    }
    Ok(Section { id: "curves", title: "Training curves".to_owned(), blocks })
}

fn panels(metrics: &[MetricsLine]) -> Vec<Panel> {
    let curve = |event: &str, key: &str, name, mark| {
        let lines = metrics.iter().filter(|line| line.event == event);
        let point = |line: &MetricsLine| Some((line.step as f64, (*line.scalars.get(key)?)?));
        Curve { name, points: thinned(lines.filter_map(point).collect()), mark }
    };
    let loss = vec![
        curve("train", "loss", "training", Mark::Line),
        curve("eval", "loss", "validation", Mark::Circle),
    ];
    let scores = vec![
        curve("eval", "weighted_f1", "weighted F1", Mark::Circle),
        curve("eval", "macro_f1", "macro F1", Mark::Triangle),
        curve("eval", "accuracy", "accuracy", Mark::Cross),
    ];
    let mut phases = curve("train", "curriculum/phase", "phase", Mark::Line);
    phases.points = steps_of(&phases.points);
    let all = [
        ("Loss", 320, loss),
        ("Validation scores", 320, scores),
        ("Learning rate", 200, vec![curve("train", "learning_rate", "learning rate", Mark::Line)]),
        ("Curriculum phase", 170, vec![phases]),
    ];
    let kept = all.into_iter().map(|(title, height, lines)| {
        let lines = lines.into_iter().filter(|line| !line.points.is_empty()).collect();
        Panel { title, height, lines }
    });
    kept.filter(|panel| !panel.lines.is_empty()).collect()
}

/// At most so many points that a line looks the same.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points;
    }
    let stretch = points.len().div_ceil(MOST_POINTS / 2);
    let mut kept = Vec::new();
    for part in points.chunks(stretch) {
        let by_value = |one: &&(f64, f64), other: &&(f64, f64)| one.1.total_cmp(&other.1);
        let mut ends: Vec<(f64, f64)> =
            part.iter().min_by(by_value).into_iter().chain(part.iter().max_by(by_value)).copied().collect();
        ends.sort_by(|one, other| one.0.total_cmp(&other.0));
        ends.dedup();
        kept.extend(ends);
    }
    kept
}

/// Phases, counted from 1, as stairs: with a corner where one changes.
fn steps_of(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut stairs: Vec<(f64, f64)> = Vec::new();
    for &(step, phase) in points {
        if let Some(&(_, before)) = stairs.last().filter(|(_, before)| (before - phase - 1.0).abs() > 0.5) {
            stairs.push((step, before));
        }
        stairs.push((step, phase + 1.0));
    }
    stairs
}

fn draw(
    area: &Area<'_>,
    panels: &[Panel],
    steps: std::ops::Range<f64>,
    best: Option<BestRecord>,
) -> Result<(), ReportError> {
    let mut rest = area.clone();
    for (number, panel) in panels.iter().enumerate() {
        let is_last = number + 1 == panels.len();
        let foot = if is_last { 2 * LINE.unsigned_abs() + 16 } else { 0 };
        let (here, below) = rest.split_vertically(panel.height + foot);
        legend(&here, panel)?;
        let values = panel.lines.iter().flat_map(|line| line.points.iter().map(|point| point.1));
        let is_phase = panel.title == "Curriculum phase";
        let range = if is_phase { 0.5..values.fold(1.0, f64::max) + 0.5 } else { padded(values, 0.06) };
        let mut chart = ChartBuilder::on(&here)
            .margin_top(LINE + 8)
            .margin_right(30)
            .margin_bottom(16)
            .y_label_area_size(110)
            .x_label_area_size(if is_last { 2 * LINE } else { 0 })
            .build_cartesian_2d(steps.clone(), range)
            .map_err(failed)?;
        let whole = |value: &f64| format!("{value:.0}");
        let usual = |value: &f64| tick(*value);
        mesh(&mut chart)
            .disable_x_mesh()
            .x_labels(8)
            .y_labels(if panel.height > 250 { 5 } else { 3 })
            .x_label_formatter(&whole)
            .y_label_formatter(if is_phase { &whole } else { &usual })
            .x_desc(if is_last { "optimizer step" } else { "" })
            .draw()
            .map_err(failed)?;
        if let Some(best) = best {
            let at = best.step as f64;
            let (low, high) = (chart.y_range().start, chart.y_range().end);
            let line = DashedLineSeries::new([(at, low), (at, high)], 4, 8, FAINT.stroke_width(3));
            chart.draw_series(line).map_err(failed)?;
        }
        for (line, colour) in panel.lines.iter().zip(SERIES) {
            series(&mut chart, &line.points, colour, line.mark)?;
        }
        rest = below;
    }
    Ok(())
}

/// The title of a panel and the names of its lines.
fn legend(area: &Area<'_>, panel: &Panel) -> Result<(), ReportError> {
    let middle = LINE / 2 + 4;
    write(area, panel.title, &text_style(INK, HPos::Left, VPos::Center), (8, middle))?;
    if panel.lines.len() < 2 {
        return Ok(());
    }
    let needed: i32 = panel.lines.iter().map(|line| width(line.name) + 90).sum();
    let mut at = i32::try_from(WIDTH).unwrap_or(0) - 30 - needed;
    for (line, colour) in panel.lines.iter().zip(SERIES) {
        let sample = PathElement::new([(at, middle), (at + 50, middle)], colour.stroke_width(4));
        area.draw(&sample).map_err(failed)?;
        let (across, down) = area.get_base_pixel();
        marked(area, (at + 25 + across, middle + down), colour, line.mark)?;
        write(area, line.name, &text_style(INK, HPos::Left, VPos::Center), (at + 60, middle))?;
        at += width(line.name) + 90;
    }
    Ok(())
}

/// At most so many lines, evenly spread, the last among them.
fn spread(lines: Vec<&MetricsLine>) -> Vec<&MetricsLine> {
    let stride = lines.len().div_ceil(MOST_ROWS).max(1);
    let last = lines.len().saturating_sub(1);
    let kept = lines.into_iter().enumerate().filter(|(at, _)| at % stride == 0 || *at == last);
    kept.map(|(_, line)| line).collect()
}

/// Evaluations and training steps.
fn table(metrics: &[MetricsLine]) -> DataTable {
    let columns =
        ["Step", "measured", "#loss", "#weighted F1", "#macro F1", "#accuracy", "#learning rate", "#phase"];
    let mut table = DataTable::new("Training curves", &columns);
    let trained: Vec<&MetricsLine> = metrics.iter().filter(|line| line.event == "train").collect();
    let evaluated: Vec<&MetricsLine> = metrics.iter().filter(|line| line.event == "eval").collect();
    let mut lines: Vec<&MetricsLine> = [trained, evaluated].into_iter().flat_map(spread).collect();
    lines.sort_by_key(|line| line.step);
    for line in lines {
        let scalar = |key: &str, factor: f64, digits: usize| {
            let value = line.scalars.get(key).copied().flatten();
            value.map_or(String::new(), |value| format!("{:.digits$}", factor * value))
        };
        let rate = line.scalars.get("learning_rate").copied().flatten();
        let phase = line.scalars.get("curriculum/phase").copied().flatten();
        let scores = ["weighted_f1", "macro_f1", "accuracy"].map(|key| scalar(key, 100.0, 2));
        let what = if line.event == "eval" { "validation" } else { "training" };
        let ends = [
            rate.map_or(String::new(), |rate| format!("{rate:.2e}")),
            phase.map_or(String::new(), |phase| format!("{:.0}", phase + 1.0)),
        ];
        let begin = [line.step.to_string(), what.to_owned(), scalar("loss", 1.0, 4)];
        table.row(begin.into_iter().chain(scores).chain(ends));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_keeps_its_extremes() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|at| (f64::from(at), 1.0)).collect();
        points[5_003].1 = 9.0;
        points[7_001].1 = -3.0;
        let kept = thinned(points);
        assert!(kept.len() <= MOST_POINTS, "{}", kept.len());
        assert!(kept.contains(&(5_003.0, 9.0)) && kept.contains(&(7_001.0, -3.0)));
        assert!(kept.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_phase_changes_at_a_step() {
        let stairs = steps_of(&[(10.0, 0.0), (20.0, 0.0), (30.0, 1.0)]);
        assert_eq!(stairs, [(10.0, 1.0), (20.0, 1.0), (30.0, 1.0), (30.0, 2.0)]);
    }
}
