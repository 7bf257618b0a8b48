"""Values quantised by llama.cpp's library (`ggml_quantize_chunk`).

`make.py` writes llama_cpp.gguf: random values as F32, and the same as Q8_0 and Q4_K.
`make.py --check` writes nothing and compares with what is there. Versions: ../requirements.txt.
"""

import argparse
import ctypes
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import xllamacpp
from gguf import GGMLQuantizationType as Type

HERE = Path(__file__).resolve().parent
SHAPE = (8, 512)


def values():
    """Rows of which some are special: zeros, one sign, a large value, tiny ones, runs that are all alike."""
    rng = np.random.default_rng(11)
    rows = rng.normal(0.0, 0.05, SHAPE).astype(np.float32)
    rows[1] = 0.0
    rows[2] = np.abs(rows[2]) + np.float32(0.01)
    rows[3] = -np.abs(rows[3]) - np.float32(0.01)
    rows[4, 60] = 9.0
    rows[5] *= np.float32(1e-6)
    rows[6, :32] = 0.25
    rows[6, 32:64] = -0.25
    return rows


def quantised(library, rows, kind):
    block, size = gguf.GGML_QUANT_SIZES[kind]
    result = np.zeros((rows.shape[0], rows.shape[1] // block * size), np.uint8)
    quantise = library.ggml_quantize_chunk
    quantise.restype = ctypes.c_size_t
    pointer = ctypes.c_void_p
    count = ctypes.c_int64
    quantise.argtypes = [ctypes.c_int, pointer, pointer, count, count, count, pointer]
    written = quantise(kind, rows.ctypes.data, result.ctypes.data, 0, *rows.shape, None)
    assert written == result.nbytes
    return result


def make(folder):
    library = ctypes.CDLL(str(next(Path(xllamacpp.__file__).parent.glob("xllamacpp*.so"))))
    rows = values()
    writer = gguf.GGUFWriter(folder / "llama_cpp.gguf", "llama")
    writer.add_tensor("F32", rows)
    for kind in (Type.Q8_0, Type.Q4_K):
        blocks = quantised(library, rows, kind)
        if kind == Type.Q8_0:
            assert np.array_equal(blocks, gguf.quants.quantize(rows, kind))
        left = gguf.quants.dequantize(blocks, kind) - rows
        print(f"{kind.name}: root of the mean square error {np.sqrt(np.mean(left**2)):.3e}")
        writer.add_tensor(kind.name, blocks, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    if not arguments.parse_args().check:
        make(HERE)
        return
    with tempfile.TemporaryDirectory() as scratch:
        make(Path(scratch))
        name = "llama_cpp.gguf"
        equal = (Path(scratch) / name).read_bytes() == (HERE / name).read_bytes()
        print(f"{name}: {'same' if equal else 'DIFFERENT'}")
        sys.exit(0 if equal else 1)


if __name__ == "__main__":
    main()
