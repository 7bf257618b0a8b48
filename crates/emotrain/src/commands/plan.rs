//! `emotrain plan`: the memory that a recipe takes, from the model's configuration alone; where its data is at hand, also
//! steps, tokens and time.

use emotrain_base::Complaint;
use emotrain_hub::Base;
use emotrain_model::{ModelDescription, Storage};
use emotrain_prepare::{PrepareError, PreparedTraining};
use emotrain_recipe::{Recipe, RetrievalSection};

use crate::cli::PlanArgs;
use crate::exit::Exit;
use crate::pipeline::{Lengths, Memory, counted, memory_of_data, parameters};
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
    let planned = Memory { config: &config, codes: codes.as_ref(), recipe: &recipe, adapter, lengths };
    let prepared = args.tokens.is_none().then(|| prepared(&recipe, shell)).transpose();
    let prepared = prepared.unwrap_or_else(|error| {
        let why = error.to_string();
        let why = why.lines().next().unwrap_or_default();
        shell.printer.say(format_args!(
            "for samples of {longest} tokens, train.max_seq_length; those of the data are not counted: {why}"
        ));
        None
    });
    for line in prepared.iter().flat_map(counted) {
        shell.printer.result(line)?;
    }
    let memory = prepared.as_ref().map_or(planned, |prepared| memory_of_data(prepared, adapter));
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

/// The samples of the recipe's data, if that takes no sentence encoder.
///
/// # Errors
/// Data or a tokenizer that are not at hand, or wrong.
fn prepared<'r>(recipe: &'r Recipe, shell: &Shell) -> Result<PreparedTraining<'r>, PrepareError> {
    if recipe.retrieval.bank.is_some() && recipe.retrieval.encoder != RetrievalSection::LEXICAL {
        return Err(
            Complaint::usage("prompts show demonstrations: emotrain RECIPE --dry-run finds them").into()
        );
    }
    PreparedTraining::new(recipe, &PreparedTraining::measured(recipe), shell.hub())
}
