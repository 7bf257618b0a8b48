//! The runs that this process has claimed and not yet let go of.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use emotrain_sweep::ClaimedRun;

use crate::env;
use crate::exit::Exit;

/// Claims by id. A signal may end them while the main thread is busy.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(Arc<Mutex<BTreeMap<String, ClaimedRun>>>);

impl Claims {
    fn held(&self) -> MutexGuard<'_, BTreeMap<String, ClaimedRun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hold(&self, id: &str, claim: ClaimedRun) {
        self.held().insert(id.to_owned(), claim);
    }

    /// Writes down how the attempt at a run ended, and lets go of it.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(super) fn end(&self, id: &str, exit: Exit, message: Option<String>) -> anyhow::Result<()> {
        if let Some(claim) = self.held().remove(id) {
            claim.end(env::now(), exit as u8, message)?;
        }
        Ok(())
    }

    /// Ends all of them alike. One that cannot be written is shown as lost later.
    pub(super) fn end_all(&self, exit: Exit, message: &str) {
        for claim in std::mem::take(&mut *self.held()).into_values() {
            let _ = claim.end(env::now(), exit as u8, Some(message.to_owned()));
        }
    }

    /// Whether no run has come any further than in an attempt before, which ended in the same way.
    pub(super) fn are_stuck(&self, exit: Exit) -> bool {
        let held = self.held();
        !held.is_empty() && held.values().all(|claim| claim.is_stuck(exit as u8))
    }
}
