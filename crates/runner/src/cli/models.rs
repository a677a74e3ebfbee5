//! `taper models`.

use std::fmt::Write as _;

use taper_runner::models::{Capabilities, families};

use super::failure::Failure;
use super::text::show;

pub(super) fn run() -> Result<(), Failure> {
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
    if cfg!(feature = "builtin") {
        text += "`--model builtin` is a small llama that comes with the program.\n";
    }
    show(&text)
}
