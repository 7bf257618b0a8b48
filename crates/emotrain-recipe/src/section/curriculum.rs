//! `[curriculum]`: the order of dialogues in training.

use std::ops::Bound::Included;
use std::path::PathBuf;

use crate::blank;
use crate::key::Kind;
use crate::problem::{Fault, Violations};

/// The named curricula: the files of `curriculum/`.
pub const CURRICULA: &[&str] =
    &["none", "prc_emo", "wes", "es", "reverse", "random_buckets", "length", "speakers", "file", "loss"];

/// The text of a named curriculum.
pub(crate) fn named_curriculum(name: &str) -> Option<&'static str> {
    Some(match name {
        "none" => include_str!("../../../../curriculum/none.toml"),
        "prc_emo" => include_str!("../../../../curriculum/prc_emo.toml"),
        "wes" => include_str!("../../../../curriculum/wes.toml"),
        "es" => include_str!("../../../../curriculum/es.toml"),
        "reverse" => include_str!("../../../../curriculum/reverse.toml"),
        "random_buckets" => include_str!("../../../../curriculum/random_buckets.toml"),
        "length" => include_str!("../../../../curriculum/length.toml"),
        "speakers" => include_str!("../../../../curriculum/speakers.toml"),
        "file" => include_str!("../../../../curriculum/file.toml"),
        "loss" => include_str!("../../../../curriculum/loss.toml"),
        _ => return None,
    })
}

/// A weight of a shift.
const FACTOR: Kind = Kind::Number(Included(0.0), Included(1e6));

section! {
    /// `[curriculum]`: the order of dialogues in training (PRC-Emo, Eq. 1-5 and Algorithm 1).
    ///
    /// With [`PhaseScheduler::None`] and `shuffle` no difficulty is needed, and all other keys but `shuffle_by` are
    /// ignored.
    CurriculumSection = "curriculum" {
        /// The named curriculum or the file that set the other fields; has no effect by itself.
        name: String = Kind::WordOrFile(CURRICULA);
        /// The difficulty of a dialogue.
        difficulty: Difficulty = Kind::Choice(Difficulty::NAMES);
        /// The numbers of [`Difficulty::File`]; else `None`.
        #[serde(with = "blank::path")]
        difficulty_file: Option<PathBuf> = Kind::InputPath;
        /// Which end comes first.
        direction: Direction = Kind::Choice(Direction::NAMES);
        /// When dialogues are added.
        scheduler: PhaseScheduler = Kind::Choice(PhaseScheduler::NAMES);
        /// Buckets of [`PhaseScheduler::BabyStep`] and [`PhaseScheduler::OnePass`], at least 1.
        num_buckets: usize = Kind::one_to(1000);
        /// Epochs of each of their phases, at least 1.
        epochs_per_phase: usize = Kind::one_to(1000);
        /// What is balanced between buckets and fractions.
        balance: Balance = Kind::Choice(Balance::NAMES);
        /// The growth of the fraction in [`PhaseScheduler::Competence`].
        pacing: Pacing = Kind::Choice(Pacing::NAMES);
        /// The initial fraction, above 0 and at most 1: `c0` of Platanios 2019.
        initial_competence: f64 = Kind::SHARE_ABOVE_ZERO;
        /// The first epoch, from 0, with fraction 1; at least 1.
        competence_epochs: usize = Kind::one_to(1000);
        /// Shuffle within an epoch, else keep the order of difficulty.
        shuffle: bool = Kind::Switch;
        /// What `shuffle` moves.
        shuffle_by: ShuffleBy = Kind::Choice(ShuffleBy::NAMES);
        /// Factor of the similarity in a shift's weight `k·s + b` (Eq. 2), not negative.
        k: f64 = FACTOR;
        /// Constant of a shift's weight (Eq. 2), not negative.
        b: f64 = FACTOR;
        /// `N` of the similarity 1/N (Eq. 1); `None` = the size of the label set.
        #[serde(with = "blank::count")]
        num_labels: Option<usize> = Kind::up_to(1000);
        /// Whether shifts from and to neutral count.
        neutral_shifts: NeutralShifts = Kind::Choice(NeutralShifts::NAMES);
        /// A user's wheel; `None` = the built-in one.
        #[serde(with = "blank::path")]
        wheel: Option<PathBuf> = Kind::InputPath;
        /// Restart the learning rate schedule in every phase.
        restart_lr_scheduler: bool = Kind::Switch;
        /// Reset the optimiser's moments in every phase.
        restart_optimizer: bool = Kind::Switch;
    }
}

