//! `taper inspect`.

mod table;

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use taper_runner::models::LoadedModel;
use taper_runner::sampling::Ask;
use taper_runner::{
    DEFAULT_MAX_NEW_TOKENS, EffectiveConfig, FinishReason, Generation, LayerView, Step, StepReport,
    StepView, TableModel, ViewAsk, layers, token_text,
};

use self::table::Table;
use super::args::{Format, InspectArgs, UNINSPECTED, ViewArgs};
use super::columns::columns;
use super::failure::Failure;
use super::generate::{Prepared, blame, prepare_on, run_failure, tell};
use super::interrupt::watch_for_ctrl_c;
use super::settings::Flags;
use super::style::Style;
use super::text::{show, shown_prompt};
use super::trace::head;
use super::values::Row;

/// Steps that a row typed by hand may be chosen from.
const TYPED_CONTEXT: usize = 1 << 20;

/// Begins a terminal's page anew.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Keeps out of the help what [`run`] would refuse.
pub(super) fn hide_foreign_flags(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| {
        let foreign = arg.get_long().is_some_and(|name| UNINSPECTED.contains(&name));
        arg.hide(foreign)
    })
}

pub(super) fn run(args: &InspectArgs, flags: &Flags) -> Result<(), Failure> {
    let cancelled = watch_for_ctrl_c()?;
    let (run, view) = (&args.run, &args.view);
    if let Some(flag) = flags.named(|name| UNINSPECTED.contains(&name)).first() {
        let what = "inspect follows one sequence, token by token; leave it out, or use `generate`";
        return Err(Failure::Usage(format!("{flag}: {what}")));
    }
    if view.watch.is_some() && run.output.format == Format::Json {
        let what =
            "--watch: an object of JSON is printed at the end; leave it out, or name --steps N";
        return Err(Failure::usage(what));
    }
    let own = view.logits.as_ref().map(typed).transpose()?;
    let prepared = prepare_on(run, flags, own)?;
    #[cfg(feature = "engines")]
    let here = prepared.here;
    let Prepared { loaded, mut request, .. } = prepared;
    let last = view.last();
    request.ask = Ask {
        logprob: true,
        entropy: true,
        probability: true,
        kept: true,
        top_logprobs: view.top,
        ..Ask::token()
    };
    request.redraws = view.redraws.unwrap_or(0);
    (request.config.num_beams, request.config.num_return_sequences) = (None, None);
    if let (Some(last), false) = (last, flags.for_setting("max_new_tokens").is_some()) {
        let limit = request.config.max_new_tokens.unwrap_or(DEFAULT_MAX_NEW_TOKENS);
        request.config.max_new_tokens = Some(limit.max(last));
    }
    let tokens = view.tokens.iter().map(|token| find(token, &loaded));
    let tokens: Vec<u32> = tokens.collect::<Result<Vec<_>, _>>()?.concat();
    let mut generation = Generation::new(&loaded, request)
        .map_err(|error| blame(&error, run, flags, Some(&loaded)))?;
    tell(run, flags, &generation, &loaded);
    #[cfg(feature = "engines")]
    here.map_or(Ok(()), |here| here.settle(generation.pipeline(), false))?;
    generation = generation.view(ViewAsk { top: view.top, tokens: tokens.clone() });
    if view.layers && loaded.model.observable().is_none() {
        return Err(Failure::usage("--layers: this model shows no hidden states"));
    }
    let mut output = Output::begin(args, &generation, &loaded, tokens)?;
    let (mut ended, mut made) = (None, 0);
    for n in 1..=last.unwrap_or(usize::MAX) {
        if cancelled.load(Ordering::Relaxed) {
            output.end(&generation, ended)?;
            return Err(Failure::Cancelled);
        }
        match generation.next() {
            None => break,
            Some(Err(error)) => return Err(run_failure(error, &run.model.model)),
            Some(Ok(step)) => {
                (ended, made) = (step.finish, n);
                output.step(n, step, cancelled)?;
            }
        }
    }
    if made < view.from {
        let reason = ended.map_or("", FinishReason::name);
        let what = format!("--from {}: the text ends at step {made} ({reason})", view.from);
        return Err(Failure::Usage(what));
    }
    output.end(&generation, ended)
}

