"""Times llama.cpp's own sampler chain on the rows of the benches.

    bench-table rows writes them; then: python llama_cpp.py FOLDER

Needs numpy and xllamacpp, whose wheel holds llama.cpp: its C functions are called directly, without a
model. A step copies a ready array of candidates, which is no more than llama.cpp does to fill its own,
and applies the chain. Checks each answer against a sort in double precision before it is timed.
"""

import ctypes
import pathlib
import sys

import numpy as np
import xllamacpp
from timing import fastest, write

library = ctypes.CDLL(str(next(pathlib.Path(xllamacpp.__file__).parent.glob("*.so"))))
CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Array(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("selected", ctypes.c_int64),
        ("sorted", ctypes.c_bool),
    ]


class Params(ctypes.Structure):
    _fields_ = [("no_perf", ctypes.c_bool)]


def function(name, *types):
    f = getattr(library, name)
    f.restype, f.argtypes = ctypes.c_void_p, types
    return f


pointer = ctypes.c_void_p
new_chain = function("llama_sampler_chain_init", Params)
add = function("llama_sampler_chain_add", pointer, pointer)
apply = function("llama_sampler_apply", pointer, pointer)
free = function("llama_sampler_free", pointer)
top_k = function("llama_sampler_init_top_k", ctypes.c_int32)
top_p = function("llama_sampler_init_top_p", ctypes.c_float, ctypes.c_size_t)
min_p = function("llama_sampler_init_min_p", ctypes.c_float, ctypes.c_size_t)
typical = function("llama_sampler_init_typical", ctypes.c_float, ctypes.c_size_t)
temperature = function("llama_sampler_init_temp", ctypes.c_float)
draw = function("llama_sampler_init_dist", ctypes.c_uint32)
greedy = function("llama_sampler_init_greedy")


def settings():
    yield "greedy", [greedy()]
    yield "top_k50", [top_k(50), draw(7)]
    yield "top_k50_top_p09", [top_k(50), top_p(0.9, 1), draw(7)]
    yield "top_p09", [top_p(0.9, 1), draw(7)]
    yield "min_p005", [min_p(0.05, 1), draw(7)]
    yield "typical", [typical(0.9, 1), draw(7)]


def kept(group, row):
    """The ids that the setting keeps, or a few more: sums in single precision end a little later."""
    p = np.exp(row.astype(np.float64) - row.max())
    p /= p.sum()
    if group == "greedy":
        return row == row.max()
    if group == "min_p005":
        return p >= 0.04999 * p.max()
    if group.startswith("top_k50"):
        return row >= np.sort(row)[-50]
    surprise = -np.log(p)
    far = np.abs(surprise - (p * surprise).sum()) if group == "typical" else surprise
    order = np.argsort(far, kind="stable")
    ahead = np.cumsum(p[order]) - p[order]
    last = far[order[ahead < 0.901][-1]]
    return far <= last * (1 + 1e-6)


def main(folder):
    times = {}
    for path in sorted(folder.glob("*_128k.f32")):
        row, name = np.fromfile(path, np.float32), path.stem.replace("_", "/")
        ready = np.zeros(len(row), CANDIDATE)
        ready["id"], ready["logit"] = np.arange(len(row)), row
        work = np.empty_like(ready)
        for group, links in settings():
            chain = new_chain(Params(True))
            for link in links:
                add(chain, link)

            def step():
                ctypes.memmove(work.ctypes.data, ready.ctypes.data, ready.nbytes)
                array = Array(work.ctypes.data, len(work), -1, False)
                apply(chain, ctypes.byref(array))
                return int(work["id"][array.selected])

            stay = kept(group, row)
            assert all(stay[step()] for _ in range(8)), (group, name)
            times[f"{group}/llama_cpp/{name}"] = fastest(step)
            free(chain)
    version = f"llama.cpp: its chain in xllamacpp {xllamacpp.__version__}, called from Python."
    write(folder / "llama_cpp.json", version, times)


main(pathlib.Path(sys.argv[1]))
