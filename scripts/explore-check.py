#!/usr/bin/env python3
"""The checks of explore-check.sh: plays with the page as a person does."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from playwright.sync_api import sync_playwright

TAPER, OUT = sys.argv[1], pathlib.Path(sys.argv[2])
FLAGS = ["--no-sandbox", "--disable-gpu"]
HOSTILE = "<img src=x onerror=alert(1)>"


class Explorer:
    """A running `taper explore`."""

    def __init__(self, *args):
        self.process = subprocess.Popen([TAPER, "explore", "--port", "0", *args], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def end(self):
        self.process.terminate()
        self.process.wait()


class Page:
    """A page with all that it said and asked for."""

    def __init__(self, browser, url, width=1400, scheme="light"):
        self.errors, self.requests = [], []
        self.page = browser.new_page(viewport={"width": width, "height": 1000}, color_scheme=scheme)
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.errors.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.origin = url.rsplit("/", 2)[0]
        self.page.goto(url)
        self.wait_for_bars()

    def wait_for_bars(self):
        self.page.wait_for_selector("#tokens li", timeout=20_000)

    def ask(self, script):
        """Waits for the answer to what a script does."""
        before = self.page.get_attribute("html", "data-looked")
        script()
        self.wait(lambda: self.page.get_attribute("html", "data-looked") != before)

    def wait(self, test, seconds=20):
        """Playwright's own waiting evaluates texts, which the page's policy forbids."""
        end = time.monotonic() + seconds
        while not test():
            assert time.monotonic() < end, "it does not come"
            self.page.wait_for_timeout(20)

    def numbers(self):
        return self.page.eval_on_selector_all("#tokens .number", "all => all.map(one => one.innerText)")

    def picture(self, name):
        self.page.screenshot(path=OUT / f"{name}.png")

    def end(self, errors=()):
        left = [error for error in self.errors if not any(known in error for known in errors)]
        assert left == [], left
        strangers = [url for url in self.requests if not url.startswith((self.origin, "data:"))]
        assert strangers == [], strangers
        self.page.close()


def check_bars(browser, url):
    """Bars are what `taper inspect` says of the same step."""
    shown = Page(browser, url)
    page = shown.page
    args = ["The old lighthouse", "--do-sample", "true", "--temperature", "0.8", "--top-k", "50", "--top-p", "0.9", "--seed", "7"]
    said = subprocess.run([TAPER, "inspect", *args, "--format", "json", "--top", "5"], capture_output=True, text=True, check=True)
    paths = json.loads(said.stdout)["steps"][0]["tokens"]
    final = sorted((path["places"][-1]["probability"] for path in paths if path["places"][-1]), reverse=True)
    first = [float(number.split()[0]) for number in shown.numbers()[:3]]
    assert all(abs(a - 100 * b) < 0.06 for a, b in zip(first, final)), (first, final[:3])
    # Each stage can be looked at, and switched off.
    page.click("#stages button:has-text('top_k 50')")
    assert page.get_attribute("#stages button:has-text('top_k 50')", "aria-pressed") == "true"
    shown.ask(lambda: page.click("#stages input[aria-label='top_k is on']"))
    assert "off" in page.inner_text("#stages")
    shown.ask(lambda: page.click("#stages input[aria-label='top_k is on']"))
    # A removed token says what removed it.
    page.click("#stages button >> nth=-1")
    assert "removed by top_p" in page.inner_text("#tokens")
    page.click("#redraw")
    shown.wait(lambda: page.inner_text("#drawn").startswith("1000 draws"))
    shown.picture("wide")
    shown.end()


def check_settings(browser, url):
    shown = Page(browser, url)
    page = shown.page
    kept = lambda: int(re.search(r"out of (\d+) tokens", page.inner_text("#summary"))[1])
    shown.ask(lambda: page.fill("#knob-top_k", "3"))
    assert kept() <= 3
    shown.ask(lambda: page.evaluate("(() => { const r = document.querySelector('#knob-temperature-range'); r.value = 2; r.dispatchEvent(new Event('input')); })()"))
    assert page.input_value("#knob-temperature") == "2"
    # Two pipelines side by side.
    shown.ask(lambda: page.click("#side-b"))
    shown.ask(lambda: page.fill("#knob-top_k", "20"))
    assert "B:" in page.inner_text("#summary") and "|" in page.inner_text("#tokens")
    shown.picture("two")
    # A value that cannot be is said, and the page stays.
    page.fill("#knob-top_p", "7")
    page.wait_for_selector("#problem:not([hidden])")
    assert "top_p" in page.inner_text("#problem")
    shown.ask(lambda: page.fill("#knob-top_p", "0.5"))
    assert page.is_hidden("#problem")
    shown.end(errors=["400 (Bad Request)"])


def check_tree(browser, url):
    shown = Page(browser, url)
    page = shown.page
    first = page.inner_text("#path")
    shown.ask(lambda: page.click("#tokens li > button >> nth=1"))
    shown.ask(lambda: page.keyboard.press("s"))
    page.fill("#next", " very slowly")
    shown.ask(lambda: page.click("#typed button"))
    assert page.inner_text("#path").endswith("very slowly")
    for _ in range(3):
        shown.ask(lambda: page.keyboard.press("b"))
    page.evaluate("document.activeElement.blur()")
    shown.ask(lambda: page.click("#tokens li > button >> nth=2"))
    assert page.locator("#tree li").count() >= 2, page.inner_html("#tree")
    page.click("#run")
    shown.wait(lambda: page.inner_text("#run") == "Run to the end", 60)
    assert len(page.inner_text("#path")) > len(first) + 20
    assert "Σ log p" in page.inner_text("#tree"), page.inner_text("#tree")
    # The link restores the text and the settings, and has not the token of the address.
    link = page.evaluate("location.hash")
    secret = url.rstrip("/").rsplit("/", 1)[1]
    assert secret not in link
    text = page.inner_text("#path")
    other = Page(browser, url + link)
    assert other.page.inner_text("#path") == text
    other.end()
    for name in ["command", "spec", "JSON", "Rust"]:
        page.click(f"#share button:has-text('Copy {name}')")
        copied = page.input_value("#shared")
        assert copied and secret not in copied, (name, copied)
        if name == "spec":
            (OUT / "copied.toml").write_text(copied)
            subprocess.run([TAPER, "sweep", OUT / "copied.toml", "--print"], check=True, capture_output=True)
    page.click("#keep >> text=Keep this")
    assert page.inner_text("#keep [role=status]") == "1 kept"
    page.click("#keep >> text=Make a report")
    shown.wait(lambda: "reported in" in page.inner_text("#keep [role=status]"), 60)
    assert pathlib.Path(page.inner_text("#keep [role=status]").split(" reported in ")[1]).stat().st_size > 10_000
    shown.end(errors=["clipboard"])


def check_lessons(browser, url):
    shown = Page(browser, url)
    page = shown.page
    titles = page.eval_on_selector_all("#lessons button", "all => all.map(one => one.innerText)")
    assert len(titles) == 5, titles
    for i, title in enumerate(titles):
        page.click(f"#lessons button >> nth={i}")
        page.wait_for_selector("#lesson:not([hidden])")
        shown.wait(lambda: page.inner_text("#lesson h2") in title)
        page.wait_for_timeout(300)
        assert page.is_hidden("#problem"), page.inner_text("#problem")
        assert "Try:" in page.inner_text("#lesson") and "See:" in page.inner_text("#lesson")
    page.click("#beams-run")
    page.wait_for_selector("#beams dt", timeout=60_000)
    assert "beams" in page.inner_text("#beams")
    shown.picture("lesson")
    shown.end()


def check_hostile(browser, url):
    shown = Page(browser, url)
    page = shown.page
    page.fill("#next", HOSTILE)
    shown.ask(lambda: page.click("#typed button"))
    assert HOSTILE in page.inner_text("#path")
    assert page.evaluate("document.querySelectorAll('img, iframe, object').length") == 0
    shown.end()


def check_narrow(browser, url):
    for scheme in ["light", "dark"]:
        shown = Page(browser, url, width=390, scheme=scheme)
        width = shown.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, width
        shown.picture(f"narrow-{scheme}")
        shown.end()
    shown = Page(browser, url, scheme="dark")
    shown.picture("dark")
    # Keys move between tokens.
    shown.page.focus("#tokens li > button >> nth=0")
    shown.page.keyboard.press("ArrowDown")
    second = "document.activeElement === document.querySelectorAll('#tokens li > button')[1]"
    assert shown.page.evaluate(second)
    unnamed = "[...document.querySelectorAll('button, input, select, textarea')].filter(e => !(e.innerText || e.labels?.length || e.getAttribute('aria-label'))).length"
    assert shown.page.evaluate(unnamed) == 0
    shown.end()


def check_two_tabs(browser, url):
    one, two = Page(browser, url), Page(browser, url)
    one.ask(lambda: one.page.fill("#knob-top_k", "2"))
    two.ask(lambda: two.page.click("#tokens li > button >> nth=0"))
    assert "of 2" in one.page.inner_text("#summary") or "out of" in one.page.inner_text("#summary")
    one.end()
    two.end()


def latency(browser, url):
    """Milliseconds from a move of a slider to the bars, the median of many."""
    shown = Page(browser, url)
    took = shown.page.evaluate("""async () => {
        const all = [];
        for (let i = 0; i < 25; i++) {
            const began = performance.now();
            const body = { place: { tokens: [0, 280, 1529, 1410], prompt: 4, knobs: { do_sample: true, temperature: 0.5 + i / 50, top_k: 0, top_p: 0.9 } } };
            const answer = await fetch("api/look", { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
            await answer.json();
            all.push(performance.now() - began);
        }
        return all.sort((a, b) => a - b)[12];
    }""")
    shown.end()
    return took


def main():
    args = ["The old lighthouse", "--do-sample", "true", "--temperature", "0.8", "--top-k", "50", "--top-p", "0.9", "--seed", "7"]
    shutil.rmtree(OUT / "kept", ignore_errors=True)
    args += ["--keep", str(OUT / "kept")]
    explorer = Explorer(*args)
    try:
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=os.environ.get("CHROMIUM") or None, args=FLAGS)
            for check in [check_bars, check_settings, check_tree, check_lessons, check_hostile, check_narrow, check_two_tabs]:
                check(browser, explorer.url)
                print(f"explore-check: {check.__name__} ok", flush=True)
            print(f"explore-check: a question takes {latency(browser, explorer.url):.1f} ms (builtin model, median of 25)")
            browser.close()
    finally:
        explorer.end()
    print(f"explore-check: all good, pictures in {OUT}")


main()
