//! The flow of a run, written once: recipe → data → prompts → model → training → evaluation → outputs. Several runs on one
//! base go through it together; one run is a group of one.
//!
//! All that happens before a weight is loaded is [`PreparedTraining`](emotrain_prepare::PreparedTraining); the loop is
//! [`Together`](emotrain_train::Together); what a run writes of itself is here.

mod alike;
mod claim;
mod cost;
mod findings;
mod group;
mod memory;
mod outcome;
mod plan;
mod rare;
mod ready;
mod record;
mod speed;

use std::ops::ControlFlow;

use emotrain_base::Complaint;
use emotrain_model::device::{self, OpenDevice};
use emotrain_model::{CausalLm, Checkpoint};
use emotrain_prepare::Opened;
use emotrain_recipe::{Dtype, Recipe, TrainMethod};
use emotrain_runs::OnDifference;
use emotrain_train::Event;

use crate::env;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::printer::duration;
use crate::shell::Shell;

pub(crate) use self::alike::{check as check_alike, names, shape};
use self::group::Group;
pub(crate) use self::memory::{Lengths, Memory};
pub(crate) use self::plan::{counted, memory as memory_of_data, parameters, plan};
pub(crate) use self::rare::{missing as missing_labels, warnings as warnings_on_rare_labels};
use self::ready::{Claimed, Common};
pub(crate) use self::speed::Speed;

/// Watches nothing.
pub(crate) fn unwatched(_: usize, _: &Event) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// How runs are started, and who watches them.
pub(crate) struct Terms<'a> {
    pub(crate) on_difference: OnDifference,
    /// Sees every event of a run, given by its number; one that it breaks off stops after the step, its state saved.
    pub(crate) watch: &'a mut (dyn FnMut(usize, &Event) -> ControlFlow<()> + 'a),
}

/// Loads the base model, and says so.
///
/// # Errors
/// A file that cannot be fetched, is missing or damaged; a precision that the device does not have.
pub(crate) fn load(
    opened: &Opened<'_>,
    on: &OpenDevice,
    shell: &Shell,
) -> anyhow::Result<(CausalLm, Option<Checkpoint>)> {
    check_precision(opened.recipe, on)?;
    let begin = env::now();
    let loaded = opened.base.load(shell.hub(), opened.recipe.train.seed, on, &opened.recipe.quantization)?;
    let (name, took) = (opened.base.named().name, duration(env::now() - begin));
    shell.printer.say(format_args!("loaded {name} on {} in {took}", on.name));
    Ok(loaded)
}

/// Refuses a precision that the device does not have.
///
/// # Errors
/// Scores in bfloat16 on a device that computes in `model.dtype`; training all weights in 16 bits on the CPU.
pub(crate) fn check_precision(recipe: &Recipe, on: &OpenDevice) -> Result<(), Complaint> {
    if recipe.eval.bf16_full_eval && !on.is_cpu() {
        let complaint =
            Complaint::usage(format!("eval.bf16_full_eval is only supported on the CPU, not on {}", on.name));
        return Err(complaint.hint("write model.dtype = \"bfloat16\" instead"));
    }
    let dtype = recipe.model.dtype;
    if recipe.train.method == TrainMethod::Full && dtype != Dtype::Float32 && on.is_cpu() {
        let complaint = Complaint::usage(format!(
            "model.dtype = \"{dtype}\" with train.method = \"full\": the CPU trains weights in float32"
        ));
        return Err(
            complaint.hint("write dtype = \"float32\" under [model], or method = \"lora\" under [train]")
        );
    }
    Ok(())
}

/// Refuses to train with what only a GPU can.
///
/// # Errors
/// Activations that the host is to keep for the device, where the device is the host.
pub(crate) fn check_offloading(recipe: &Recipe, on: &OpenDevice) -> Result<(), Complaint> {
    if !recipe.train.activation_offloading || !on.is_cpu() {
        return Ok(());
    }
    let complaint = Complaint::usage(format!(
        "train.activation_offloading = true moves what layers keep from a GPU to the host's memory, and {} computes in that memory",
        on.name
    ));
    Err(complaint.hint(
        "write activation_offloading = false under [train], or device = \"cuda\" or \"wgpu\" under [model]",
    ))
}

/// Trains what the recipes say, several of them together on one base, and returns how each ended: an error of one is not
/// one of the others, and with several it has been printed. A run that the watch broke off ends as an interrupted one.
///
/// # Errors
/// Recipes that cannot share a base; a base that cannot be loaded.
pub(crate) fn train(
    recipes: &[Recipe],
    terms: Terms,
    shell: &Shell,
    interrupt: &Interrupt,
) -> anyhow::Result<Vec<anyhow::Result<Exit>>> {
    let names = names(recipes);
    check_alike(recipes, &names)?;
    let mut group = Group::new(recipes, names, shell);
    let claimed = group.each((0..recipes.len()).map(|number| (number, number)), |number, shell| {
        let claimed = Claimed::new(&recipes[number], recipes.len() > 1, shell)?;
        if claimed.is_none() {
            let folder = recipes[number].train.output_dir.display();
            shell.printer.say(format_args!("{folder}: is finished"));
        }
        Ok(claimed)
    });
    let Terms { on_difference, watch } = terms;
    let claimed: Vec<(usize, Claimed)> =
        claimed.into_iter().filter_map(|(number, claimed)| Some((number, claimed?))).collect();
    let Some((_, first)) = claimed.first() else { return Ok(group.ends()) };

    let opened = &first.prepared.opened;
    let section = &opened.recipe.model;
    let mut devices = device::open_all(&section.device, section.num_devices, section.dtype)?.into_iter();
    let on = devices.next().expect("one device at least");
    check_offloading(opened.recipe, &on)?;
    let (model, checkpoint) = load(opened, &on, shell)?;
    let mut replicas = Vec::new();
    for other in devices {
        replicas.push(load(opened, &other, shell)?.0);
    }
    let base = record::model(opened, checkpoint.as_ref())?;
    let common = Common { on: &on, base: &base, on_difference };
    // The last takes the model itself: what is trained whole is in memory once.
    let mut models = vec![model; claimed.len()];
    let claimed = claimed.into_iter().map(|(number, claimed)| (number, (claimed, models.pop())));
    let ready = group.each(claimed, |(claimed, model), shell| {
        check_precision(claimed.prepared.opened.recipe, &on)?;
        let model = model.expect("as many models as runs");
        claimed.ready(model, common, shell)
    });
    group.train(ready, replicas, watch, interrupt);
    Ok(group.ends())
}
