//! How people write flags who come from other programs: with underscores, and switches with or without
//! a word for true.

use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command};
use taper_runner::knobs::words::boolean;

/// The arguments with dashes for the underscores of a flag's name, and with `--flag=true` for a flag that takes true or false and stands without a word for
/// it; what follows such a flag is then no value of it. And a switch without its word: `--chat True`
/// is `--chat`, and with a word for false it is left out.
pub(in crate::cli) fn plain_words(
    command: &Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Vec<OsString> {
    let mut given = arguments.into_iter().peekable();
    let mut plain: Vec<OsString> = given.by_ref().take(2).collect();
    let name = plain.get(1).and_then(|name| name.to_str()).unwrap_or_default();
    let Some(command) = command.find_subcommand(name) else {
        plain.extend(given);
        return plain;
    };
    while let Some(argument) = given.next() {
        if argument == "--" {
            plain.push(argument);
            break;
        }
        let argument = dashed(command, argument);
        let Some((flag, value, kind)) = flag_of(command, &argument) else {
            plain.push(argument);
            continue;
        };
        let value = value.or_else(|| given.next_if(|next| is_word(next))?.into_string().ok());
        match (kind, value) {
            (Kind::Word, value) => {
                let value = value.unwrap_or_else(|| "true".to_owned());
                plain.push(format!("{flag}={value}").into());
            }
            (Kind::Switch, None) => plain.push(flag.into()),
            (Kind::Switch, Some(value)) => match boolean(&value) {
                Ok(true) => plain.push(flag.into()),
                Ok(false) => {}
                // Which clap refuses, in its words.
                Err(_) => plain.push(argument),
            },
        }
    }
    plain.extend(given);
    plain
}

/// A flag that is on or off.
#[derive(Clone, Copy)]
enum Kind {
    /// It takes a word: true or false.
    Word,
    /// It is on where it stands.
    Switch,
}

impl Kind {
    fn of(arg: &Arg) -> Option<Self> {
        let value = arg.get_value_names().and_then(<[_]>::first).map_or("", |name| name.as_str());
        match (arg.get_action(), value) {
            (ArgAction::SetTrue, _) => Some(Self::Switch),
            (ArgAction::Set, "BOOL") => Some(Self::Word),
            _ => None,
        }
    }
}

fn is_word(text: &OsStr) -> bool {
    text.to_str().is_some_and(|text| boolean(text).is_ok())
}

/// The argument with dashes in its name, if that makes a flag of it.
fn dashed(command: &Command, argument: OsString) -> OsString {
    let Some((name, value)) = argument.to_str().map(parts) else { return argument };
    let plain = name.replace('_', "-");
    if plain == name || find(command, &plain).is_none() {
        return argument;
    }
    value.map_or_else(|| plain.clone(), |value| format!("{plain}={value}")).into()
}

/// The flag of an argument that is on or off, and the value behind its `=`.
fn flag_of(command: &Command, argument: &OsStr) -> Option<(String, Option<String>, Kind)> {
    let (name, value) = parts(argument.to_str()?);
    let arg = find(command, name)?;
    Some((name.to_owned(), value.map(str::to_owned), Kind::of(arg)?))
}

fn parts(argument: &str) -> (&str, Option<&str>) {
    argument.split_once('=').map_or((argument, None), |(name, value)| (name, Some(value)))
}

fn find<'c>(command: &'c Command, name: &str) -> Option<&'c Arg> {
    let long = name.strip_prefix("--")?;
    command.get_arguments().find(|arg| {
        let aliases = arg.get_all_aliases().unwrap_or_default();
        arg.get_long() == Some(long) || aliases.contains(&long)
    })
}
