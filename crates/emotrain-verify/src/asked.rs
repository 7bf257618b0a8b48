//! The models of this machine: what was trained, and its base.

use std::path::Path;

use emotrain_hub::{Base, Trained};
use emotrain_model::CausalLm;
use emotrain_model::device::OpenDevice;
use emotrain_recipe::{ModelSection, Recipe};
use emotrain_train::{EvalContext, Questions, Scored, TrainError, ask};

use crate::error::VerifyError;
use crate::options::VerifyContext;

/// What every model is asked.
pub(crate) struct Asked<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) questions: &'a Questions,
    pub(crate) terms: EvalContext<'a>,
    pub(crate) context: VerifyContext<'a>,
}

impl Asked<'_> {
    /// What was trained is asked, and its base without it.
    pub(crate) fn of_run<T>(
        &self,
        trained: &Trained,
        untrained: &ModelSection,
        on: &OpenDevice,
        ask: &dyn Fn(&CausalLm, &str) -> Result<T, TrainError>,
    ) -> Result<(T, Option<T>), VerifyError> {
        let section = &self.recipe.model;
        let Trained::Model(_) = trained else {
            let mut model = self.load(section, on)?;
            let base = ask(&model, "base")?;
            trained.attach(&mut model, section, self.context.listener)?;
            return Ok((ask(&model, "run")?, Some(base)));
        };
        let run = ask(&self.load(section, on)?, "run")?;
        // A model of its own does without the base that it began with, which may be gone.
        let is_there = Path::new(&untrained.model_name_or_path).exists();
        if !is_there {
            return Ok((run, None));
        }
        let base = ask(&self.load(untrained, on)?, "base")?;
        Ok((run, Some(base)))
    }

    fn load(&self, section: &ModelSection, on: &OpenDevice) -> Result<CausalLm, VerifyError> {
        let hub = self.context.hub();
        Ok(Base::find(section, hub)?.load(hub, self.recipe.train.seed, on, &self.recipe.quantization)?.0)
    }

    pub(crate) fn answers(&self, model: &CausalLm, what: &str) -> Result<Vec<Scored>, TrainError> {
        Ok(ask(model, self.questions, None, what, self.terms)?.0)
    }
}
