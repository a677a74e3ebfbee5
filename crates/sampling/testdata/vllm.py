"""Makes vllm.jsonl: rows of logits through vLLM's own sampler, on a CPU.

    python vllm.py FOLDER > vllm.jsonl

FOLDER holds the Python files of vLLM 0.33.0 (`pip download vllm==0.33.0 --no-deps`, unzip the wheel); torch 2.15.0
and numpy must be installed, vLLM itself not. What is run is vLLM's text: the class `Sampler` with its order, the three
built-in logits processors, bad words, penalties, and the PyTorch path of top-k and top-p. Only what stands around them
is replaced: platforms, devices, and the random draw, in whose place the row is handed back.

What a request's settings become before they reach the sampler (`SamplingParams`, `InputBatch`) is stated here a second
time, in `metadata`.
"""

import __future__
import ast
import itertools
import json
import math
import random
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

ROOT = Path(sys.argv[1]) / "vllm"
random.seed(20265)


def take(file, names, space):
    """Defines the named functions and classes of a file of vLLM, and nothing else of it."""
    tree = ast.parse((ROOT / file).read_text())
    tree.body = [node for node in tree.body if getattr(node, "name", None) in names]
    assert len(tree.body) == len(names), (file, names)
    flags = __future__.annotations.compiler_flag
    exec(compile(tree, file, "exec", flags=flags, dont_inherit=True), space)


class Kept(torch.nn.Module):
    """In the place of the draw: cuts as vLLM does on a CPU, and hands back the row."""

    def __init__(self, *_):
        super().__init__()

    def forward(self, logits, generators, k, p):
        row = SPACE["apply_top_k_top_p_pytorch"](logits, k, p, allow_cpu_sync=True)
        return row.argmax(dim=-1), row


SPACE = {
    "torch": torch,
    "nn": torch.nn,
    "np": np,
    "Callable": Callable,
    "Sequence": Sequence,
    "T": TypeVar("T"),
    "LogitsProcessor": object,
    "MoveDirectionality": types.SimpleNamespace(SWAP=1, UNIDIRECTIONAL=0),
    "_SMALLEST_LOGIT": float("-inf"),
    "_SAMPLING_EPS": 1e-5,
    "PIN_MEMORY": False,
    "TopKTopPSampler": Kept,
    "mixed_sample_eligible": lambda *_: False,
    "current_platform": types.SimpleNamespace(is_cpu=lambda: False),
    "async_tensor_h2d": lambda data, device, dtype: torch.tensor(data, dtype=dtype, device=device),
    "make_tensor_with_pad": lambda rows, pad, device, dtype, pin_memory: torch.tensor(
        [row + [pad] * (max(map(len, rows)) - len(row)) for row in rows], dtype=dtype
    ),
}
take("_custom_ops.py", ["apply_repetition_penalties_torch", "apply_repetition_penalties"], SPACE)
package, ops = types.ModuleType("vllm"), types.ModuleType("vllm._custom_ops")
ops.apply_repetition_penalties = SPACE["apply_repetition_penalties"]
sys.modules |= {"vllm": package, "vllm._custom_ops": ops}
take("model_executor/layers/utils.py", ["get_token_bin_counts_and_mask", "apply_penalties"], SPACE)
take("v1/sample/ops/penalties.py", ["apply_all_penalties", "_convert_to_tensors"], SPACE)
take("v1/sample/ops/bad_words.py", ["_apply_bad_words_single_batch", "apply_bad_words"], SPACE)
take("v1/sample/ops/topk_topp_sampler.py", ["apply_top_k_top_p_pytorch", "apply_top_k_only"], SPACE)
PROCESSORS = ["MinTokensLogitsProcessor", "LogitBiasLogitsProcessor", "MinPLogitsProcessor"]
take("v1/sample/logits_processor/builtin.py", [*PROCESSORS, "process_dict_updates"], SPACE)
take("v1/sample/sampler.py", ["Sampler"], SPACE)


