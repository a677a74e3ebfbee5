"""Serves the builtin model by llama.cpp's own server and compares: engines_check.py PROGRAM."""
import http.server
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

TAPER = sys.argv[1]
SERVE = """
import sys, time
import xllamacpp as x
p = x.CommonParams()
p.model.path, p.port, p.n_ctx, p.n_parallel = sys.argv[1], int(sys.argv[2]), 1024, int(sys.argv[3])
p.cpuparams.n_threads = 1
p.warmup, p.endpoint_props, p.endpoint_slots = False, True, True
s = x.Server(p)
while True:
    time.sleep(3600)
"""
failed = 0


def check(what, right, seen=""):
    global failed
    print(("ok      " if right else "FAILED  ") + what + ("" if right else f": {seen}"), flush=True)
    failed += not right


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def serve(model, slots):
    port = free_port()
    child = subprocess.Popen([sys.executable, "-c", SERVE, model, str(port), str(slots)],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            get(url + "/health")
            return child, url
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server does not come up")


def taper(*args):
    return subprocess.run([TAPER, *map(str, args)], capture_output=True, text=True, timeout=120)


def generate(*args):
    ran = taper("generate", *args, "--format", "json")
    if ran.returncode:
        return {"error": ran.stderr, "code": ran.returncode, "sequences": [{"text": None, "tokens": None}]}
    return json.loads(ran.stdout)


def greedy(there):
    prompts = ["The old lighthouse", "The capital of France is", "a random tree:", "One stormy morning",
               "Then the wizard", "A young hare is called", "Every morning", "On the first day of spring, a merry rooster"]
    count, different = 0, []
    for prompt in prompts:
        ours = generate(prompt, "--max-new-tokens", 60)["sequences"][0]["tokens"]
        theirs = generate(prompt, *there, "--max-new-tokens", 60)["sequences"][0]["tokens"]
        count += len(ours)
        different += [prompt] if ours != theirs else []
    check(f"greedy ids, {count} tokens", count >= 200 and not different, different)


def pipelines(url, there):
    """Our stages on the engine's rows, against the engine's own stages."""
    ids = [0, 280, 1529, 1410, 468, 894, 468]
    knobs = [{}, {"top_k": 12}, {"top_p": 0.7}, {"min_p": 0.1}, {"typ_p": 0.8}, {"top_n_sigma": 1.5},
             {"top_k": 30, "top_p": 0.9, "min_p": 0.02}, {"frequency_penalty": 0.7, "presence_penalty": 0.3},
             {"dynatemp_range": 0.4, "dynatemp_exponent": 1.5}, {"dry_multiplier": 0.8, "dry_allowed_length": 1}]
    off = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "typ_p": 1.0, "top_n_sigma": -1.0}
    worst, cases, odd = 0.0, 0, []
    for knob, temperature in itertools.product(knobs, [0.6, 0.8, 1.0, 1.4]):
        mine = {**off, "temperature": temperature, **knob}
        flags = [x for k, v in mine.items() for x in ("--" + ("typical-p" if k == "typ_p" else k.replace("_", "-")), v)]
        ran = taper("inspect", "--prompt-ids", ",".join(map(str, ids)), *there, "--semantics", "llama.cpp", *flags,
                    "--top", 5000, "--format", "json", "--seed", 1)
        if ran.returncode:
            odd.append((mine, ran.stderr))
            continue
        step = json.loads(ran.stdout)["steps"][0]
        ours = {t["token"]: t["places"][-1]["probability"] for t in step["tokens"] if t["places"][-1]}
        body = {("typical_p" if k == "typ_p" else k): v for k, v in mine.items()}
        answer = post(url + "/completion", {"prompt": ids, "n_predict": 1, "n_probs": 2012, "cache_prompt": False,
                                            "post_sampling_probs": True, "seed": 1, **body})
        top = answer["completion_probabilities"][0]["top_probs"]
        theirs = {one["id"]: one["prob"] for one in top if one["prob"] > 0}
        cases += 1
        difference = max(abs(ours.get(t, 0) - theirs.get(t, 0)) for t in ours.keys() | theirs.keys())
        worst = max(worst, difference)
        if difference > 1e-5:
            odd.append((mine, difference))
    check(f"our stages on its rows, {cases} settings, largest difference {worst:.1e}", cases == 40 and not odd, odd[:3])


