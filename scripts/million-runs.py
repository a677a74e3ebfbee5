#!/usr/bin/env python3
"""What `taper summarize` and `taper report` take of a sweep of very many runs.

    scripts/million-runs.py [--runs 1000000] [--taper target/release/taper] [--dir DIR]

Makes a few runs of the builtin model without their steps, and of those as many records as were asked for:
10 prompts, 10 settings, each text another. Then it measures both commands with /usr/bin/time. A million
records are 2 GB on the disk. Nothing but the numbers is left behind, unless --dir is given.
"""

import argparse
import json
import os
import random
import re
import subprocess
import tempfile
import time

SPEC = """
title = "Many runs"
runs = {seeds}
prompts = [{prompts}]
tables = ["summary"]

[base]
do_sample = true
max_new_tokens = 200

[grid]
temperature = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
"""
PROMPTS, SETTINGS, TEMPLATES = 10, 10, 20


def templates(taper, folder, runs):
    """A manifest of so many runs, and real records of a few of them."""
    spec = os.path.join(folder, "spec.toml")
    names = ", ".join(f'"The old lighthouse, {i}:"' for i in range(PROMPTS))
    with open(spec, "w") as file:
        file.write(SPEC.format(seeds=runs // (PROMPTS * SETTINGS), prompts=names))
    part = os.path.join(folder, "part")
    shard = f"1/{max(1, runs // TEMPLATES)}"
    command = [taper, "sweep", spec, "--out", part, "--no-steps", "--yes", "--shard", shard]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(os.path.join(part, "manifest.json")) as file:
        manifest = json.load(file)
    manifest.pop("shard", None)
    with open(os.path.join(part, "records.jsonl")) as file:
        return manifest, [json.loads(line) for line in file]


def write(folder, manifest, records, rng):
    """All runs of the manifest: texts are shuffled words of the real ones."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "manifest.json"), "w") as file:
        json.dump(manifest, file)
    settings, seeds = manifest["settings"], manifest["seeds"]
    with open(os.path.join(folder, "records.jsonl"), "w", buffering=1 << 20) as file:
        for prompt in range(PROMPTS):
            for setting in range(SETTINGS):
                for seed, value in enumerate(seeds):
                    record = rng.choice(records)
                    words = record["text"].split()
                    rng.shuffle(words)
                    tokens = record["tokens"][:]
                    rng.shuffle(tokens)
                    record.update(
                        id={"prompt": prompt, "setting": setting, "seed": seed},
                        label=settings[setting]["label"],
                        knobs=settings[setting]["knobs"],
                        prompt=manifest["prompts"][prompt]["name"],
                        seed=value,
                        tokens=tokens,
                        text=" ".join(words),
                    )
                    file.write(json.dumps(record) + "\n")


def measure(command):
    """Seconds, and the most memory in MB."""
    began = time.time()
    ran = subprocess.run(
        ["/usr/bin/time", "-v", *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if ran.returncode != 0:
        raise SystemExit(ran.stderr)
    peak = re.search(r"Maximum resident set size \(kbytes\): (\d+)", ran.stderr)
    return time.time() - began, int(peak.group(1)) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--taper", default="target/release/taper")
    parser.add_argument("--dir")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.dir) as work:
        manifest, records = templates(args.taper, work, args.runs)
        folder = os.path.join(args.dir or work, "runs")
        write(folder, manifest, records, random.Random(1))
        size = os.path.getsize(os.path.join(folder, "records.jsonl")) / 1e6
        print(f"{manifest['runs']} runs, {size:.0f} MB of records")
        for name in ("summarize", "report"):
            seconds, peak = measure([args.taper, name, folder])
            print(f"{name}: {seconds:.0f} s, peak {peak:.0f} MB")
        page = os.path.getsize(os.path.join(folder, "report.html")) / 1e6
        print(f"the page: {page:.0f} MB")


if __name__ == "__main__":
    main()