choices! {
    /// The difficulty of a dialogue.
    Difficulty {
        /// Weighted shifts within a speaker and between neighbouring speakers (PRC-Emo, Eq. 5).
        PrcEmo = "prc_emo",
        /// Weighted shifts within a speaker (Li 2025).
        Wes = "wes",
        /// Number of shifts within a speaker (Nguyen 2024).
        Es = "es",
        /// A random draw from the seed.
        Random = "random",
        /// Number of utterances.
        Length = "length",
        /// Number of distinct speakers.
        Speakers = "speakers",
        /// Numbers provided by the user.
        File = "file",
        /// The base model's mean loss on the labels.
        Loss = "loss",
    }
}

choices! {
    /// Which end of the sorted dialogues comes first.
    Direction {
        /// Ascending difficulty.
        EasyToHard = "easy_to_hard",
        /// Descending difficulty.
        HardToEasy = "hard_to_easy",
    }
}

choices! {
    /// When dialogues are added to the training.
    PhaseScheduler {
        /// All from the first epoch.
        None = "none",
        /// One more bucket per phase (PRC-Emo, Algorithm 1).
        BabyStep = "baby_step",
        /// One bucket at a time.
        OnePass = "one_pass",
        /// A fraction that grows every epoch (Platanios 2019).
        Competence = "competence",
    }
}

choices! {
    /// What is shuffled.
    ShuffleBy {
        /// Every utterance on its own.
        Utterances = "utterances",
        /// Whole dialogues, whose utterances stay behind one another.
        Dialogues = "dialogues",
    }
}

choices! {
    /// What is balanced between buckets.
    Balance {
        /// Utterances.
        Utterances = "utterances",
        /// Dialogues.
        Dialogues = "dialogues",
    }
}

choices! {
    /// The growth of the fraction in [`PhaseScheduler::Competence`].
    Pacing {
        /// Linear.
        Linear = "linear",
        /// With the square root of time.
        Root = "root",
    }
}

choices! {
    /// How shifts from and to neutral are handled.
    NeutralShifts {
        /// They count, with the similarity 1/N of the wheel's centre.
        Count = "count",
        /// They do not count.
        Ignore = "ignore",
    }
}

impl CurriculumSection {
    /// Numbers from a file need the file.
    pub(crate) fn check_difficulty(&self, violated: &mut Violations) {
        let keys = ["curriculum.difficulty_file", "curriculum.difficulty"];
        let needs_file = self.difficulty == Difficulty::File;
        if needs_file && self.difficulty_file.is_none() {
            let fault = Fault::new("difficulty = \"file\" needs curriculum.difficulty_file");
            violated.add(&keys, fault.hint("add difficulty_file = \"…\" under [curriculum]"));
        } else if !needs_file && self.difficulty_file.is_some() {
            let has = self.difficulty;
            let fault =
                Fault::new(format!("curriculum.difficulty_file has no effect with difficulty = \"{has}\""));
            violated.add(&keys, fault.hint("write difficulty = \"file\""));
        }
    }

    /// Restarts need phases.
    pub(crate) fn check_restarts(&self, violated: &mut Violations) {
        let restarts = [
            ("curriculum.restart_lr_scheduler", self.restart_lr_scheduler),
            ("curriculum.restart_optimizer", self.restart_optimizer),
        ];
        for (key, _) in restarts.into_iter().filter(|(_, is_set)| *is_set) {
            if self.scheduler == PhaseScheduler::None {
                let fault = Fault::new(format!("{key} has no effect with scheduler = \"none\""));
                violated.add(
                    &[key, "curriculum.scheduler"],
                    fault.hint("without a curriculum there is one phase"),
                );
            }
        }
    }
}
