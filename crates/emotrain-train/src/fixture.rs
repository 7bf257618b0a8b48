//! What several tests need.

use emotrain_data::{Label, UtteranceId};
use emotrain_prompt::{Sample, Task};

/// A sample of two tokens with a label.
pub(crate) fn sample(position: usize, task: Option<Task>, label: usize) -> Sample {
    Sample {
        id: UtteranceId { dialogue: "d".to_owned(), position },
        task,
        ids: vec![1, 2],
        prompt_len: 1,
        label: Some(Label::from_index(label)),
        dropped_history: 0,
        dropped_future: 0,
        demonstrations: 0,
        dropped_demonstrations: 0,
    }
}
