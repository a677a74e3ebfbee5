# Sourced by the checks that need a browser: installs Playwright in a folder that they share, and finds Chromium on the path or in
# npm's @sparticuz/chromium where Playwright's own cannot be had. Ends the check with a word where there is none.

skip() {
    echo "$1: skipped: $2" >&2
    exit 0
}

# find_browser FOLDER NAME: sets CHROMIUM, empty for Playwright's own. What was found once is not looked for again.
find_browser() {
    mkdir -p "$1"
    [ -x "$1/venv/bin/python" ] || python3 -m venv "$1/venv" || skip "$2" "python has no venv"
    "$1/venv/bin/python" -c 'import playwright' 2>/dev/null ||
        "$1/venv/bin/pip" install --quiet playwright || skip "$2" "playwright cannot be installed"
    if [ -z "${CHROMIUM:-}" ] && [ -e "$1/found" ]; then
        CHROMIUM=$(cat "$1/found")
        return
    fi
    if [ -z "${CHROMIUM:-}" ]; then
        for name in chromium chromium-browser google-chrome; do
            CHROMIUM=$(command -v "$name") && break
        done || true
    fi
    if [ -z "${CHROMIUM:-}" ] &&
        ! timeout 60 "$1/venv/bin/playwright" install --only-shell chromium >"$1/install.log" 2>&1; then
        command -v npm >/dev/null || skip "$2" "no browser: playwright's cannot be had, and there is no npm"
        (cd "$1" && npm install --silent --no-audit --no-fund @sparticuz/chromium >>install.log 2>&1) ||
            skip "$2" "no browser: neither playwright's nor npm's can be had"
        CHROMIUM=$(cd "$1" && node --input-type=module \
            -e "import c from '@sparticuz/chromium'; console.log(await c.executablePath())") ||
            skip "$2" "no browser: npm's does not unpack"
    fi
    echo "$CHROMIUM" >"$1/found"
}
