"""Hugging Face transformers at the shapes of gpu_shapes.json, timed as gpu_check times taper. See docs/gpu.md.

    python3 gpu_check_hf.py [--device cuda] [--shape NAME] [--prompt 512] [--steps 64]

Random weights, bf16, the default attention, a dynamic cache, one greedy token a step brought to the host. Prints one line of
JSON a shape. With --count it does something else: the difference of two tables of nsys.
"""

import argparse
import csv
import io
import json
import statistics
import time
from pathlib import Path

WARM_UP, RUNS = 8, 5


def measure(name, config, arguments):
    import torch
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache

    settings = dict(config)
    # From before transformers 5, which lists the layers instead.
    settings.pop("hybrid_override_pattern", None)
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    torch.manual_seed(7)
    with torch.device(arguments.device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    vocab = config.vocab_size
    ids = torch.tensor([[(i * i * 7 + i * 13 + 5) % vocab for i in range(arguments.prompt)]], device=arguments.device)
    prefill, decode = [], []
    with torch.inference_mode():
        for _ in range(RUNS + 1):
            cache = DynamicCache(config=config)
            torch.cuda.synchronize()
            began = time.perf_counter()
            token = step(model, ids, cache)
            prefill.append(time.perf_counter() - began)
            for _ in range(WARM_UP):
                token = step(model, torch.tensor([[token]], device=arguments.device), cache)
            began = time.perf_counter()
            for _ in range(arguments.steps):
                token = step(model, torch.tensor([[token]], device=arguments.device), cache)
            decode.append((time.perf_counter() - began) / arguments.steps)
    return {
        "engine": f"transformers {transformers.__version__}, torch {torch.__version__}", "shape": name, "dtype": "bf16",
        "prompt": arguments.prompt, "steps": arguments.steps,
        "prefill_tokens_per_s": arguments.prompt / statistics.median(prefill[1:]),
        "decode_tokens_per_s": 1 / statistics.median(decode[1:]),
    }


def step(model, ids, cache):
    logits = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
    # Brings the token to the host, so that the device is done.
    return int(logits[0, -1].argmax())


def counts(table):
    """Calls by name, from the report cuda_api_sum."""
    lines = table.splitlines()
    start = next(i for i, line in enumerate(lines) if "Num Calls" in line)
    return {row["Name"]: int(row["Num Calls"]) for row in csv.DictReader(io.StringIO("\n".join(lines[start:])))}


def difference(few, many, steps):
    few, many = counts(few), counts(many)
    groups = {"kernel launches": "Launch", "allocations": "MemAlloc", "copies": "Memcpy", "synchronisations": "Synchronize"}
    for group, part in groups.items():
        calls = sum(count - few.get(name, 0) for name, count in many.items() if part in name)
        print(f"  {group}: {calls / steps:.1f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shape")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--count", nargs=2, metavar=("FEW", "MANY"))
    arguments = parser.parse_args()
    if arguments.count:
        difference(*arguments.count, arguments.steps)
        return
    shapes = json.loads((Path(__file__).parent / "gpu_shapes.json").read_text())
    for name, config in shapes.items():
        if arguments.shape in (None, name):
            print(json.dumps(measure(name, config, arguments)), flush=True)


if __name__ == "__main__":
    main()
