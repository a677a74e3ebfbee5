//! `taper generate`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::Map;
use taper_runner::models::{
    LoadError, LoadOptions, LoadedModel, ModelError, load_with_progress, locate,
};
use taper_runner::sampling::{Ask, GenerationConfig, OneOrMany, Pipeline};
use taper_runner::{
    Chat, Draft, EffectiveConfig, Generation, Outcome, Request, RequestError, RunError, Search,
    Source, Step, file_of, model_config, tokenize, unused_settings,
};

use super::args::{Format, GenerateArgs, ModelArgs, OutputArgs, PipelineFormat, SpeculationArgs};
use super::dump::Look;
use super::failure::{Failure, remark};
use super::interrupt::watch_for_ctrl_c;
use super::progress::LoadProgress;
use super::settings::Flags;
use super::text::{Plain, read_prompt, show, shown_prompt, summary};
use super::ties::Ties;
use super::trace::Traced;
use super::{beams, chat};

/// Tokens that a draft model guesses at once if `--num-assistant-tokens` does not say otherwise.
const GUESSES: usize = 5;

/// Alternatives that `--trace` shows if `--top-logprobs` does not say otherwise.
const TRACED_ALTERNATIVES: usize = 5;

pub(super) fn run(args: &GenerateArgs, flags: &Flags) -> Result<(), Failure> {
    let cancelled = watch_for_ctrl_c()?;
    if !asks(&args.output) && args.output.top_logprobs.is_some() {
        let what = "--top-logprobs: only --trace and --format json show it; add one of them";
        return Err(Failure::usage(what));
    }
    if args.output.kept_ids && args.output.format != Format::Json {
        let what = "--kept-ids: only --format json shows them; add it";
        return Err(Failure::usage(what));
    }
    let look = Look::read(args)?;
    let prepared = prepare(args, flags)?;
    #[cfg(feature = "engines")]
    let here = prepared.here;
    let Prepared { loaded, draft, load_s, request, .. } = prepared;
    look.check(&loaded, &request)?;
    let guessing = guessing(&args.speculation, draft.as_ref());
    if request.config.num_beams.is_some_and(|beams| beams > 1) {
        if let Some(draft) = guessing {
            let error = no_beams(&request, draft);
            return Err(blame(&error, args, flags, Some(&loaded)));
        }
        let search = Search::new(&loaded, request)
            .map_err(|error| blame(&error, args, flags, Some(&loaded)))?;
        tell_settings(args, flags, search.config(), &loaded);
        #[cfg(feature = "engines")]
        here.as_ref().map_or(Ok(()), |here| here.settle(search.pipeline(), false))?;
        if let Some(format) = args.output.print_pipeline {
            return print_pipeline(search.pipeline(), format);
        }
        return beams::run(search, args, &look, &loaded, load_s, cancelled);
    }
    let blamed = |error| blame(&error, args, flags, Some(&loaded));
    let mut generation = Generation::new(&loaded, request).map_err(blamed)?;
    if let Some(draft) = guessing {
        generation = generation.speculate(draft).map_err(blamed)?;
    }
    tell(args, flags, &generation, &loaded);
    #[cfg(feature = "engines")]
    if let Some(here) = &here {
        here.settle(
            generation.pipeline(),
            !asks(&args.output) && args.knobs.turned.get("best_of").is_none(),
        )?;
    }
    if let Some(format) = args.output.print_pipeline {
        return print_pipeline(generation.pipeline(), format);
    }

    let mut output = Output::of(&args.output);
    let mut ties = Ties::default();
    let ended = drive(&mut generation, &mut output, &mut ties, args, &loaded, cancelled);
    // Nothing was run that there could be a word on.
    if matches!(ended, Err(Failure::NobodyReads | Failure::Usage(_))) {
        return ended;
    }
    let mut outcome = generation.into_outcome();
    outcome.timing.load_s = Some(load_s);
    #[cfg(feature = "engines")]
    if let Some(here) = here {
        outcome.engine = Some(here.facts);
    }
    if args.output.show_prompt {
        outcome.prompt = Some(read_prompt(&outcome.prompt_tokens, &loaded));
    }
    let ended = ended.and_then(|()| look.at(&mut outcome, args, &loaded));
    output.end(&outcome)?;
    ties.tell();
    ended
}

/// The pipeline as data or as code, in the place of a run.
fn print_pipeline(pipeline: &Pipeline, format: PipelineFormat) -> Result<(), Failure> {
    let printed = match format {
        PipelineFormat::Json => pipeline.to_json().map(|json| json + "\n"),
        PipelineFormat::Rust => pipeline.to_rust(),
    };
    show(&printed.map_err(|error| Failure::Usage(format!("--print-pipeline: {error}")))?)
}

