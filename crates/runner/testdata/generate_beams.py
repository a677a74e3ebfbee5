"""Writes generate_beams.jsonl: Hugging Face's beam search where it is at its strangest.

Tables with impossible tokens, fewer continuations than beams, penalties of any sign, up to three EOS ids, one
step to make, several processors at once. Needs transformers 5.23.0 and torch 2.15.0 (CPU):

    python generate_beams.py > generate_beams.jsonl

A case is kept if its answer does not change when every ranking inside the search is disturbed by a relative
1e-5, six times: in a table model many paths have the same sum but for the order of the summands.
"""

import json
import math
import random
import warnings

import numpy as np
import torch
import transformers
from transformers import GenerationConfig, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
TOPK = torch.topk
CASES = 160


class TableConfig(PreTrainedConfig):
    model_type = "table"

    def __init__(self, vocab_size=8, **rest):
        self.vocab_size, self.hidden_size = vocab_size, 1
        self.num_hidden_layers = self.num_attention_heads = 1
        super().__init__(**rest)


class Table(PreTrainedModel, GenerationMixin):
    config_class = TableConfig
    main_input_name = "input_ids"
    _supports_cache_class = False

    def __init__(self, table):
        super().__init__(TableConfig(vocab_size=len(table)))
        self.table = torch.nn.Parameter(torch.tensor(table), requires_grad=False)
        self.generation_config = GenerationConfig()

    def forward(self, input_ids=None, **_):
        return CausalLMOutputWithPast(logits=self.table[input_ids])

    def prepare_inputs_for_generation(self, input_ids, **_):
        return {"input_ids": input_ids}


def disturbed(x, k, **rest):
    noise = torch.empty_like(x).uniform_(-1e-5, 1e-5) * x.abs().clamp(min=1).nan_to_num(posinf=0)
    index = TOPK(x + noise, k, **rest)[1]
    return torch.gather(x, -1, index), index


def search(table, config, prompt, topk=TOPK):
    torch.topk = topk
    asked = GenerationConfig(**config, return_dict_in_generate=True, output_scores=True)
    found = Table(table).generate(torch.tensor([prompt]), generation_config=asked)
    torch.topk = TOPK
    eos = config.get("eos_token_id", [])
    sequences = []
    for row in found.sequences:
        tokens = row[len(prompt):].tolist()
        end = next((i + 1 for i, token in enumerate(tokens) if token in eos), len(tokens))
        sequences.append(tokens[:end])
    return sequences, found.sequences_scores.tolist()


def processors(pick, size, eos):
    token = lambda: pick.randrange(size)  # noqa: E731
    words = lambda: [token() for _ in range(pick.choice([1, 2, 2]))]  # noqa: E731
    every = {
        "repetition_penalty": lambda: pick.choice([0.8, 1.3, 3.0]),
        "no_repeat_ngram_size": lambda: pick.choice([1, 2, 3]),
        "bad_words_ids": lambda: [words() for _ in range(pick.randint(1, 4))],
        "sequence_bias": lambda: [[words(), pick.choice([-3.0, 1.0, 2.5])]],
        "suppress_tokens": lambda: [token()],
        "forced_bos_token_id": token,
        "forced_eos_token_id": lambda: eos[0] if eos else token(),
        "renormalize_logits": lambda: True,
        "remove_invalid_values": lambda: True,
    }
    if eos:
        every["min_new_tokens"] = lambda: pick.randint(1, 3)
        every["min_length"] = lambda: pick.randint(2, 8)
        every["exponential_decay_length_penalty"] = lambda: [pick.randint(0, 3), 1.4]
    return {name: every[name]() for name in pick.sample(sorted(every), pick.choice([0, 0, 1, 2, 3]))}


def draw(pick, noise):
    size = pick.choice([3, 4, 5, 6, 8])
    eos = sorted(pick.sample(range(size), min(pick.choice([0, 1, 1, 2, 3]), size - 1)))
    table = np.round(noise.normal(size=(size, size)) * pick.choice([0.5, 2, 4]), 3)
    table[:, eos] += pick.choice([-6, -2, 0, 2])
    if pick.random() < 0.4:
        impossible = noise.random(table.shape) < pick.choice([0.2, 0.5])
        impossible[np.arange(size), noise.integers(size, size=size)] = False
        table[impossible] = -np.inf
    beams = pick.choice([2, 3, 4, 6, 8])
    longest = pick.choice([1, 2, 3, 5, 8, 12])
    config = {
        "num_beams": beams,
        "num_return_sequences": pick.choice([1, pick.randint(1, beams)]),
        "max_new_tokens": max(longest, 3),
        "length_penalty": pick.choice([-2.0, -0.7, 0.0, 0.5, 1.0, 1.3, 4.0]),
        "early_stopping": pick.choice([False, True, "never"]),
        **({"eos_token_id": eos} if eos else {}),
        **processors(pick, size, eos),
    }
    if "min_new_tokens" not in config:
        config["max_new_tokens"] = longest
    return table.astype(np.float32), config, [pick.randrange(size) for _ in range(pick.choice([1, 1, 3]))]


def settled(table, config, prompt):
    sequences, scores = search(table, config, prompt)
    # A placeholder in a place that nothing took.
    if any(not math.isfinite(score) or score < -1e5 for score in scores):
        return None
    again = (search(table, config, prompt, disturbed)[0] for _ in range(6))
    return (sequences, scores) if all(other == sequences for other in again) else None


def number(x):
    return "-inf" if x == -math.inf else float(np.format_float_positional(np.float32(x), unique=True))


def main():
    pick, noise = random.Random(5), np.random.default_rng(5)
    torch.manual_seed(5)
    made = 0
    while made < CASES:
        table, config, prompt = draw(pick, noise)
        try:
            found = settled(table, config, prompt)
        except (ValueError, RuntimeError):
            continue  # refused by transformers
        if found is None:
            continue
        made += 1
        eos = config.get("eos_token_id", [])
        sequences, scores = found
        expect = {
            "sequences": sequences,
            "scores": [number(score) for score in scores],
            "finish": ["eos" if tokens[-1] in eos else "length" for tokens in sequences],
        }
        rows = [[number(x) for x in row] for row in table]
        case = {"suite": "hf-generate", "name": f"strange/{made:03}", "table": rows, "config": config}
        case |= {"prompt": prompt, "expect": expect, "tolerance": {"rel": 1e-5, "abs": 1e-5}}
        print(json.dumps(case))


if __name__ == "__main__":
    main()
