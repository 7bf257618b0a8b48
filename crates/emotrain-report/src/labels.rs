//! F1 of each label, with intervals.

use emotrain_eval::{EvalReport, ScoreIntervals};

use crate::answers::ends;
use crate::block::{Block, DataTable, Figure, Section};
use crate::error::ReportError;
use crate::interval_plot::{IntervalPlot, IntervalRow};
use crate::plot::Caption;
use crate::text::{count, percent};

/// The section.
pub(crate) fn section(
    report: &EvalReport,
    before: Option<&EvalReport>,
    scores: &ScoreIntervals,
) -> Result<Section, ReportError> {
    let columns = ["Label", "#support", "#precision", "#recall", "#F1", "95 % interval", "#F1 before"];
    let mut table = DataTable::new("Scores of each label, in percent", &columns);
    let mut rows = Vec::new();
    for (label, interval) in report.labels.iter().zip(&scores.labels) {
        let earlier = before.and_then(|before| before.labels.iter().find(|row| row.label == label.label));
        let earlier = earlier.map_or_else(|| "–".to_owned(), |row| percent(row.f1));
        let [precision, recall, f1] = [label.precision, label.recall, interval.score].map(percent);
        table.row([
            label.label.clone(),
            count(label.support),
            precision,
            recall,
            f1,
            ends(*interval),
            earlier,
        ]);
        rows.push(IntervalRow {
            name: label.label.clone(),
            note: String::new(),
            score: 100.0 * interval.score,
            interval: interval.interval.map(|one| (100.0 * one.low, 100.0 * one.high)),
            points: Vec::new(),
        });
    }
    let description = "F1 of each label with its 95 % interval. The dotted line is macro F1.";
    let caption = Caption { id: "labels", title: "F1 of each label", description };
    let plot = IntervalPlot {
        caption,
        rows,
        range: 0.0..100.0,
        axis: "F1 in percent",
        reference: Some(100.0 * scores.macro_f1.score),
    };
    let figure = Figure::new(plot.svg()?, description, table);
    let method = format!(
        "Intervals are percentile bootstrap intervals over the {} dialogues, because utterances of one dialogue depend \
         on each other. A label that few utterances have has a wide one.",
        count(scores.dialogues)
    );
    let blocks = vec![Block::text(method), Block::Figure { figure }];
    Ok(Section { id: "labels", title: "F1 of each label".to_owned(), blocks })
}
