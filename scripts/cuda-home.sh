#!/usr/bin/env bash
# A CUDA 13.0 toolkit from Python wheels, without root and without a GPU. See docs/gpu.md.
#
#   eval "$(scripts/cuda-home.sh DIR)"
#
# downloads about 660 MB into DIR, unpacks 1.2 GB, and prints the line that makes cargo find it. Programs that are linked
# with it start without a driver too. Needs python3 with pip, cargo, gcc and ar.
set -euo pipefail
[ $# = 1 ] || { echo "error: expected one folder; see the head of $0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)

python3 -m pip download --quiet --no-deps -d "$dir/wheels" \
    nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-runtime==13.0.96 \
    nvidia-cuda-cccl==13.0.85 nvidia-cuda-nvrtc==13.0.88 nvidia-cublas==13.1.0.3 nvidia-curand==10.4.0.35 >&2
for wheel in "$dir"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$dir/site"; done
toolkit=$dir/site/nvidia/cu13
# Zip files do not keep who may run what.
chmod +x "$toolkit"/bin/* "$toolkit"/nvvm/bin/*

rm -rf "$dir/home"
mkdir -p "$dir/home/lib64"
ln -s "$toolkit"/{bin,include,nvvm} "$dir/home/"
ln -s lib64 "$dir/home/lib"
# The linker is to find archives alone: a program that is linked to the libraries dies in the loader where they are missing.
ln -s "$toolkit/lib/libcudadevrt.a" "$dir/home/lib64/"
ln -s "$toolkit/lib/libcudart_static.a" "$dir/home/lib64/libcudart.a"
cudarc=$(cd "$here/.." && cargo metadata --format-version 1 --features taper-runner/cuda | python3 -c '
import json, os, sys
print(next(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == "cudarc"))')
python3 "$here/lazy_cuda.py" "$cudarc" "$dir/home/lib64" >&2

echo "export CUDA_HOME='$dir/home' CUDA_PATH='$dir/home' PATH='$dir/home/bin':\"\$PATH\""