/// A model that always says the same, and knows one token more to begin with, which it never says.
fn typed(row: &Row) -> Result<LoadedModel, Failure> {
    let mut logits = row.0.clone();
    logits.push(f32::NEG_INFINITY);
    let table = vec![logits.clone(); logits.len()];
    let model = TableModel::new(table, TYPED_CONTEXT).map_err(Failure::usage)?;
    Ok(LoadedModel::of("a row typed by hand", Box::new(model)))
}

impl ViewArgs {
    /// The last step to show; `None` for as many as there are.
    fn last(&self) -> Option<usize> {
        let whole = self.watch.is_some() && self.steps.is_none();
        (!whole).then(|| (self.from - 1).saturating_add(self.steps.unwrap_or(1)))
    }
}

/// The tokens that are meant by an id, or by a text with or without the quotes of the table.
fn find(what: &str, loaded: &LoadedModel) -> Result<Vec<u32>, Failure> {
    let vocab_size = loaded.model.vocab_size();
    let refused = |why: String| Err(Failure::Usage(format!("--token {what}: {why}")));
    if what.bytes().all(|byte| byte.is_ascii_digit()) {
        return match what.parse::<u32>() {
            Ok(id) if (id as usize) < vocab_size => Ok(vec![id]),
            _ => refused(format!("the vocabulary has the ids 0 to {}", vocab_size - 1)),
        };
    }
    let Some(tokenizer) = &loaded.tokenizer else {
        return refused("the model has no tokenizer.json; give the token's id".to_owned());
    };
    let quoted = what.len() > 1 && what.starts_with('"') && what.ends_with('"');
    let text = if quoted { serde_json::from_str(what).ok() } else { None };
    let text = text.unwrap_or_else(|| what.to_owned());
    let texts = (0..vocab_size as u32).map(|id| Ok((id, token_text(tokenizer, id)?)));
    let texts: Vec<_> = texts
        .collect::<Result<_, taper_runner::RunError>>()
        .map_err(|error| Failure::Run(error.to_string()))?;
    let with_text = |text: &str| -> Vec<u32> {
        texts.iter().filter(|(_, own)| own == text).map(|&(id, _)| id).collect()
    };
    let found = with_text(&text);
    if !found.is_empty() {
        return Ok(found);
    }
    let spaced = format!(" {text}");
    if !with_text(&spaced).is_empty() {
        return refused(format!("no token is just that; there is {spaced:?}, with its space"));
    }
    let parts = tokenizer.encode(text, false).map(|parts| parts.get_ids().to_vec());
    let name =
        |id: &u32| texts.get(*id as usize).map_or(String::new(), |(_, own)| format!("{own:?}"));
    let parts: Vec<String> = parts.unwrap_or_default().iter().map(name).collect();
    refused(format!("no token is just that; the text is made of {}", parts.join(", ")))
}

/// A step of the JSON.
#[derive(Debug, Serialize)]
struct Shown {
    /// From 1.
    step: usize,
    #[serde(flatten)]
    report: Option<StepReport>,
    #[serde(flatten)]
    view: Option<StepView>,
    /// What the model would say after each layer, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<LayerView>>,
}

/// The JSON.
#[derive(Debug, Serialize)]
struct Object<'o> {
    model: &'o str,
    config: &'o EffectiveConfig,
    prompt_tokens: &'o [u32],
    stages: &'o [String],
    text: &'o str,
    /// Of the text so far; `None` if it goes on.
    finish_reason: Option<FinishReason>,
    steps: &'o [Shown],
}

