//! `emotrain quantize`: a base in 4 or 8 bits, written once.

use emotrain_base::Complaint;
use emotrain_export::{QuantiseOptions, quantise};
use emotrain_hub::Base;
use emotrain_model::Codes;
use emotrain_recipe::{AttnImplementation, DeviceChoice, Dtype, ModelInit, ModelSection};

use super::export::check_place;
use crate::cli::QuantizeArgs;
use crate::exit::Exit;
use crate::shell::Shell;

/// Runs the command.
///
/// # Errors
/// A model that is not there, not supported or quantised already; a folder that cannot be written.
pub(crate) fn run(args: &QuantizeArgs, shell: &Shell) -> anyhow::Result<Exit> {
    check_place("--out", &args.out)?;
    let codes = Codes::named(&args.quant_type, !args.no_double_quant);
    let codes = codes.ok_or_else(|| Complaint::usage(format!("--quant-type {}", args.quant_type)))?;
    let section = ModelSection {
        model_name_or_path: args.model.clone(),
        revision: args.revision.clone(),
        init: ModelInit::Pretrained,
        dtype: Dtype::Float32,
        device: DeviceChoice::Cpu,
        num_devices: 1,
        attn_implementation: AttnImplementation::Auto,
        num_threads: 0,
    };
    let base = Base::find(&section, shell.hub())?;
    let checkpoint = base.checkpoint(shell.hub())?;
    checkpoint.description().warnings.iter().for_each(|warning| shell.printer.warn(warning));
    let options = QuantiseOptions { codes, dtype: args.dtype, max_shard_size: args.max_shard_size };
    quantise(&base, &checkpoint, &options, &args.out, &shell.printer)?;
    shell.printer.say(format_args!("{}: {}", args.quant_type, args.out.display()));
    Ok(Exit::Done)
}
