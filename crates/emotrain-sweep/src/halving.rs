//! Asynchronous successive halving over the files of a sweep.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, create_folder, limits, write_atomic};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::SweepError;
use crate::sweep_dir::SweepDir;
use crate::sweep_file::HalvingSection;

/// What a run does at a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RungVerdict {
    /// It trains on.
    GoOn,
    /// It stops: other runs are better.
    Halt,
}

/// The scores of a run at its rungs, by step, and whether it was halted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rungs {
    /// The validation objective by step.
    pub(crate) scores: BTreeMap<usize, f64>,
    /// The step of the rung at which it was halted.
    pub(crate) halted_at: Option<usize>,
}

/// Successive halving as one run of a sweep sees it.
///
/// The stopping form: a run that reaches a rung writes its score, reads those of all runs that have reached it so far, and
/// goes on if it is among the best ⌈n / η⌉ of these n. No process decides for another, and none waits. Decisions depend on
/// the order in which runs arrive, so a sweep with it does not repeat to the bit, though each of its runs does.
#[derive(Clone, Debug)]
pub struct Halving {
    sweep: SweepDir,
    id: String,
    section: HalvingSection,
}

impl Halving {
    /// The halving of a run.
    pub fn new(sweep: &SweepDir, id: &str, section: HalvingSection) -> Self {
        Self { sweep: sweep.clone(), id: id.to_owned(), section }
    }

    /// Whether a run of `total` steps decides after step `step`. The last step is no rung.
    pub fn is_rung(&self, step: usize, total: usize) -> bool {
        let HalvingSection { min_steps, reduction_factor } = self.section;
        let mut rung = min_steps;
        while rung < step {
            rung = rung.saturating_mul(reduction_factor);
        }
        rung == step && step < total
    }

    /// What a run with this score does at this step, which is a rung.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn decide(&self, step: usize, score: f64) -> Result<RungVerdict, SweepError> {
        create_folder(&self.sweep.rungs())?;
        let mut own = self.sweep.rungs_of(&self.id)?;
        own.scores.insert(step, score);
        own.halted_at = None;
        self.write(&own)?;
        let mut scores = Vec::new();
        for entry in fs_err::read_dir(self.sweep.rungs())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                scores.extend(read(&path)?.scores.get(&step).copied());
            }
        }
        let better = scores.iter().filter(|other| **other > score).count();
        if better < scores.len().div_ceil(self.section.reduction_factor) {
            return Ok(RungVerdict::GoOn);
        }
        own.halted_at = Some(step);
        self.write(&own)?;
        Ok(RungVerdict::Halt)
    }

    fn write(&self, rungs: &Rungs) -> Result<(), SweepError> {
        Ok(write_atomic(&self.sweep.rung_file(&self.id), format!("{:#}\n", json!(rungs)).as_bytes())?)
    }
}

impl SweepDir {
    fn rung_file(&self, id: &str) -> PathBuf {
        self.rungs().join(format!("{id}.json"))
    }

    /// The rungs that a run has reached.
    pub(crate) fn rungs_of(&self, id: &str) -> Result<Rungs, SweepError> {
        let path = self.rung_file(id);
        if path.is_file() { read(&path) } else { Ok(Rungs::default()) }
    }

    /// Whether a run was halted at a rung.
    pub(crate) fn is_halted(&self, id: &str) -> Result<bool, SweepError> {
        Ok(self.rungs_of(id)?.halted_at.is_some())
    }
}

fn read(path: &Path) -> Result<Rungs, SweepError> {
    let text = emotrain_base::read_to_string(path, limits::CONFIG)?;
    let hint = "remove the file: the run decides again at its next rung";
    Ok(serde_json::from_str(&text)
        .map_err(|error| Complaint::input(format!("{}: {error}", path.display())).hint(hint))?)
}

#[cfg(test)]
mod tests {
    use super::RungVerdict::{GoOn, Halt};
    use super::*;

    const SECTION: HalvingSection = HalvingSection { min_steps: 10, reduction_factor: 3 };

    #[test]
    fn rungs_are_powers_apart_and_end_before_the_last_step() {
        let halving = Halving::new(&SweepDir::new("x".as_ref()), "a", SECTION);
        let rungs: Vec<usize> = (1..=270).filter(|step| halving.is_rung(*step, 270)).collect();
        assert_eq!(rungs, [10, 30, 90]);
    }

    #[test]
    fn one_in_eta_goes_on_in_whatever_order_they_come() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = SweepDir::new(folder.path());
        let decide = |id: &str, score| Halving::new(&sweep, id, SECTION).decide(10, score).unwrap();
        let arrivals = [("a", 0.5), ("b", 0.4), ("c", 0.6), ("d", 0.55), ("e", 0.7), ("f", 0.1), ("g", 0.65)];
        let verdicts = arrivals.map(|(id, score)| decide(id, score));

        // Of one the best goes on, of 2 and 3 the best, of 4 to 6 the two best, of 7 the three best.
        assert_eq!(verdicts, [GoOn, Halt, GoOn, GoOn, GoOn, Halt, GoOn]);
        assert!(
            sweep.is_halted("b").unwrap() && !sweep.is_halted("c").unwrap() && !sweep.is_halted("z").unwrap()
        );
    }
}
