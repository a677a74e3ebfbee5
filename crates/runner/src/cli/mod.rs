//! The command line: arguments in, text or JSON out, an exit code at the end.

mod args;
mod conform;
mod failure;
mod generate;
mod models;
mod style;
mod text;
mod trace;
mod values;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Command};
use self::failure::Failure;

pub(crate) fn main() -> ExitCode {
    let result = match Cli::try_parse() {
        Ok(Cli { command: Command::Generate(args) }) => generate::run(&args),
        Ok(Cli { command: Command::Conform { paths } }) => conform::run(&paths),
        Ok(Cli { command: Command::Models }) => models::run(),
        Err(error) => Err(Failure::from(error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
