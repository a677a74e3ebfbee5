#!/usr/bin/env bash
# Is a GPU right, and how fast is it? See docs/gpu.md.
#
#   scripts/gpu-check.sh [--device cuda|cuda:N|cpu] [--out FILE]   runs everything
#   scripts/gpu-check.sh --pack DIR                                gathers what travels to a machine with a GPU
#
# It takes the program from $GPU_CHECK, from beside this script, or builds it. Ends with 0 if all is right, 1 if not, 2 for
# bad arguments, 3 where there is no GPU. With --device cpu the CPU is checked against itself and nothing is timed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
device=cuda out= pack=
while [ $# -gt 0 ]; do
    case $1 in
        --device | --out | --pack)
            [ $# -gt 1 ] || { echo "error: $1 needs a value" >&2; exit 2; }
            case $1 in --device) device=$2 ;; --out) out=$2 ;; --pack) pack=$2 ;; esac
            shift 2 ;;
        *) echo "error: there is no $1; see the head of $0" >&2; exit 2 ;;
    esac
done

# The program; built with CUDA unless the CPU alone is asked for.
program() {
    if [ -n "${GPU_CHECK:-}" ]; then echo "$GPU_CHECK"; return; fi
    if [ -x "$here/gpu_check" ]; then echo "$here/gpu_check"; return; fi
    local features=()
    [ "$device" = cpu ] || features=(--features cuda)
    (cd "$here/.." && cargo build --release -p taper-examples "${features[@]}" --example gpu_check >&2) || return 1
    local target=${CARGO_TARGET_DIR:-$here/../target}
    echo "$target/release/examples/gpu_check"
}

gpu_check=$(program) || { echo "error: the program cannot be built; docs/gpu.md says what it takes" >&2; exit 1; }

if [ -n "$pack" ]; then
    mkdir -p "$pack" || exit 1
    cp "$gpu_check" "$pack/gpu_check" && cp "$here"/gpu-check.sh "$here"/gpu_check_hf.py "$here"/gpu_shapes.json "$pack/" || exit 1
    strip "$pack/gpu_check" 2>/dev/null
    size=$(du -sm "$pack" | cut -f1)
    echo "$pack: $size MiB"
    [ "$size" -lt 64 ] || { echo "error: it must stay below 64 MiB" >&2; exit 1; }
    exit 0
fi

failed=0
say() { if [ -n "$out" ]; then printf '%s\n' "$*" | tee -a "$out"; else printf '%s\n' "$*"; fi; }
# Runs a step, shows what it prints, keeps it, and remembers whether it failed.
step() {
    say "== $*"
    if [ -n "$out" ]; then "$@" 2>&1 | tee -a "$out"; else "$@"; fi
    local code=${PIPESTATUS[0]}
    [ "$code" = 0 ] || failed=1
    return "$code"
}

say "$(date -u +%FT%TZ) $(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null || echo 'no nvidia-smi')"
step "$gpu_check" --part correct --device "$device"
code=$?
[ "$code" = 3 ] && exit 3
if [ "$device" = cpu ]; then
    say "not timed: --device cpu only shows that the check runs"
    exit "$failed"
fi
step "$gpu_check" --part speed --device "$device"

if python3 -c 'import torch, transformers' 2>/dev/null; then
    step python3 "$here/gpu_check_hf.py" --device "$device"
else
    say "no torch and transformers for this python3: Hugging Face is not measured"
fi

# Calls of the driver that so many more steps make, from two runs under the profiler.
calls() {
    local dir
    dir=$(mktemp -d) || return 1
    nsys profile -t cuda --sample=none -o "$dir/run" "$gpu_check" --part steps --shape "$1" --steps "$2" --device "$device" \
        >/dev/null 2>&1 || return 1
    nsys stats --report cuda_api_sum --format csv "$dir/run.nsys-rep" 2>/dev/null
    rm -rf "$dir"
}
if command -v nsys >/dev/null; then
    for shape in gemma-3-1b phi-2 llama-3-8b nemotron-h-cut; do
        if few=$(calls "$shape" 8) && many=$(calls "$shape" 40); then
            say "$shape: calls a token, from 32 more steps"
            say "$(python3 "$here/gpu_check_hf.py" --count "$few" "$many" --steps 32)"
        else
            say "$shape: nsys failed"; failed=1
        fi
    done
else
    say "no nsys: launches and allocations are not counted"
fi
exit "$failed"
