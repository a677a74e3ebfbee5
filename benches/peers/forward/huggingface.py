"""Times the forward pass of `taper` beside Hugging Face's on torch, in turns, on one folder.

    python huggingface.py TAPER FOLDER [--dtype f32] [--threads 2] [--prompt 512] [--decode 32] [--rounds 5]

FOLDER needs a config.json alone: both draw weights of their own, as fast as trained ones. Each round runs one
and then the other, as programs of their own; a ratio is taken within a round, and the median of those is told.
"""

import argparse
import json
import statistics
import subprocess
import sys

THEIRS = r"""
import json, sys, time, torch, transformers
from transformers import AutoConfig, AutoModelForCausalLM
folder, dtype = sys.argv[1:3]
threads, prompt, decode = map(int, sys.argv[3:])
torch.set_num_threads(threads)
dtype = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[dtype]
model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), torch_dtype=dtype).eval()
ids = torch.tensor([[2 + i * i * 31 % 250 for i in range(prompt)]])
with torch.inference_mode():
    # The first pass of a shape is slower.
    model(ids, logits_to_keep=1)
    began = time.perf_counter()
    out = model(ids, use_cache=True, logits_to_keep=1)
    prefill = time.perf_counter() - began
    cache = out.past_key_values
    began = time.perf_counter()
    for _ in range(decode):
        next_id = out.logits[:, -1:].argmax(-1)
        out = model(next_id, past_key_values=cache, use_cache=True)
    took = time.perf_counter() - began
print(json.dumps({
    "prompt": prompt / prefill,
    "decode": decode / took,
    "version": f"transformers {transformers.__version__}, torch {torch.__version__}",
}))
"""


def ours(asked):
    ids = ",".join(str(2 + i * i * 31 % 250) for i in range(asked.prompt))
    command = [asked.taper, "generate", "--model", asked.folder, "--random-weights", "1", "--prompt-ids", ids]
    command += ["--dtype", asked.dtype, "--threads", str(asked.threads), "--device", "cpu", "--format", "json"]
    count = str(asked.decode + 1)
    command += ["--max-new-tokens", count, "--min-new-tokens", count]
    timing = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["timing"]
    # The first token comes of the prompt.
    return {"prompt": asked.prompt / timing["prefill_s"], "decode": asked.decode / timing["decode_s"]}


def theirs(asked):
    command = [sys.executable, "-c", THEIRS, asked.folder, asked.dtype]
    command += [str(asked.threads), str(asked.prompt), str(asked.decode)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(ran.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("taper")
    parser.add_argument("folder")
    parser.add_argument("--dtype", choices=("f32", "f16", "bf16"), default="f32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--decode", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    rounds = []
    for _ in range(asked.rounds):
        rounds.append({"taper": ours(asked), "theirs": theirs(asked)})
        print(json.dumps(rounds[-1]), flush=True)
    print(f"{asked.dtype}, beside {rounds[0]['theirs']['version']}:")
    print("| | taper | transformers | ratio |\n|---|---:|---:|---:|")
    for key in ("prompt", "decode"):
        a, b = (statistics.median(one[who][key] for one in rounds) for who in ("taper", "theirs"))
        ratio = statistics.median(one["taper"][key] / one["theirs"][key] for one in rounds)
        print(f"| {key} | {a:.1f} | {b:.1f} | {ratio:.2f} |")


main()
