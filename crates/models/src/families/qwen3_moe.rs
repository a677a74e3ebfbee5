//! Qwen 3 with experts: qwen3 in which most feed-forward parts are mixtures.
//!
//! Source: `models/qwen3_moe` in Hugging Face transformers 5.23.

use super::llama_like::{Biases, Defaults, ExpertOptions, LlamaLike};
use crate::config::{Config, ConfigError};
use crate::spec::{DecoderSpec, LinearSpec, RouterSpec, Scoring};

pub(super) fn spec(config: Config<'_>) -> Result<DecoderSpec, ConfigError> {
    let mut model = LlamaLike::read(config, "qwen3_moe", &Defaults::default())?;
    let attention = config.flag("attention_bias", false)?;
    model.biases = Biases { qkv: attention, output: attention, mlp: false };
    model.head_norms = true;
    // Here a window is for all layers or none, whatever `max_window_layers` says.
    if config.flag("use_sliding_window", false)? {
        let window = config.nullable_size("sliding_window", 4096)?;
        model.layers.iter_mut().for_each(|layer| layer.window = window);
    }
    let experts = experts(config)?;
    Config::check_experts("num_experts", experts.count, model.layers.len())?;
    let every = config.size_or("decoder_sparse_step", 1)?;
    let plain = plain_layers(config)?;
    for (index, layer) in model.layers.iter_mut().enumerate() {
        let mixed = (index + 1).is_multiple_of(every) && !plain.contains(&index);
        layer.experts = mixed.then(|| experts.clone());
    }
    Ok(model.spec())
}

fn experts(config: Config<'_>) -> Result<ExpertOptions, ConfigError> {
    let count = match config.optional_part_count("num_experts")? {
        Some(count) => count,
        None => config.part_count("num_local_experts")?,
    };
    let chosen = config.chosen_experts(count)?;
    Ok(ExpertOptions {
        count,
        intermediate_size: config.size("moe_intermediate_size")?,
        router: RouterSpec {
            gate: LinearSpec::new("gate", 1, count, false),
            scoring: Scoring::Softmax,
            correction: None,
            chosen,
            groups: 1,
            chosen_groups: 1,
            normalise: config.flag("norm_topk_prob", false)?,
            scale: 1.0,
        },
    })
}

/// `mlp_only_layers`: the indices of those without experts.
fn plain_layers(config: Config<'_>) -> Result<Vec<usize>, ConfigError> {
    let listed = config.optional("mlp_only_layers", "a list of layer numbers", |value| {
        let indices = value.as_array()?.iter().map(|index| usize::try_from(index.as_u64()?).ok());
        indices.collect::<Option<Vec<_>>>()
    })?;
    Ok(listed.unwrap_or_default())
}
