"""Writes `llama_cpp_list.txt` beside this file: every key that llama.cpp reads of a file of an architecture that taper
loads.

    python llama_cpp_list.py path/to/llama-cpp-sys-2-0.1.161/llama.cpp

The crate `llama-cpp-sys-2` 0.1.161 has the sources. A key of every architecture begins with `*`. What is read of other architectures is left out, and so is what the programs
write and do not read.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = Path(sys.argv[1])
ARCHITECTURES = ["gemma3", "llama", "phi3", "qwen2", "qwen3"]


def read(path):
    return (SOURCE / path).read_text()


def body(text, start):
    """From `start` to the brace that closes the first that opens behind it."""
    at = text.index(start)
    depth, end = 0, text.index("{", at)
    while True:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
        if depth == 0:
            return text[at:end]


def keys(text):
    return [NAMES[name] for name in re.findall(r"\bLLM_KV_[A-Z0-9_]+\b", text) if name in NAMES]


NAMES = dict(re.findall(r'\{ (LLM_KV_\w+), *"([^"]+)" *\}', read("src/llama-arch.cpp")))
model = read("src/llama-model.cpp")
general = body(model, "void llama_model_base::load_hparams(")
for other in re.findall(r"if \(arch == LLM_ARCH_\w+(?: \|\| arch == LLM_ARCH_\w+)*\)", general):
    if not any(f"LLM_ARCH_{name.upper()}" in re.findall(r"LLM_ARCH_\w+", other) for name in ARCHITECTURES):
        general = general.replace(body(general, other), "")
general += body(model, "void llama_prec_policy::load(") + body(model, "const char * llama_model_chat_template(")
general += read("src/llama-vocab.cpp") + read("src/llama-model-loader.cpp")
found = {name.replace("%s", "*") for name in keys(general)}
found |= set(re.findall(r'return "(general\.sampling\.\w+)"', model))
found |= set(re.findall(r'GGUF_KEY_GENERAL_ALIGNMENT "([^"]+)"', read("ggml/include/gguf.h")))
for architecture in ARCHITECTURES:
    own = read(f"src/models/{architecture}.cpp")
    names = keys(own)
    if "load_swa_pattern(" in own:
        names += keys(body(model, "void llama_model_base::load_swa_pattern("))
    found |= {name.replace("%s", architecture) for name in names if name.replace("%s", "*") not in found}
(HERE / "llama_cpp_list.txt").write_text("\n".join(sorted(found)) + "\n")
