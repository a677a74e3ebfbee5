"""Writes `score.json` beside this file: what Hugging Face transformers makes of a text under the tiny llama of
`taper-models`, token by token, and by the loop of its guide to the perplexity of fixed-length models.

    pip install torch transformers==5.23.0
    python score.py

Each window has the mean loss that transformers gives for it and the number of labels that went into it, which is one
less than the guide takes it for in all windows but the first.
"""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = Path(__file__).parent
FOLDER = HERE / "../../models/testdata/llama"
TEXT = "The old lighthouse stood where the rock had been – naïve, they said: 🙂 42 steps of wood, 7 of stone.\n" * 3
SHOWN = [3, 65, 200]

torch.set_num_threads(1)
model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32, attn_implementation="eager").eval()
tokenizer = AutoTokenizer.from_pretrained(FOLDER)
ids = tokenizer(TEXT, return_tensors="pt").input_ids
seq_len = ids.size(1)


def windows(max_length, stride):
    """The loop of the guide."""
    prev_end_loc, made = 0, []
    for begin_loc in range(0, seq_len, stride):
        end_loc = min(begin_loc + max_length, seq_len)
        trg_len = end_loc - prev_end_loc
        input_ids = ids[:, begin_loc:end_loc]
        target_ids = input_ids.clone()
        target_ids[:, :-trg_len] = -100
        with torch.no_grad():
            outputs = model(input_ids, labels=target_ids)
        # The labels are shifted inside, so that the first one of the window is not looked at.
        labels = int((target_ids[:, 1:] != -100).sum())
        made.append({"end": end_loc, "labels": labels, "loss": outputs.loss.item()})
        prev_end_loc = end_loc
        if end_loc == seq_len:
            break
    return made


with torch.no_grad():
    rows = torch.log_softmax(model(ids).logits[0].double(), -1)
steps = []
for position in range(seq_len):
    row = rows[position]
    step = {"entropy": float(-(row.exp() * row).sum()), "asked": row[SHOWN].tolist()}
    if position + 1 < seq_len:
        token = int(ids[0, position + 1])
        step |= {"logprob": float(row[token]), "rank": int((row > row[token]).sum()) + 1}
    steps.append(step)
expected = {
    "text": TEXT, "ids": ids[0].tolist(), "logprob_ids": SHOWN, "after_each": steps,
    "windowed": [
        {"window": window, "stride": stride, "windows": windows(window, stride)}
        for window, stride in [(512, 256), (64, 32), (50, 7), (33, 32)]
    ],
}
(HERE / "score.json").write_text(json.dumps(expected) + "\n")
print(seq_len, "tokens,", len(TEXT.encode()), "bytes")
