"""Writes `llama_cpp.json` beside this file: what llama.cpp makes of files that `taper export-gguf` wrote.

    pip install xllamacpp==2026.10.11549
    python llama_cpp.py path/to/taper

For each file: the tokens that follow each prompt, greedily, with their log-probabilities, and how texts are cut into
tokens. The cache of keys and values is in f32, and nothing else that is allowed to be inexact is turned on.
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from importlib.metadata import version
from pathlib import Path

import xllamacpp as llama

HERE = Path(__file__).parent
STEPS = 16
TEXTS = [
    "Hello world", "The old lighthouse stood on 12345 rocks.", "it's  two   spaces\n\n\tand a tab",
    "naïve café — 東京 😀", "x=1;y=-2.5e3//don't", " leading", "<bos>special<eos>", "I'LL DON'T we're", "",
]

AS_A_PROMPT = {"add_special": True, "parse_special": True}

# What to export, with which arguments, and the prompts.
SHORT, LONG = [[3, 40, 41], [9, 200, 17, 90, 33]], [[5 + 7 * i % 270 for i in range(45)]]
WORDS = [[0, 433, 317], [0, 700, 40, 1200, 6], [0, 15, 301, 433]]
MANY = [[3 + 31 * i % 280, 40 + i, 41, 9 + 3 * i] for i in range(8)]
FILES = {
    "llama": ("../llama", ["--dtype", "f32"], SHORT + LONG),
    "llama_tied": ("../llama_tied", ["--dtype", "f16"], SHORT + LONG),
    "qwen2": ("../qwen2", ["--dtype", "f32"], SHORT + LONG),
    "qwen3": ("../qwen3", ["--dtype", "f32"], SHORT + LONG),
    "gemma3": ("../gemma3_text", ["--dtype", "f32"], SHORT + LONG),
    "gemma3_hub": ("../gemma3_text_hub", ["--dtype", "f32"], SHORT + LONG),
    "phi3": ("fused", ["--dtype", "f32", "--random-weights", "1"], SHORT + LONG),
    "yarn": ("yarn", ["--dtype", "f32", "--random-weights", "1"], SHORT + LONG),
    "builtin_f16": ("builtin", ["--dtype", "f16"], WORDS),
    "builtin_q8_0": ("builtin", ["--dtype", "q8_0"], WORDS),
    "wide_q8_0": ("wide", ["--dtype", "q8_0", "--random-weights", "1"], MANY),
    "wide_q4_k": ("wide", ["--dtype", "q4_k", "--random-weights", "1"], MANY),
    "wide_q6_k": ("wide", ["--dtype", "q6_k", "--random-weights", "1"], MANY),
    "llama3": ("llama3", ["--dtype", "f32", "--random-weights", "1"], []),
    "qwen": ("qwen", ["--dtype", "f32", "--random-weights", "1"], []),
    "smollm": ("smollm", ["--dtype", "f32", "--random-weights", "1"], []),
    "spm": ("spm", ["--dtype", "f32", "--random-weights", "1"], []),
    "spm_gemma": ("spm_gemma", ["--dtype", "f32", "--random-weights", "1"], []),
}


def post(server, path, body):
    request = urllib.request.Request(server + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def serve(path):
    params = llama.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel = 256, 1
    params.cpuparams.n_threads = 1
    params.warmup = False
    params.n_gpu_layers = 0
    params.cache_type_k = params.cache_type_v = llama.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.fit_params = False
    return llama.Server(params)


def settled(tokens, steps):
    """The steps up to the first where the two best are so near that the rounding of blocks decides."""
    for count, (token, step) in enumerate(zip(tokens, steps)):
        first, second = (top["logprob"] for top in step["top_logprobs"])
        if step["id"] != token or first - second < 0.15:
            return steps[:count]
    return steps[:len(tokens)]


def run(name, program, folder):
    model, args, prompts = FILES[name]
    source = model if model == "builtin" else HERE / model
    path = folder / f"{name}.gguf"
    subprocess.run([program, "export-gguf", source, path, *args], check=True, stdout=subprocess.DEVNULL)
    server = serve(path)
    address = server.listening_address
    cases = []
    for prompt in prompts:
        answer = post(address, "/completion", {
            "prompt": prompt, "n_predict": STEPS, "temperature": 0, "samplers": ["temperature"], "n_probs": 2,
            "return_tokens": True, "ignore_eos": False, "cache_prompt": False, "logit_bias": [],
        })
        tokens, steps = answer["tokens"], answer["completion_probabilities"]
        if "f32" in args or "f16" in args:
            # Tokens that make a character together are told as one step.
            steps = steps if len(steps) == len(tokens) else []
        else:
            steps = settled(tokens, steps)
            tokens = tokens[:len(steps)]
        cases.append({"prompt": prompt, "tokens": tokens, "logprobs": [step["logprob"] for step in steps]})
    texts = [
        {"text": text, "ids": post(address, "/tokenize", {"content": text, **AS_A_PROMPT})["tokens"]} for text in TEXTS
    ]
    if model == "builtin":
        # Its whole words that are no merges are not llama.cpp's.
        texts = []
    return {"name": name, "model": model, "args": args, "cases": cases, "texts": texts}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        names = sys.argv[2:] or list(FILES)
        made = [run(name, sys.argv[1], Path(folder)) for name in names]
    engine = f"llama.cpp as built into xllamacpp {version('xllamacpp')}"
    lines = ",\n".join(json.dumps(file, ensure_ascii=False) for file in made)
    (HERE / "llama_cpp.json").write_text(f'{{"engine": {json.dumps(engine)}, "files": [\n{lines}\n]}}\n')
