//! The architectures that llama.cpp and this crate have in common: how the one calls what the other
//! calls otherwise.

use super::error::GgufError;
use crate::spec::{
    DecoderSpec, GateSpec, HeadSpec, LinearSpec, MixerSpec, MlpSpec, NormKind, NormSpec, QkvSpec,
};

/// An architecture of llama.cpp that is one of our families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Architecture {
    Llama,
    Qwen2,
    Qwen3,
    Gemma3,
    Phi3,
}

const ALL: [Architecture; 5] = [
    Architecture::Gemma3,
    Architecture::Llama,
    Architecture::Phi3,
    Architecture::Qwen2,
    Architecture::Qwen3,
];

impl Architecture {
    /// `general.architecture`, with which its keys begin.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma3 => "gemma3",
            Self::Phi3 => "phi3",
        }
    }

    /// The `model_type` of the family.
    pub(super) fn model_type(self) -> &'static str {
        match self {
            Self::Gemma3 => "gemma3_text",
            other => other.name(),
        }
    }

    pub(super) fn supported() -> Vec<&'static str> {
        ALL.iter().map(|architecture| architecture.name()).collect()
    }

    pub(super) fn named(name: &str) -> Result<Self, GgufError> {
        let known = ALL.into_iter().find(|architecture| architecture.name() == name);
        known.ok_or_else(|| GgufError::Architecture {
            found: name.to_owned(),
            supported: Self::supported(),
        })
    }

    /// The architecture that holds the models of a family.
    pub(super) fn of_family(model_type: &str) -> Option<Self> {
        match model_type {
            "gemma3" => Some(Self::Gemma3),
            // What it adds to llama is a window, which has to be absent.
            "mistral" => Some(Self::Llama),
            _ => ALL.into_iter().find(|architecture| architecture.model_type() == model_type),
        }
    }

    /// Whether llama.cpp rotates neighbours in place of halves, and stores the rows of queries and
    /// keys in that order.
    pub(super) fn rotates_neighbours(self) -> bool {
        self == Self::Llama
    }

    /// What gemma 3 divides its scores by the root of. No key has it: llama.cpp knows the models by
    /// their depth.
    pub(super) fn scalar_of_scores(layers: usize, hidden: usize, heads: usize, dim: usize) -> f64 {
        const LAYERS_OF_27B: usize = 62;
        if layers == LAYERS_OF_27B { (hidden / heads) as f64 } else { dim as f64 }
    }

    /// What a GGUF file calls a tensor, from its name in a spec without the spec's prefix.
    pub(super) fn tensor_name(self, name: &str) -> Option<String> {
        match name {
            "embed_tokens.weight" => return Some("token_embd.weight".to_owned()),
            "norm.weight" => return Some("output_norm.weight".to_owned()),
            "lm_head.weight" => return Some("output.weight".to_owned()),
            _ => {}
        }
        let (layer, part) = name.strip_prefix("layers.")?.split_once('.')?;
        let (part, kind) = part.rsplit_once('.')?;
        let part = match part {
            "input_layernorm" => "attn_norm",
            "self_attn.q_proj" => "attn_q",
            "self_attn.k_proj" => "attn_k",
            "self_attn.v_proj" => "attn_v",
            "self_attn.qkv_proj" => "attn_qkv",
            "self_attn.o_proj" => "attn_output",
            "self_attn.q_norm" => "attn_q_norm",
            "self_attn.k_norm" => "attn_k_norm",
            "post_attention_layernorm" if self == Self::Gemma3 => "post_attention_norm",
            "pre_feedforward_layernorm" | "post_attention_layernorm" => "ffn_norm",
            "post_feedforward_layernorm" => "post_ffw_norm",
            "mlp.gate_proj" => "ffn_gate",
            // With the gate in its first half.
            "mlp.gate_up_proj" | "mlp.up_proj" => "ffn_up",
            "mlp.down_proj" => "ffn_down",
            _ => return None,
        };
        Some(format!("blk.{layer}.{part}.{kind}"))
    }

    /// Gives the tensors of `spec` the names that a GGUF file has for them, and gemma's norms the
    /// weights that it has: with the one added.
    pub(super) fn rename(self, spec: &mut DecoderSpec) {
        let prefix = std::mem::take(&mut spec.naming).prefix;
        let renamer = Renamer { architecture: self, prefix: &prefix };
        renamer.name(&mut spec.embedding.weight);
        renamer.norm(&mut spec.norm);
        if let HeadSpec::Separate(head) = &mut spec.head {
            renamer.linear(head);
        }
        for block in spec.layers.iter_mut().flat_map(|layer| &mut layer.blocks) {
            renamer.norm(&mut block.norm);
            block.post_norm.iter_mut().for_each(|norm| renamer.norm(norm));
            block.mixers.iter_mut().for_each(|mixer| renamer.mixer(mixer));
        }
    }
}

struct Renamer<'a> {
    architecture: Architecture,
    prefix: &'a str,
}

impl Renamer<'_> {
    fn name(&self, name: &mut String) {
        let short = name.strip_prefix(self.prefix).unwrap_or(name);
        if let Some(renamed) = self.architecture.tensor_name(short) {
            *name = renamed;
        }
    }

    fn norm(&self, norm: &mut NormSpec) {
        self.name(&mut norm.weight);
        if norm.kind == NormKind::RmsPlusOne {
            norm.kind = NormKind::Rms;
        }
    }

    fn linear(&self, linear: &mut LinearSpec) {
        self.name(&mut linear.weight);
        linear.bias.iter_mut().for_each(|bias| self.name(bias));
    }

    fn mixer(&self, mixer: &mut MixerSpec) {
        match mixer {
            MixerSpec::Attention(attention) => {
                match &mut attention.qkv {
                    QkvSpec::Separate { q, k, v } => {
                        for map in [q, k, v] {
                            self.linear(map);
                        }
                    }
                    QkvSpec::Fused(map) => self.linear(map),
                }
                self.linear(&mut attention.o);
                for norm in [&mut attention.q_norm, &mut attention.k_norm].into_iter().flatten() {
                    self.norm(norm);
                }
            }
            MixerSpec::Mlp(mlp) => self.mlp(mlp),
            // No architecture above has one.
            MixerSpec::Mamba(_) | MixerSpec::Experts(_) => {}
        }
    }

    fn mlp(&self, mlp: &mut MlpSpec) {
        if let GateSpec::Separate(gate) = &mut mlp.gate {
            self.linear(gate);
        }
        self.linear(&mut mlp.up);
        self.linear(&mut mlp.down);
    }
}
