//! How the program ends when it does not end well.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind as ArgumentError};
use taper_runner::models::files::FileError;
use taper_runner::{escaped, shortened};

/// Letters of a line, of which a long one shows so many, and so many of its end.
const MOST: usize = 2000;
const TAIL: usize = 200;

/// What ended the program early, by exit code.
#[derive(Debug)]
pub(super) enum Failure {
    /// A bad flag, config or file: exit code 2.
    Usage(String),
    /// A failure while running: exit code 1.
    Run(String),
    /// Ctrl-C: exit code 130, and nothing to say.
    Cancelled,
    /// Whoever read the output went away. That is how `taper … | head` ends: no failure.
    NobodyReads,
    /// `--help` and the like, which clap prints itself.
    Help(clap::Error),
}

impl Failure {
    pub(super) fn usage(what: impl Display) -> Self {
        Self::Usage(what.to_string())
    }

    /// Of a file that could not be written; `flag` names it, with a space at its end.
    pub(super) fn of_output(flag: &str, error: &FileError) -> Self {
        let what = format!("{flag}{error}");
        match error.io().map(std::io::Error::kind) {
            Some(ErrorKind::BrokenPipe) => Self::NobodyReads,
            _ if error.is_about_the_path() => Self::Usage(what),
            _ => Self::Run(what),
        }
    }

    pub(super) fn report(self) -> ExitCode {
        match self {
            Self::Usage(what) => complain(&what, 2),
            Self::Run(what) => complain(&what, 1),
            Self::Cancelled => ExitCode::from(130),
            Self::NobodyReads => ExitCode::SUCCESS,
            Self::Help(help) => match help.print() {
                Ok(()) => ExitCode::from(help.exit_code() as u8),
                Err(error) => Self::from(error).report(),
            },
        }
    }
}

/// One line on stderr.
fn complain(what: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {}", one_line(what));
    ExitCode::from(code)
}

/// A remark on stderr, in one line.
pub(super) fn remark(what: &str) {
    let _ = writeln!(std::io::stderr(), "note: {}", one_line(what));
}

/// A message that brings line breaks along is joined, and nothing in it acts on the terminal.
fn one_line(what: &str) -> String {
    let line = what.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = escaped(&line);
    match line.char_indices().nth(MOST) {
        // What is right comes last.
        Some((head, _)) => {
            let tail = line.char_indices().nth_back(TAIL).map_or(head, |(at, _)| at.max(head));
            format!("{} … {}", &line[..head], &line[tail..])
        }
        None => line.into_owned(),
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::NobodyReads,
            _ => Self::Run(format!("the output cannot be written: {error}")),
        }
    }
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        match error.kind() {
            ArgumentError::DisplayHelp
            | ArgumentError::DisplayVersion
            | ArgumentError::DisplayHelpOnMissingArgumentOrSubcommand => Self::Help(error),
            ArgumentError::UnknownArgument => Self::Usage(unknown(&error)),
            _ => Self::Usage(essence(&error)),
        }
    }
}

/// An argument that there is not, and the one that was perhaps meant.
fn unknown(error: &clap::Error) -> String {
    let context = |kind| error.get(kind).map(ToString::to_string);
    let given = context(ContextKind::InvalidArg).unwrap_or_default();
    let similar = context(ContextKind::SuggestedArg)
        .map_or_else(String::new, |flag| format!("; there is a similar one: '{flag}'"));
    format!("unexpected argument '{}'{similar}; --help lists the flags", shortened(&given))
}

/// What clap says over several lines, without the usage and the pointer to the help.
fn essence(error: &clap::Error) -> String {
    let mut text = error.render().to_string();
    if let Some(value) = error.get(ContextKind::InvalidValue).map(ToString::to_string)
        && !value.is_empty()
    {
        text = text.replace(&value, &shortened(&value));
    }
    let lines = text.lines().map(str::trim);
    let told =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let told: Vec<&str> = told.filter(|line| !line.is_empty()).collect();
    let told = told.join(" ").replace(" tip: ", "; ");
    told.strip_prefix("error: ").unwrap_or(&told).to_owned()
}
