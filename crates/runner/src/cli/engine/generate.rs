//! `taper generate --engine`.

use std::io::Write;
use std::time::{Duration, Instant};

use taper_runner::engine::{
    Call, EngineError, Piece, Prompt, RemoteOutcome, RemoteSequence, Server, Wanted, translate,
};
use taper_runner::{FinishReason, draw_seed};

use super::request;
use crate::cli::args::{Format, GenerateArgs, RemoteArgs};
use crate::cli::failure::{Failure, remark};
use crate::cli::interrupt::watch_for_ctrl_c;
use crate::cli::settings::Flags;
use crate::cli::style::Style;
use crate::cli::text::show;

/// Runs on the engine, and shows the text as it comes.
pub(in crate::cli) fn run(args: &mut GenerateArgs, flags: &Flags) -> Result<(), Failure> {
    let cancelled = watch_for_ctrl_c()?;
    request::check(flags, false)?;
    let json = args.output.format == Format::Json;
    if args.output.top_logprobs.is_some() && !json {
        let what = "--top-logprobs: only --format json shows it; add it";
        return Err(Failure::usage(what));
    }
    let prompt = request::prompt(args)?;
    let connect = args.remote.one()?;
    let own = args.remote.own_tokenizer()?;
    let typed = args.knobs.turned.clone();
    // What can be refused without the server is, before it is asked anything.
    if let Some(dialect) = connect.dialect {
        args.knobs.turned = request::with_rules(&typed, dialect)?;
        let request = request::request(args, flags)?;
        let length = if request.config.max_length.is_some() { Some(0) } else { None };
        translate(&Wanted::of(&request, length)?, dialect)?;
    }
    let server = RemoteArgs::server(connect, own)?;
    args.knobs.turned = request::with_rules(&typed, server.profile.dialect)?;
    let request = request::request(args, flags)?;
    let prompt = request::settled(&server, prompt)?;
    let length = if let Prompt::Ids(ids) = &prompt { Some(ids.len()) } else { None };
    let wanted = Wanted::of(&request, length)?;
    let seed = request.seed.unwrap_or_else(draw_seed);
    let top = json.then(|| args.output.top_logprobs.unwrap_or(0));
    let call = server.profile.call(&wanted, &prompt, top, seed, true)?;
    tell(args, &server, &wanted, &call, seed);

    let mut output = Output::begin(args, &server, &prompt, &wanted)?;
    let deadline = wanted.max_time.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
    let late = || deadline.is_some_and(|end| Instant::now() >= end);
    let stop = || cancelled.load(std::sync::atomic::Ordering::Relaxed) || late();
    let (answer, ended) = server.answer(&call, &stop, &mut |piece| output.piece(piece));
    if output.gone {
        return Err(Failure::NobodyReads);
    }
    let (reason, ended) = match ended {
        Err(EngineError::Cancelled) if late() => (FinishReason::MaxTime, Ok(())),
        Err(EngineError::Cancelled) => (FinishReason::Cancelled, Err(Failure::Cancelled)),
        Err(error) => (FinishReason::Error, Err(Failure::from(error))),
        Ok(()) => (FinishReason::Stop, Ok(())),
    };
    // A request that was refused has nothing to show.
    if matches!(ended, Err(Failure::Run(_))) && answer.is_empty() {
        return ended;
    }
    let outcome =
        RemoteOutcome::new(&server.profile, &wanted, &prompt, &call, seed, answer, reason);
    output.end(&outcome)?;
    ended
}

/// What is worth a word before the run.
fn tell(args: &GenerateArgs, server: &Server, wanted: &Wanted, call: &Call, seed: u64) {
    let rules = args.knobs.turned.engine();
    if rules != "huggingface" && args.output.format == Format::Text {
        remark(&format!(
            "the settings and defaults are those of {rules}; --semantics names others"
        ));
    }
    if let Some(sent) = call.seed.filter(|&sent| sent != seed) {
        let dialect = server.profile.dialect;
        remark(&format!("{dialect} does not take the seed {seed} as it is: it is sent {sent}"));
    }
    if !wanted.greedy && !server.profile.reproducible && args.knobs.turned.get("seed").is_some() {
        let dialect = server.profile.dialect;
        remark(&format!("{dialect} does not promise the same text for the same seed here"));
    }
}

/// How the run is shown.
struct Output {
    json: bool,
    several: bool,
    prompt: String,
    /// Whether the one who read it went away, or it cannot be written.
    gone: bool,
    shown: usize,
}

impl Output {
    fn begin(
        args: &GenerateArgs,
        server: &Server,
        prompt: &Prompt,
        wanted: &Wanted,
    ) -> Result<Self, Failure> {
        let json = args.output.format == Format::Json;
        let prompt = if json { String::new() } else { request::shown(args, server, prompt) };
        let output = Self { json, several: wanted.sequences > 1, prompt, gone: false, shown: 0 };
        if !json && !output.several {
            show(&Style::of_stdout().bold(&output.prompt))?;
        }
        Ok(output)
    }

    /// Whether to go on.
    fn piece(&mut self, piece: &Piece) -> bool {
        if self.json || self.several {
            return true;
        }
        self.shown += piece.text.len();
        self.gone = show(&piece.text).is_err();
        !self.gone
    }

    fn end(&self, outcome: &RemoteOutcome) -> Result<(), Failure> {
        if self.json {
            let mut stdout = std::io::stdout().lock();
            serde_json::to_writer(&mut stdout, outcome).map_err(std::io::Error::from)?;
            writeln!(stdout)?;
            return Ok(());
        }
        if self.several {
            let style = Style::of_stdout();
            let prompt = style.bold(&self.prompt);
            for (i, sequence) in outcome.sequences.iter().enumerate() {
                let reason = sequence.finish_reason.name();
                let head = style.dim(&format!("── sequence {}: {reason} ──", i + 1));
                show(&format!("{head}\n{prompt}{}\n", sequence.text))?;
            }
        } else {
            let rest = outcome.sequences.first().and_then(|one| one.text.get(self.shown..));
            show(&format!("{}\n", rest.unwrap_or_default()))?;
        }
        let _ = writeln!(std::io::stderr(), "{}", summary(outcome));
        Ok(())
    }
}

/// Token counts, how it ended, speed and engine in one line.
fn summary(outcome: &RemoteOutcome) -> String {
    let count = |key: &str| outcome.usage.get(key).and_then(serde_json::Value::as_u64);
    let mut parts = Vec::new();
    let engine = &outcome.engine;
    if let Some(n) = count("prompt_tokens") {
        parts.push(format!("prompt {n} tokens, sent as {}", engine.prompt));
    }
    if let Some(n) = count("completion_tokens") {
        parts.push(format!("generated {n} tokens"));
    }
    let reasons: Vec<&str> = outcome.sequences.iter().map(reason).collect();
    parts.push(format!("finished: {}", reasons.join(", ")));
    if let Some(seconds) = outcome.timing.first_token_s {
        parts.push(format!("first after {seconds:.3} s"));
    }
    if let Some(speed) = outcome.timing.tokens_per_s {
        parts.push(format!("{speed:.1} tokens/s"));
    }
    if engine.seed.is_some() {
        parts.push(format!("seed {}", outcome.config["seed"]));
    }
    let version = engine.version.as_ref().map_or_else(String::new, |version| format!(" {version}"));
    let url = engine.url.as_ref().map_or_else(String::new, |url| format!(" at {url}"));
    parts.push(format!("{}{version}{url}", engine.dialect));
    parts.join(" · ")
}

fn reason(sequence: &RemoteSequence) -> &'static str {
    sequence.finish_reason.name()
}