/// How the steps are shown.
#[derive(Debug)]
struct Output<'o> {
    args: &'o InspectArgs,
    loaded: &'o LoadedModel,
    /// The tokens before the next.
    tokens: Vec<u32>,
    asked: Vec<u32>,
    table: Table,
    stages: Vec<String>,
    prompt: String,
    text: String,
    steps: Vec<Shown>,
    /// Whether one table takes the place of the one before.
    in_place: Option<Duration>,
}

impl<'o> Output<'o> {
    fn begin(
        args: &'o InspectArgs,
        generation: &Generation<'_>,
        loaded: &'o LoadedModel,
        tokens: Vec<u32>,
    ) -> Result<Self, Failure> {
        let prompt = shown_prompt(generation.prompt(), &args.run, loaded);
        let stages = generation.pipeline().to_string();
        let stages: Vec<String> = stages.split(" → ").map(str::to_owned).collect();
        if args.run.output.format == Format::Text {
            show(&format!("{}\n", head(generation, &prompt, loaded)))?;
        }
        let watched = args.view.watch.filter(|_| std::io::stdout().is_terminal());
        let in_place = watched.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let (asked, style, columns) = (tokens.clone(), Style::of_stdout(), columns());
        let table = Table { stages: stages.clone(), asked: tokens, columns, style };
        let (tokens, text, steps) = (generation.prompt().to_vec(), String::new(), Vec::new());
        Ok(Self { args, loaded, tokens, asked, table, stages, prompt, text, steps, in_place })
    }

    fn step(&mut self, n: usize, step: Step, cancelled: &AtomicBool) -> Result<(), Failure> {
        let before = format!("{}{}", self.prompt, self.text);
        self.text += &step.text;
        let token = step.token;
        let shows = n >= self.args.view.from;
        let shown = shows.then(|| self.shown(n, step)).transpose()?;
        self.tokens.push(token);
        let Some(shown) = shown else { return Ok(()) };
        if self.args.run.output.format == Format::Json {
            self.steps.push(shown);
            return Ok(());
        }
        let mut table = self.table.show(n, &before, shown.report.as_ref(), shown.view.as_ref());
        table += &shown.layers.map_or_else(String::new, |layers| self.table.layers(&layers));
        match self.in_place {
            None => show(&format!("{table}\n"))?,
            Some(pause) => {
                show(&format!("{CLEAR}{table}"))?;
                rest(pause, cancelled);
            }
        }
        Ok(())
    }

    fn shown(&self, n: usize, step: Step) -> Result<Shown, Failure> {
        let top = self.args.view.top;
        let layers = self.args.view.layers.then(|| {
            let asked = [&[step.token][..], &self.asked].concat();
            layers(self.loaded, &self.tokens, top, &asked)
        });
        let layers = layers.transpose().map_err(|error| Failure::Run(error.to_string()))?;
        Ok(Shown { step: n, report: step.report, view: step.view, layers })
    }

    fn end(
        &self,
        generation: &Generation<'_>,
        finish_reason: Option<FinishReason>,
    ) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        if self.args.run.output.format == Format::Json {
            let object = Object {
                model: &self.loaded.name,
                config: generation.config(),
                prompt_tokens: generation.prompt(),
                stages: &self.stages,
                text: &self.text,
                finish_reason,
                steps: &self.steps,
            };
            serde_json::to_writer(&mut stdout, &object).map_err(std::io::Error::from)?;
            writeln!(stdout)?;
        } else if let Some(reason) = finish_reason {
            writeln!(stdout, "the text ends here: {}", reason.name())?;
        }
        Ok(())
    }
}

/// Waits, and not longer than until Ctrl-C.
fn rest(pause: Duration, cancelled: &AtomicBool) {
    let began = Instant::now();
    while began.elapsed() < pause && !cancelled.load(Ordering::Relaxed) {
        thread::sleep(pause.min(Duration::from_millis(20)));
    }
}
