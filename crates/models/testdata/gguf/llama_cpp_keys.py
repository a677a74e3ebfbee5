"""Writes `llama_cpp_keys.json` beside this file: what llama.cpp makes of keys that `taper export-gguf` does not write.

    pip install xllamacpp==2026.10.11549
    python llama_cpp_keys.py path/to/taper

Each case is a file that `taper` wrote, with some keys changed, some tokens renamed, or a tensor added. `cases` have the
tokens that follow a prompt, greedily, with their log-probabilities; `ends` have the tokens that end a text.
"""

import json
import struct
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path


from llama_cpp import HERE, post, serve

SIZES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
U32, F32, TEXT, LIST, BOOL = 4, 6, 8, 9, 7
BLOCKS = {0: (1, 4), 1: (1, 2)}
ALIGNMENT = 32
PROMPTS = [[8 + (7 * i + 11 * k) % 250 for i in range(40)] for k in range(40)]


class File:
    """A GGUF file in f16, taken apart."""

    def __init__(self, path):
        self.bytes, self.at = path.read_bytes(), 24
        tensors, keys = struct.unpack_from("<QQ", self.bytes, 8)
        self.keys, self.tensors = {}, {}
        for _ in range(keys):
            name, kind = self.text(), self.number(U32)
            self.keys[name] = (kind, self.value(kind))
        infos = [self.info() for _ in range(tensors)]
        start = -(-self.at // ALIGNMENT) * ALIGNMENT
        for name, shape, kind, offset in infos:
            numbers = 1
            for size in shape:
                numbers *= size
            self.tensors[name] = (shape, kind, self.bytes[start + offset:][:numbers * BLOCKS[kind][1]])

    def number(self, kind):
        value, = struct.unpack_from("<" + SIZES[kind], self.bytes, self.at)
        self.at += struct.calcsize(SIZES[kind])
        return value

    def text(self):
        length = self.number(10)
        self.at += length
        return self.bytes[self.at - length:self.at].decode()

    def value(self, kind):
        if kind == TEXT:
            return self.text()
        if kind == LIST:
            kind, length = self.number(U32), self.number(10)
            return kind, [self.value(kind) for _ in range(length)]
        return self.number(kind)

    def info(self):
        name, rank = self.text(), self.number(U32)
        shape = [self.number(10) for _ in range(rank)]
        return name, shape, self.number(U32), self.number(10)

    def write(self, path):
        out = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.keys)))

        def put(kind, value):
            if kind == TEXT:
                out.extend(struct.pack("<Q", len(value.encode())) + value.encode())
            elif kind == LIST:
                out.extend(struct.pack("<IQ", value[0], len(value[1])))
                for one in value[1]:
                    put(value[0], one)
            else:
                out.extend(struct.pack("<" + SIZES[kind], value))

        for name, (kind, value) in self.keys.items():
            put(TEXT, name)
            put(U32, kind)
            put(kind, value)
        data = bytearray()
        for name, (shape, kind, numbers) in self.tensors.items():
            put(TEXT, name)
            out.extend(struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, len(data)))
            data += numbers + bytes(-len(numbers) % ALIGNMENT)
        path.write_bytes(bytes(out) + bytes(-len(out) % ALIGNMENT) + data)


def case(model, keys=None, without=(), factors=None):
    """`keys` behind the name of the architecture, as `[type, value]`."""
    return {"model": model, "keys": keys or {}, "without": list(without), "rope_freqs": factors}


def real(number):
    return ["f32", number]


def count(number):
    return ["u32", number]


def counts(*numbers):
    return ["u32s", list(numbers)]


def text(text):
    return ["text", text]


