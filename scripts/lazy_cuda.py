"""Makes linker stand-ins for the CUDA libraries, so that one program starts with and without a GPU. See docs/gpu.md.

    python3 lazy_cuda.py CUDARC OUT

candle links libcuda, libcublas, libcurand and libnvrtc by name, and such a program dies in the loader where one is missing.
Each `OUT/lib*.a` defines the functions of one library (the names are those that the sources of the crate cudarc, in CUDARC,
declare). A function looks for the real library when it is first called; where there is none it answers with that library's
own code for "not there", which candle reports as an error. x86-64 Linux; needs gcc and ar.
"""

import re
import subprocess
import sys
from pathlib import Path

# Library: the module of cudarc, what the real one is called, what to answer without it, how names begin.
LIBRARIES = {
    "cuda": ("driver", ["libcuda.so.1"], 100, "cu"),  # CUDA_ERROR_NO_DEVICE
    "cublas": ("cublas", ["libcublas.so.13"], 1, "cublas"),  # CUBLAS_STATUS_NOT_INITIALIZED
    "cublasLt": ("cublaslt", ["libcublasLt.so.13"], 1, "cublasLt"),
    "curand": ("curand", ["libcurand.so.10"], 203, "curand"),  # CURAND_STATUS_INITIALIZATION_FAILED
    "nvrtc": ("nvrtc", ["libnvrtc.so.13"], 8, "nvrtc"),  # NVRTC_ERROR_INVALID_OPTION
}

LOOKUP = """
#define _GNU_SOURCE
#include <dlfcn.h>
static long missing(void) { return %(code)d; }
static const char *const names[] = { %(names)s };
static const char *const files[] = { %(files)s, 0 };
void *lazy_%(library)s_slots[%(count)d];
__attribute__((visibility("hidden"))) void *lazy_%(library)s_find(unsigned long index) {
    static void *handle;
    for (const char *const *file = files; *file && !handle; ++file) handle = dlopen(*file, RTLD_LAZY | RTLD_GLOBAL);
    void *found = handle ? dlsym(handle, names[index]) : 0;
    if (!found) found = (void *)missing;
    __atomic_store_n(&lazy_%(library)s_slots[index], found, __ATOMIC_RELEASE);
    return found;
}
"""

# Arguments wait in registers while the function is looked for.
INTEGERS = ["rdi", "rsi", "rdx", "rcx", "r8", "r9", "rax", "r10"]


def entries(library, names):
    """Each name jumps to what its slot holds, or has it looked up first."""
    lines = [".text", f".hidden lazy_{library}_find"]
    for index, name in enumerate(names):
        lines += [
            f".globl {name}", f".type {name},@function", f"{name}:", f" movq lazy_{library}_slots@GOTPCREL(%rip), %r11",
            f" movq {8 * index}(%r11), %r11", " testq %r11, %r11", " jz 1f", " jmp *%r11", f"1: movl ${index}, %r11d",
            " jmp find",
        ]
    lines.append("find:")
    lines += [f" pushq %{register}" for register in INTEGERS]
    # With the return address and eight registers on it the stack is 8 short of a multiple of 16.
    lines += [" subq $136, %rsp"] + [f" movups %xmm{i}, {16 * i}(%rsp)" for i in range(8)]
    lines += [" movl %r11d, %edi", f" call lazy_{library}_find", " movq %rax, %r11"]
    lines += [f" movups {16 * i}(%rsp), %xmm{i}" for i in range(8)] + [" addq $136, %rsp"]
    lines += [f" popq %{register}" for register in reversed(INTEGERS)] + [" jmp *%r11"]
    return "\n".join([*lines, '.section .note.GNU-stack,"",@progbits', ""])


def make(library, cudarc, out):
    module, files, code, prefix = LIBRARIES[library]
    source = (cudarc / "src" / module / "sys/mod.rs").read_text()
    names = sorted({name for name in re.findall(r"\bfn (\w+)\s*\(", source) if re.fullmatch(prefix + r"[A-Z_]\w*", name)})
    quoted = lambda texts: ", ".join(f'"{text}"' for text in texts)
    parts = {"library": library, "code": code, "count": len(names), "names": quoted(names), "files": quoted(files)}
    (out / f"{library}.c").write_text(LOOKUP % parts)
    (out / f"{library}_entries.s").write_text(entries(library, names))
    objects = []
    for file in (f"{library}.c", f"{library}_entries.s"):
        objects.append(str((out / file).with_suffix(".o")))
        subprocess.run(["gcc", "-O2", "-fPIC", "-c", str(out / file), "-o", objects[-1]], check=True)
    archive = out / f"lib{library}.a"
    archive.unlink(missing_ok=True)
    subprocess.run(["ar", "rcs", str(archive), *objects], check=True)
    print(f"{archive}: {len(names)} functions")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    cudarc, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for library in LIBRARIES:
        make(library, cudarc, out)


if __name__ == "__main__":
    main()
