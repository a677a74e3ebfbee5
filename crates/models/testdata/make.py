"""Makes the folders `gemma3`, `gemma3_capped`, `qwen3_moe`, `phi3` and `qwen3_yarn` beside this file: tiny models with
random weights, and what Hugging Face transformers computes with them.

    pip install torch transformers==5.23.0
    python make.py

The expectations belong to the files: each folder is read back before anything is computed.
"""

import json
import math
import random
import shutil
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, DynamicCache, Gemma3Config, Gemma3ForConditionalGeneration
from transformers import Gemma3TextConfig, Phi3Config, Qwen3Config, Qwen3MoeConfig, SiglipVisionConfig

HERE = Path(__file__).parent
VOCAB = 96
EOS = 2

torch.set_num_threads(1)


def gemma3_text():
    return Gemma3TextConfig(
        vocab_size=VOCAB, hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, query_pre_attn_scalar=6, sliding_window=5, max_position_embeddings=256,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"], final_logit_softcapping=7.0,
        rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": 5000.0},
            "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 200000.0},
        },
    )


def gemma3():
    """The text part beside an image encoder: a nested config, prefixes, and keys as the Hub has them.
    transformers does not cap the logits of these."""
    vision = SiglipVisionConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
                                image_size=8, patch_size=4)
    config = Gemma3Config(text_config=gemma3_text(), vision_config=vision, mm_tokens_per_image=4, eos_token_id=EOS)
    return Gemma3ForConditionalGeneration(config)


def gemma3_as_on_the_hub(folder):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    text = config["text_config"]
    ropes = text.pop("rope_parameters")
    text["rope_theta"] = ropes["full_attention"]["rope_theta"]
    text["rope_local_base_freq"] = ropes["sliding_attention"]["rope_theta"]
    text["rope_scaling"] = {"factor": ropes["full_attention"]["factor"], "rope_type": "linear"}
    text["sliding_window_pattern"] = 2
    for key in ("layer_types", "_sliding_window_pattern"):
        text.pop(key, None)
    path.write_text(json.dumps(config, indent=2) + "\n")


def qwen3_moe():
    """One layer without experts; weights of the chosen experts that do not sum to one."""
    config = Qwen3MoeConfig(
        vocab_size=VOCAB, hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=256, moe_intermediate_size=12, num_experts=6,
        num_experts_per_tok=2, norm_topk_prob=False, mlp_only_layers=[1], eos_token_id=EOS, bos_token_id=1,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )
    return AutoModelForCausalLM.from_config(config)


def phi3():
    """Half of each head rotated, a window that the longer prompts outgrow."""
    config = Phi3Config(
        vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, original_max_position_embeddings=256, sliding_window=9,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5},
        pad_token_id=0, bos_token_id=1, eos_token_id=EOS,
    )
    return AutoModelForCausalLM.from_config(config)


def qwen3_yarn():
    """A context that YaRN has made four times as long, and prompts beyond the one before."""
    config = Qwen3Config(
        vocab_size=VOCAB, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, max_position_embeddings=256, eos_token_id=EOS, bos_token_id=1,
        tie_word_embeddings=True, rope_parameters={
            "rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64,
        },
    )
    return AutoModelForCausalLM.from_config(config)


def as_before_transformers_5(folder):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["rope_scaling"] = config.pop("rope_parameters")
    config["rope_theta"] = config["rope_scaling"].pop("rope_theta")
    path.write_text(json.dumps(config, indent=2) + "\n")


def randomise(model):
    """Weights with enough contrast that a wrong detail shows."""
    gemma = "gemma" in model.config.model_type
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.normal_(0.0 if gemma else 1.0, 0.25)
            elif "embed_tokens" in name:
                weight.normal_(0.0, 0.8 / math.sqrt(24) if gemma else 1.0)
            else:
                weight.normal_(0.0, 1.2 / math.sqrt(weight.shape[-1]))
        model.tie_weights()


def logits(model, ids, cache=None):
    with torch.no_grad():
        out = model(input_ids=torch.tensor([ids]), past_key_values=cache, use_cache=cache is not None)
    return out.logits[0].float()


def greedy(model, prompt, count=24):
    cache = DynamicCache(config=model.config.get_text_config())
    row = logits(model, prompt, cache)[-1]
    tokens, logprobs = [], []
    for _ in range(count):
        tokens.append(int(row.argmax()))
        logprobs.append(float(torch.log_softmax(row, -1)[tokens[-1]]))
        row = logits(model, tokens[-1:], cache)[-1]
    return tokens, logprobs


def make(name, model, finish=lambda folder: None):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    randomise(model)
    model.eval().save_pretrained(folder)
    finish(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    read_back = type(model).from_pretrained(folder, attn_implementation="eager", experts_implementation="eager", dtype=torch.float32).eval()
    pick, cases = random.Random(5), []
    for length in (1, 5, 23, 50):
        prompt = [pick.randrange(3, VOCAB) for _ in range(length)]
        rows = logits(read_back, prompt)
        tokens, logprobs = greedy(read_back, prompt)
        cases.append({
            "prompt": prompt, "logits_last": rows[-1].tolist(),
            "logits_all_positions_first8": rows[:, :8].tolist(), "greedy": tokens, "greedy_logprobs": logprobs,
        })
    expected = {
        "suite": "hf-models", "name": name, "model_type": model.config.model_type,
        "tolerance": {"logits_abs": 1e-4, "logprobs_abs": 1e-4}, "cases": cases,
    }
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")
    print(name, sum(file.stat().st_size for file in folder.iterdir()), "bytes")


torch.manual_seed(11)
make("gemma3", gemma3(), gemma3_as_on_the_hub)
torch.manual_seed(11)
make("gemma3_capped", AutoModelForCausalLM.from_config(gemma3_text()))
torch.manual_seed(12)
make("qwen3_moe", qwen3_moe())
torch.manual_seed(13)
make("phi3", phi3())
torch.manual_seed(14)
make("qwen3_yarn", qwen3_yarn(), as_before_transformers_5)
