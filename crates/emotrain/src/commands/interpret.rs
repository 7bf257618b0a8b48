//! `emotrain interpret`: fills the knowledge sources of a recipe by asking a language model.

use std::sync::atomic::Ordering;

use emotrain_ask::{FillOptions, Filling, Outlook, QuerySources, SessionStatus, open_chat_model};
use emotrain_base::Complaint;
use emotrain_recipe::{DataFormat, Recipe};

use crate::cli::InterpretArgs;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::shell::Shell;

/// Runs the command.
///
/// # Errors
/// An invalid recipe, data or folder; an unavailable model; questions without a reply.
pub(crate) fn run(args: &InterpretArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let recipe = emotrain_recipe::load(&args.recipe.recipe, &args.recipe.set)?;
    if recipe.data.format == DataFormat::Text {
        return Err(Complaint::usage("data.format = \"text\" has no utterances to interpret").into());
    }
    let sources = QuerySources::read(&recipe, &args.split)?;
    let options = FillOptions { questions: args.limit, retry_failed: args.retry_failed, fresh: args.fresh };
    let filling = Filling::new(&recipe, &sources, options)?;
    if args.dry_run {
        return dry_run(&recipe, &filling, shell);
    }
    if let Some(statuses) = filling.finished()? {
        statuses.iter().try_for_each(|status| tell(status, shell))?;
        Filling::check_finished(&statuses)?;
        return Ok(Exit::Done);
    }
    let interrupt = Interrupt::install()?;
    let context = shell.ask_context(&interrupt);
    let mut model = open_chat_model(&recipe, context)?;
    let tally =
        interrupt.guard(|| filling.fill(model.as_mut(), context, &mut |status| tell(status, shell)))?;
    if interrupt.stop().load(Ordering::SeqCst) {
        shell.printer.say("answers are kept; run the same command again to continue");
        return Ok(interrupt.exit());
    }
    tally.check()?;
    Ok(Exit::Done)
}

fn dry_run(recipe: &Recipe, filling: &Filling<'_>, shell: &Shell) -> anyhow::Result<Exit> {
    let open = filling.open()?;
    for split in &open {
        let SessionStatus { query, split: kind, outlook, .. } = &split.status;
        shell.printer.result(format_args!(
            "{query} of {kind}: {} questions, {} answered, {} failed, {} to ask with about {} tokens",
            outlook.questions, outlook.done, outlook.failed, split.questions, split.tokens,
        ))?;
    }
    let count: usize = open.iter().map(|split| split.questions).sum();
    let tokens: usize = open.iter().map(|split| split.tokens).sum();
    let replies = recipe.interpret.max_tokens.map_or_else(
        || "as many as the server lets them have".to_owned(),
        |most| format!("at most {} (max_tokens for each)", count * most),
    );
    shell.printer.result(format_args!(
        "{count} questions to ask: about {tokens} prompt tokens (four characters each); tokens of first replies: {replies}"
    ))?;
    Ok(Exit::Done)
}

fn tell(status: &SessionStatus, Shell { printer, .. }: &Shell) -> anyhow::Result<()> {
    let SessionStatus { query, split, folder, outlook, put } = status;
    let Outlook { questions, done, failed, open, replies, naming_labels, length_outside } = outlook;
    let what = put.map_or_else(|| "nothing to ask".to_owned(), |put| format!("{put} asked"));
    printer.result(format_args!(
        "{query} of {split}: {what}; of {questions} questions {done} answered, {failed} failed, {open} open; {replies} \
         replies in all; {naming_labels} texts name a label, {length_outside} are shorter or longer than asked for"
    ))?;
    if *failed > 0 && *open == 0 {
        printer.warn(format_args!(
            "{failed} questions have no usable reply: see {split}.failed.jsonl in {}; --retry-failed repeats them",
            folder.display(),
        ));
    }
    Ok(())
}
