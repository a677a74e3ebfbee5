//! Nemotron-H and Nemotron 3: one mixer a layer, most of them Mamba-2, a few of them attention
//! without rotation, the rest feed-forward parts or mixtures of experts.
//!
//! Source: `models/nemotron_h` in Hugging Face transformers 5.23, but for one thing: there the step
//! of a prompt's tokens is at least `time_step_min` and that of generated ones is not. Neither is
//! here, as in the model's own code and in vLLM.

use crate::config::{Config, ConfigError, Heads, invalid};
use crate::spec::{
    Activation, AttentionSpec, BlockSpec, DecoderSpec, EmbeddingSpec, ExpertsSpec, GateSpec,
    HeadSpec, LayerSpec, LinearSpec, MambaSpec, MixerSpec, MlpSpec, Naming, NormSpec, QkvSpec,
    RouterSpec, Scoring,
};

/// The key that says how many experts there are.
const EXPERTS: &str = "n_routed_experts";

/// Numbers in the state of a Mamba layer; models have about a million.
const LARGEST_STATE: usize = 1 << 26;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Mamba,
    Attention,
    Mlp,
    Experts,
}

pub(super) fn spec(config: Config<'_>) -> Result<DecoderSpec, ConfigError> {
    require_what_is_built(config)?;
    let (vocab_size, hidden_size) = (config.size("vocab_size")?, config.size("hidden_size")?);
    let eps = config.optional_positive("layer_norm_epsilon")?.unwrap_or(1e-5);
    let kinds = kinds(config)?;
    let mixtures = kinds.iter().filter(|kind| matches!(kind, Kind::Experts)).count();
    if let Some(count) = config.optional_part_count(EXPERTS)? {
        Config::check_experts(EXPERTS, count, mixtures)?;
    }
    let layers = kinds.into_iter().enumerate().map(|(index, kind)| {
        let name = format!("backbone.layers.{index}");
        let mixer = mixer(config, kind, &format!("{name}.mixer"), hidden_size, eps)?;
        let norm = NormSpec::rms(&format!("{name}.norm"), hidden_size, eps);
        Ok(LayerSpec::new([BlockSpec::new(norm, mixer)]))
    });
    let head = LinearSpec::new("lm_head", hidden_size, vocab_size, false);
    Ok(DecoderSpec {
        family: "nemotron_h".to_owned(),
        vocab_size,
        hidden_size,
        context_length: config.size_or("max_position_embeddings", 4096)?,
        naming: Naming {
            prefix: "backbone.".to_owned(),
            alternatives: vec!["model.".to_owned()],
            // Layers that guess several tokens at once.
            ignored: vec!["mtp.".to_owned()],
        },
        embedding: EmbeddingSpec::new("backbone.embeddings"),
        layers: layers.collect::<Result<_, _>>()?,
        norm: NormSpec::rms("backbone.norm_f", hidden_size, eps),
        head: HeadSpec::Separate(head),
        logit_softcap: None,
    })
}

fn require_what_is_built(config: Config<'_>) -> Result<(), ConfigError> {
    let silu = "\"silu\", the only activation of a Mamba layer that is built";
    config.require("mamba_hidden_act", silu, |value| value == "silu")?;
    // transformers 5.23 takes a head of its own from the weights whatever the key says; a tied one is what it means.
    let separate = "false: the head is a matrix of its own";
    config.require("tie_word_embeddings", separate, |value| value == false)?;
    let none = "null: experts in a space of their own are not built";
    config.require("moe_latent_size", none, |_| false)
}

/// What each layer is: listed by transformers 5, spelled in letters before.
fn kinds(config: Config<'_>) -> Result<Vec<Kind>, ConfigError> {
    let expected = "one of linear_attention (or mamba), full_attention (or attention), mlp, moe for \
                    each layer";
    let mut kinds = None;
    for key in ["layers_block_type", "layer_types"] {
        kinds = kinds.or(config.optional(key, expected, |value| {
            let kinds = value.as_array()?.iter().map(|kind| match kind.as_str()? {
                "linear_attention" | "mamba" => Some(Kind::Mamba),
                "full_attention" | "attention" => Some(Kind::Attention),
                "mlp" => Some(Kind::Mlp),
                "moe" => Some(Kind::Experts),
                _ => None,
            });
            kinds.collect::<Option<Vec<_>>>().filter(|kinds| Config::is_layer_count(kinds.len()))
        })?);
    }
    let key = "hybrid_override_pattern";
    let spelled = config.optional(key, "letters M, *, -, E, one for each layer", |value| {
        let kinds = value.as_str()?.chars().map(|letter| match letter {
            'M' => Some(Kind::Mamba),
            '*' => Some(Kind::Attention),
            '-' => Some(Kind::Mlp),
            'E' => Some(Kind::Experts),
            _ => None,
        });
        kinds.collect::<Option<Vec<_>>>().filter(|kinds| Config::is_layer_count(kinds.len()))
    })?;
    let kinds = kinds.or(spelled).ok_or(ConfigError::Missing(key))?;
    match config.value("num_hidden_layers") {
        Some(count) if count.as_u64() != Some(kinds.len() as u64) => {
            Err(invalid("num_hidden_layers", count, "the number of layers that the pattern spells"))
        }
        _ => Ok(kinds),
    }
}

