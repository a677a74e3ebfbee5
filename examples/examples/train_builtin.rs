//! Makes the builtin model again from nothing: tokenizer, weights, configuration.
//!
//! `cargo run --release -p taper-examples --example train_builtin -- --out DIR [--steps N]`
//! (`--finish-only` runs the last part alone, on the weights that are in DIR).
//!
//! Everything is drawn from `ChaCha` and the sums are taken in a fixed order, so two runs on one
//! machine give the same bytes. `docs/builtin-card.md` describes what comes out.

#[path = "train_builtin/rows.rs"]
mod rows;
#[path = "train_builtin/tokenizer.rs"]
mod tokenizer;
#[path = "train_builtin/trainer.rs"]
mod trainer;

use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::Device;
use serde_json::json;
use taper_models::DecoderSpec;
use tokenizers::Result;

use self::rows::Rows;
use self::trainer::{Schedule, Trainer};

const SEED: u64 = 2026;
/// Steps of the model that comes with the crate.
const STEPS: usize = 3800;
/// Steps without weight decay that follow, from the weights as they are stored.
const FINISHING_STEPS: usize = 400;
/// Rows a step, and how long they are; one step in eight has fewer and longer ones, so that late
/// positions are trained as well.
const SHORT: (usize, usize) = (8, 160);
const LONG: (usize, usize) = (4, 480);

fn main() -> Result<()> {
    let Arguments { out, steps, finish_only } = arguments()?;
    std::fs::create_dir_all(&out)?;
    let tokenizer = tokenizer::train(SEED)?;
    tokenizer.save(out.join("tokenizer.json"), false)?;
    let id = |token| tokenizer.token_to_id(token).ok_or("a special token is missing");
    let (bos, eos) = (id(tokenizer::BOS)?, id(tokenizer::EOS)?);

    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama",
        "vocab_size": tokenizer.get_vocab_size(true), "hidden_size": 128,
        "intermediate_size": 384, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 32,
        "max_position_embeddings": 512, "rope_theta": 10_000.0, "rms_norm_eps": 1e-5,
        "hidden_act": "silu", "attention_bias": false, "mlp_bias": false,
        "tie_word_embeddings": true, "bos_token_id": bos, "eos_token_id": eos,
        "torch_dtype": "float16",
    });
    let spec = DecoderSpec::from_config(&config)?;
    std::fs::write(out.join("config.json"), serde_json::to_string_pretty(&config)? + "\n")?;

    let weights = out.join("model.safetensors");
    if !finish_only {
        let trainer = Trainer::new(&spec, SEED, Schedule { peak: 4e-3, warmup: 100, steps })?;
        train(trainer, Rows::new(&tokenizer, eos, SEED), steps, &weights)?;
    }
    // The second part starts from the file, so that it is the same whether or not the first part
    // ran just before it.
    let trained = candle_core::safetensors::load(&weights, &Device::Cpu)?;
    let steps = FINISHING_STEPS.min(steps);
    let trainer = Trainer::finishing(&spec, trained, Schedule { peak: 1e-3, warmup: 40, steps })?;
    train(trainer, Rows::new(&tokenizer, eos, SEED + 1), steps, &weights)
}

fn train(mut trainer: Trainer, mut rows: Rows<'_>, steps: usize, weights: &Path) -> Result<()> {
    let (start, mut tokens, mut loss_sum) = (Instant::now(), 0, 0.0);
    for step in 1..=steps {
        let (count, length) = if step % 8 == 0 { LONG } else { SHORT };
        let (inputs, targets) = rows.batch(count, length)?;
        loss_sum += trainer.step(&inputs, &targets)?;
        tokens += count * length;
        if step % 100 == 0 {
            let rate = tokens as f64 / start.elapsed().as_secs_f64();
            println!(
                "step {step} of {steps}: {:.4} nats a token, {rate:.0} tokens/s",
                loss_sum / 100.0
            );
            loss_sum = 0.0;
        }
        if step % 500 == 0 || step == steps {
            // Written beside the last ones, then renamed: a crash leaves a whole file.
            safetensors::serialize_to_file(trainer.half_weights()?, None, weights)?;
        }
    }
    Ok(())
}

struct Arguments {
    out: PathBuf,
    steps: usize,
    finish_only: bool,
}

fn arguments() -> Result<Arguments> {
    let usage = "usage: train_builtin --out DIR [--steps N] [--finish-only]";
    let (mut out, mut steps, mut finish_only) = (None, STEPS, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or(usage);
        match flag.as_str() {
            "--out" => out = Some(PathBuf::from(value()?)),
            "--steps" => steps = value()?.parse().map_err(|_| usage)?,
            "--finish-only" => finish_only = true,
            _ => return Err(usage.into()),
        }
    }
    Ok(Arguments { out: out.ok_or(usage)?, steps, finish_only })
}
