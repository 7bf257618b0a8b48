//! The choices of `[curriculum]`.

use std::fmt;

use serde::{Deserialize, Serialize};

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
