//! The model that comes with the crate, and the grammar it was trained on.
//!
//! It is small, real and honest about what it is: a llama of about a million weights, trained by
//! `examples/train_builtin.rs` on text that [`grammar`] writes. Because every probability of that
//! grammar is known, the model can be held against the truth: see the card,
//! `docs/builtin-card.md`.

pub mod grammar;

/// What a Hugging Face folder of the model would hold: `config.json`, `model.safetensors` (`f16`)
/// and `tokenizer.json`.
pub fn files() -> (&'static str, &'static [u8], &'static [u8]) {
    (
        include_str!("data/config.json"),
        include_bytes!("data/model.safetensors"),
        include_bytes!("data/tokenizer.json"),
    )
}

#[cfg(test)]
mod tests;
