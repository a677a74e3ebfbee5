"""Times Hugging Face's processors with one thread of torch on the rows of the benches.

    bench-table rows writes them; then: python huggingface.py FOLDER

Needs torch and transformers. A step is what `generate` does with a row of logits: the processors, a
softmax, a draw. Checks what is kept against a sort in double precision before it is timed.
"""

import pathlib
import sys

import numpy as np
import torch
import transformers
from timing import fastest, write
from transformers import generation as hf

torch.set_num_threads(1)
torch.manual_seed(7)


def settings():
    yield "greedy", None
    yield "top_k50", [hf.TopKLogitsWarper(50)]
    yield "top_k50_top_p09", [hf.TopKLogitsWarper(50), hf.TopPLogitsWarper(0.9)]
    yield "top_p09", [hf.TopPLogitsWarper(0.9)]
    yield "min_p005", [hf.MinPLogitsWarper(0.05)]
    yield "typical", [hf.TypicalLogitsWarper(0.9)]
    yield "hf_chat", [
        hf.RepetitionPenaltyLogitsProcessor(1.1),
        hf.NoRepeatNGramLogitsProcessor(3),
        hf.TemperatureLogitsWarper(0.7),
        hf.TopKLogitsWarper(50),
        hf.TopPLogitsWarper(0.9),
    ]


def check(group, row, scores):
    """Who is left: as many as a double-precision sort says, but for equals and roundings."""
    left = int((scores > -torch.inf).sum())
    p = np.sort(np.exp(row.astype(np.float64) - row.max()))[::-1]
    tied = int((row == np.sort(row)[-50]).sum())
    if group == "top_k50":
        assert 50 <= left <= 50 + tied, (group, left)
    elif group == "top_p09":
        ahead = np.cumsum(p / p.sum()) - p / p.sum()
        assert (ahead < 0.899).sum() <= left <= (ahead < 0.901).sum(), (group, left)
    elif group == "min_p005":
        assert (p >= 0.050001).sum() <= left <= (p >= 0.049999).sum(), (group, left)
    elif group in ("top_k50_top_p09", "hf_chat"):
        assert 1 <= left <= 50 + tied, (group, left)


def main(folder):
    times = {}
    # 512 tokens twice, as in the Rust benches; which ones they are matters little here.
    half = torch.randint(0, 32000, (1, 512))
    text = torch.cat([half, half], 1)
    for path in sorted(folder.glob("*_128k.f32")):
        row, name = np.fromfile(path, np.float32), path.stem.replace("_", "/")
        logits = torch.from_numpy(row)[None]
        for group, processors in settings():

            def processed():
                return hf.LogitsProcessorList(processors)(text, logits.clone())

            def step():
                if processors is None:
                    return int(torch.argmax(logits, dim=-1))
                probabilities = torch.softmax(processed(), dim=-1)
                return int(torch.multinomial(probabilities, num_samples=1))

            if processors is None:
                assert row[step()] == row.max()
            else:
                scores = processed()
                check(group, row, scores)
                assert all(scores[0, step()] > -torch.inf for _ in range(4)), group
            with torch.inference_mode():
                times[f"{group}/huggingface/{name}"] = fastest(step)
    version = (
        f"transformers {transformers.__version__} on torch {torch.__version__.split('+')[0]}, "
        "CPU, one thread."
    )
    write(folder / "huggingface.json", version, times)


main(pathlib.Path(sys.argv[1]))