def metadata(config, prompt, generated, size):
    """One request as the sampler is told of it (`sampling_params.py`, `gpu_input_batch.py`)."""
    get = config.get
    bias = {token: min(100.0, max(-100.0, value)) for token, value in get("logit_bias", [])}
    params = types.SimpleNamespace(
        min_p=get("min_p", 0.0),
        logit_bias=bias,
        min_tokens=get("min_tokens", 0),
        all_stop_token_ids=set(get("stop_token_ids", [])),
        structured_outputs=None,
    )
    update = types.SimpleNamespace(
        batch_size=1, added=[(0, params, prompt, generated)], removed=[], moved=[]
    )
    limits = types.SimpleNamespace(scheduler_config=types.SimpleNamespace(max_num_seqs=1))
    processors = [SPACE[name](limits, torch.device("cpu"), False) for name in PROCESSORS]
    for processor in processors:
        processor.update_state(update)
    temperature = get("temperature", 1.0)
    if 0 < temperature < 0.01:
        temperature = 0.01
    greedy = temperature < 1e-5
    k, p = (0, 1.0) if greedy else (get("top_k", 0), get("top_p", 1.0))
    mask = None
    if config.get("allowed_token_ids"):
        mask = torch.ones(1, size, dtype=torch.bool)
        mask[0, config["allowed_token_ids"]] = False
    penalties = [get("presence_penalty", 0.0), get("frequency_penalty", 0.0), get("repetition_penalty", 1.0)]
    numbers = [torch.tensor([value], dtype=torch.float32) for value in penalties]
    return types.SimpleNamespace(
        all_greedy=greedy,
        all_random=not greedy,
        temperature=torch.tensor([temperature], dtype=torch.float32),
        top_k=torch.tensor([k if 0 < k < size else size], dtype=torch.int32) if 0 < k < size else None,
        top_p=torch.tensor([p], dtype=torch.float32) if p < 1 else None,
        generators={},
        max_num_logprobs=1,
        logprob_token_ids=None,
        no_penalties=penalties == [0.0, 0.0, 1.0],
        prompt_token_ids=torch.tensor([prompt], dtype=torch.int64).reshape(1, -1),
        presence_penalties=numbers[0],
        frequency_penalties=numbers[1],
        repetition_penalties=numbers[2],
        output_token_ids=[generated],
        spec_token_ids=None,
        allowed_token_ids_mask=mask,
        bad_words_token_ids={0: config["bad_words"]} if config.get("bad_words") else {},
        logitsprocs=types.SimpleNamespace(
            argmax_invariant=[one for one in processors if one.is_argmax_invariant()],
            non_argmax_invariant=[one for one in processors if not one.is_argmax_invariant()],
        ),
        thinking_budget_state_holder=None,
    )


def processed(config, prompt, generated, logits):
    """The row that vLLM draws from; under temperature 0, the row whose argmax it takes."""
    sampler = SPACE["Sampler"](logprobs_mode="processed_logits")
    told = metadata(config, prompt, generated, len(logits))
    row = torch.tensor([logits], dtype=torch.float32)
    row = sampler.apply_logits_processors(row, told, False)
    _, row = sampler.sample(row, told)
    return row[0].tolist()


def shortest(x):
    """The shortest decimal that reads back to the same f32."""
    return float(np.format_float_scientific(np.float32(x), unique=True))


def spell(x):
    return shortest(x) if math.isfinite(x) else str(x)


def nudged(config, logits):
    """The same case a little to either side: where the survivors change, a rounding decides."""
    noise = random.Random(1)
    class_noise = {x: noise.uniform(-1, 1) * 1e-6 * max(1.0, abs(x)) for x in set(logits)}
    for sign in (1, -1):
        yield config, [x + sign * class_noise[x] if math.isfinite(x) else x for x in logits]
        for key in ("top_p", "min_p"):
            if 0 < config.get(key, 0) < 1:
                yield config | {key: min(max(config[key] + sign * 2e-6, 1e-9), 1 - 1e-9)}, logits


def expectation(config, prompt, generated, logits, row):
    """The scores; or classes of equals, where top-p keeps some of a class: which ones is up to torch's sort."""
    scores = [shortest(x) if math.isfinite(x) else None for x in row]
    uncut = processed(config | {"top_p": 1.0}, prompt, generated, logits)
    eligible = [shortest(x) if math.isfinite(x) else None for x in uncut]
    kept = [score for score in scores if score is not None]
    if all(eligible.count(score) == kept.count(score) for score in kept):
        return {"scores": scores}
    classes = [[score, kept.count(score)] for score in sorted(set(kept), reverse=True)]
    return {"support_classes": classes, "eligible": eligible}


def case(name, config, prompt, generated, logits, exact=False):
    logits = [shortest(x) if math.isfinite(x) else x for x in logits]
    row = processed(config, prompt, generated, logits)
    kept = [math.isfinite(x) for x in row]
    if not any(kept) or any(math.isnan(x) or x == math.inf for x in row):
        return
    if not exact:
        for other, near in nudged(config, logits):
            # Not which ones: equals change places.
            if sum(map(math.isfinite, processed(other, prompt, generated, near))) != sum(kept):
                return
    line = {"suite": "vllm-sampler", "name": name, "semantics": "vllm", "config": config}
    line |= {"prompt": prompt, "generated": generated, "logits": [spell(x) for x in logits]}
    line["expect"] = expectation(config, prompt, generated, logits, row)
    line["tolerance"] = {"rel": 2e-6, "abs": 1e-6}
    if exact:
        line["note"] = "boundary exact by construction"
    print(json.dumps(line, separators=(",", ":")))


def a_row(size, spread=3.0):
    return [random.gauss(0, spread) for _ in range(size)]


def a_coarse_row(size):
    return [random.randrange(-8, 9) / 4 for _ in range(size)]


