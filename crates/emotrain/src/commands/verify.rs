//! `emotrain verify`: whether an export answers as the run does that it came from.

mod endpoint;
mod exported;
mod verdict;

use std::path::Path;

use emotrain_base::Complaint;
use emotrain_data::{Label, SplitKind};
use emotrain_eval::{Agreement, LabelRows};
use emotrain_hub::{Base, Trained};
use emotrain_model::CausalLm;
use emotrain_model::device::{self, OpenDevice};
use emotrain_prepare::Prepared;
use emotrain_recipe::{ModelSection, Recipe};
use emotrain_train::{EvalContext, Questions, Scored, TrainError, Validation, ask};

use self::exported::Exported;
use self::verdict::{Contract, Verdict, limits};
use crate::cli::VerifyArgs;
use crate::exit::Exit;
use crate::shell::Shell;

/// Runs the command.
///
/// # Errors
/// A run or an export that cannot be loaded, an export that does not answer as the run.
pub(crate) fn run(args: &VerifyArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let folder = match (&args.folder, &args.endpoint) {
        (_, Some(served)) => return endpoint::run(args, served, shell),
        (Some(folder), None) => folder,
        (None, None) => return Err(Complaint::usage("name a folder, or a server with --endpoint").into()),
    };
    let trained = Trained::of_run(&args.run)?;
    let (recipe, untrained) = recipe(args, &trained)?;
    let exported = Exported::find(folder, args, &untrained)?;
    let prepared = Prepared::new(&recipe, &[SplitKind::Valid], shell.hub())?;
    if let Some(present) = prepared.opened.contract()? {
        trained.check_contract(&present, &shell.printer)?;
    }
    let own = exported.prompts(&recipe, shell)?;
    let contract = Contract::compare(&trained, &exported.trained, own.as_ref())?;
    let Prepared { opened, splits } = prepared;
    let sets: Vec<Validation> = splits.into_iter().map(|split| opened.eval_set(split).validation).collect();
    let [Validation::Questions(questions)] = &sets[..] else {
        return Err(Complaint::usage("data.format = \"text\" has no labels to compare").into());
    };
    let on = device::open(&recipe.model.device, recipe.model.dtype)?;
    let terms = EvalContext { section: &recipe.eval, labels: &opened.labels, listener: &shell.printer };
    let asked = Asked { recipe: &recipe, questions, terms, shell };

    let (run, base) = asked.of_run(&trained, &untrained, &on, &|model, what| asked.answers(model, what))?;
    let (export, bits) = exported.answer(&asked, args.dtype, &on)?;
    let truth: Vec<Label> = run.iter().filter_map(|one| one.truth).collect();
    let [run, export] = [run, export].map(log_probs);
    let base = base.map(log_probs);
    let rows = LabelRows { truth: &truth, run: &run, export: &export, base: base.as_deref() };
    let agreement = Agreement::of(rows, limits(args.tolerance, bits))?;
    Verdict { folder, contract, agreement }.tell(args.json, &shell.printer)
}

/// The recipe of the run, with what was trained in the place of its base, and that base.
fn recipe(args: &VerifyArgs, trained: &Trained) -> anyhow::Result<(Recipe, ModelSection)> {
    let mut recipe = emotrain_recipe::load(&args.run.join("recipe.toml"), &args.set)?;
    if recipe.data.valid.is_none() {
        let complaint = Complaint::usage(format!("{}: its recipe has no data.valid", args.run.display()));
        return Err(complaint.hint("name a file with labels: --set data.valid=FILE").into());
    }
    if let Some(device) = &args.device {
        recipe.model.device = *device;
    }
    let limit = recipe.data.max_valid_samples.map_or(args.samples, |limit| limit.min(args.samples));
    recipe.data.max_valid_samples = Some(limit);
    // The comparison is of weights, not of the rounding of a quicker evaluation.
    recipe.eval.bf16_full_eval = false;
    let untrained = recipe.model.clone();
    trained.settle(&mut recipe.model);
    Ok((recipe, untrained))
}

fn log_probs(scored: Vec<Scored>) -> Vec<Vec<f32>> {
    scored.into_iter().map(|one| one.log_probs).collect()
}

/// What every model is asked.
struct Asked<'a> {
    recipe: &'a Recipe,
    questions: &'a Questions,
    terms: EvalContext<'a>,
    shell: &'a Shell,
}

impl Asked<'_> {
    /// What was trained is asked, and its base without it.
    fn of_run<T>(
        &self,
        trained: &Trained,
        untrained: &ModelSection,
        on: &OpenDevice,
        ask: &dyn Fn(&CausalLm, &str) -> Result<T, TrainError>,
    ) -> anyhow::Result<(T, Option<T>)> {
        let section = &self.recipe.model;
        let Trained::Model(_) = trained else {
            let mut model = self.load(section, on)?;
            let base = ask(&model, "base")?;
            trained.attach(&mut model, section, &self.shell.printer)?;
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

    fn load(&self, section: &ModelSection, on: &OpenDevice) -> anyhow::Result<CausalLm> {
        let hub = self.shell.hub();
        Ok(Base::find(section, hub)?.load(hub, self.recipe.train.seed, on)?.0)
    }

    fn answers(&self, model: &CausalLm, what: &str) -> Result<Vec<Scored>, TrainError> {
        Ok(ask(model, self.questions, None, what, self.terms)?.0)
    }
}
