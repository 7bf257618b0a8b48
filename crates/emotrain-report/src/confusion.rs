//! Which labels are taken for which.

use emotrain_eval::EvalReport;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::block::{Block, DataTable, Figure, Section};
use crate::error::ReportError;
use crate::plot::{Area, Caption, FAINT, GRID, INK, SERIES, WIDTH, drawing, failed, text_style, write};
use crate::text::{count, name};

/// Room for the names of rows and of columns.
const LEFT: i32 = 250;
const TOP: i32 = 230;
const LONGEST: usize = 13;
/// With more labels, the numbers are in the table alone.
const MOST_NUMBERED: usize = 10;
/// The shade of a cell that holds all of its row: ink on it can still be read.
const DARKEST: f64 = 0.6;

/// The section.
pub(crate) fn section(report: &EvalReport) -> Result<Section, ReportError> {
    let names: Vec<&str> = report.labels.iter().map(|row| row.label.as_str()).collect();
    let columns: Vec<String> = names.iter().map(|name| format!("#{name}")).collect();
    let heads: Vec<&str> =
        ["True label"].into_iter().chain(columns.iter().map(String::as_str)).chain(["#no label"]).collect();
    let mut table = DataTable::new("Utterances by true label (rows) and answer (columns)", &heads);
    for (row, label) in report.confusion.iter().zip(&report.labels) {
        let unparsed = label.support.saturating_sub(row.iter().sum());
        let cells = row.iter().map(|cell| count(*cell)).chain([count(unparsed)]);
        table.row([label.label.clone()].into_iter().chain(cells));
    }
    let description = "Rows are true labels, columns are answers; a cell has the number of utterances and is the darker, \
                       the larger its share of the row.";
    let caption = Caption { id: "confusion", title: "Confusion matrix", description };
    let rows = u32::try_from(names.len()).unwrap_or(u32::MAX / 110);
    let height = TOP.unsigned_abs() + rows * cell(names.len()).unsigned_abs() + 8;
    let svg = drawing(&caption, height, |area| draw(area, report, &names))?;
    let figure = Figure::new(svg, description, table);
    let most = mistakes(report);
    let mut blocks = vec![Block::Figure { figure }];
    if !most.is_empty() {
        blocks.push(Block::text(format!("The most frequent mistakes: {}.", most.join("; "))));
    }
    Ok(Section { id: "confusion", title: "Confusion matrix".to_owned(), blocks })
}

/// The side of a cell.
fn cell(labels: usize) -> i32 {
    let room = WIDTH.cast_signed() - LEFT - 8;
    (room / i32::try_from(labels.max(1)).unwrap_or(1)).clamp(8, 110)
}

fn draw(area: &Area<'_>, report: &EvalReport, names: &[&str]) -> Result<(), ReportError> {
    let side = cell(names.len());
    for (row, cells) in report.confusion.iter().enumerate() {
        let support = report.labels[row].support.max(1) as f64;
        let top = TOP + side * i32::try_from(row).unwrap_or(0);
        for (column, &number) in cells.iter().enumerate() {
            let left = LEFT + side * i32::try_from(column).unwrap_or(0);
            let corners = [(left, top), (left + side - 2, top + side - 2)];
            let shade = SERIES[0].mix(DARKEST * number as f64 / support).filled();
            area.draw(&Rectangle::new(corners, shade)).map_err(failed)?;
            area.draw(&Rectangle::new(corners, if row == column { INK } else { GRID })).map_err(failed)?;
            if names.len() <= MOST_NUMBERED {
                let style = text_style(INK, HPos::Center, VPos::Center);
                write(area, &number.to_string(), &style, (left + side / 2, top + side / 2))?;
            }
        }
    }
    if side < 24 {
        return Ok(());
    }
    for (at, label) in names.iter().enumerate() {
        let middle = side * i32::try_from(at).unwrap_or(0) + side / 2;
        let style = text_style(INK, HPos::Right, VPos::Center);
        write(area, &name(label, LONGEST), &style, (LEFT - 14, TOP + middle))?;
        let style = text_style(INK, HPos::Left, VPos::Center).transform(FontTransform::Rotate270);
        write(area, &name(label, LONGEST), &style, (LEFT + middle, TOP - 14))?;
    }
    write(area, "answer →", &text_style(FAINT, HPos::Right, VPos::Center), (LEFT - 14, 24))?;
    write(area, "true label ↓", &text_style(FAINT, HPos::Right, VPos::Center), (LEFT - 14, TOP - 24))
}

/// The largest numbers beside the diagonal.
fn mistakes(report: &EvalReport) -> Vec<String> {
    let mut cells = Vec::new();
    for (row, label) in report.confusion.iter().zip(&report.labels) {
        for (number, answer) in row.iter().zip(&report.labels) {
            if answer.label != label.label && *number > 0 {
                cells.push((*number, &label.label, &answer.label, label.support));
            }
        }
    }
    cells.sort_by_key(|cell| std::cmp::Reverse(cell.0));
    let told = cells.into_iter().take(3).map(|(number, truth, answer, support)| {
        format!("{number} of {support} utterances with “{truth}” were answered “{answer}”")
    });
    told.collect()
}
