//! How many runs a sweep file stands for, before any of them is made.

use std::collections::BTreeSet;

use emotrain_base::Complaint;
use emotrain_base::random::Key;

use crate::settings::{Settings, overrides};
use crate::sweep_file::SweepFile;

/// The most runs of a file that says nothing about it.
const MOST_UNASKED: usize = 10_000;
/// The most runs of any sweep.
const MOST: usize = 1_000_000;

/// The axes of a sweep file and how many points they have.
struct Size<'a> {
    file: &'a SweepFile,
    lists: usize,
    grid: usize,
    samples: usize,
    seeds: usize,
}

impl<'a> Size<'a> {
    fn of(file: &'a SweepFile) -> Self {
        Self {
            file,
            lists: file.list.len().max(1),
            grid: file.grid.values().fold(1, |count, values| count.saturating_mul(values.len())),
            samples: file.random.as_ref().map_or(1, |random| random.samples),
            seeds: file.seeds.len().max(1),
        }
    }

    /// The runs of one draw.
    fn of_each_draw(&self) -> usize {
        self.lists.saturating_mul(self.grid).saturating_mul(self.seeds)
    }

    /// The most runs that there may be.
    fn most(&self) -> usize {
        self.file.max_runs.map_or(MOST_UNASKED, |most| most.min(MOST))
    }

    fn too_many(&self) -> Complaint {
        let axes = [
            ("[[list]]", self.lists),
            ("[grid]", self.grid),
            ("random.samples", self.samples),
            ("seeds", self.seeds),
        ];
        let axes = axes.iter().filter(|(_, count)| *count > 1);
        let axes: Vec<String> = axes.map(|(name, count)| format!("{name}: {count}")).collect();
        let (place, runs) = (self.file.place.display(), self.of_each_draw().saturating_mul(self.samples));
        let (bound, hint) = match self.file.max_runs {
            Some(most) if most <= MOST => {
                (format!("max_runs = {most}"), "raise max_runs, or remove values or seeds")
            }
            Some(_) => (format!("a sweep has at most {MOST}"), "remove values or seeds"),
            None => (
                format!("without max_runs at most {MOST_UNASKED} are made"),
                "write max_runs = … to allow more, or remove values or seeds",
            ),
        };
        Complaint::usage(format!("{place}: {runs} runs ({}), and {bound}", axes.join(", "))).hint(hint)
    }
}

/// The draws of `[random]`, each once; one without values where there are none.
///
/// # Errors
/// With the other axes these are more runs than there may be.
pub(crate) fn draws(file: &SweepFile) -> Result<Vec<Settings>, Complaint> {
    let size = Size::of(file);
    let room = size.most() / size.of_each_draw().max(1);
    // Draws that come again and again need not be many runs, but their number is the time that drawing takes.
    if room == 0 || size.samples > size.most().max(MOST_UNASKED) {
        return Err(size.too_many());
    }
    let Some(random) = &file.random else { return Ok(vec![Settings::new()]) };
    let root = Key::new(random.seed).named("sweep");
    let (mut known, mut draws) = (BTreeSet::new(), Vec::new());
    for number in 0..random.samples {
        // Of the key and the number alone: another axis, or more samples, change no draw.
        let draw = random
            .keys
            .iter()
            .map(|(key, distribution)| (key.clone(), distribution.draw(root.named(key).with(number as u64))));
        let draw: Settings = draw.collect();
        // A point that was drawn before is the same run.
        if known.insert(overrides(&draw)) {
            draws.push(draw);
        }
        if draws.len() > room {
            return Err(size.too_many());
        }
    }
    Ok(draws)
}
