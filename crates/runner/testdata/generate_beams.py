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

import numpy as np
import torch
from table_model import case, search, settled

CASES = 160


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


def main():
    pick, noise = random.Random(5), np.random.default_rng(5)
    torch.manual_seed(5)
    made = 0
    while made < CASES:
        table, config, prompt = draw(pick, noise)
        try:
            sequences, scores = search(table, config, prompt)
            # A placeholder in a place that nothing took.
            if any(not math.isfinite(score) or score < -1e5 for score in scores):
                continue
            if not settled(table, config, prompt, sequences):
                continue
        except (ValueError, RuntimeError):
            continue  # refused by transformers
        made += 1
        print(json.dumps(case(f"strange/{made:03}", table, config, prompt, sequences, scores)))


if __name__ == "__main__":
    main()
