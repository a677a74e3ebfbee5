#!/bin/sh
# Plays with `taper explore` in headless Chromium: bars, sliders, branches, links, lessons, two tabs, hostile text, a narrow
# screen, keys. Screenshots go to OUT. Usage: scripts/explore-check.sh [OUT], after `cargo build -p taper-runner`; TAPER names
# another program, CHROMIUM another browser. Skipped where no browser can be had.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-"$here/../target/explore-check"}
taper=${TAPER:-"$here/../target/debug/taper"}
mkdir -p "$out"
out=$(cd "$out" && pwd)
. "$here/browser.sh"
browser="$here/../target/browser"
find_browser "$browser" explore-check
CHROMIUM="${CHROMIUM:-}" "$browser/venv/bin/python" "$here/explore-check.py" "$taper" "$out"
