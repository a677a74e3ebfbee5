"""Writes group_beams.jsonl: diverse beam search of the last transformers that had it in its own code.

Since version 5 it is custom code that a user fetches; 4.49.0 has the loop of the paper's authors, group after
group, each of which pays for the tokens that earlier ones took at this step. Needs transformers 4.49.0 and
torch 2.15.0 (CPU):

    python group_beams.py > group_beams.jsonl

Its rule for the end of a search is older than the one of `generate_beams.py`: all beams of a case end by length,
or all by EOS ahead of it, with `early_stopping`, where both rules say the same. It also takes the diversity
penalty off ahead of the other processors, which shows with those that scale a score, so there are only bans. A
case is kept if its answer does not change when every ranking inside the search is disturbed by a relative 1e-5,
six times.
"""

import json
import random

import numpy as np
import torch
from table_model import case, search, settled

CASES = 80


def draw(pick, noise):
    size = pick.choice([5, 6, 8, 12])
    table = np.round(noise.normal(size=(size, size)) * pick.choice([0.5, 2, 4]), 3)
    groups = pick.choice([2, 2, 3, 4])
    beams = groups * pick.choice([1, 1, 2, 3])
    config = {
        "num_beams": beams,
        "num_beam_groups": groups,
        "diversity_penalty": pick.choice([0.1, 0.5, 1.0, 3.0, 20.0]),
        "num_return_sequences": pick.choice([1, beams, pick.randint(1, beams)]),
        "max_new_tokens": pick.choice([1, 2, 3, 5, 8]),
        "length_penalty": pick.choice([-0.7, 0.0, 0.5, 1.0, 2.0]),
    }
    if pick.random() < 0.4:
        # A group that is done takes padding, for which the others pay: so nothing else may need that token.
        table[:, -1] = -np.inf
        config |= {"eos_token_id": [pick.randrange(size - 1)], "early_stopping": True, "max_new_tokens": 12}
    if pick.random() < 0.3:
        config["no_repeat_ngram_size"] = 2
    return table.astype(np.float32), config, [pick.randrange(size) for _ in range(pick.choice([1, 1, 3]))]


def main():
    pick, noise = random.Random(11), np.random.default_rng(11)
    torch.manual_seed(11)
    made = 0
    while made < CASES:
        table, config, prompt = draw(pick, noise)
        pad = {"pad_token_id": len(table) - 1}
        sequences, scores = search(table, config, prompt, **pad)
        late = "eos_token_id" in config and max(map(len, sequences)) == config["max_new_tokens"]
        if late or any(score < -1e5 for score in scores):
            continue
        if not settled(table, config, prompt, sequences, **pad):
            continue
        made += 1
        print(json.dumps(case(f"groups/{made:03}", table, config, prompt, sequences, scores)))


if __name__ == "__main__":
    main()
