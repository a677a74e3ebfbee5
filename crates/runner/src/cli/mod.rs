//! The command line: arguments in, text or JSON out, an exit code at the end.

mod args;
mod beams;
mod chat;
mod conform;
mod dump;
mod export;
mod failure;
mod generate;
mod models;
mod progress;
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
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    match cli.command {
        Command::Generate(args) => {
            let told = matches.subcommand_matches("generate");
            let flags = command.find_subcommand("generate").zip(told);
            let flags = flags.map(|(command, told)| Flags::of(command, told)).unwrap_or_default();
            generate::run(&args, &flags)
        }
        Command::Score(args) => score::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Summarize { dir, tables } => sweep::again(&dir, &tables),
        Command::Conform { paths } => conform::run(&paths),
        Command::ExportGguf(args) => export::run(&args),
        Command::Models(args) => models::run(&args),
    }
}
