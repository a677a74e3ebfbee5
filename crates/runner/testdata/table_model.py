"""A model whose next-token logits are `table[last token]`, for the scripts beside this one.

It runs in transformers 4.49 as in 5.23.
"""

import math
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


def search(table, config, prompt, topk=TOPK, **more):
    """The sequences, each up to its first EOS, and their scores."""
    torch.topk = topk
    asked = GenerationConfig(**config, **more, return_dict_in_generate=True, output_scores=True)
    found = Table(table).generate(torch.tensor([prompt]), generation_config=asked)
    torch.topk = TOPK
    eos = config.get("eos_token_id", [])
    sequences = []
    for row in found.sequences:
        tokens = row[len(prompt):].tolist()
        end = next((i + 1 for i, token in enumerate(tokens) if token in eos), len(tokens))
        sequences.append(tokens[:end])
    return sequences, found.sequences_scores.tolist()


def settled(table, config, prompt, found, **more):
    """Whether the sequences stay the same when every ranking is disturbed, six times."""
    again = (search(table, config, prompt, disturbed, **more)[0] for _ in range(6))
    return all(other == found for other in again)


def number(x):
    return "-inf" if x == -math.inf else float(np.format_float_positional(np.float32(x), unique=True))


def case(name, table, config, prompt, sequences, scores):
    """A case of the suite `hf-generate`, as a dictionary."""
    eos = config.get("eos_token_id", [])
    expect = {
        "sequences": sequences,
        "scores": [number(score) for score in scores],
        "finish": ["eos" if tokens[-1] in eos else "length" for tokens in sequences],
    }
    rows = [[number(x) for x in row] for row in table]
    made = {"suite": "hf-generate", "name": name, "table": rows, "config": config}
    return made | {"prompt": prompt, "expect": expect, "tolerance": {"rel": 1e-5, "abs": 1e-5}}
