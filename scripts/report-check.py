#!/usr/bin/env python3
"""The checks of report-check.sh, on the pages that it made."""
import itertools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time
from statistics import mean

from playwright.sync_api import Error, sync_playwright

OUT = pathlib.Path(sys.argv[1]).resolve()
# For a container, which has neither a sandbox of its own nor a GPU.
FLAGS = ["--no-sandbox", "--disable-gpu"]
HOSTILE = "<script>alert(1)</script>"


def launch(play):
    path = os.environ.get("CHROMIUM")
    return play.chromium.launch(executable_path=path or None, args=FLAGS)


class Page:
    """A page with all that it said and asked for."""

    def __init__(self, browser, runs, width=1280, scheme="light"):
        self.errors, self.requests = [], []
        size = {"width": width, "height": 900}
        self.page = browser.new_page(viewport=size, color_scheme=scheme)
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.errors.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.url = (OUT / f"report-{runs}.html").as_uri()
        began = time.monotonic()
        self.page.goto(self.url)
        self.page.wait_for_selector("html[data-ready=yes]", timeout=20_000)
        self.seconds = time.monotonic() - began

    def end(self):
        assert self.errors == [], self.errors
        assert self.requests == [self.url], self.requests
        self.page.close()

    def value(self, script):
        return self.page.evaluate(script)

    def choose(self, place, index, value):
        self.page.select_option(f"{place} select >> nth={index}", value)


def picture(of, path, **options):
    """A screenshot; a busy machine does not always give one the first time."""
    for left in (2, 1, 0):
        try:
            of.screenshot(path=OUT / path, **options)
            return
        except Error:
            if left == 0:
                raise


def check_text(browser):
    """What looks like markup is text, everywhere."""
    shown = Page(browser, 40)
    page = shown.page
    shown.choose("#run-picker", 1, "1")
    assert HOSTILE in page.inner_text("#run-view"), "the text of the run shows its markup"
    assert HOSTILE in page.inner_text("#matrix"), "so does the matrix"
    assert "<script>alert(9)</script>" in page.inner_text("#about")
    assert page.inner_text("h1") == "Made up <i>to check</i> the page"
    assert shown.value("document.querySelectorAll('img, iframe, object, link, base').length") == 0
    assert shown.value("[...document.scripts].filter(s => s.type !== 'application/json').length") == 1
    # The policy stops what would slip through: a script of the page's own making does not run.
    shown.value("(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s); })()")
    assert shown.value("window.ran") is None
    stopped = [error for error in shown.errors if "Content Security Policy" in error]
    assert stopped, "the policy says what it stopped"
    shown.errors = [error for error in shown.errors if error not in stopped]
    shown.end()


def check_keyboard(browser):
    """From the first key to the tokens of a text, without a mouse."""
    shown = Page(browser, 40)
    page = shown.page
    page.keyboard.press("Tab")
    assert shown.value("document.activeElement.className") == "skip"
    drawn = "document.activeElement.matches('tr:not(.control) .output')"
    for _ in range(60):
        page.keyboard.press("Tab")
        if shown.value(drawn):
            break
    assert shown.value(drawn), "texts can be reached"
    page.keyboard.press("Enter")
    assert shown.value("document.activeElement.id") == "run-title", "a text leads to its run"
    # The lists, and the buttons that copy the run.
    for _ in range(12):
        page.keyboard.press("Tab")
        if shown.value("document.activeElement.getAttribute('role')") == "option":
            break
    token = "document.querySelector('#run-view [aria-selected=true]')"
    at = f"[...{token}.parentElement.children].indexOf({token})"
    title = "document.querySelector('#run-view .panel h3').textContent"
    for key, index in [("ArrowRight", 1), ("ArrowRight", 2), ("End", 63), ("Home", 0), ("PageDown", 10), ("ArrowLeft", 9)]:
        page.keyboard.press(key)
        assert shown.value(at) == index, key
        assert shown.value(f"document.activeElement === {token}"), key
        assert shown.value(title).startswith(f"Token {index + 1} of 64: "), key
    panel = page.inner_text("#run-view .panel")
    assert "rank" in panel and "top_p" in panel and "model" in panel
    page.hover("#run-view .token >> nth=4")
    assert shown.value(title).startswith("Token 5 of 64"), "pointing shows"
    shown.end()


