"""Writes `half.json` beside this file: how far Hugging Face transformers' own logits in f16 and bf16 are from
its logits in f32, at most, over the prompts of each folder's `expected.json`.

    pip install torch transformers==5.23.0
    python half.py
"""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent

torch.set_num_threads(1)


def last_logits(folder, dtype, prompts):
    plain = {"attn_implementation": "eager", "experts_implementation": "eager"}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **plain).eval()
    for module in model.modules():
        if hasattr(module, "time_step_limit"):
            # Without the least step that only prompts have.
            module.time_step_limit = (0.0, float("inf"))
    with torch.no_grad():
        return [model(input_ids=torch.tensor([prompt]), use_cache=False).logits[0, -1].float() for prompt in prompts]


distances = {}
for folder in sorted(path.parent for path in HERE.glob("*/expected.json")):
    prompts = [case["prompt"] for case in json.loads((folder / "expected.json").read_text())["cases"]]
    exact = last_logits(folder, torch.float32, prompts)
    distances[folder.name] = {}
    for name, dtype in (("f16", torch.float16), ("bf16", torch.bfloat16)):
        rows = zip(last_logits(folder, dtype, prompts), exact)
        distances[folder.name][name] = round(max(float((a - b).abs().max()) for a, b in rows), 5)
(HERE / "half.json").write_text(json.dumps(distances, indent=2) + "\n")