FACTORS = [1.0, 1.5, 3.0, 8.0]
CASES = {
    "plain": case("llama"),
    "a factor without a type": case("llama", {"rope.scaling.factor": real(4)}),
    "a factor of 2023": case("llama", {"rope.scale_linear": real(4)}),
    "a factor of 0 before one of 2023": case("llama", {"rope.scaling.factor": real(0), "rope.scale_linear": real(4)}),
    "a factor of no type": case("llama", {"rope.scaling.type": text("none"), "rope.scaling.factor": real(4)}),
    "a gain alone": case("llama", {"rope.scaling.attn_factor": real(1.5)}),
    "a gain of no type": case("llama", {"rope.scaling.type": text("none"), "rope.scaling.attn_factor": real(1.5)}),
    "linear with a gain": case("llama", {
        "rope.scaling.type": text("linear"), "rope.scaling.factor": real(3), "rope.scaling.attn_factor": real(0.7)}),
    "yarn without a context": case("llama", {"rope.scaling.type": text("yarn"), "rope.scaling.factor": real(4)}),
    "yarn with a context of 0": case("llama", {
        "rope.scaling.type": text("yarn"), "rope.scaling.factor": real(4), "rope.scaling.original_context_length": count(0)}),
    "yarn without a factor": case("llama", {
        "rope.scaling.type": text("yarn"), "rope.scaling.original_context_length": count(32)}),
    "yarn with a factor of 2023": case("llama", {
        "rope.scaling.type": text("yarn"), "rope.scale_linear": real(4), "rope.scaling.original_context_length": count(32)}),
    "yarn with a factor below 1": case("llama", {
        "rope.scaling.type": text("yarn"), "rope.scaling.factor": real(0.5), "rope.scaling.original_context_length": count(32)}),
    "no base": case("llama", without=["rope.freq_base"]),
    "no base of a large one": case("gemma3_text", without=["rope.freq_base"]),
    "no width": case("llama", without=["attention.key_length", "attention.value_length", "rope.dimension_count"]),
    "factors": case("llama", factors=FACTORS),
    "factors with a linear one": case("llama", {"rope.scaling.factor": real(4)}, factors=FACTORS),
    "factors with yarn": case("llama", {
        "rope.scaling.type": text("yarn"), "rope.scaling.factor": real(4), "rope.scaling.attn_factor": real(1.2),
        "rope.scaling.original_context_length": count(32)}, factors=FACTORS),
    "sizes by layer": case("llama", {
        "feed_forward_length": counts(80, 80, 80), "attention.head_count": counts(6, 6, 6),
        "attention.head_count_kv": counts(2, 2, 2)}),
    "qwen2 with a gain": case("qwen2", {"rope.scaling.attn_factor": real(1.5), "rope.scaling.factor": real(2)}),
    "qwen3 with a gain": case("qwen3", {"rope.scaling.attn_factor": real(1.5), "rope.scaling.factor": real(2)}),
    "phi3 with a gain": case("gguf/fused", {"rope.scaling.attn_factor": real(1.5), "rope.scaling.factor": real(2)}),
    "gemma3 with a gain": case("gemma3_text", {"rope.scaling.attn_factor": real(1.5), "rope.scaling.factor": real(2)}),
    "gemma3 with yarn": case("gemma3_text", {
        "rope.scaling.type": text("yarn"), "rope.scaling.factor": real(4), "rope.scaling.original_context_length": count(32)}),
    "gemma3 without a window": case("gemma3_text", without=["attention.sliding_window"]),
    "gemma3 with a window of 0": case("gemma3_text", {"attention.sliding_window": count(0)}),
    "gemma3 without a second base": case("gemma3_text", without=["rope.freq_base_swa"]),
    "gemma3 with a cap": case("gemma3_text", {"final_logit_softcapping": real(2)}),
    "gemma3 with every second layer": case("gemma3_text", {"attention.sliding_window_pattern": count(2)}),
    "no effect": case("llama", {
        "pooling_type": count(3), "classifier.pooling_type": count(1), "embedding_length_out": count(7),
        "rope.scaling.finetuned": ["bool", True], "expert_group_used_count": count(3), "vocab_size": count(5),
        "rope.freq_base_swa": real(3)}),
}

EVERY = [
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|flush|>", "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>",
    "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<turn|>", "[e~[",
    "<｜end▁of▁sentence｜>", "<|fim_pad|>", "<|fim_repo|>", "<|file_sep|>", "<|im_start|>", "<pad>", "<|fim_prefix|>",
]
# Names of tokens, and keys.
ENDS = {
    "every name": ("gguf/spm", EVERY, {}, []),
    "every name of merges": ("gguf/llama3", EVERY, {}, []),
    "two that end a call": ("gguf/spm", ["<|return|>", "<|call|>", "<|end|>", "<|im_end|>"], {}, []),
    "three of solar": ("gguf/spm", ["<|flush|>", "<|calls|>", "<|end|>"], {}, []),
    "a call alone": ("gguf/spm", ["<|call|>", "<|end|>"], {}, []),
    "an answer of a tool": ("gguf/spm", ["<|tool_response>", "</s>"], {}, []),
    "keys alone": ("gguf/spm", ["x1x", "x2x", "x3x", "x4x", "x5x"], {
        "tokenizer.ggml.eot_token_id": 0, "tokenizer.ggml.eom_token_id": 1, "tokenizer.ggml.fim_pad_token_id": 2,
        "tokenizer.ggml.fim_rep_token_id": 3, "tokenizer.ggml.fim_sep_token_id": 4}, []),
    "keys before names": ("gguf/spm", ["x1x", "<|fim_pad|>", "<|im_end|>"], {
        "tokenizer.ggml.fim_pad_token_id": 0, "tokenizer.ggml.eot_token_id": 0}, []),
    "no key": ("gguf/spm", [], {}, ["tokenizer.ggml.eos_token_id"]),
    "no key of merges": ("gguf/llama3", [], {}, ["tokenizer.ggml.eos_token_id"]),
}
KINDS = {"f32": F32, "u32": U32, "text": TEXT, "bool": BOOL}


