//! What is wrong with one file, told in one go.

use std::collections::HashMap;
use std::path::Path;

use emotrain_base::{Complaint, Problems};

use crate::error::{DataError, DataProblem, Place, UnknownLabel, UnknownLabels};

/// At most this many faults of a file are told one by one.
const TOLD: usize = 20;

/// The faults of a file: the first of them with their places, the others counted, unknown labels summed up.
#[derive(Default)]
pub(super) struct Faults {
    told: Vec<DataError>,
    more: usize,
    unknown: Vec<Unknown>,
    /// The number of each unknown label in the list; never iterated.
    numbers: HashMap<String, usize>,
    /// The place of the first unknown label, and how many of `told` were before it.
    first: Option<(Place, usize)>,
}

/// A label that is not in the set.
struct Unknown {
    problem: DataProblem,
    count: usize,
    /// Of the first one.
    line: Option<usize>,
}

impl Faults {
    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty() && self.unknown.is_empty()
    }

    /// Whether the first is one that a file of another format may have.
    pub(super) fn are_of_form(&self) -> bool {
        self.unknown.is_empty() && self.told.first().is_some_and(|error| error.problem().is_of_form())
    }

    /// Adds one; `place` is asked for only if it is told.
    pub(super) fn add(&mut self, problem: DataProblem, place: impl FnOnce() -> Place) {
        if let DataProblem::UnknownLabel { label, .. } = &problem {
            if let Some(&number) = self.numbers.get(label) {
                self.unknown[number].count += 1;
                return;
            }
            self.numbers.insert(label.clone(), self.unknown.len());
            let place = place();
            self.unknown.push(Unknown { problem, count: 1, line: place.line });
            let told = self.told.len();
            self.first.get_or_insert((place, told));
        } else if self.told.len() < TOLD {
            self.told.push(DataError::new(place(), problem));
        } else {
            self.more += 1;
        }
    }

    /// The unknown labels with their numbers, which are then no faults any more.
    pub(super) fn take_unknown(&mut self) -> Vec<(String, usize)> {
        self.first = None;
        let counted = self.unknown.drain(..).filter_map(|Unknown { problem, count, .. }| {
            let DataProblem::UnknownLabel { label, .. } = problem else { return None };
            Some((label, count))
        });
        counted.collect()
    }

    /// All of them as one error; `None` if there are none.
    pub(super) fn into_error(mut self, path: &Path) -> Option<DataError> {
        if let Some((place, at)) = self.first {
            self.told.insert(at, unknown_labels(place, self.unknown));
        }
        if self.more == 0 && self.told.len() < 2 {
            return self.told.pop();
        }
        self.told.sort_by(|one, other| {
            let place = |error: &DataError| (error.place().path.clone(), error.place().line);
            place(one).cmp(&place(other))
        });
        let mut problems = Problems::default();
        let mut hints: Vec<String> = Vec::new();
        for error in self.told {
            let complaint = Complaint::input(error.to_string());
            // Advice that would be repeated stands below the first fault.
            let hint = error.hint().filter(|hint| !hints.contains(hint));
            hints.extend(hint.clone());
            problems.add(match hint {
                Some(hint) => complaint.hint(hint),
                None => complaint,
            });
        }
        if self.more > 0 {
            problems.add(Complaint::input(format!("{}: {} more problems", path.display(), self.more)));
        }
        Some(DataError::new(Place::file(path), DataProblem::Several(problems)))
    }
}

/// One error about all unknown labels, the most frequent first.
fn unknown_labels(place: Place, mut unknown: Vec<Unknown>) -> DataError {
    if let [Unknown { count: 1, .. }] = unknown[..] {
        return DataError::new(place, unknown.remove(0).problem);
    }
    unknown.sort_by_key(|label| std::cmp::Reverse(label.count));
    let mut all = UnknownLabels::default();
    for Unknown { problem, count, line } in unknown {
        if let DataProblem::UnknownLabel { label, nearest, known } = problem {
            all.labels.push(UnknownLabel { label, count, nearest, line });
            all.known = known;
        }
    }
    DataError::new(Place { subject: None, ..place }, DataProblem::UnknownLabels(Box::new(all)))
}
