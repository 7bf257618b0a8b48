//! The overview in a terminal.

use std::fmt;

use super::{Example, Overview, SpelledShift};
use crate::difficulty::ShiftKind;

/// Length of the longest bar, in characters.
const BAR: usize = 40;
/// Listed shifts per example.
const SHIFTS: usize = 12;
/// Bar characters of successive buckets.
const FILLS: [char; 4] = ['█', '▓', '▒', '░'];

impl fmt::Display for Overview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, difficulty, direction, scheduler, .. } = self;
        writeln!(f, "curriculum {name}: difficulty {difficulty}, {direction}, scheduler {scheduler}\n")?;
        self.write_buckets(f)?;
        self.write_labels(f)?;
        self.write_histogram(f)?;
        self.write_epochs(f)?;
        for (title, examples) in [("easiest", &self.easiest), ("hardest", &self.hardest)] {
            writeln!(f, "\n{title} dialogues")?;
            examples.iter().try_for_each(|example| write_example(f, example))?;
        }
        Ok(())
    }
}

impl Overview {
    fn write_buckets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "bucket  dialogues  utterances  difficulty (mean)          shifts: same  cross speaker")?;
        for (number, bucket) in self.buckets.iter().enumerate() {
            let range = format!("{:.4} to {:.4} ({:.4})", bucket.least, bucket.most, bucket.mean);
            writeln!(
                f,
                "{:>6}  {:>9}  {:>10}  {range:<25}  {:>12}  {:>13}",
                number + 1,
                bucket.dialogues,
                bucket.utterances,
                bucket.shifts_same,
                bucket.shifts_diff
            )?;
        }
        Ok(())
    }

    /// Each label's fraction of the utterances of each bucket.
    fn write_labels(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.labels.iter().map(|label| label.chars().count()).max().unwrap_or(0).max(6);
        write!(f, "\n{:width$}", "label")?;
        for bucket in 1..=self.buckets.len() {
            write!(f, "  {:>15}", format!("bucket {bucket}"))?;
        }
        writeln!(f)?;
        for (index, label) in self.labels.iter().enumerate() {
            write!(f, "{label:width$}")?;
            for bucket in &self.buckets {
                let share = 100.0 * bucket.labels[index] as f64 / bucket.utterances as f64;
                write!(f, "  {:>7} {share:>5.1} %", bucket.labels[index])?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn write_histogram(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let histogram = &self.histogram;
        write!(f, "\ndialogues by difficulty")?;
        let keys = FILLS.iter().cycle().enumerate().take(self.buckets.len());
        keys.take(self.buckets.len())
            .try_for_each(|(number, fill)| write!(f, "  {fill} bucket {}", number + 1))?;
        writeln!(f)?;
        let tallest = histogram.tallest();
        for (number, bin) in histogram.bins.iter().enumerate() {
            let (low, high) = histogram.range(number);
            let count: usize = bin.iter().sum();
            let mut line = format!("{low:>9.4} to {high:<9.4} {count:>7}  ");
            let mut before = 0;
            for (bucket, part) in bin.iter().enumerate() {
                let filled = |sum: usize| (sum * BAR).div_ceil(tallest);
                let cells = filled(before)..filled(before + part);
                line.extend(cells.map(|_| FILLS[bucket % FILLS.len()]));
                before += part;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn write_epochs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nepoch  phase  dialogues  utterances   share  mean difficulty")?;
        for (number, epoch) in self.epochs.iter().enumerate() {
            writeln!(
                f,
                "{:>5}  {:>5}  {:>9}  {:>10}  {:>4.0} %  {:>15.4}",
                number + 1,
                epoch.phase + 1,
                epoch.dialogues,
                epoch.utterances,
                100.0 * epoch.share,
                epoch.mean
            )?;
        }
        Ok(())
    }
}

fn write_example(f: &mut fmt::Formatter<'_>, example: &Example) -> fmt::Result {
    let parts = example.components;
    writeln!(
        f,
        "  {}: difficulty {:.6}, utterances {}, speakers {}",
        example.id, parts.dif, parts.n_utt, parts.n_spk
    )?;
    for shift in example.shifts.iter().take(SHIFTS) {
        writeln!(f, "    {}", spelled(shift))?;
    }
    match example.shifts.len().checked_sub(SHIFTS) {
        Some(more) if more > 0 => writeln!(f, "    and {more} more"),
        _ if example.shifts.is_empty() => writeln!(f, "    no shifts"),
        _ => Ok(()),
    }
}

/// `#0 → #2  Ada: neutral → anger  0.5429`, with positions as in utterance ids.
fn spelled(shift: &SpelledShift) -> String {
    let SpelledShift { shift, from_speaker, from_label, to_speaker, to_label } = shift;
    let who = match shift.kind {
        ShiftKind::SameSpeaker => format!("{from_speaker}: {from_label} → {to_label}"),
        ShiftKind::CrossSpeaker => format!("{from_speaker}: {from_label} → {to_speaker}: {to_label}"),
    };
    let weight = shift.weight.map_or_else(String::new, |weight| format!("  {weight:.4}"));
    format!("#{} → #{}  {who}{weight}", shift.from, shift.to)
}
