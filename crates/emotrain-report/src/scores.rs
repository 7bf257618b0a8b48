//! The scores of a run, before and after.

use emotrain_eval::{Calibration, EvalReport, ScoreIntervals};
use emotrain_runs::EvalResult;

use crate::answers::ends;
use crate::block::{Block, DataTable, Section, Tile};
use crate::text::{capital, count, percent};

/// The section.
pub(crate) fn section(
    result: &EvalResult,
    before: Option<&EvalResult>,
    scores: &ScoreIntervals,
    calibration: Option<&Calibration>,
) -> Section {
    let tile = |name: &str, value: String, note: String| Tile { name: name.to_owned(), value, note };
    let between = |score| format!("95 % interval {}", ends(score));
    let (weighted, macro_f1, accuracy) = (scores.weighted_f1, scores.macro_f1, scores.accuracy);
    let mut tiles = vec![
        tile("Weighted F1", percent(weighted.score), between(weighted)),
        tile("Macro F1", percent(macro_f1.score), between(macro_f1)),
        tile("Accuracy", percent(accuracy.score), between(accuracy)),
        tile("Loss", format!("{:.4}", result.loss), "nats per supervised token".to_owned()),
    ];
    if let Some(calibration) = calibration {
        tiles.push(tile("ECE", percent(calibration.ece), "expected calibration error, points".to_owned()));
    }
    let mut blocks = vec![Block::Tiles { tiles }];
    if let Some(report) = &result.report {
        let of_before = before.and_then(|before| before.report.as_ref());
        blocks.push(Block::Table { table: table(report, of_before, scores) });
        blocks.extend(remarks(report).into_iter().map(Block::text));
    }
    blocks.extend(result.context.iter().map(|context| Block::text(sentence(&context.to_string()))));
    blocks.push(Block::text(format!(
        "{} utterances in {} dialogues. Intervals are percentile bootstrap intervals over dialogues.",
        count(scores.utterances),
        count(scores.dialogues)
    )));
    Section { id: "scores", title: format!("Scores on the {} split", result.split), blocks }
}

fn table(report: &EvalReport, before: Option<&EvalReport>, scores: &ScoreIntervals) -> DataTable {
    let columns = ["Score", "#before", "#after", "95 % interval", "#change", "#most frequent label"];
    let mut table = DataTable::new("Scores in percent, before and after training", &columns);
    let all = [
        (
            "Weighted F1",
            before.map(|one| one.scores.weighted_f1),
            scores.weighted_f1,
            report.majority.weighted_f1,
        ),
        ("Macro F1", before.map(|one| one.scores.macro_f1), scores.macro_f1, report.majority.macro_f1),
        ("Accuracy", before.map(|one| one.scores.accuracy), scores.accuracy, report.majority.accuracy),
    ];
    for (name, earlier, after, majority) in all {
        let none = || "–".to_owned();
        let change = earlier.map_or_else(none, |earlier| format!("{:+.2}", 100.0 * (after.score - earlier)));
        let earlier = earlier.map_or_else(none, percent);
        table.row([name.to_owned(), earlier, percent(after.score), ends(after), change, percent(majority)]);
    }
    table
}

fn remarks(report: &EvalReport) -> Vec<String> {
    let over = report.macro_f1.map(|macro_f1| sentence(&macro_f1.to_string()));
    let unparsed = (report.unparsed > 0).then(|| {
        let (unparsed, all) = (count(report.unparsed), count(report.utterances));
        format!("{unparsed} of {all} answers name no label; they count as wrong.")
    });
    let always = "The last column of the table is what always answering with the most frequent label scores.";
    [Some(always.to_owned()), over, unparsed].into_iter().flatten().collect()
}

/// Text of a terminal as a sentence.
fn sentence(text: &str) -> String {
    format!("{}.", capital(text))
}
