"""Writes `rope.json` beside this file: the frequencies that Hugging Face transformers makes of rotations.

    pip install torch transformers==5.23.0
    python rope.py

Each case is what a `config.json` says (`config`), radians per position of each pair (`frequencies`), and what cosines
and sines are multiplied by (`amplitude`).
"""

import json
from pathlib import Path

from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

BANDS = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
CASES = [
    {"rope_type": "default", "rope_theta": 10000.0},
    {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
    {"rope_type": "llama3", "factor": 8.0, "rope_theta": 5e5, "original_max_position_embeddings": 64, **BANDS},
    {"rope_type": "llama3", "factor": 2.0, "rope_theta": 5e5, **BANDS},
    {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e6, "original_max_position_embeddings": 32768},
    {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4, "original_max_position_embeddings": 64},
    {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4},
    {"rope_type": "yarn", "factor": 0.5, "rope_theta": 1e4, "original_max_position_embeddings": 4096},
    {"rope_type": "yarn", "factor": 8.0, "rope_theta": 1e4, "original_max_position_embeddings": 256, "truncate": False},
    {"rope_type": "yarn", "factor": 8.0, "rope_theta": 1e4, "original_max_position_embeddings": 256,
     "beta_fast": 8.0, "beta_slow": 2.0, "attention_factor": 1.25},
    {"rope_type": "yarn", "factor": 40.0, "rope_theta": 1e4, "original_max_position_embeddings": 4096,
     "mscale": 1.0, "mscale_all_dim": 0.707},
    {"rope_type": "yarn", "factor": 40.0, "rope_theta": 1e4, "original_max_position_embeddings": 4096, "mscale": 1.0},
    # All pairs turn so seldom that the blended places fall together.
    {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4, "original_max_position_embeddings": 2},
]
SIZES = {"vocab_size": 8, "hidden_size": 32, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
         "head_dim": 16, "max_position_embeddings": 512}

cases = []
for rope in CASES:
    config = {**SIZES, "rope_parameters": rope}
    rotary = LlamaRotaryEmbedding(LlamaConfig(**json.loads(json.dumps(config))))
    cases.append({
        "config": {"model_type": "llama", **config}, "frequencies": rotary.inv_freq.tolist(),
        "amplitude": float(rotary.attention_scaling),
    })
lines = ",\n".join(json.dumps(case) for case in cases)
(Path(__file__).parent / "rope.json").write_text(f"[\n{lines}\n]\n")