def a_knob(key, size):
    ids = range(size)
    words = lambda: [random.sample(ids, random.randint(1, 3)) for _ in range(3)]  # noqa: E731
    return {
        "temperature": lambda: random.choice([0.001, 0.01, 0.3, 0.7, 1.0, 1.7, 2.0]),
        "top_k": lambda: random.choice([-1, 0, 1, 2, 5, size, size + 7]),
        "top_p": lambda: random.choice([0.05, 0.3, 0.6, 0.9, 0.99, 1.0]),
        "min_p": lambda: random.choice([0.0, 0.01, 0.1, 0.5]),
        "repetition_penalty": lambda: random.choice([0.7, 1.1, 1.5, 3.0]),
        "frequency_penalty": lambda: random.choice([-2.0, -0.3, 0.4, 2.0]),
        "presence_penalty": lambda: random.choice([-2.0, -0.7, 0.6, 2.0]),
        "allowed_token_ids": lambda: random.sample(ids, size // 2),
        "bad_words": words,
        "logit_bias": lambda: [[i, random.uniform(-150, 150)] for i in random.sample(ids, 3)],
        "min_tokens": lambda: random.randint(1, 4),
    }[key]()


def exact_cases():
    """Boundaries that no rounding can move: equal scores, and probabilities that are dyadic."""
    ties = [1.0, 2.0, 2.0, 0.0, 2.0, -math.inf]
    for k in (1, 2, 3, 4, 5, 6, 9):
        case(f"top_k/ties/{k}", {"top_k": k}, [1], [], ties, exact=True)
        case(f"top_k/ties_then_top_p/{k}", {"top_k": k, "top_p": 0.5}, [1], [], [1.0] * 8, exact=True)
    for p in (0.0625, 0.25, 0.5, 0.75, 0.875):
        case(f"top_p/flat/{p}", {"top_p": p}, [1], [], [0.5] * 8, exact=True)
    for min_p in (0.5, 1.0):
        case(f"min_p/flat/{min_p}", {"min_p": min_p}, [1], [], [0.5] * 5 + [-9.0], exact=True)
    case("top_k/one_is_not_greedy", {"top_k": 1, "temperature": 0.5}, [1], [], [3.0, 3.0, 1.0], exact=True)
    case("greedy/ties", {"temperature": 0.0, "top_k": 1}, [1], [], [3.0, 3.0, 1.0], exact=True)
    case("zero/signs", {"repetition_penalty": 2.0}, [0, 1, 2], [], [0.0, -0.0, 1e-42, 1.0], exact=True)
    case("banned/penalised", {"repetition_penalty": 2.0, "presence_penalty": 1.0}, [0], [0], [-math.inf, 1.0, 2.0], exact=True)


def word_cases():
    row = [0.0] * 6
    for name, words, prompt, generated in [
        ("one", [[3]], [1], []),
        ("prompt_does_not_count", [[1, 2]], [1], []),
        ("begins_in_output", [[1, 2]], [0], [1]),
        ("two_prefixes", [[1, 2], [4, 1, 5], [1, 2]], [4], [4, 1]),
        ("longer_than_output", [[4, 1, 5]], [4], [1]),
        ("whole_output", [[4, 1, 5]], [], [4, 1]),
        ("repeated_token", [[2, 2, 2]], [2], [2, 2]),
        ("its_own_last", [[5, 5]], [], [5]),
    ]:
        case(f"bad_words/{name}", {"bad_words": words}, prompt, generated, row, exact=True)
    for made in range(4):
        config = {"min_tokens": 2, "stop_token_ids": [1, 4]}
        case(f"min_tokens/{made}", config, [1], [0] * made, row, exact=True)
    case("min_tokens/nothing_to_hold", {"min_tokens": 2}, [1], [], row, exact=True)
    for bias in (-1e9, -100.0, 0.25, 100.0, 250.0):
        case(f"logit_bias/{bias}", {"logit_bias": [[2, bias], [3, -bias]]}, [1], [], row, exact=True)


def random_cases():
    single = ["temperature", "top_k", "top_p", "min_p", "repetition_penalty", "frequency_penalty", "presence_penalty"]
    for key, n in itertools.product(single, range(3)):
        size = random.randint(6, 24)
        tokens = [random.randrange(size) for _ in range(12)]
        config = {key: a_knob(key, size)}
        case(f"{key}/{n}", config, tokens[:5], tokens[5:], random.choice([a_row, a_coarse_row])(size))
    every = [*single, "allowed_token_ids", "bad_words", "logit_bias", "min_tokens"]
    for n in range(60):
        size = random.choice([8, 20, 60])
        config = {key: a_knob(key, size) for key in random.sample(every, random.randint(2, 6))}
        if "min_tokens" in config:
            config["stop_token_ids"] = random.sample(range(size), 2)
        if n % 6 == 0:
            config["temperature"] = 0.0
        tokens = [random.randrange(size) for _ in range(random.randint(1, 20))]
        cut = random.randint(1, len(tokens))
        row = random.choice([a_row, a_coarse_row])(size)
        if n % 4 == 0:
            row[random.randrange(size)] = -math.inf
        case(f"mixed/{n:02}", config, tokens[:cut], tokens[cut:], row)


exact_cases()
word_cases()
random_cases()
