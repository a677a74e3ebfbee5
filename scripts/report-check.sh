#!/bin/sh
# Opens a report in headless Chromium and checks that it shows no error, asks the network for nothing,
# shows hostile text as text, works by keyboard, fits a narrow screen, and opens quickly with 1000 runs; and
# that what it draws of a sweep is what the records say.
# Screenshots go to OUT. Usage: scripts/report-check.sh [OUT], after `cargo build -p taper-runner`;
# TAPER names another program, CHROMIUM another browser.
#
# Playwright is installed in target/browser. Where its own browser cannot be had, one from the
# path or from npm's @sparticuz/chromium is taken; where there is none at all the check is skipped.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-"$here/../target/report-check"}
taper=${TAPER:-"$here/../target/debug/taper"}
mkdir -p "$out"
out=$(cd "$out" && pwd)

for runs in 1 40 1000; do
    python3 "$here/report-runs.py" "$out/runs-$runs" "$runs"
    "$taper" report "$out/runs-$runs" --out "$out/report-$runs.html"
done

[ -e "$out/runs-sweep/summary.csv" ] || "$taper" sweep top_p --out "$out/runs-sweep" >/dev/null 2>&1
"$taper" report "$out/runs-sweep" --out "$out/report-sweep.html"

. "$here/browser.sh"
browser="$here/../target/browser"
find_browser "$browser" report-check
TAPER="$taper" CHROMIUM="${CHROMIUM:-}" "$browser/venv/bin/python" "$here/report-check.py" "$out"
