#!/usr/bin/env python3
"""Picks representative exchanges with real engines: pick.py FOLDER, which has one folder of
NAME.json for each engine ({request: {method, path, body}, response: {status, body | body_lines}}).

They were recorded on 2026-11-30 on two CPU cores from llama.cpp (wheel xllamacpp 2026.10.11549),
vLLM 0.32.0, SGLang 0.5.23, Modular MAX 26.7.0 and `transformers serve` 5.23.0, each serving the
builtin model."""
import json
import pathlib
import sys

PICKS = {
    "llama.cpp": "get_v1_models get_props greedy32_ids stream_completion stop_in_stream native_n2 native_n2_stream "
    "eos_natural context_full v1_chat stream_v1_chat err_oov_token err_toolong",
    "vllm": "get_v1_models get_version greedy_ids stream field_return_as_ids field_stop field_stop_token_ids "
    "field_n_2 chat stream_chat err_badmodel maxlp_default_21",
    "sglang": "get_v1_models gen_ids gen_stream gen_stop gen_stop_ids gen_n_2 gen_prompt_logprob chat gen_unknown",
    "max": "get_v1_models get_version stream_ids lp_5_ stop_ret eos_ret chat chat_ret_ids err_oov_tok field_unknown",
    "transformers": "plain stream gc_sample gc_stopstr chat stream_chat gc_beams_stream err_badmodel field_unknown",
}
DROPPED = {"timings", "ui_settings", "chat_template", "permission", "ui"}


def slim(value):
    if isinstance(value, dict):
        return {key: slim(inner) for key, inner in value.items() if key not in DROPPED}
    if isinstance(value, list):
        return [slim(inner) for inner in value]
    return value


for engine, names in PICKS.items():
    lines = []
    for name in names.split():
        exchange = json.loads(pathlib.Path(sys.argv[1], engine, name + ".json").read_text())
        response = {key: slim(exchange["response"][key]) for key in ("status", "body", "body_lines") if key in exchange["response"]}
        lines.append(json.dumps({"name": name, "request": exchange["request"], "response": response}, ensure_ascii=False))
    pathlib.Path(engine + ".jsonl").write_text("\n".join(lines) + "\n")
