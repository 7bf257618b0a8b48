"""The memory that `emotrain export` takes: a model is never in it.

    python memory.py EMOTRAIN [--large]     (EMOTRAIN: the program; Linux, Python 3.11 alone)

Exports an adapter of a model of the shape of Qwen2.5-0.5B in every form, and samples the anonymous memory of the
process (RssAnon; pages of files are not in it): at most 1.3 times the largest file of a merged model in shards. With
--large the same for the shape of Qwen3-8B under a limit of 4 GB that the system keeps (RLIMIT_DATA), which needs 17 GB
of disk in the folder for temporary files (TMPDIR) and some minutes.

The weights are zeros in files that take no room on the disk.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VOCABULARY = 151936
SMALL = {
    "model_type": "qwen2",
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "tie_word_embeddings": True,
    "max_position_embeddings": 32768,
    "rope_theta": 1000000.0,
}
LARGE = {
    "model_type": "qwen3",
    "architectures": ["Qwen3ForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "tie_word_embeddings": False,
    "max_position_embeddings": 40960,
    "rope_theta": 1000000.0,
}
COMMON = {"vocab_size": VOCABULARY, "rms_norm_eps": 1e-6, "hidden_act": "silu", "torch_dtype": "bfloat16"}
RANK = 16
FORMATS = {
    "peft": ["--format", "peft"],
    "gguf-lora": ["--format", "gguf-lora"],
    "gguf f16": ["--format", "gguf", "--gguf-type", "f16"],
    "gguf q8_0": ["--format", "gguf", "--gguf-type", "q8_0"],
}
MB = 1e6


def linears(shape):
    """Name within a layer, outputs, inputs."""
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    queries, keys = (shape[name] * shape["head_dim"] for name in ("num_attention_heads", "num_key_value_heads"))
    attention = [("q", queries, hidden), ("k", keys, hidden), ("v", keys, hidden), ("o", hidden, queries)]
    block = [("gate", inner, hidden), ("up", inner, hidden), ("down", hidden, inner)]
    return [(f"self_attn.{name}_proj", out, width) for name, out, width in attention] + [
        (f"mlp.{name}_proj", out, width) for name, out, width in block
    ]


def tensors(shape):
    """Layer by layer: the shapes of a model's tensors, by name."""
    hidden = shape["hidden_size"]
    yield {"model.embed_tokens.weight": [VOCABULARY, hidden]}
    for layer in range(shape["num_hidden_layers"]):
        own = {f"{name}_layernorm.weight": [hidden] for name in ("input", "post_attention")}
        for name, out, width in linears(shape):
            own[f"{name}.weight"] = [out, width]
            if shape["model_type"] == "qwen2" and name[:-5] in ("self_attn.q", "self_attn.k", "self_attn.v"):
                own[f"{name}.bias"] = [out]
        if shape["model_type"] == "qwen3":
            own |= {f"self_attn.{name}_norm.weight": [shape["head_dim"]] for name in "qk"}
        yield {f"model.layers.{layer}.{name}": size for name, size in own.items()}
    yield {"model.norm.weight": [hidden]}
    if not shape["tie_word_embeddings"]:
        yield {"lm_head.weight": [VOCABULARY, hidden]}


def write_tensors(path, shapes, dtype, numbers=None):
    """A safetensors file of zeros that takes no room on the disk, or of bytes that are repeated."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        start, end = end, end + shape[0] * (shape[1:] or [1])[0] * {"BF16": 2, "F32": 4}[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for begin in range(0, end if numbers else 0, len(numbers or [0])):
            file.write(numbers[: end - begin])
        file.truncate(8 + len(text) + end)


def write_model(shape, folder, shards, numbers=None):
    """A model in shards of zeros, or of bytes that are repeated, with Qwen's tokenizer where tests/fixtures/fetch-models.sh has put it."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(shape | COMMON))
    parts, places = list(tensors(shape)), {}
    for number in range(shards):
        part = {name: size for part in parts[number::shards] for name, size in part.items()}
        name = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        write_tensors(folder / name, part, "BF16", numbers)
        places |= dict.fromkeys(part, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    cache = Path(os.environ.get("EMOTRAIN_TEST_MODELS") or Path.home() / ".cache/emotrain-test-models")
    for file in sorted((cache / "qwen2.5-tokenizer").glob("*.json")):
        (folder / file.name).write_bytes(file.read_bytes())


def write_adapter(shape, folder):
    folder.mkdir()
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 32, "target_modules": "all-linear"}
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "base"}))
    sizes = {}
    for layer in range(shape["num_hidden_layers"]):
        for name, out, width in linears(shape):
            path = f"base_model.model.model.layers.{layer}.{name}.lora"
            sizes |= {f"{path}_A.weight": [RANK, width], f"{path}_B.weight": [out, RANK]}
    write_tensors(folder / "adapter_model.safetensors", sizes, "F32")


def export(program, place, options, limit):
    """Exports; the most anonymous memory, seconds, and the sizes of the files."""
    out = place / "out"
    command = [program, "export", place / "adapter", "--base", place / "base", "--out", out, *options, "--quiet"]
    keep = lambda: limit and resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    began, most = time.monotonic(), 0
    with subprocess.Popen([str(word) for word in command], preexec_fn=keep) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            text = status.read_text()
            if "RssAnon:" in text:
                most = max(most, 1024 * int(text.split("RssAnon:")[1].split()[0]))
            time.sleep(0.003)
    assert process.returncode == 0, f"{options}: exit code {process.returncode}"
    took = time.monotonic() - began
    sizes = [file.stat().st_size for file in out.iterdir()]
    for file in out.iterdir():
        file.unlink()
    out.rmdir()
    return most, took, sizes


def measure(name, program, shape, shards, shard_size, limit):
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        write_model(shape, place / "base", shards)
        write_adapter(shape, place / "adapter")
        merged = {"merged": ["--format", "merged", "--max-shard-size", shard_size]}
        for form, options in (merged | FORMATS).items():
            most, took, sizes = export(program, place, options, limit)
            if form == "merged":
                largest = max(sizes)
                assert len(sizes) > 4, "several shards"
            print(
                f"{name} {form}: {most / MB:.0f} MB of anonymous memory at most, {sum(sizes) / MB:.0f} MB written in "
                f"{took:.1f} s, {sum(sizes) / took / MB:.0f} MB/s",
                flush=True,
            )
            assert most < 1.3 * largest, f"{form}: {most / MB:.0f} MB, a shard has {largest / MB:.0f} MB"


def main():
    program = Path(sys.argv[1]).resolve()
    measure("0.5B", program, SMALL, 2, "200MB", None)
    if "--large" in sys.argv[2:]:
        measure("8B under 4 GB", program, LARGE, 5, "4GB", 4 * 10**9)


if __name__ == "__main__":
    main()