/// What the flags describe.
pub(super) struct Prepared {
    pub(super) loaded: LoadedModel,
    draft: Option<LoadedModel>,
    load_s: f64,
    pub(super) request: Request,
    #[cfg(feature = "engines")]
    pub(super) here: Option<super::engine::Here>,
}

/// Loads the models, and makes the request.
pub(super) fn prepare(args: &GenerateArgs, flags: &Flags) -> Result<Prepared, Failure> {
    prepare_on(args, flags, None)
}

/// As [`prepare`], on a model that is there already and needs no prompt.
pub(super) fn prepare_on(
    args: &GenerateArgs,
    flags: &Flags,
    own: Option<LoadedModel>,
) -> Result<Prepared, Failure> {
    let chat = args.chat.chat.then(|| chat::conversation(args)).transpose()?;
    let runs = args.output.print_pipeline.is_none() && own.is_none();
    if runs && chat.is_none() && args.prompt.is_none() && args.prompt_ids.is_none() {
        return Err(Failure::usage(
            "the prompt is missing; give a text, - for standard input, or --prompt-ids 1,2,3",
        ));
    }
    if args.prompt.as_deref() == Some("") {
        return Err(Failure::usage(RequestError::EmptyPrompt));
    }
    let refused = |error| flags.blame(error, args, None);
    args.knobs.turned.check_engine().map_err(refused)?;
    let user = args.knobs.turned.config().map_err(refused)?;
    // Before the model is loaded, which may take a while.
    args.semantics(&GenerationConfig::default(), &Map::new())
        .and_then(|semantics| Ok(semantics.validate(&user)?))
        .map_err(refused)?;
    let began = Instant::now();
    #[cfg(feature = "engines")]
    let (loaded, here) = if let Some(own) = own {
        (own, None)
    } else if args.remote.is_given() {
        let has_text = args.prompt_ids.is_none();
        let (loaded, here) = super::engine::load_here(&args.remote, flags, has_text)?;
        (loaded, Some(here))
    } else {
        (load_model(&args.model, "--model", &args.model.model)?, None)
    };
    #[cfg(not(feature = "engines"))]
    let loaded = match own {
        Some(own) => own,
        None => load_model(&args.model, "--model", &args.model.model)?,
    };
    let draft = args.speculation.draft_model.as_ref();
    let draft = draft.map(|draft| load_model(&args.model, "--draft-model", draft)).transpose()?;
    let load_s = began.elapsed().as_secs_f64();
    let request = request(args, flags, user, chat.as_ref(), &loaded)?;
    Ok(Prepared {
        loaded,
        draft,
        load_s,
        request,
        #[cfg(feature = "engines")]
        here,
    })
}

/// Guesses do not go with beams.
fn no_beams(request: &Request, draft: Draft<'_>) -> RequestError {
    let by = match draft {
        Draft::Model { .. } => "--draft-model",
        _ => "--prompt-lookup-num-tokens",
    };
    RequestError::Setting {
        key: "num_beams",
        value: request.config.num_beams.unwrap_or(1).to_string(),
        domain: format!("1 with {by}"),
    }
}

fn guessing<'m>(args: &SpeculationArgs, draft: Option<&'m LoadedModel>) -> Option<Draft<'m>> {
    let by_model = draft.map(|draft| Draft::Model {
        source: draft.into(),
        tokens: args.num_assistant_tokens.unwrap_or(GUESSES),
    });
    let max_ngram = args.max_matching_ngram_size.unwrap_or(2);
    let by_text = args.prompt_lookup_num_tokens;
    by_model.or(by_text.map(|tokens| Draft::PromptLookup { tokens, max_ngram }))
}

/// Remarks on settings and on the pipeline.
pub(super) fn tell(
    args: &GenerateArgs,
    flags: &Flags,
    generation: &Generation<'_>,
    loaded: &LoadedModel,
) {
    tell_settings(args, flags, generation.config(), loaded);
    for lint in generation.pipeline().lints() {
        remark(&lint.to_string());
    }
}

fn tell_settings(
    args: &GenerateArgs,
    flags: &Flags,
    config: &EffectiveConfig,
    loaded: &LoadedModel,
) {
    let (semantics, generation) = (&config.semantics, &config.generation);
    if semantics.is_cold(generation) {
        remark(
            "temperature 0 takes the most likely token each time, as do_sample false does; \
             transformers itself refuses it",
        );
    }
    flags.idle(semantics, generation).iter().for_each(|idle| remark(idle));
    semantics.remarks(&Source::from(loaded)).iter().for_each(|what| remark(what));
    let own = model_config(loaded).unwrap_or_default();
    for unused in unused_settings(&own, semantics) {
        let key = unused.split(' ').next().unwrap_or_default();
        let file = file(args, loaded, key).unwrap_or_default();
        remark(&format!("{}: {unused}", file.display()));
    }
}

