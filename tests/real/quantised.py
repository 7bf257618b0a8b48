"""A base of the shape of Qwen3-8B: quantised while it is read, saved, opened again, trained on, in a workstation's memory.

    python quantised.py EMOTRAIN [--large]     (EMOTRAIN: the program; Linux, Python 3.11 alone)

Without --large the shape is that of Qwen2.5-0.5B. The weights are normal numbers of Qwen's size, 2 million of them again
and again, in bfloat16 files. --large needs 24 GB of disk in the folder for temporary files (TMPDIR), 12 GB of memory and
some minutes.

Printed: the time from the start of a program until the base is there, the bytes of the files that this is in a second,
the largest resident memory of the process, and the same of one LoRA step of 64 tokens. The last two lines are of the
base that `emotrain quantize` has written. With --large the limits of the project are asserted: 12 GB, 300 MB/s, 20 s.
"""

import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from memory import LARGE, MB, SMALL, write_model

NUMBERS = 1 << 21
FORMS = {"nf4": ["quantization.load_in_4bit=true"], "int8": ["quantization.load_in_8bit=true"]}


def bfloat16():
    """Normal numbers of standard deviation 0.02."""
    draw = random.Random(1)
    floats = struct.pack(f"<{NUMBERS}f", *(draw.gauss(0, 0.02) for _ in range(NUMBERS)))
    halves = bytearray(2 * NUMBERS)
    halves[0::2], halves[1::2] = floats[2::4], floats[3::4]
    return bytes(halves)


def size(folder):
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def bench(program, base, settings):
    """One step of 64 tokens: seconds until the base is loaded, seconds of the step, and the largest memory in bytes."""
    told = [word for key in ["model.dtype=bfloat16", *settings] for word in ("--set", key)]
    words = [program, "bench", base, "--tokens", "64", "--steps", "1", "--warmup", "0", "--json", "--quiet", *told]
    result = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    step = 1 / result["runs"][0]["steps_per_second"]
    return result["load_seconds"], step, result["peak_rss_mib"] * (1 << 20)


def quantize(program, base, out, form):
    """Seconds, and the largest memory in bytes."""
    began = time.monotonic()
    process = subprocess.Popen([program, "quantize", base, "--quant-type", form, "--out", out, "--quiet"])
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"exit status {status}"
    return time.monotonic() - began, 1024 * usage.ru_maxrss


def main():
    program, large = Path(sys.argv[1]).resolve(), "--large" in sys.argv[2:]
    shape, shards = (LARGE, 5) if large else (SMALL, 2)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        write_model(shape, place / "base", shards, bfloat16())
        whole = size(place / "base")
        print(f"a base of {whole / MB:.0f} MB in bfloat16", flush=True)
        for form, settings in FORMS.items():
            loaded, step, memory = bench(program, place / "base", settings)
            print(
                f"{form}, quantised while it is read: {loaded:.1f} s, {whole / loaded / MB:.0f} MB/s; a step in "
                f"{step:.1f} s; {memory / MB:.0f} MB at most",
                flush=True,
            )
            out = place / form
            took, saving = quantize(program, place / "base", out, form)
            print(f"{form}, written: {took:.1f} s, {size(out) / MB:.0f} MB; {saving / MB:.0f} MB at most", flush=True)
            opened, again, less = bench(program, out, [])
            print(
                f"{form}, opened again: {opened:.1f} s, {size(out) / opened / MB:.0f} MB/s; a step in {again:.1f} s; "
                f"{less / MB:.0f} MB at most",
                flush=True,
            )
            # Beside the base a step has an adapter with its gradients and moments, 0.3 GB for the small shape.
            assert less < whole, "a quantised base takes less than its files in bfloat16"
            assert saving < 0.6 * whole, "a base is quantised matrix by matrix"
            if large and form == "nf4":
                assert max(memory, less, saving) < 12e9, "12 GB"
                assert whole / loaded > 300 * MB and opened < 20, "300 MB/s, 20 s"
            for file in out.iterdir():
                file.unlink()


if __name__ == "__main__":
    main()
