//! `emotrain export`: what was trained, in the forms that others load.

use std::path::Path;

use emotrain_base::Complaint;
use emotrain_export::{Export, ExportFormat, ExportOptions, Source};
use emotrain_hub::Base;
use emotrain_model::GgufType;

use crate::cli::ExportArgs;
use crate::exit::Exit;
use crate::shell::Shell;

/// Runs the command.
///
/// # Errors
/// A source that holds nothing trained, a base that is not there, an adapter that a server cannot load, a folder that
/// cannot be written.
pub(crate) fn run(args: &ExportArgs, shell: &Shell) -> anyhow::Result<Exit> {
    check_place("--out", &args.out)?;
    if args.gguf_type.is_some() && !args.format.contains(&ExportFormat::Gguf) {
        let complaint = Complaint::usage("--gguf-type is for models in GGUF, and --format names none");
        return Err(complaint.hint("add gguf to --format, or leave --gguf-type out").into());
    }
    let source = Source::find(&args.source, args.base.as_deref())?;
    let base = Base::find(source.base(), shell.hub())?;
    let checkpoint = base.checkpoint(shell.hub())?;
    checkpoint.description().warnings.iter().for_each(|warning| shell.printer.warn(warning));
    let mut formats = Vec::new();
    for format in &args.format {
        if !formats.contains(format) {
            formats.push(*format);
        }
    }
    let options = ExportOptions {
        formats,
        servers: args.servers.clone(),
        dtype: args.dtype,
        gguf_type: args.gguf_type.unwrap_or(GgufType::F16),
        max_shard_size: args.max_shard_size,
    };
    let export = Export::new(&options, &source, &base, &checkpoint)?;
    if let Some(warning) = source.other_base(&base, &checkpoint)? {
        shell.printer.warn(warning);
    }
    let several = options.formats.len() > 1;
    for format in &options.formats {
        let folder = if several { args.out.join(format.name()) } else { args.out.clone() };
        export.write(*format, &folder, &shell.printer)?;
        shell.printer.say(format_args!("{}: {}", format.name(), folder.display()));
    }
    Ok(Exit::Done)
}

/// Nothing is overwritten.
pub(super) fn check_place(option: &str, out: &Path) -> anyhow::Result<()> {
    let is_empty = || fs_err::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
    if out.symlink_metadata().is_err() || is_empty() {
        return Ok(());
    }
    let complaint = Complaint::usage(format!("{option} {}: is already there", out.display()));
    Err(complaint.hint("name a folder that does not exist yet, or remove it").into())
}
