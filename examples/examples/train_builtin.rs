//! Makes the builtin model again from nothing: tokenizer, weights, configuration.
//!
//! `cargo run --release -p taper-examples --example train_builtin -- --out DIR [--steps N] [--cycle N]`
//! (`--steps` shortens every cycle; `--cycle 1` starts with the second, on the weights in DIR).
//!
//! Everything is drawn from `ChaCha` and the sums are taken in a fixed order, so two runs on one
//! machine give the same bytes. `docs/builtin-card.md` describes what comes out.

#[path = "train_builtin/arguments.rs"]
mod arguments;
#[path = "train_builtin/rows.rs"]
mod rows;
#[path = "train_builtin/tokenizer.rs"]
mod tokenizer;
#[path = "train_builtin/trainer.rs"]
mod trainer;

use std::path::Path;
use std::time::Instant;

use candle_core::Device;
use serde_json::json;
use taper_models::{DecoderSpec, random};
use tokenizers::Result;

use self::arguments::Arguments;
use self::rows::Rows;
use self::trainer::{Schedule, Trainer};

const SEED: u64 = 2026;
/// Learning rate and steps of the model that comes with the crate. Every cycle starts from the
/// weights as they are stored and with new moments, so a later one can be run alone.
const CYCLES: [(f64, usize); 2] = [(4e-3, 4800), (2e-3, 2400)];
/// Rows a step, and how long they are; one step in eight has fewer and longer ones, so that late
/// positions are trained as well.
const SHORT: (usize, usize) = (8, 160);
const LONG: (usize, usize) = (4, 480);

fn main() -> Result<()> {
    let Arguments { out, steps, cycle } = Arguments::read()?;
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
    for (n, (peak, most)) in CYCLES.into_iter().enumerate().skip(cycle) {
        let start = match n {
            0 => random::init(&spec, SEED, 1.0)?,
            _ => candle_core::safetensors::load(&weights, &Device::Cpu)?,
        };
        let schedule = Schedule { peak, warmup: 100, steps: steps.min(most) };
        let trainer = Trainer::new(&spec, start, schedule)?;
        train(trainer, Rows::new(&tokenizer, eos, SEED + n as u64), steps.min(most), &weights)?;
    }
    Ok(())
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
