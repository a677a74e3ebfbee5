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
import warnings

import numpy as np
import torch
import transformers
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
TOPK = torch.topk
CASES = 80


class TableConfig(PretrainedConfig):
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
    asked = {"pad_token_id": len(table) - 1, "return_dict_in_generate": True, "output_scores": True}
    asked = GenerationConfig(**config, **asked)
    found = Table(table).generate(torch.tensor([prompt]), generation_config=asked)
    torch.topk = TOPK
    eos = config.get("eos_token_id", [])
    sequences = []
    for row in found.sequences:
        tokens = row[len(prompt):].tolist()
        end = next((i + 1 for i, token in enumerate(tokens) if token in eos), len(tokens))
        sequences.append(tokens[:end])
    return sequences, found.sequences_scores.tolist()


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


def settled(table, config, prompt):
    sequences, scores = search(table, config, prompt)
    late = "eos_token_id" in config and max(map(len, sequences)) == config["max_new_tokens"]
    if late or any(score < -1e5 for score in scores):
        return None
    again = (search(table, config, prompt, disturbed)[0] for _ in range(6))
    return (sequences, scores) if all(other == sequences for other in again) else None


def number(x):
    return "-inf" if x == -np.inf else float(np.format_float_positional(np.float32(x), unique=True))


def main():
    pick, noise = random.Random(11), np.random.default_rng(11)
    torch.manual_seed(11)
    made = 0
    while made < CASES:
        table, config, prompt = draw(pick, noise)
        found = settled(table, config, prompt)
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
        case = {"suite": "hf-generate", "name": f"groups/{made:03}", "table": rows, "config": config}
        case |= {"prompt": prompt, "expect": expect, "tolerance": {"rel": 1e-5, "abs": 1e-5}}
        print(json.dumps(case))


if __name__ == "__main__":
    main()
