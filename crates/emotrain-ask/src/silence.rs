//! Questions that got no reply.

use std::collections::BTreeMap;

use emotrain_base::{Complaint, Listener};

use crate::error::AskError;

/// Warns of the reasons for which questions got no reply, and counts the questions.
pub fn tell_silence(reasons: &BTreeMap<String, usize>, listener: &dyn Listener) -> usize {
    for (reason, count) in reasons {
        listener.warn(&format!("{count} questions got no reply: {reason}"));
    }
    reasons.values().sum()
}

/// The error of a session in which this many questions got no reply.
///
/// # Errors
/// If there are any.
pub fn refuse_silence(silent: usize) -> Result<(), AskError> {
    if silent == 0 {
        return Ok(());
    }
    let complaint = Complaint::input(format!("{silent} questions got no reply and are still open"));
    Err(complaint.hint("check that the server of interpret.base_url runs, then run the same command again: answers are kept").into())
}
