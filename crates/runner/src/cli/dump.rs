//! `--dump` and `--prompt-logprobs`: what is looked at beside a run.

use std::path::PathBuf;

use taper_runner::models::files::check_output;
use taper_runner::models::{LoadedModel, Observe};
use taper_runner::{Dump, DumpError, Outcome, Request, score_prompt};

use super::args::{DumpArgs, Format, GenerateArgs};
use super::failure::Failure;
use super::generate::run_failure;

/// What to write, and where to.
#[derive(Debug)]
pub(super) struct DumpTo {
    what: Observe,
    path: PathBuf,
}

impl DumpArgs {
    pub(super) fn read(&self) -> Result<Option<DumpTo>, Failure> {
        let Some([what, path]) = self.dump.as_deref() else { return Ok(None) };
        let refused = |domain: &str| {
            let flag = "--dump <hidden,attention> <FILE.safetensors>";
            Failure::Usage(format!("invalid value '{what}' for '{flag}': it must be {domain}"))
        };
        let mut wanted = Observe::default();
        for part in what.split(',') {
            match part {
                "hidden" => wanted.hidden = true,
                "attention" => wanted.attention = true,
                _ => return Err(refused("hidden, attention, or both with a comma between")),
            }
        }
        let path = PathBuf::from(path);
        check_output(&path).map_err(|error| Failure::of_output("--dump: ", &error))?;
        Ok(Some(DumpTo { what: wanted, path }))
    }
}

impl DumpTo {
    /// Refuses a model that does not show what is wanted, ahead of a long run.
    pub(super) fn check(&self, loaded: &LoadedModel) -> Result<(), Failure> {
        let shown = Dump::check(loaded, self.what);
        shown.map(drop).map_err(|error| Failure::Usage(format!("--dump: {error}")))
    }

    /// Runs the model over the tokens and writes the file.
    pub(super) fn write(
        &self,
        loaded: &LoadedModel,
        model: &str,
        tokens: &[u32],
    ) -> Result<(), Failure> {
        let dumped = Dump::of(loaded, tokens, self.what).and_then(|dump| dump.save(&self.path));
        dumped.map_err(|error| match error {
            DumpError::Model(error) => run_failure(error.into(), model),
            DumpError::Text(error) => Failure::Usage(format!("--dump: {error}")),
            DumpError::Write(error) => Failure::of_output("--dump: ", &error),
            error => Failure::Run(format!("--dump: {error}")),
        })
    }
}

/// What a run of `taper generate` is looked at for, when it has ended.
#[derive(Debug)]
pub(super) struct Look {
    prompt_logprobs: Option<usize>,
    dump: Option<DumpTo>,
}

impl Look {
    /// What the flags ask for, as far as it can be known to be wrong before anything is run.
    pub(super) fn read(args: &GenerateArgs) -> Result<Self, Failure> {
        let output = &args.output;
        if output.prompt_logprobs && output.format != Format::Json {
            let what = "--prompt-logprobs: only --format json shows them; add it";
            return Err(Failure::usage(what));
        }
        let top = output.top_logprobs.unwrap_or(0);
        let prompt_logprobs = output.prompt_logprobs.then_some(top);
        Ok(Self { prompt_logprobs, dump: output.dump.read()? })
    }

    pub(super) fn check(&self, loaded: &LoadedModel, request: &Request) -> Result<(), Failure> {
        let Some(dump) = &self.dump else { return Ok(()) };
        if request.config.num_return_sequences.is_some_and(|count| count > 1) {
            let what = "--dump: it shows one text; leave --num-return-sequences out";
            return Err(Failure::usage(what));
        }
        dump.check(loaded)
    }

    /// Looks at the texts of a run that ended well.
    pub(super) fn at(
        &self,
        outcome: &mut Outcome,
        args: &GenerateArgs,
        loaded: &LoadedModel,
    ) -> Result<(), Failure> {
        let model = &args.model.model;
        if let Some(top) = self.prompt_logprobs {
            let scored = score_prompt(loaded, &outcome.prompt_tokens, top);
            outcome.prompt_logprobs = Some(scored.map_err(|error| run_failure(error, model))?);
        }
        if let (Some(dump), [sequence]) = (&self.dump, &outcome.sequences[..]) {
            let tokens = [&outcome.prompt_tokens[..], &sequence.tokens].concat();
            dump.write(loaded, model, &tokens)?;
        }
        Ok(())
    }
}
