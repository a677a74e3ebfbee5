#!/usr/bin/env bash
# Compares the program with real servers.
#
#   scripts/engines-check.sh            llama.cpp, from the wheel xllamacpp: about a minute
#
# The server is installed in a venv under target/. Where it cannot be had the check is skipped, and
# says so. TAPER names the program [target/release/taper, or target/debug/taper].
set -eu
cd "$(dirname "$0")/.."
version=2026.10.11549
venv=${ENGINES_VENV:-target/engines-venv}
if [ -z "${TAPER:-}" ]; then
    TAPER=target/release/taper
    [ -x "$TAPER" ] || TAPER=target/debug/taper
fi
[ -x "$TAPER" ] || { echo "build the program first: cargo build" >&2; exit 2; }
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv" || { echo "skipped: no python3 with venv"; exit 0; }
fi
if ! "$venv/bin/python" -c "import xllamacpp" 2>/dev/null; then
    timeout 100 "$venv/bin/pip" install --quiet "xllamacpp==$version" ||
        { echo "skipped: the wheel xllamacpp $version cannot be had here"; exit 0; }
fi
status=0
timeout 170 "$venv/bin/python" scripts/engines_check.py "$TAPER" || status=$?
if [ "$status" = 124 ]; then
    echo "skipped: not through after 170 s on this machine; what was checked until then is above"
    exit 0
fi
exit "$status"