fn mixer(
    config: Config<'_>,
    kind: Kind,
    name: &str,
    hidden: usize,
    eps: f64,
) -> Result<MixerSpec, ConfigError> {
    Ok(match kind {
        Kind::Mamba => MixerSpec::Mamba(mamba(config, name, hidden, eps)?),
        Kind::Attention => MixerSpec::Attention(attention(config, name, hidden)?),
        Kind::Experts => MixerSpec::Experts(experts(config, name, hidden)?),
        Kind::Mlp => {
            let inner = config.size("intermediate_size")?;
            MixerSpec::Mlp(mlp(config, name, hidden, inner, config.flag("mlp_bias", false)?)?)
        }
    })
}

fn mamba(
    config: Config<'_>,
    name: &str,
    hidden: usize,
    eps: f64,
) -> Result<MambaSpec, ConfigError> {
    let (heads, groups) = (config.size("mamba_num_heads")?, config.size_or("n_groups", 8)?);
    if !heads.is_multiple_of(groups) {
        return Err(ConfigError::Invalid {
            key: "n_groups",
            found: groups.to_string(),
            expected: "a divisor of `mamba_num_heads`",
        });
    }
    let (head_dim, state_size) = (config.size("mamba_head_dim")?, config.size("ssm_state_size")?);
    if heads * head_dim > LARGEST_STATE / state_size {
        return Err(ConfigError::Invalid {
            key: "ssm_state_size",
            found: state_size.to_string(),
            expected: "less: a state of at most 67108864 numbers, heads x width x size",
        });
    }
    let (inner, bias) = (heads * head_dim, config.flag("use_bias", false)?);
    let projected = 2 * inner + 2 * groups * state_size + heads;
    Ok(MambaSpec {
        heads,
        head_dim,
        state_size,
        groups,
        kernel: config.size_or("conv_kernel", 4)?,
        input: LinearSpec::new(&format!("{name}.in_proj"), hidden, projected, bias),
        conv_weight: format!("{name}.conv1d.weight"),
        conv_bias: config.flag("use_conv_bias", true)?.then(|| format!("{name}.conv1d.bias")),
        dt_bias: format!("{name}.dt_bias"),
        a_log: format!("{name}.A_log"),
        d: format!("{name}.D"),
        norm: NormSpec::rms(&format!("{name}.norm"), inner, eps),
        output: LinearSpec::new(&format!("{name}.out_proj"), inner, hidden, bias),
    })
}

/// Without a bias, whatever `attention_bias` says: transformers has none either.
fn attention(config: Config<'_>, name: &str, hidden: usize) -> Result<AttentionSpec, ConfigError> {
    let (Heads { all, kv }, dim) = (config.heads(None)?, config.size_or("head_dim", 128)?);
    let linear = |part: &str, inputs, outputs| {
        LinearSpec::new(&format!("{name}.{part}"), inputs, outputs, false)
    };
    Ok(AttentionSpec {
        heads: all,
        kv_heads: kv,
        head_dim: dim,
        scale: (dim as f64).sqrt().recip(),
        window: config.optional_size("sliding_window")?,
        rope: None,
        qkv: QkvSpec::Separate {
            q: linear("q_proj", hidden, all * dim),
            k: linear("k_proj", hidden, kv * dim),
            v: linear("v_proj", hidden, kv * dim),
        },
        o: linear("o_proj", all * dim, hidden),
        q_norm: None,
        k_norm: None,
    })
}

fn experts(config: Config<'_>, name: &str, hidden: usize) -> Result<ExpertsSpec, ConfigError> {
    let count = config.part_count(EXPERTS)?;
    let groups = config.size_or("n_group", 1)?;
    let chosen_groups = config.size_or("topk_group", 1)?;
    let chosen = config.chosen_experts(count)?;
    if !count.is_multiple_of(groups) || chosen > count / groups * chosen_groups.min(groups) {
        return Err(ConfigError::Invalid {
            key: "n_group",
            found: groups.to_string(),
            expected: "a divisor of `n_routed_experts`, with enough experts in `topk_group` groups",
        });
    }
    let inner = config.size("moe_intermediate_size")?;
    let expert = |index| mlp(config, &format!("{name}.experts.{index}"), hidden, inner, false);
    let shared = config.size("moe_shared_expert_intermediate_size")?;
    let bias = config.flag("mlp_bias", false)?;
    Ok(ExpertsSpec {
        router: RouterSpec {
            gate: LinearSpec::new(&format!("{name}.gate"), hidden, count, false),
            scoring: Scoring::Sigmoid,
            correction: Some(format!("{name}.gate.e_score_correction_bias")),
            chosen,
            groups,
            chosen_groups: chosen_groups.min(groups),
            normalise: config.flag("norm_topk_prob", true)?,
            scale: config.optional_positive("routed_scaling_factor")?.unwrap_or(1.0),
        },
        experts: (0..count).map(expert).collect::<Result<_, _>>()?,
        shared: Some(mlp(config, &format!("{name}.shared_experts"), hidden, shared, bias)?),
    })
}

fn mlp(
    config: Config<'_>,
    name: &str,
    hidden: usize,
    inner: usize,
    bias: bool,
) -> Result<MlpSpec, ConfigError> {
    Ok(MlpSpec {
        gate: GateSpec::None,
        up: LinearSpec::new(&format!("{name}.up_proj"), hidden, inner, bias),
        down: LinearSpec::new(&format!("{name}.down_proj"), inner, hidden, bias),
        activation: config.activation("mlp_hidden_act", Activation::SquaredRelu)?,
    })
}
