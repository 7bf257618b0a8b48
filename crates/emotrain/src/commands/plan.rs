//! `emotrain plan`: the memory that a recipe takes, from the model's configuration alone.

use emotrain_hub::Base;
use emotrain_model::{ModelDescription, Storage};

use crate::cli::PlanArgs;
use crate::exit::Exit;
use crate::pipeline::{Lengths, Memory, parameters};
use crate::shell::Shell;

/// Tokens of a label and the end of its turn.
const TARGETS: usize = 4;

/// Runs the command.
///
/// # Errors
/// An invalid recipe, or a model whose configuration is missing or not supported.
pub(crate) fn run(args: &PlanArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let recipe = emotrain_recipe::load(&args.recipe, &args.set)?;
    let ModelDescription { config, codes, .. } = Base::find(&recipe.model, shell.hub())?.description()?;
    Storage::planned(recipe.model.dtype.into(), &recipe.quantization).of_saved(codes.as_ref())?;
    let longest = args.tokens.unwrap_or(recipe.train.max_seq_length);
    let (_, adapter) = parameters(&config, &recipe)?;
    let lengths = Lengths { longest, targets: TARGETS };
    let memory = Memory { config: &config, codes: codes.as_ref(), recipe: &recipe, adapter, lengths };
    if args.tokens.is_none() {
        shell.printer.say(format_args!(
            "for samples of {longest} tokens, train.max_seq_length; --tokens N counts shorter ones, and emotrain RECIPE --dry-run \
             those of the data"
        ));
    }
    for on_cpu in [true, false] {
        for line in memory.lines(on_cpu) {
            shell.printer.result(line)?;
        }
    }
    for line in memory.gpus() {
        shell.printer.result(line)?;
    }
    if let Some(gib) = args.memory {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes of a memory")]
        let bytes = (gib.max(0.0) * f64::from(1 << 30)) as u64;
        for (device, on_cpu) in [("a CPU", true), ("a GPU", false)] {
            let verdict = memory.verdict(bytes, on_cpu);
            shell.printer.result(format_args!("{gib} GiB on {device}: {verdict}"))?;
        }
    }
    Ok(Exit::Done)
}