/// The file that the model's own word on a setting is in, if there is one.
fn file(args: &GenerateArgs, loaded: &LoadedModel, key: &str) -> Option<PathBuf> {
    let model = Path::new(&args.model.model);
    // A GGUF file has all of it; its keys alone have points.
    if key.contains('.') {
        return Some(model.to_owned());
    }
    let name = file_of(loaded, key)?;
    Some(if model.is_file() { model.to_owned() } else { model.join(name) })
}

/// Takes the steps as they come, until there are no more, something fails, or Ctrl-C.
fn drive(
    generation: &mut Generation<'_>,
    output: &mut Output,
    ties: &mut Ties,
    args: &GenerateArgs,
    loaded: &LoadedModel,
    cancelled: &AtomicBool,
) -> Result<(), Failure> {
    output.begin(generation, args, loaded)?;
    let pipeline = generation.pipeline().clone();
    loop {
        if cancelled.load(Ordering::Relaxed) {
            return Err(Failure::Cancelled);
        }
        match generation.next() {
            None => return Ok(()),
            Some(Err(error)) => return Err(run_failure(error, &args.model.model)),
            Some(Ok(step)) => {
                ties.step(&pipeline, &step);
                output.step(&step)?;
            }
        }
    }
}

/// How a run of this model failed.
pub(super) fn run_failure(error: RunError, model: &str) -> Failure {
    match error {
        // The file of weights is to blame, and shows it only when it is used.
        RunError::Model(error @ ModelError::NotFinite { .. }) => {
            Failure::Usage(format!("--model {model}: {error}"))
        }
        error => Failure::Run(error.to_string()),
    }
}

pub(super) fn load_model(
    args: &ModelArgs,
    flag: &str,
    model: &str,
) -> Result<LoadedModel, Failure> {
    let options = args.load_options();
    let own = model == "builtin";
    for (only, given) in [
        ("--revision", args.revision.is_some()),
        ("--random-weights", args.random_weights.is_some()),
    ] {
        if own && given {
            let what = format!("{only}: the builtin model has none; name another by --model");
            return Err(Failure::usage(what));
        }
    }
    let loaded = if own {
        load_builtin(&options)?
    } else {
        locate(model, args.revision.as_deref()).and_then(|folder| {
            let progress = LoadProgress::new(model);
            let mut loaded = load_with_progress(&folder, &options, &|share| progress.tell(share))?;
            if folder.as_os_str() != model {
                // A snapshot's folder is called by its commit.
                model.clone_into(&mut loaded.name);
            }
            Ok(loaded)
        })
    };
    if let Ok(LoadedModel { notes, .. }) = &loaded {
        for note in notes {
            let _ = writeln!(std::io::stderr(), "note: {flag} {model}: {note}");
        }
    }
    loaded.map_err(|error| {
        let what = error.to_string();
        Failure::Usage(match error {
            LoadError::Device(_) => format!("--device {}: {what}", args.device),
            LoadError::Threads(_) => format!("--threads: {what}"),
            _ if what.starts_with(model) => format!("{flag}: {what}"),
            _ => format!("{flag} {model}: {what}"),
        })
    })
}

type Loaded = Result<LoadedModel, LoadError>;

#[cfg(feature = "builtin")]
#[expect(clippy::unnecessary_wraps, reason = "a build without the model has none to give")]
fn load_builtin(options: &LoadOptions) -> Result<Loaded, Failure> {
    Ok(taper_runner::models::load_builtin(options))
}

#[cfg(not(feature = "builtin"))]
fn load_builtin(_: &LoadOptions) -> Result<Loaded, Failure> {
    let what = "this build has no builtin model; give a folder, or build with `--features builtin`";
    Err(Failure::usage(format!("--model builtin: {what}")))
}

fn request(
    args: &GenerateArgs,
    flags: &Flags,
    user: GenerationConfig,
    chat: Option<&Chat>,
    loaded: &LoadedModel,
) -> Result<Request, Failure> {
    let opening = chat.map(|chat| chat::open(chat, loaded)).transpose()?;
    let end_of_turn = opening.as_ref().and_then(|opening| opening.end_of_turn);
    let prompt = match (opening, &args.prompt_ids, &args.prompt) {
        (Some(opening), ..) => opening.prompt,
        (None, Some(ids), _) => ids.0.clone(),
        (None, None, Some(text)) => {
            tokenize(loaded.tokenizer.as_ref(), text).map_err(Failure::usage)?
        }
        // Nothing is run, or what comes first does not matter.
        (None, None, None) => vec![loaded.model.vocab_size() as u32 - 1],
    };
    let mut file = model_config(loaded)
        .map_err(|error| Failure::usage(format!("{}: {error}", args.model.model)))?;
    // What a flag says goes before it, whatever it is.
    file.extra.retain(|key, _| flags.for_setting(key).is_none());
    let file = with_eos(file, end_of_turn);
    let mut request = Request::new(prompt);
    let semantics = args.semantics(&file, &loaded.sampling);
    let semantics = semantics.map_err(|error| flags.blame(error, args, Some(loaded)))?;
    request.config = user.or(semantics.heed(file));
    request.semantics = semantics;
    request.ask = ask(&args.output);
    args.apply(&mut request, flags, Some(loaded))?;
    Ok(request)
}

