//! The command line: arguments in, text or JSON out, an exit code at the end.

mod args;
mod beams;
mod chat;
mod columns;
mod conform;
mod detect;
mod dump;
#[cfg(feature = "engines")]
mod engine;
mod explore;
mod export;
mod failure;
mod generate;
mod input;
mod inspect;
mod interrupt;
mod merge;
mod models;
mod progress;
mod report;
mod score;
mod settings;
mod style;
mod sweep;
mod text;
mod ties;
mod trace;
mod values;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use self::args::{Cli, Command};
use self::failure::Failure;
use self::settings::Flags;

pub(crate) fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run() -> Result<(), Failure> {
    interrupt::outlive_file_limits();
    let mut command = Cli::command().mut_subcommand("inspect", inspect::hide_foreign_flags);
    let words = args::plain_words(&command, std::env::args_os());
    let matches = command.try_get_matches_from_mut(words)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let flags = matches.subcommand().and_then(|(name, told)| {
        let command = command.find_subcommand(name)?;
        Some(Flags::of(command, told))
    });
    let flags = flags.unwrap_or_default();
    match cli.command {
        Command::Generate(mut args) => {
            input::read_prompt(&mut args.prompt)?;
            #[cfg(feature = "engines")]
            if args.remote.is_there() {
                return engine::generate(&mut args, &flags);
            }
            generate::run(&args, &flags)
        }
        Command::Inspect(mut args) => {
            input::read_prompt(&mut args.run.prompt)?;
            inspect::run(&args, &flags)
        }
        Command::Explore(args) => explore::run(&args),
        Command::Detect(args) => detect::run(&args),
        Command::Score(args) => score::run(&args, &flags),
        Command::Sweep(args) => sweep::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Summarize { dir, full, tables } => sweep::again(&dir, &tables, full),
        Command::Conform { paths } => conform::run(&paths),
        Command::Report { dir, out } => report::run(&dir, out),
        Command::ExportGguf(args) => export::run(&args),
        #[cfg(feature = "engines")]
        Command::Engines => engine::list(),
        Command::Models(args) => models::run(&args),
    }
}