def settings(there, two):
    draw = ("--semantics", "llama.cpp", "--temperature", 1.2, "--max-new-tokens", 24)
    text = lambda *args: generate("The old lighthouse", *args)["sequences"][0]["text"]
    one, again = text(*there, *draw, "--seed", 7), text(*there, *draw, "--seed", 7)
    check("the same seed, the same text", one == again and one, (one, again))
    check("another seed, another text", text(*there, *draw, "--seed", 8) != one)
    big = generate("The old lighthouse", *there, *draw, "--seed", 2**40)
    check("a seed beyond 32 bits is mapped", 0 < big["engine"]["seed"] < 2**32 - 1, big)
    several = generate("The old lighthouse", *two, *draw, "--seed", 7, "--num-return-sequences", 2)["sequences"]
    check("two sequences", len(several) == 2 and several[0]["text"] != several[1]["text"], several)
    ran = generate("The old lighthouse", *two, *draw, "--num-return-sequences", 9)
    check("more sequences than slots: 4xx is one line and exit 1", ran.get("code") == 1 and "HTTP 400" in ran["error"], ran)
    stopped = generate("The old lighthouse", *there, "--stop-strings", " year")["sequences"][0]
    check("stop string", stopped["text"].endswith(" since the") and stopped["finish_reason"] == "stop_string", stopped)
    with tempfile.NamedTemporaryFile("w", suffix=".gbnf") as grammar:
        grammar.write('root ::= "é漢🗼" [0-9]+ "."')
        grammar.flush()
        held = generate("The old lighthouse", *there, "--grammar", grammar.name, "--max-new-tokens", 60)["sequences"][0]
    check("grammar, and characters cut across tokens", bool(re.fullmatch(r"é漢🗼[0-9]+\.?", held["text"] or "")), held)
    with tempfile.NamedTemporaryFile("w", suffix=".gbnf") as grammar:
        grammar.write("root ::= (")
        grammar.flush()
        ran = generate("The", *there, "--grammar", grammar.name)
    check("a wrong grammar: exit 1", ran.get("code") == 1 and "grammar" in ran["error"], ran)
    streamed = taper("generate", "The old lighthouse", *there, "--max-new-tokens", 30).stdout
    whole = text(*there, "--max-new-tokens", 30)
    check("streamed as it comes, the same text", streamed == "The old lighthouse" + whole + "\n", (streamed, whole))


def cancel(url, there):
    # A draft of many tokens that takes a while, as the slot shows.
    child = subprocess.Popen([TAPER, "generate", "The old lighthouse", *there, "--semantics", "llama.cpp", "--temperature", "1.5",
                              "--top-k", "0", "--top-p", "1", "--min-p", "0", "--logit-bias", "1:-inf", "--max-new-tokens", "900",
                              "--format", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    busy = lambda: any(slot["is_processing"] for slot in get(url + "/slots"))
    while child.poll() is None and not busy():
        time.sleep(0.002)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=30)
    reason = json.loads(out)["sequences"][0]["finish_reason"] if out else None
    end = time.time() + 5
    while busy() and time.time() < end:
        time.sleep(0.05)
    check("Ctrl-C ends the run with 130 and what there is", child.returncode == 130 and reason == "cancelled", (child.returncode, reason))
    check("and frees the slot", not busy())


class Proxy(http.server.BaseHTTPRequestHandler):
    """Passes on, but fails for a while: 503, 429, broken connections."""
    protocol_version = "HTTP/1.0"
    to, fail, seen = "", 0, 0

    def log_message(self, *_):
        pass

    def pass_on(self, body):
        request = urllib.request.Request(Proxy.to + self.path, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.end_headers()
            self.wfile.write(answer.read())

    def do_GET(self):
        self.pass_on(None)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Proxy.seen += 1
        if self.path == "/completion" and Proxy.fail and Proxy.seen % 3:
            Proxy.fail -= 1
            if Proxy.seen % 3 == 1:
                return self.send_error(503)
            return self.connection.shutdown(socket.SHUT_RDWR)
        return self.pass_on(body)


def failures(url, tokenizer):
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    Proxy.to, Proxy.fail = url, 1
    through = f"http://127.0.0.1:{proxy.server_address[1]}"
    Proxy.seen = 0
    ran = taper("generate", "--prompt-ids", "0,280", "--engine", through, "--format", "json")
    check("5xx: one line and exit 1", ran.returncode == 1 and not ran.stdout and ran.stderr.count("\n") == 1 and "503" in ran.stderr, ran.stderr)
    with tempfile.TemporaryDirectory() as folder:
        spec = pathlib.Path(folder, "spec.toml")
        spec.write_text('title="x"\nprompts=["The old lighthouse","The capital of France is"]\nruns=6\n[base]\ndo_sample=true\n'
                        'max_new_tokens=8\n[grid]\ntemperature=[0.5,1.0]\n')
        ids, texts = [], []
        for out, at, fail in [("whole", url, 0), ("failing", through, 7)]:
            Proxy.fail = fail
            ran = taper("sweep", spec, "--out", pathlib.Path(folder, out), "--engine", at, *tokenizer, "--concurrency", 1)
            lines = pathlib.Path(folder, out, "records.jsonl").read_text().splitlines()
            records = [json.loads(line) for line in lines]
            ids.append([tuple(r["id"].values()) for r in records])
            texts.append([r["text"] for r in records])
            check(f"a sweep ({out})", ran.returncode == 0 and len(set(ids[-1])) == 24, ran.stderr)
        check("the same runs and texts through failures", ids[0] == ids[1] and texts[0] == texts[1])


def main():
    began = time.time()
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "builtin.gguf")
        ran = taper("export-gguf", "builtin", model, "--dtype", "f32")
        if ran.returncode:
            raise SystemExit(ran.stderr)
        servers = []
        try:
            servers = [serve(model, 1), serve(model, 2)]
            tokenizer = ("--tokenizer", "builtin")
            (_, url), (_, other) = servers
            there, two = ("--engine", url, *tokenizer), ("--engine", other, *tokenizer)
            greedy(there)
            pipelines(url, there)
            settings(there, two)
            cancel(url, there)
            failures(url, tokenizer)
        finally:
            for child, _ in servers:
                child.kill()
    print(f"{'FAILED' if failed else 'passed'} in {time.time() - began:.0f} s")
    sys.exit(failed > 0)


main()