/// The model's settings with one more token that ends the text.
fn with_eos(mut file: GenerationConfig, token: Option<u32>) -> GenerationConfig {
    let mut ids = file.eos_ids().to_vec();
    if let Some(token) = token.filter(|token| !ids.contains(token)) {
        ids.push(token);
        file.eos_token_id = Some(OneOrMany::Many(ids));
    }
    file
}

/// Whether anything but the text is shown.
fn asks(output: &OutputArgs) -> bool {
    output.trace || output.format == Format::Json
}

fn ask(output: &OutputArgs) -> Ask {
    let traced_text = output.trace && output.format == Format::Text;
    let default = if traced_text { TRACED_ALTERNATIVES } else { 0 };
    let asked = asks(output);
    Ask {
        logprob: asked,
        entropy: asked,
        probability: asked,
        kept: asked,
        kept_tokens: output.kept_ids,
        top_logprobs: if asked { output.top_logprobs.unwrap_or(default) } else { 0 },
        // Ties are told unasked.
        trace: output.trace || output.format == Format::Text,
    }
}

/// Says where the setting came from that is to blame: a flag, or the model's own file.
pub(super) fn blame(
    error: &RequestError,
    args: &GenerateArgs,
    flags: &Flags,
    loaded: Option<&LoadedModel>,
) -> Failure {
    let Some(key) = error.key() else {
        let of_prompt =
            matches!(error, RequestError::PromptId { .. } | RequestError::PromptTooLong { .. });
        let at_ids = args.prompt_ids.is_some() && of_prompt;
        return Failure::Usage(format!("{}{error}", if at_ids { "--prompt-ids: " } else { "" }));
    };
    let engine = args.knobs.turned.engine();
    let file = |key| loaded.and_then(|loaded| file(args, loaded, key));
    // Groups ask for a penalty, so that its default is wrong because of them.
    let unnamed = flags.for_setting(key).is_none() && file(key).is_none();
    let source = match key {
        "diversity_penalty" if unnamed => "num_beam_groups",
        "watermark_config" | "watermarking_config" | "watermark_key"
            if unnamed && flags.for_setting("watermark").is_some() =>
        {
            "watermark"
        }
        _ => key,
    };
    Failure::Usage(match (flags.for_setting(source), file(source)) {
        (Some(flag), _) if (key, engine) == ("temperature", "huggingface") => {
            format!("{flag}: {error}; use --temperature 0 for that")
        }
        (Some(flag), _) => format!("{flag}: {error}"),
        (None, Some(file)) => format!("{}: {error}", file.display()),
        // Nothing but the engine's defaults names it.
        (None, _) => format!("--semantics {engine}: {error}"),
    })
}

pub(super) fn show_json(outcome: &Outcome) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer(&mut stdout, outcome).map_err(std::io::Error::from)?;
    writeln!(stdout)?;
    Ok(())
}

/// How the run is shown.
enum Output {
    Plain(Plain),
    Traced(Traced),
    Json,
}

impl Output {
    fn of(args: &OutputArgs) -> Self {
        match (args.format, args.trace) {
            (Format::Json, _) => Self::Json,
            (Format::Text, true) => Self::Traced(Traced::default()),
            (Format::Text, false) => Self::Plain(Plain::default()),
        }
    }

    fn begin(
        &mut self,
        generation: &Generation<'_>,
        args: &GenerateArgs,
        loaded: &LoadedModel,
    ) -> Result<(), Failure> {
        let prompt = shown_prompt(generation.prompt(), args, loaded);
        match self {
            Self::Plain(plain) => plain.begin(generation, prompt, loaded),
            Self::Traced(traced) => traced.begin(generation, prompt, loaded),
            Self::Json => Ok(()),
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), Failure> {
        match self {
            Self::Plain(plain) => plain.step(step),
            Self::Traced(traced) => traced.step(step),
            Self::Json => Ok(()),
        }
    }

    fn end(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        match self {
            Self::Plain(plain) => plain.end(outcome)?,
            Self::Traced(traced) => traced.end(outcome)?,
            Self::Json => {
                return show_json(outcome);
            }
        }
        let _ = writeln!(std::io::stderr(), "{}", summary(outcome));
        Ok(())
    }
}
