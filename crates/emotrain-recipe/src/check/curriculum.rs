//! Rules between the keys of `[curriculum]`, and between them and those of training.

use super::Checker;
use crate::choices::{DataFormat, Difficulty, PhaseScheduler};
use crate::problem::Fault;
use crate::recipe::Recipe;
use crate::sections::CurriculumSection;

impl Checker<'_> {
    pub(super) fn curriculum(&mut self, recipe: &Recipe) {
        let section = &recipe.curriculum;
        self.difficulties(section);
        self.epochs(recipe);
        self.restarts(section);
        let is_ordered = section.scheduler != PhaseScheduler::None || !section.shuffle;
        if is_ordered && recipe.data.format == DataFormat::Text {
            let fault = Fault::new("format = \"text\" has no dialogues for a curriculum");
            let keys = ["data.format", "curriculum.scheduler", "curriculum.shuffle"];
            self.add(&keys, fault.hint("write name = \"none\" under [curriculum]"));
        }
        if !section.shuffle && recipe.train.group_by_length {
            let fault =
                Fault::new("curriculum.shuffle = false and train.group_by_length both order the samples");
            self.add(&["curriculum.shuffle", "train.group_by_length"], fault.hint("keep one of them"));
        }
    }

    fn difficulties(&mut self, section: &CurriculumSection) {
        let keys = ["curriculum.difficulty_file", "curriculum.difficulty"];
        let needs_file = section.difficulty == Difficulty::File;
        if needs_file && section.difficulty_file.is_none() {
            let fault = Fault::new("difficulty = \"file\" needs curriculum.difficulty_file");
            self.add(&keys, fault.hint("add difficulty_file = \"…\" under [curriculum]"));
        } else if !needs_file && section.difficulty_file.is_some() {
            let has = section.difficulty;
            let fault =
                Fault::new(format!("curriculum.difficulty_file has no effect with difficulty = \"{has}\""));
            self.add(&keys, fault.hint("write difficulty = \"file\""));
        }
    }

    /// A run that ends before the last phase never uses all dialogues. With `max_steps` the number of epochs depends on
    /// the data.
    fn epochs(&mut self, recipe: &Recipe) {
        let (section, given) = (&recipe.curriculum, recipe.train.num_train_epochs);
        let (needed, key, what) = match section.scheduler {
            PhaseScheduler::None => return,
            PhaseScheduler::BabyStep | PhaseScheduler::OnePass => (
                section.num_buckets.saturating_mul(section.epochs_per_phase),
                "curriculum.num_buckets",
                format!(
                    "num_buckets = {} with epochs_per_phase = {} takes",
                    section.num_buckets, section.epochs_per_phase
                ),
            ),
            PhaseScheduler::Competence => (
                section.competence_epochs.saturating_add(1),
                "curriculum.competence_epochs",
                format!("competence_epochs = {} takes", section.competence_epochs),
            ),
        };
        if recipe.train.max_steps.is_none() && given < needed {
            let message =
                format!("train.num_train_epochs = {given} is too few for the curriculum: {what} {needed}");
            let hint = format!("write num_train_epochs = {needed} under [train], or a shorter curriculum");
            self.add(&["train.num_train_epochs", key], Fault::new(message).hint(hint));
        }
    }

    fn restarts(&mut self, section: &CurriculumSection) {
        let restarts = [
            ("curriculum.restart_lr_scheduler", section.restart_lr_scheduler),
            ("curriculum.restart_optimizer", section.restart_optimizer),
        ];
        for (key, _) in restarts.into_iter().filter(|(_, is_set)| *is_set) {
            if section.scheduler == PhaseScheduler::None {
                let fault = Fault::new(format!("{key} has no effect with scheduler = \"none\""));
                self.add(
                    &[key, "curriculum.scheduler"],
                    fault.hint("without a curriculum there is one phase"),
                );
            }
        }
    }
}
