//! The training loop: runs on one base, a step of each at a time. One run is a group of one.

use std::collections::VecDeque;

use crate::error::TrainError;
use crate::step::step_together;
use crate::trainer::{Outcome, Training, Window};

/// Runs that train together, each in its own folder and to its own end; what becomes of one changes nothing for the
/// others. It trains while it is asked for the next run that has ended, given by its number.
pub struct Together<'a> {
    /// With their numbers.
    live: Vec<(usize, Training<'a>)>,
    ended: VecDeque<(usize, Result<Outcome, TrainError>)>,
}

impl<'a> Together<'a> {
    /// These runs, each with a number of the caller's. The models of several have one frozen base.
    pub fn new(runs: Vec<(usize, Training<'a>)>) -> Self {
        Self { live: runs, ended: VecDeque::new() }
    }

    /// Whether all runs have ended.
    pub fn is_over(&self) -> bool {
        self.live.is_empty() && self.ended.is_empty()
    }

    /// Takes those that are over out.
    fn part(&mut self) {
        let (over, live) = std::mem::take(&mut self.live).into_iter().partition(|(_, run)| run.is_over());
        self.live = live;
        let over: Vec<(usize, Training)> = over;
        self.ended.extend(over.into_iter().map(|(number, run)| (number, run.finish())));
    }

    /// Makes a step of each run.
    fn step(&mut self) {
        let windows: Vec<Window> = self.live.iter_mut().map(|(_, run)| run.window()).collect();
        let turns = self.live.iter_mut().zip(&windows).map(|((_, run), window)| run.turn(window));
        let results = step_together(turns.collect());
        let runs = std::mem::take(&mut self.live).into_iter();
        for (((number, mut run), window), result) in runs.zip(&windows).zip(results) {
            match result.and_then(|result| run.take(window, &result)) {
                Ok(()) => self.live.push((number, run)),
                Err(error) => self.ended.push_back((number, Err(error))),
            }
        }
    }
}

impl Iterator for Together<'_> {
    type Item = (usize, Result<Outcome, TrainError>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(ended) = self.ended.pop_front() {
                return Some(ended);
            }
            self.part();
            if self.ended.is_empty() {
                if self.live.is_empty() {
                    return None;
                }
                self.step();
            }
        }
    }
}
