"""Writes `inner.safetensors` beside this file: hidden states and attention weights of Hugging Face transformers
(eager attention, f32) for some of the folders, with a prompt that outgrows their windows.

    pip install torch transformers==5.23.0
    python inner.py

`FOLDER.hidden_states.I` is element I of `output_hidden_states`, `[tokens, hidden_size]`; `FOLDER.attentions.I` is the
`[heads, tokens, tokens]` of layer I. transformers lists the attentions of the layers that attend; here they have the
numbers of their layers. `FOLDER.tokens` is the prompt.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent
FOLDERS = ["gemma3_text", "gpt2", "llama", "nemotron_h", "phi", "qwen3_moe"]
TOKENS = 11

torch.set_num_threads(1)
tensors = {}
for name in FOLDERS:
    plain = {"attn_implementation": "eager", "experts_implementation": "eager"}
    model = AutoModelForCausalLM.from_pretrained(HERE / name, dtype=torch.float32, **plain).eval()
    for module in model.modules():
        if hasattr(module, "time_step_limit"):
            # Without the least step that only prompts have.
            module.time_step_limit = (0.0, float("inf"))
    cases = json.loads((HERE / name / "expected.json").read_text())["cases"]
    prompt = next(case["prompt"] for case in cases if len(case["prompt"]) >= TOKENS)[:TOKENS]
    with torch.no_grad():
        out = model(input_ids=torch.tensor([prompt]), use_cache=False, output_hidden_states=True, output_attentions=True)
    tensors[f"{name}.tokens"] = torch.tensor(prompt, dtype=torch.uint32)
    for index, hidden in enumerate(out.hidden_states):
        tensors[f"{name}.hidden_states.{index}"] = hidden[0].contiguous()
    kinds = getattr(model.config, "layers_block_type", None) or ["full_attention"] * model.config.num_hidden_layers
    attending = [index for index, kind in enumerate(kinds) if kind == "full_attention"]
    weights = [weights for weights in out.attentions if weights is not None]
    assert len(weights) == len(attending), (name, len(weights), kinds)
    for index, weights in zip(attending, weights):
        tensors[f"{name}.attentions.{index}"] = weights[0].contiguous()
    print(name, len(out.hidden_states), "hidden states,", attending, "attend")
save_file(tensors, HERE / "inner.safetensors")
