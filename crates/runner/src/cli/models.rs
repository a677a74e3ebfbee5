//! `taper models`.

use std::fmt::Write as _;
use std::time::Instant;

use taper_runner::models::{Capabilities, LoadedModel, families, gguf_architectures};
use taper_runner::{ChatTemplate, MemoryUse, escaped, model_config};

use super::args::{ModelArgs, ModelsArgs};
use super::failure::Failure;
use super::generate::load_model;
use super::text::show;

pub(super) fn run(args: &ModelsArgs) -> Result<(), Failure> {
    match &args.model {
        Some(model) => describe(args, model),
        None => list(),
    }
}

/// Loads a model and says what it is and what it took.
fn describe(args: &ModelsArgs, model: &str) -> Result<(), Failure> {
    let began = Instant::now();
    let flags = ModelArgs {
        model: model.to_owned(),
        revision: None,
        random_weights: None,
        device: args.device,
        dtype: args.dtype,
        threads: args.threads,
    };
    let loaded = load_model(&flags, "model", model)?;
    let seconds = began.elapsed().as_secs_f64();
    let can = loaded.model.capabilities();
    let abilities = [
        (can.fork, "fork"),
        (can.truncate, "rewind"),
        (can.reorder, "reorder"),
        (can.batch, "batch"),
        (can.all_positions, "score a text"),
    ];
    let abilities = abilities.iter().filter(|(can, _)| *can).map(|(_, name)| *name);
    let mut lines = vec![
        format!("name            {}", escaped(&loaded.name)),
        format!("family          {}", loaded.model.family()),
        format!("vocabulary      {} tokens", loaded.model.vocab_size()),
        format!("context         {} tokens", loaded.model.context_length()),
        format!("can             {}", abilities.collect::<Vec<_>>().join(", ")),
        format!("tokenizer       {}", if loaded.tokenizer.is_some() { "yes" } else { "no" }),
        format!("chat template   {}", if ChatTemplate::of(&loaded).is_ok() { "yes" } else { "no" }),
    ];
    if loaded.turned_bytes > 0 {
        let megabytes = loaded.turned_bytes as f64 / 1e6;
        lines.push(format!("copied          {megabytes:.1} MB of weights that lie inputs first"));
    }
    lines.extend(ends(&loaded)?.map(|ends| format!("ends a text     {ends}")));
    lines.extend(recommended(&loaded).map(|all| format!("sampling        {all} (llama.cpp's)")));
    lines.push(format!("loaded in       {seconds:.2} s"));
    if let Some(bytes) = MemoryUse::now().peak_rss_bytes {
        lines.push(format!("peak memory     {:.1} MB", bytes as f64 / 1e6));
    }
    show(&(lines.join("\n") + "\n"))
}

/// The tokens that end a text.
fn ends(loaded: &LoadedModel) -> Result<Option<String>, Failure> {
    let config = model_config(loaded);
    let config =
        config.map_err(|error| Failure::Usage(format!("model {}: {error}", loaded.name)))?;
    let text = |id: &u32| match loaded.tokenizer.as_ref().and_then(|t| t.id_to_token(*id)) {
        Some(text) => format!("{id} {text:?}"),
        None => id.to_string(),
    };
    let ends: Vec<String> = config.eos_ids().iter().map(text).collect();
    Ok((!ends.is_empty()).then(|| ends.join(", ")))
}

/// What a GGUF file recommends for sampling.
fn recommended(loaded: &LoadedModel) -> Option<String> {
    let all = loaded.sampling.iter().map(|(key, value)| {
        let name = key.rsplit('.').next().unwrap_or(key);
        format!("{name} {value}")
    });
    let all: Vec<String> = all.collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn list() -> Result<(), Failure> {
    let mut text = String::from("family        fork  rewind  reorder  batch  score a text\n");
    let yes = |can: bool| if can { "yes" } else { "no" };
    for family in families::supported() {
        let can = families::capabilities(family).unwrap_or(Capabilities::NONE);
        let Capabilities { fork, truncate, reorder, batch, all_positions, .. } = can;
        // A write to a string does not fail.
        let _ = writeln!(
            text,
            "{family:<12}  {:<4}  {:<6}  {:<7}  {:<5}  {}",
            yes(fork),
            yes(truncate),
            yes(reorder),
            yes(batch),
            yes(all_positions)
        );
    }
    text += "\nA model is a Hugging Face folder: config.json with one of these as its model_type,\n\
             model.safetensors or its shards, and tokenizer.json for prompts that are text.\n";
    let architectures = gguf_architectures().join(", ");
    // As above.
    let _ = writeln!(
        text,
        "A GGUF file has all of it in one; its general.architecture is one of {architectures}.\n\
         It can do what its family can. `taper export-gguf` makes one of a folder."
    );
    if cfg!(feature = "builtin") {
        text += "`--model builtin` is a small llama that comes with the program.\n";
    }
    show(&text)
}
