//! The choices of `[curriculum]`.

use std::fmt;

use serde::{Deserialize, Serialize};

choices! {
    /// What makes a dialogue hard for the curriculum.
    Difficulty {
        /// Weighted shifts within a speaker and between neighbouring speakers (PRC-Emo, Eq. 5).
        PrcEmo = "prc_emo",
        /// Weighted shifts within a speaker (Li 2025).
        Wes = "wes",
        /// Number of shifts within a speaker (Nguyen 2024).
        Es = "es",
        /// A draw with the seed.
        Random = "random",
        /// Number of utterances.
        Length = "length",
        /// Number of distinct speakers.
        Speakers = "speakers",
        /// Numbers of the user's own.
        File = "file",
        /// The base model's mean loss on the labels.
        Loss = "loss",
    }
}

choices! {
    /// Which end of the ordered dialogues comes first.
    Direction {
        /// Ascending difficulty.
        EasyToHard = "easy_to_hard",
        /// Descending difficulty.
        HardToEasy = "hard_to_easy",
    }
}

choices! {
    /// When dialogues join the training.
    PhaseScheduler {
        /// All from the first epoch.
        None = "none",
        /// A further bucket every phase (PRC-Emo, Algorithm 1).
        BabyStep = "baby_step",
        /// One bucket at a time.
        OnePass = "one_pass",
        /// A share that grows every epoch (Platanios 2019).
        Competence = "competence",
    }
}

choices! {
    /// What buckets hold equally much of.
    Balance {
        /// Utterances.
        Utterances = "utterances",
        /// Dialogues.
        Dialogues = "dialogues",
    }
}

choices! {
    /// How the share of [`PhaseScheduler::Competence`] grows.
    Pacing {
        /// In a straight line.
        Linear = "linear",
        /// With the square root of time.
        Root = "root",
    }
}

choices! {
    /// What becomes of shifts from and to neutral.
    NeutralShifts {
        /// They count, with the similarity 1/N of the wheel's centre.
        Count = "count",
        /// They do not count.
        Ignore = "ignore",
    }
}
