//! Scores with their intervals, one row each.

use std::ops::Range;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::error::ReportError;
use crate::plot::{
    Area, Caption, FAINT, INK, LINE, Mark, SERIES, drawing, failed, marked, mesh, padded, text_style, tick,
    write,
};
use crate::text::name;

/// Height of a row.
const ROW: i32 = LINE + 10;
/// Room for names, in drawing units and in characters.
const NAMES: i32 = 400;
const LONGEST: usize = 23;

/// A score with its interval, in the units of the axis.
pub(crate) struct IntervalRow {
    pub(crate) name: String,
    /// What stands behind the name, however long that is.
    pub(crate) note: String,
    pub(crate) score: f64,
    pub(crate) interval: Option<(f64, f64)>,
    /// Scores that the score is the mean of.
    pub(crate) points: Vec<f64>,
}

/// The rows, and what they are on.
pub(crate) struct IntervalPlot<'a> {
    pub(crate) caption: Caption<'a>,
    pub(crate) rows: Vec<IntervalRow>,
    /// The axis.
    pub(crate) range: Range<f64>,
    pub(crate) axis: &'a str,
    /// A value to compare with.
    pub(crate) reference: Option<f64>,
}

impl IntervalPlot<'_> {
    /// As SVG.
    pub(crate) fn svg(&self) -> Result<String, ReportError> {
        let rows = u32::try_from(self.rows.len()).unwrap_or(u32::MAX / 100);
        let height = rows * ROW.unsigned_abs() + 2 * LINE.unsigned_abs() + 40;
        drawing(&self.caption, height, |area| self.draw(area))
    }

    fn draw(&self, area: &Area<'_>) -> Result<(), ReportError> {
        let last = self.rows.len() as f64 - 0.5;
        let mut chart = ChartBuilder::on(area)
            .margin_top(12)
            .margin_right(110)
            .margin_left(NAMES)
            .margin_bottom(8)
            .x_label_area_size(2 * LINE + 8)
            .build_cartesian_2d(self.range.clone(), last..-0.5)
            .map_err(failed)?;
        let usual = |value: &f64| tick(*value);
        mesh(&mut chart)
            .disable_y_mesh()
            .disable_y_axis()
            .x_labels(6)
            .x_label_formatter(&usual)
            .x_desc(self.axis)
            .draw()
            .map_err(failed)?;
        if let Some(reference) = self.reference.filter(|value| self.range.contains(value)) {
            let line =
                DashedLineSeries::new([(reference, -0.5), (reference, last)], 4, 8, FAINT.stroke_width(3));
            chart.draw_series(line).map_err(failed)?;
        }
        let colour = SERIES[0];
        for (at, row) in self.rows.iter().enumerate() {
            let place = at as f64;
            let (across, down) = chart.backend_coord(&(row.score, place));
            let points =
                row.points.iter().map(|point| Circle::new((*point, place), 5, FAINT.stroke_width(2)));
            chart.draw_series(points).map_err(failed)?;
            if let Some((low, high)) = row.interval {
                let [low, high] = [low, high].map(|end| end.clamp(self.range.start, self.range.end));
                let [left, right] = [low, high].map(|end| chart.backend_coord(&(end, place)).0);
                let caps = [left, right].map(|end| [(end, down - 8), (end, down + 8)]);
                for ends in [[(left, down), (right, down)]].into_iter().chain(caps) {
                    area.draw(&PathElement::new(ends, colour.stroke_width(3))).map_err(failed)?;
                }
            }
            marked(area, (across, down), colour, Mark::Circle)?;
            let label = text_style(INK, HPos::Right, VPos::Center);
            let room = LONGEST.saturating_sub(row.note.chars().count()).max(1);
            let named = format!("{}{}", name(&row.name, room), row.note);
            write(area, &named, &label, (NAMES - 14, down))?;
            let right = i32::try_from(area.dim_in_pixel().0).unwrap_or(0) - 8;
            write(area, &format!("{:.1}", row.score), &label, (right, down))?;
        }
        Ok(())
    }
}

/// The axis for these rows: all seeds, and intervals as far as scores can be.
pub(crate) fn range(rows: &[IntervalRow]) -> Range<f64> {
    let points = rows.iter().flat_map(|row| row.points.iter().copied().chain([row.score]));
    let ends = rows.iter().filter_map(|row| row.interval).flat_map(|(low, high)| [low, high]);
    let range = padded(points.chain(ends.map(|end| end.clamp(0.0, 100.0))), 0.05);
    let low = range.start.max(0.0);
    low..range.end.min(100.0).max(low + 0.1)
}
