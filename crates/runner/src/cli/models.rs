//! `taper models`.

use std::fmt::Write as _;
use std::time::Instant;

use taper_runner::models::{Capabilities, families, gguf_architectures};
use taper_runner::{ChatTemplate, MemoryUse};

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
        format!("name            {}", loaded.name),
        format!("family          {}", loaded.model.family()),
        format!("vocabulary      {} tokens", loaded.model.vocab_size()),
        format!("context         {} tokens", loaded.model.context_length()),
        format!("can             {}", abilities.collect::<Vec<_>>().join(", ")),
        format!("tokenizer       {}", if loaded.tokenizer.is_some() { "yes" } else { "no" }),
        format!("chat template   {}", if ChatTemplate::of(&loaded).is_ok() { "yes" } else { "no" }),
        format!("loaded in       {seconds:.2} s"),
    ];
    if loaded.turned_bytes > 0 {
        let megabytes = loaded.turned_bytes as f64 / 1e6;
        lines.push(format!("copied          {megabytes:.1} MB of weights that lie inputs first"));
    }
    if let Some(bytes) = MemoryUse::now().peak_rss_bytes {
        lines.push(format!("peak memory     {:.1} MB", bytes as f64 / 1e6));
    }
    show(&(lines.join("\n") + "\n"))
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
