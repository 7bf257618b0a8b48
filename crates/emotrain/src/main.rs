//! The program `emotrain`: LoRA fine-tuning for emotion recognition in conversation.
//!
//! It is thin: [`cli`] defines the command line, `commands` has a file for each command, [`pipeline`] is the flow from a
//! recipe to scores, and the other crates do the work. It deliberately has no settings other than recipes: a run is
//! described by a file that can be kept.

mod cli;
mod commands;
mod env;
mod exit;
mod interrupt;
mod pipeline;
mod printer;
mod shell;
mod slurm;

use std::any::Any;
use std::ffi::OsString;
use std::io::Write;
use std::panic::Location;
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};

use crate::cli::{Cli, Command, reflowed};
use crate::env::Env;
use crate::exit::Exit;
use crate::printer::Printer;
use crate::shell::Shell;

/// The stack of the main thread; unused pages cost nothing.
const STACK_BYTES: usize = 256 << 20;

fn main() -> ExitCode {
    emotrain_model::device::keep_memory();
    std::panic::set_hook(Box::new(|panic| {
        // A library's panic over a file is reported as the file's fault.
        if !emotrain_base::is_caught() {
            let message = panic.payload_as_str().unwrap_or("no message");
            let told = device_failure(message).unwrap_or_else(|| apology(message, panic.location()));
            // There is nowhere else to complain to.
            let _ = write!(std::io::stderr().lock(), "{told}");
        }
    }));
    let exit = on_a_large_stack(|| std::panic::catch_unwind(run).unwrap_or_else(|panic| exit_of(&*panic)));
    ExitCode::from(exit as u8)
}

/// Values in files and templates of others may be nested as deeply as their limits allow.
fn on_a_large_stack(work: impl FnOnce() -> Exit + Send + 'static) -> Exit {
    let thread = std::thread::Builder::new().name("main".to_owned()).stack_size(STACK_BYTES).spawn(work);
    thread.map_or(Exit::Defect, |thread| thread.join().unwrap_or(Exit::Defect))
}

fn run() -> Exit {
    let words: Vec<OsString> = std::env::args_os().collect();
    let cli = match parse(words) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no errors.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    interrupt::outlive_file_limits();
    let env = Env::read();
    let printer = Printer::new(cli.talk, &env);
    let shell = Shell { env, printer };
    match dispatch(&cli.command, &shell) {
        Ok(exit) => exit,
        Err(error) => {
            let exit = exit::of(&error);
            if exit != Exit::Done {
                shell.printer.error(&error);
            }
            exit
        }
    }
}

fn dispatch(command: &Command, shell: &Shell) -> anyhow::Result<Exit> {
    match command {
        Command::Train(args) => commands::train::run(args, shell),
        Command::Init(args) => commands::init::run(args, shell),
        Command::Check(args) => commands::check::run(args, shell),
        Command::Plan(args) => commands::plan::run(args, shell),
        Command::Inspect(args) => commands::inspect::run(args, shell),
        Command::Eval(args) => commands::eval::run(args, shell),
        Command::Compare(args) => commands::compare::run(args, shell),
        Command::Report(args) => commands::report::run(args, shell),
        Command::Runs(args) => commands::runs::run(args, shell),
        Command::Sweep { command } => commands::sweep::run(command, shell),
        Command::Predict(args) => commands::predict::run(args, shell),
        Command::Export(args) => commands::export::run(args, shell),
        Command::Quantize(args) => commands::quantize::run(args, shell),
        Command::Verify(args) => commands::verify::run(args, shell),
        Command::Interpret(args) => commands::interpret::run(args, shell),
        Command::Bank { command } => commands::bank::run(command, shell),
        Command::Curriculum { command } => commands::curriculum::run(command, shell),
        Command::Schema => commands::schema::run(shell),
        Command::Tokenizer(args) => commands::tokenizer::run(args, shell),
        Command::Bench(args) => commands::bench::run(args, shell),
        Command::Selftest(args) => commands::selftest::run(args, shell),
    }
}

/// The command line, where `emotrain recipe.toml` means `emotrain train recipe.toml`.
fn parse(mut words: Vec<OsString>) -> Result<Cli, clap::Error> {
    let mut program = Cli::command();
    let commands: Vec<String> =
        program.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let first = words.iter().skip(1).map(|word| word.to_string_lossy()).find(|word| !word.starts_with('-'));
    if let Some(first) =
        first.filter(|word| *word != "help" && !commands.iter().any(|command| command == word))
    {
        let meant = emotrain_base::nearest(&first, commands.iter().map(String::as_str));
        if let Some(meant) = meant.filter(|_| !Path::new(&*first).exists()) {
            let message =
                format!("no command and no recipe '{first}'\n\n  tip: a similar command exists: '{meant}'");
            return Err(program.error(ErrorKind::InvalidSubcommand, message));
        }
        words.insert(1, "train".into());
    }
    start_sweep(&mut program, &mut words)?;
    let mut program = reflowed(program);
    let matches = program.try_get_matches_from_mut(words)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut program))
}

