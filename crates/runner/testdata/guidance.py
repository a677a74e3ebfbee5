"""Makes guidance.jsonl: what `generate()` of Hugging Face transformers yields under classifier-free guidance.

    python guidance.py > guidance.jsonl

Needs transformers 5.23.0 and torch 2.15.0 (CPU); reads the tiny models of the models crate's test data. A run is kept
only if at each step the two best scores are further apart than another order of summation moves them.
"""

import itertools
import json
import random
import warnings
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GenerationConfig
from transformers.utils import logging

warnings.filterwarnings("ignore")
logging.set_verbosity_error()
torch.set_num_threads(1)
random.seed(20266)
MODELS = Path(__file__).parent / "../../models/testdata"
MARGIN = 2e-3


def run(model, config, prompt, negative):
    settings = GenerationConfig(**config, do_sample=False, pad_token_id=0)
    ids = torch.tensor([prompt])
    guide = {} if negative is None else {"negative_prompt_ids": torch.tensor([negative])}
    with torch.no_grad():
        made = model.generate(
            ids, attention_mask=torch.ones_like(ids), generation_config=settings, output_scores=True,
            return_dict_in_generate=True, **guide
        )  # fmt: skip
    best = [scores[0].topk(2).values for scores in made.scores]
    if any(first - second < MARGIN for first, second in best):
        return None
    return made.sequences[0, len(prompt) :].tolist()


def configs():
    for scale in (0.0, 0.5, 1.5, 3.0):
        yield {"guidance_scale": scale, "max_new_tokens": 16}
    # The penalty acts on what guidance makes, which are log-probabilities.
    yield {"guidance_scale": 3.0, "repetition_penalty": 1.3, "max_new_tokens": 16}
    yield {"guidance_scale": 1.5, "suppress_tokens": [5, 9], "eos_token_id": list(range(40)), "max_new_tokens": 16}


for name in ("llama", "qwen3"):
    model = AutoModelForCausalLM.from_pretrained(MODELS / name, dtype=torch.float32)
    # A setting of the folder would fill what a config here leaves open.
    model.generation_config = GenerationConfig()
    size = model.config.vocab_size
    for (n, config), length in itertools.product(enumerate(configs()), (None, 1, 4, 30)):
        prompt = [random.randrange(3, size) for _ in range(random.choice([1, 6, 20]))]
        negative = None if length is None else [random.randrange(3, size) for _ in range(length)]
        tokens = run(model, config, prompt, negative)
        if tokens is not None:
            case = {"name": f"{name}/{n}/{length or 'none'}", "model": name, "config": config, "prompt": prompt}
            print(json.dumps(case | {"negative_prompt": negative, "tokens": tokens}, separators=(",", ":")))
