#!/bin/sh
# Opens a report in headless Chromium and checks that it shows no error, asks the network for nothing,
# shows hostile text as text, works by keyboard, fits a narrow screen, and opens quickly with 1000 runs.
# Screenshots go to OUT. Usage: scripts/report-check.sh [OUT], after `cargo build -p taper-runner`;
# TAPER names another program, CHROMIUM another browser.
#
# Playwright is installed beside the screenshots. Where its own browser can not be had, one from the
# path or from npm's @sparticuz/chromium is taken; where there is none at all the check is skipped.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-"$here/../target/report-check"}
taper=${TAPER:-"$here/../target/debug/taper"}
mkdir -p "$out"
out=$(cd "$out" && pwd)

skip() {
    echo "report-check: skipped: $1" >&2
    exit 0
}

for runs in 1 40 1000; do
    python3 "$here/report-runs.py" "$out/runs-$runs" "$runs"
    "$taper" report "$out/runs-$runs" --out "$out/report-$runs.html"
done

[ -x "$out/venv/bin/python" ] || python3 -m venv "$out/venv" || skip "python has no venv"
"$out/venv/bin/python" -c 'import playwright' 2>/dev/null ||
    "$out/venv/bin/pip" install --quiet playwright || skip "playwright can not be installed"

if [ -z "${CHROMIUM:-}" ]; then
    for name in chromium chromium-browser google-chrome; do
        CHROMIUM=$(command -v "$name") && break
    done || true
fi
if [ -z "${CHROMIUM:-}" ] &&
    ! timeout 120 "$out/venv/bin/playwright" install --only-shell chromium >"$out/install.log" 2>&1; then
    command -v npm >/dev/null || skip "no browser: playwright's can not be had, and there is no npm"
    (cd "$out" && npm install --silent --no-audit --no-fund @sparticuz/chromium >>install.log 2>&1) ||
        skip "no browser: neither playwright's nor npm's can be had"
    CHROMIUM=$(cd "$out" && node --input-type=module \
        -e "import c from '@sparticuz/chromium'; console.log(await c.executablePath())") ||
        skip "no browser: npm's does not unpack"
fi
CHROMIUM="${CHROMIUM:-}" "$out/venv/bin/python" "$here/report-check.py" "$out"