/// `emotrain sweep FILE` means `emotrain sweep start FILE`.
fn start_sweep(program: &mut clap::Command, words: &mut Vec<OsString>) -> Result<(), clap::Error> {
    let plain = |word: &OsString| !word.to_string_lossy().starts_with('-');
    let mut plain = words.iter().enumerate().skip(1).filter(|(_, word)| plain(word));
    let Some((at, _)) = plain.next().filter(|(_, word)| *word == "sweep") else { return Ok(()) };
    let Some((_, next)) = plain.next() else { return Ok(()) };
    let sweep = program.get_subcommands().find(|command| command.get_name() == "sweep");
    let commands = sweep.into_iter().flat_map(clap::Command::get_subcommands);
    let commands: Vec<&str> = commands.map(clap::Command::get_name).collect();
    if next == "help" || commands.iter().any(|command| next == command) {
        return Ok(());
    }
    let written = next.to_string_lossy();
    let meant = emotrain_base::nearest(&written, commands.iter().copied());
    if let Some(meant) = meant.filter(|_| !Path::new(next).exists()) {
        let message = format!(
            "no command and no sweep file '{written}'\n\n  tip: a similar command exists: 'sweep {meant}'"
        );
        return Err(program.error(ErrorKind::InvalidSubcommand, message));
    }
    words.insert(at + 1, "start".into());
    Ok(())
}

fn apology(message: &str, place: Option<&Location>) -> String {
    let place = place.map_or(String::new(), |place| format!(" ({place})"));
    format!(
        "\nemotrain failed because of a bug, sorry: {message}{place}\n\
         Please report it to the project's issue tracker, with the command, the recipe and this text.\n"
    )
}

/// What a GPU could not do, where a panic is about that: burn has no errors for it where numbers are read, which is where
/// they show.
fn device_failure(message: &str) -> Option<String> {
    let (_, causes) = message.split_once("An error happened during execution\nCaused by:\n")?;
    let cause = causes.rsplit("Caused by:\n").next().unwrap_or(causes);
    let cause = cause.lines().next().unwrap_or_default().trim();
    Some(format!(
        "error: the device failed: {cause}\n  hint: `emotrain selftest` compares the device with the CPU; the last saved \
         state is intact\n"
    ))
}

fn exit_of(panic: &(dyn Any + Send)) -> Exit {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    message.and_then(device_failure).map_or(Exit::Defect, |_| Exit::Input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, ErrorKind> {
        let words = line.split(' ').map(OsString::from).collect();
        parse(words).map(|cli| cli.command).map_err(|error| error.kind())
    }

    #[test]
    fn a_recipe_needs_no_command() {
        for line in
            ["emotrain r.toml --resume", "emotrain --resume r.toml", "emotrain -q train --resume r.toml"]
        {
            let command = parsed(line).unwrap();
            let Command::Train(args) = command else { panic!("{line}: {command:?}") };
            assert!(args.resume && !args.dry_run && args.recipes == [Path::new("r.toml")], "{line}");
        }
        assert!(matches!(parsed("emotrain -q check r.toml").unwrap(), Command::Check(_)));
        assert_eq!(parsed("emotrain --version").unwrap_err(), ErrorKind::DisplayVersion);
        assert_eq!(parsed("emotrain schemas").unwrap_err(), ErrorKind::InvalidSubcommand);
        assert_eq!(parsed("emotrain sweep stauts s.toml").unwrap_err(), ErrorKind::InvalidSubcommand);
        assert!(matches!(parsed("emotrain sweep s.toml").unwrap(), Command::Sweep { .. }));
    }

    #[test]
    fn several_recipes_need_no_command_either() {
        let Command::Train(args) = parsed("emotrain a.toml --resume b.toml").unwrap() else { panic!() };
        assert_eq!(args.recipes, [Path::new("a.toml"), Path::new("b.toml")]);
    }

    #[test]
    fn set_may_stand_before_the_recipe() {
        let Command::Train(args) = parsed("emotrain --set a.b=1 r.toml --set c.d=2").unwrap() else {
            panic!()
        };
        assert_eq!(args.set, ["a.b=1", "c.d=2"]);
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_a_device_could_not_do_is_no_bug() {
        let message = "f32 on every device: Execution(An error happened during execution\nCaused by:\n  Several failures at \
                       once\nCaused by:\n  An error happened during execution\nCaused by:\n  cuBLASLt refuses the product \
                       [6, 13] · [13, 10] of f32 into f32: CUBLAS_STATUS_NOT_SUPPORTED\nBacktrace:\nNo backtrace available)";
        let told = device_failure(message).unwrap();
        let first = "error: the device failed: cuBLASLt refuses the product [6, 13] · [13, 10] of f32 into f32: \
                     CUBLAS_STATUS_NOT_SUPPORTED\n  hint: ";
        assert!(told.starts_with(first), "{told}");
        assert_eq!(exit_of(&message.to_owned()), Exit::Input);
        assert_eq!(exit_of(&"index out of bounds".to_owned()), Exit::Defect);
    }
}
