//! `taper explore`.

use std::path::PathBuf;

use clap::Args;
use taper_runner::explore::{ExploreServer, Explorer, Listen};
use taper_runner::knobs::{Knob, KnobValue, Knobs, Turned};
use taper_runner::{RequestError, draw_seed, tokenize};

use super::args::{KnobArgs, ModelArgs};
use super::failure::Failure;
use super::generate::load_model;
use super::interrupt::watch_for_ctrl_c;
use super::settings::read_files;
use super::text::show;
use super::values::{self, Ids};

/// What is explored, and where the page is served.
#[derive(Debug, Args)]
pub(super) struct ExploreArgs {
    /// The text to start from; without one the page asks for it
    prompt: Option<String>,

    /// The text to start from as token ids
    #[arg(long, value_name = "IDS", value_parser = values::ids, conflicts_with = "prompt")]
    prompt_ids: Option<Ids>,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    page: PageArgs,

    #[command(flatten)]
    knobs: KnobArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "The page")]
struct PageArgs {
    /// The port to serve the page on; 0 for a free one
    #[arg(long, value_name = "PORT", default_value_t = 7777)]
    port: u16,

    /// The address of this machine to listen on; anything but the default lets other machines reach the page
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: String,

    /// Another name under which the page may be asked for, as a tunnel has; given once for each
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,

    /// Where the page may keep what was tried: as sweeps with reports, each in a new folder of this one
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// Megabytes of logits and states that are kept; what was dropped is computed again
    #[arg(long, value_name = "MB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    cache_mb: u32,
}

pub(super) fn run(args: &ExploreArgs) -> Result<(), Failure> {
    let cancelled = watch_for_ctrl_c()?;
    args.knobs.turned.check_engine().map_err(|error| Failure::Usage(error.to_string()))?;
    let turned = read_files(&args.knobs.turned)?;
    let knobs = knobs(&turned)?;
    let loaded = load_model(&args.model, "--model", &args.model.model)?;
    turned.request(Some(&loaded)).map_err(|error| Failure::Usage(error.to_string()))?;
    let prompt = match (&args.prompt, &args.prompt_ids) {
        (Some(text), _) if text.is_empty() => {
            return Err(Failure::usage(RequestError::EmptyPrompt));
        }
        (Some(text), _) => tokenize(loaded.tokenizer.as_ref(), text).map_err(Failure::usage)?,
        (None, Some(ids)) => ids.0.clone(),
        (None, None) => Vec::new(),
    };
    let bytes = args.page.cache_mb as usize * 1_000_000;
    let explorer = Explorer::new(loaded, &args.model.model, prompt, knobs, draw_seed(), bytes)
        .map_err(|error| Failure::Usage(error.to_string()))?
        .keeping(args.page.keep.clone());
    let listen = Listen {
        host: args.page.host.clone(),
        port: args.page.port,
        allowed_hosts: args.page.allow_host.clone(),
    };
    let server = ExploreServer::bind(explorer, &listen)
        .map_err(|error| Failure::Usage(format!("--port {}: {error}", args.page.port)))?;
    show(&format!("{}\n", server.address()))?;
    server.serve(cancelled).map_err(|error| Failure::Run(error.to_string()))?;
    Err(Failure::Cancelled)
}

/// The flags as a page has them.
fn knobs(turned: &Turned) -> Result<Knobs, Failure> {
    let one = |(knob, value): (&'static Knob, &KnobValue)| {
        if knob.name == "watermark_key" {
            let what = "--watermark-key: the page would show it; set TAPER_WATERMARK_KEY instead";
            return Err(Failure::usage(what));
        }
        let json = value.to_json().ok_or_else(|| {
            Failure::Usage(format!("{} {value}: it must be finite on a page", knob.flag()))
        })?;
        Ok((knob.name.to_owned(), json))
    };
    turned.iter().map(one).collect()
}
