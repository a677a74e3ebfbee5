//! The flags that turn knobs, made of the library's table of them.

use clap::builder::Resettable;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Args, Command, FromArgMatches};
use taper_runner::knobs::{self, Group, Knob, KnobValue, Turned};

/// The knobs that were turned. A flag goes before the model's `generation_config.json` where the engine
/// reads that, and that before the engine's defaults, which are given in brackets.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct KnobArgs {
    pub(in crate::cli) turned: Turned,
}

/// The flag of a knob.
fn flag(knob: &'static Knob) -> Arg {
    let help = match knob.default {
        "" => knob.help.to_owned(),
        default => format!("{} [{default}]", knob.help),
    };
    let action = if knob.kind.repeats() { ArgAction::Append } else { ArgAction::Set };
    let heading = knob.heading().map_or(Resettable::Reset, |name| Resettable::Value(name.into()));
    Arg::new(knob.name)
        .long(knob.name.replace('_', "-"))
        .aliases(knob.aliases)
        .help(help)
        .help_heading(heading)
        .value_name(knob.placeholder)
        .action(action)
        .value_parser(move |text: &str| knob.parse(text))
}

impl Args for KnobArgs {
    fn augment_args(command: Command) -> Command {
        let named = |group| knobs::all().filter(move |knob| knob.group == group);
        let form = ArgGroup::new("form").args(named(Group::Form).map(|knob| knob.name));
        let negative = ArgGroup::new("negative").args(["negative_prompt", "negative_prompt_ids"]);
        command.args(knobs::all().map(flag)).group(form).group(negative)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for KnobArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for knob in knobs::all() {
            let given = matches.get_many::<KnobValue>(knob.name).unwrap_or_default();
            if let Some(value) = KnobValue::joined(given.cloned().collect()) {
                self.turned.turn(knob, value);
            }
        }
        Ok(())
    }
}
