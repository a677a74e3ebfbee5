//! The command line: arguments in, text or JSON out, an exit code at the end.

mod args;
mod beams;
mod chat;
mod conform;
mod dump;
mod explore;
mod export;
mod failure;
mod generate;
mod input;
mod inspect;
mod interrupt;
mod models;
mod progress;
mod report;
mod score;
mod settings;
mod style;
mod sweep;
mod text;
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
            generate::run(&args, &flags)
        }
        Command::Inspect(mut args) => {
            input::read_prompt(&mut args.run.prompt)?;
            inspect::run(&args, &flags)
        }
        Command::Explore(args) => explore::run(&args),
        Command::Score(args) => score::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Summarize { dir, tables } => sweep::again(&dir, &tables),
        Command::Conform { paths } => conform::run(&paths),
        Command::Report { dir, out } => report::run(&dir, out),
        Command::ExportGguf(args) => export::run(&args),
        Command::Models(args) => models::run(&args),
    }
}