def check_readers(browser):
    """What a screen reader goes by."""
    shown = Page(browser, 40)
    levels = shown.value("[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:])), levels
    assert shown.value("[...document.querySelectorAll('th')].every(th => th.scope)")
    named = "[...document.querySelectorAll('svg')].every(s => s.getAttribute('aria-label') || s.getAttribute('aria-hidden'))"
    assert shown.value(named)
    assert shown.value("[...document.querySelectorAll('select, input')].every(e => e.labels.length > 0)")
    ids = shown.value("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    shown.end()


def check_looks(browser):
    """Pictures to look at; nothing wider than the screen."""
    for width, scheme in [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]:
        shown = Page(browser, 40, width, scheme)
        assert shown.value("document.documentElement.scrollWidth") <= width, f"{width} is too narrow"
        picture(shown.page, f"page-{width}-{scheme}.png", full_page=True)
        shown.choose("#run-picker", 0, "11")
        picture(shown.page.locator("#run"), f"beams-{width}-{scheme}.png")
        shown.end()
    shown = Page(browser, 40)
    shown.page.emulate_media(media="print")
    picture(shown.page, "print.png", full_page=True)
    shown.end()


def check_speed(browser):
    """1000 runs: the best of three, for the machine has other things to do."""
    times = []
    for _ in range(3):
        shown = Page(browser, 1000)
        times.append(shown.seconds)
        shown.end()
    print(f"1000 runs are open after {min(times):.2f} s (best of {', '.join(f'{t:.2f}' for t in times)})")
    assert min(times) < 1.0, times


def check_one_run(browser):
    """An experiment of one run has a page too."""
    shown = Page(browser, 1)
    assert shown.page.locator("#run-view .token").count() == 64
    assert "They have all tokens in common." in shown.page.inner_text("#compare")
    shown.end()


def records():
    lines = (OUT / "runs-sweep" / "records.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def check_faults(browser):
    """What was wrong with pages before, each of its kind."""
    shown = Page(browser, "sweep")
    page = shown.page
    picture(page, "report.png")
    assert shown.value("document.querySelector('header').getBoundingClientRect().top") < 20, "nothing above the page"
    kept = page.locator("#plot-list figure", has_text="Tokens to choose from")
    marks = [float(text) for text in kept.locator("svg text").all_text_contents()[:3] if text.replace(".", "").isdigit()]
    most = max(mean(step["kept"] for step in run["steps"]) for run in records() if not run["control"])
    assert max(marks) < 10 * most, f"greedy's {marks} sets no scale for {most}"
    assert "The greedy control has 2012" in kept.inner_text()
    titles = page.locator("figcaption").all_inner_texts()
    assert all("_" not in title.splitlines()[0] for title in titles), titles
    results = page.locator("#settings").bounding_box()["y"]
    digest = page.locator("#origin").evaluate("e => e.closest('details').getBoundingClientRect().top")
    assert digest > results and "digest" not in page.inner_text("#facts"), "digests stand below the results"
    assert page.locator("#summary tbody th").first.bounding_box()["width"] < 240
    assert "left" not in page.inner_text("#run-view .panel").split(), "a token that was kept is called so"
    shown.choose("#run-picker", 0, "0")
    assert "There are no stages" in page.inner_text("#run-view .panel")
    marked = shown.value("[...document.querySelectorAll('#matrix .output')].map(o => [...o.querySelectorAll('ins')].reduce((n, i) => n + i.textContent.length, 0) / o.textContent.length)")
    assert max(marked) <= 0.6, f"{max(marked)} of a text is marked"
    shown.end()


def words(text):
    return {word for word in (re.sub(r"^[^\w]+|[^\w]+$", "", word) for word in text.lower().split()) if word}


def check_pictures(browser):
    """What is drawn is what the records say."""
    shown = Page(browser, "sweep")
    page, runs = shown.page, records()
    rows = shown.value("[...document.querySelectorAll('#plot-unique tbody tr')].map(r => [...r.cells].map(c => c.textContent))")
    for value, _, share in rows:
        of = [run for run in runs if not run["control"] and run["knobs"]["top_p"] == float(value)]
        prompts = {run["id"]["prompt"] for run in of}
        groups = [[run["text"] for run in of if run["id"]["prompt"] == prompt] for prompt in prompts]
        want = mean(len(set(group)) / len(group) for group in groups)
        assert abs(float(share) - want) < 1e-3, (value, share, want)
    assert len(rows) == 7
    page.evaluate("document.querySelector('#similarity details').open = true")
    cells = shown.value("[...document.querySelectorAll('#jaccard-matrix tbody tr')].map(r => [...r.cells].slice(1).map(c => c.textContent))")
    assert all(cells[i][j] == cells[j][i] for i in range(8) for j in range(8)), "the matrix is symmetric"
    a, b = ([words(run["text"]) for run in runs if run["id"]["setting"] == s and run["id"]["prompt"] == 0] for s in (5, 7))
    c, d = ([words(run["text"]) for run in runs if run["id"]["setting"] == s and run["id"]["prompt"] == 1] for s in (5, 7))
    want = mean([len(x & y) / len(x | y) for x, y in [*itertools.product(a, b), *itertools.product(c, d)]])
    assert abs(float(cells[5][7]) - want) < 0.02, (cells[5][7], want)

    run = next(run for run in runs if run["id"]["setting"] == 7 and run["id"]["prompt"] == 1 and len(run["steps"]) > 9)
    page.goto(f"{shown.url}#run=2.8.{run['id']['seed'] + 1}&step=5")
    page.reload()
    page.wait_for_selector("html[data-ready=yes]")
    assert page.locator("#run-view .panel h3").inner_text().startswith("Token 5 of "), "a link leads to its step"
    table = shown.value("[...document.querySelectorAll('#run-view .panel table')][0].innerText")
    for best in run["steps"][4]["top"][:3]:
        assert f"{100 * best['probability']:.1f} %" in table or best["probability"] < 5e-4, (best, table)
    along = shown.value("[...document.querySelectorAll('#along .column title')].map(t => t.textContent)")
    assert len(along) == len(run["steps"])
    entropy = abs(float(f"{run['steps'][4]['drawn']['entropy']:.4g}"))
    assert f"{entropy:g}" in along[4], (entropy, along[4])
    forks = sum(any(t["token"] != s["token"] and t["probability"] >= 0.15 for t in s["top"] + s["drawn"]["top"]) for s in run["steps"])
    assert page.locator("#forks .forks > li").count() == forks
    page.click("#run-share >> text=Command line")
    command = page.inner_text("#run-share pre")
    made = subprocess.run(shlex.split(command.replace("taper ", f"{os.environ['TAPER']} ", 1)) + ["--format", "json"], capture_output=True, text=True)
    assert json.loads(made.stdout)["sequences"][0]["text"] == run["text"], command
    page.click("#run-share >> text=Spec")
    (OUT / "spec.toml").write_text(page.inner_text("#run-share pre"))
    shutil.rmtree(OUT / "runs-spec", ignore_errors=True)
    subprocess.run([os.environ["TAPER"], "sweep", OUT / "spec.toml", "--out", OUT / "runs-spec"], check=True, capture_output=True)
    again = json.loads((OUT / "runs-spec" / "records.jsonl").read_text().splitlines()[0])
    assert again["text"] == run["text"], "the spec makes the run again"
    with page.expect_download() as saved:
        page.click("#summary-csv button")
    lines = pathlib.Path(saved.value.path()).read_text().splitlines()
    assert len(lines) == 9 and lines[0].startswith("setting,runs,"), lines[0]
    assert "7 settings" in page.inner_text("#lead") or "8 settings" in page.inner_text("#lead")
    shown.requests = shown.requests[:1]
    shown.end()


CHECKS = [check_faults, check_pictures, check_text, check_keyboard, check_readers, check_looks, check_one_run, check_speed]

with sync_playwright() as play:
    browser = launch(play)
    for check in CHECKS:
        check(browser)
        print(f"ok: {check.__name__}")