def exported(program, model, path):
    source = HERE.parent / model
    args = ["--dtype", "f16", "--random-weights", "1"]
    subprocess.run([program, "export-gguf", source, path, *args], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return File(path)


def run_case(name, program, folder):
    case = CASES[name]
    path = folder / "case.gguf"
    file = exported(program, case["model"], path)
    architecture = file.keys["general.architecture"][1]
    for key, (kind, value) in case["keys"].items():
        value = (LIST, (U32, value)) if kind == "u32s" else (KINDS[kind], value)
        file.keys[f"{architecture}.{key}"] = value
    for key in case["without"]:
        del file.keys[f"{architecture}.{key}"]
    if case["rope_freqs"]:
        numbers = struct.pack(f"<{len(case['rope_freqs'])}f", *case["rope_freqs"])
        file.tensors["rope_freqs.weight"] = ([len(case["rope_freqs"])], 0, numbers)
    file.write(path)
    server = serve(path)
    for prompt in PROMPTS:
        answer = post(server.listening_address, "/completion", {
            "prompt": prompt, "n_predict": 4, "temperature": 0, "samplers": ["temperature"], "n_probs": 2,
            "return_tokens": True, "cache_prompt": False, "logit_bias": [],
        })
        tokens, steps = answer["tokens"], answer.get("completion_probabilities", [])
        # Tokens that make a character together are told as one step, and one that ends the text as none.
        if len(tokens) == 4 and [step["id"] for step in steps] == tokens:
            logprobs = [step["logprob"] for step in steps]
            return {"name": name, **case, "prompt": prompt, "tokens": tokens, "logprobs": logprobs}
    raise ValueError(f"{name}: no prompt whose tokens are characters")


def spare(file, number):
    """Ids of tokens that no merge needs."""
    needed = set()
    for merge in file.keys.get("tokenizer.ggml.merges", (LIST, (TEXT, [])))[1][1]:
        left, right = merge.split(" ")
        needed |= {left, right, left + right}
    tokens = file.keys["tokenizer.ggml.tokens"][1][1]
    kinds = file.keys["tokenizer.ggml.token_type"][1][1]
    ids = [i for i, token in enumerate(tokens) if token not in needed and kinds[i] == 1]
    return ids[-number:] if number else []


def run_ends(name, program, folder):
    model, names, keys, without = ENDS[name]
    path = folder / "ends.gguf"
    file = exported(program, model, path)
    ids = spare(file, len(names))
    tokens = file.keys["tokenizer.ggml.tokens"][1][1]
    for id, renamed in zip(ids, names):
        tokens[id] = renamed
    keys = {key: ids[at] for key, at in keys.items()}
    for key, id in keys.items():
        file.keys[key] = (U32, id)
    for key in without:
        del file.keys[key]
    file.write(path)
    server = serve(path)
    ends = []
    for id in [0, 1, 2, 3, 11, *ids]:
        answer = post(server.listening_address, "/completion", {
            "prompt": [3, 20, 21], "n_predict": 3, "temperature": 0, "samplers": ["temperature"], "cache_prompt": False,
            "logit_bias": [[id, 1e6]], "return_tokens": True,
        })
        if answer["stop_type"] == "eos":
            ends.append(id)
    renamed = {str(id): name for id, name in zip(ids, names)}
    return {"name": name, "model": model, "renamed": renamed, "keys": keys, "without": without, "ends": sorted(set(ends))}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        folder, program = Path(folder), sys.argv[1]
        cases = [run_case(name, program, folder) for name in CASES]
        ends = [run_ends(name, program, folder) for name in ENDS]
    engine = f"llama.cpp as built into xllamacpp {version('xllamacpp')}"
    lines = lambda made: ",\n".join(json.dumps(one, ensure_ascii=False) for one in made)
    (HERE / "llama_cpp_keys.json").write_text(
        f'{{"engine": {json.dumps(engine)}, "cases": [\n{lines(cases)}\n], "ends": [\n{lines(ends)}\n]}}\n')
