#!/usr/bin/env python3
"""Writes an output folder as `taper sweep` does, with made-up numbers: DIR RUNS.

For the checks of `taper report`: as many runs as wanted in no time, beams among them, and texts that
try to be markup. The same folder for the same arguments.
"""
import json
import math
import pathlib
import random
import sys

WORDS = (
    " the| old| lighthouse| stood| on| a| rock| and| waited| for| night| while| wind| came| over"
    "| sea| with| its| salt| lamp| keeper| slept| dreamt| of| ships|,|.| that| never| were| there"
).split("|")
HOSTILE = [
    "<script>alert(1)</script>", "</script><img src=x onerror=alert(2)>", "<!--<script>", "\u2028\u2029",
    '"&quot;&lt;', "{{ 7 * 7 }}", "`${alert(3)}`", "\u202egnp", "https://example.org/x.png",
]
VOCABULARY = 2012
STAGES = ["temperature", "top_k", "top_p"]
VERSIONS = {"taper": "0.1.0", "platform": "linux x86_64"}
MODEL = {"name": "made-up", "digest": "00" * 32}


def step(draw, temperature, control, top):
    """A token, with numbers that could be."""
    sharp = draw.random() ** 2 * 6 / temperature
    ids = draw.sample(range(len(WORDS)), 5)
    weights = [math.exp(-i * sharp) for i in range(5)]
    shares = [weight / sum(weights) * 0.95 for weight in weights]
    kept = 1 if control else max(1, min(50, round(50 * math.exp(-sharp))))
    pick = 0 if control else draw.choices(range(min(5, kept)), shares[: min(5, kept)])[0]
    stages = [] if control else [
        {"stage": "temperature", "before": VOCABULARY, "after": VOCABULARY, "removed_mass": 0.0, "ties": 0},
        {"stage": "top_k", "before": VOCABULARY, "after": 50, "removed_mass": draw.random() * 0.02, "ties": 0},
        {"stage": "top_p", "before": 50, "after": kept, "removed_mass": draw.random() * 0.1,
         "ties": 2 if draw.random() < 0.05 else 0},
    ]
    best = []
    for rank, token in enumerate(ids[:top]):
        one = {"token": token, "text": WORDS[token], "logprob": math.log(shares[rank])}
        if rank >= kept:
            one["removed_by"] = "top_p"
        best.append(one)
    entropy = -sum(share * math.log(share) for share in shares)
    return {
        "token": ids[pick], "text": WORDS[ids[pick]], "logprob": math.log(shares[pick]),
        "probability": shares[pick] / sum(shares[:kept]), "rank": pick + 1, "kept": kept, "entropy": entropy,
        "top": best, "stages": stages,
    }


def tree(draw):
    """The candidates of two beams over six steps."""
    nodes, beams = [], [None, None]
    for length in range(1, 7):
        kept = []
        for beam in beams[: 1 if length == 1 else 2]:
            for i in range(3):
                token = draw.randrange(len(WORDS))
                fate = "kept" if len(kept) < 2 and i < 2 else "outranked"
                node = {"parent": beam, "length": length, "token": token, "text": WORDS[token],
                        "sum": -length * (1 + draw.random()), "fate": fate}
                if length == 6 and fate == "kept":
                    node |= {"fate": "finished", "score": node["sum"] / 6, "finish_reason": "eos"}
                elif length == 4 and i == 2:
                    node |= {"fate": "displaced", "score": node["sum"] / 4, "finish_reason": "eos"}
                elif fate == "kept":
                    kept.append(len(nodes))
                nodes.append(node)
        beams = kept
    return nodes


def record(draw, prompts, settings, seeds, at, length):
    """A line of records.jsonl."""
    prompt, setting, seed = at
    made = settings[setting]
    beams = "num_beams" in made["knobs"]
    temperature = made["knobs"].get("temperature", 1.0)
    steps = [step(draw, temperature, made["control"] or beams, 5) for _ in range(length)]
    if prompt == 1:
        for i, text in enumerate(HOSTILE):
            steps[3 + 2 * i % (length - 3)] |= {"token": 1000 + i, "text": text}
    text = "".join(one["text"] for one in steps)
    made_of = {
        "id": {"prompt": prompt, "setting": setting, "seed": seed}, "label": made["label"],
        "knobs": made["knobs"], "control": made["control"], "prompt": prompts[prompt]["name"],
        "prompt_tokens": prompts[prompt]["tokens"], "seed": seeds[seed], "model": MODEL, "versions": VERSIONS,
        "config": made["knobs"] | {"do_sample": not made["control"], "max_new_tokens": length, "seed": seeds[seed]},
        "tokens": [one["token"] for one in steps], "text": text, "finish_reason": "length", "score": None,
        "steps": steps,
        "timing": {"load_s": None, "prefill_s": 0.01, "decode_s": 0.1, "sampler_s": 0.01, "tokens_per_s": 300.0},
    }
    if beams:
        made_of["tree"], made_of["score"] = tree(draw), -1.5
    return made_of


def main(folder, runs):
    draw = random.Random(7)
    prompts = [
        {"name": "lighthouse", "text": "The old lighthouse", "tokens": [1, 2, 3]},
        {"name": "<b>hostile</b> & \"co\"", "text": "Say <script>alert(0)</script>:", "tokens": [4, 5]},
        {"name": "capital", "text": "The capital of France is", "tokens": [6, 7, 8, 9]},
    ]
    settings = [{"label": "greedy", "knobs": {}, "control": True}]
    for temperature in (0.2, 0.7, 1.0, 1.3, 1.8):
        for top_p in (0.5, 0.9):
            knobs = {"temperature": temperature, "top_p": top_p}
            settings.append({"label": f"temperature={temperature} top_p={top_p}", "knobs": knobs, "control": False})
    settings.append({"label": "num_beams=2", "knobs": {"num_beams": 2}, "control": False})
    wanted = max(1, -(-(runs - 2 * len(prompts)) // (len(prompts) * (len(settings) - 2))))
    seeds = [2**63 + i for i in range(wanted)]
    ids = [(p, s, n) for p in range(len(prompts)) for s in range(len(settings))
           for n in range(1 if settings[s]["control"] or s == len(settings) - 1 else wanted)][:runs]
    manifest = {
        "digest": "ab" * 32, "versions": VERSIONS, "model": MODEL, "title": "Made up <i>to check</i> the page",
        "about": "Numbers that nobody measured.\n\nA second paragraph with <script>alert(9)</script>.",
        "spec": {}, "prompts": prompts, "settings": settings, "swept": ["temperature", "top_p"], "seeds": seeds,
        "runs": len(ids),
    }
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with open(folder / "records.jsonl", "w", encoding="utf-8") as lines:
        for at in ids:
            lines.write(json.dumps(record(draw, prompts, settings, seeds, at, 64), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
