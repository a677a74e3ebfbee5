"""Times the forward pass of `taper` beside llama.cpp's, in turns, on one GGUF file.

    python compare.py TAPER FILE.gguf [--threads 2] [--prompt 512] [--decode 64] [--rounds 5]

Needs xllamacpp, whose wheel holds llama.cpp: its C functions are called directly. Each round runs one and then
the other, so that what else the machine does meets both; a ratio is taken within a round, and the median of
those is told. `taper` is run as a program that writes JSON, and its own clock is read. The bandwidth is that
of reading a large array on as many threads, in the same round.
"""

import argparse
import ctypes
import json
import pathlib
import statistics
import subprocess
import sys
import threading
import time

import numpy as np


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("taper")
    parser.add_argument("file")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--decode", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--weights", type=int, help="bytes that a token reads; the file's size if absent")
    return parser.parse_args()


def tokens(count):
    """Ids that every vocabulary has."""
    return [2 + i * i * 31 % 250 for i in range(count)]


def ours(asked):
    ids = ",".join(map(str, tokens(asked.prompt)))
    command = [asked.taper, "generate", "--model", asked.file, "--prompt-ids", ids]
    command += ["--max-new-tokens", str(asked.decode), "--min-new-tokens", str(asked.decode)]
    command += ["--threads", str(asked.threads), "--device", "cpu", "--format", "json"]
    outcome = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    timing = outcome["timing"]
    # The first token comes of the prompt.
    return {
        "prompt": asked.prompt / timing["prefill_s"],
        "decode": (asked.decode - 1) / timing["decode_s"],
        "load_s": timing["load_s"],
        "peak_mb": outcome["memory"]["peak_rss_bytes"] / 1e6,
    }


THEIRS = r"""
import sys, time, json, resource
import xllamacpp as x
file, threads, prompt, decode = sys.argv[1], *map(int, sys.argv[2:])
params = x.CommonParams()
params.model.path = file
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
params.n_ctx, params.n_batch, params.n_ubatch = prompt + decode + 8, prompt, prompt
params.n_gpu_layers = 0
params.warmup = False
began = time.perf_counter()
server = x.Server(params)
load = time.perf_counter() - began
ids = [2 + i * i * 31 % 250 for i in range(prompt)]
ask = {"prompt": ids, "n_predict": decode, "temperature": 0, "cache_prompt": False, "ignore_eos": True}
answer = server.handle_completions(ask)
answer = json.loads(answer) if isinstance(answer, (str, bytes)) else answer
timings = answer["timings"]
print(json.dumps({
    "prompt": timings["prompt_per_second"],
    "decode": timings["predicted_per_second"],
    "load_s": load,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
}))
"""


def theirs(asked):
    command = [sys.executable, "-c", THEIRS, asked.file]
    command += [str(asked.threads), str(asked.prompt), str(asked.decode)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    told = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    return json.loads(told[-1])


def bandwidth(threads, size=1 << 28):
    """Bytes a second that some threads read."""
    arrays = [np.ones(size // 8, np.int64) for _ in range(threads)]
    best = 0
    for _ in range(3):
        began = time.perf_counter()
        workers = [threading.Thread(target=array.sum) for array in arrays]
        [worker.start() for worker in workers]
        [worker.join() for worker in workers]
        best = max(best, threads * size / (time.perf_counter() - began))
    return best


def main():
    asked = arguments()
    size = asked.weights or pathlib.Path(asked.file).stat().st_size
    rounds = []
    for _ in range(asked.rounds):
        one = {"taper": ours(asked), "llama.cpp": theirs(asked), "bandwidth": bandwidth(asked.threads)}
        rounds.append(one)
        print(json.dumps(one), flush=True)

    def median(of):
        return statistics.median(map(of, rounds))

    print("| | taper | llama.cpp | ratio |\n|---|---:|---:|---:|")
    for key in ("prompt", "decode", "load_s", "peak_mb"):
        a, b = (median(lambda r: r[who][key]) for who in ("taper", "llama.cpp"))
        ratio = median(lambda r: r["taper"][key] / r["llama.cpp"][key])
        print(f"| {key} | {a:.2f} | {b:.2f} | {ratio:.2f} |")
    floor = median(lambda r: r["taper"]["decode"] * size / r["bandwidth"])
    print(f"\ndecode is {floor:.2f} of the floor: {size / 1e6:.0f} MB a token, "
          f"{median(lambda r: r['bandwidth']) / 1e9:.1f} GB/s")


main()
