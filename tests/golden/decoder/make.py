"""Reference logits of the decoders, by transformers: eager attention, f32, CPU.

`make.py` writes the tiny models, `expected.safetensors` and, when
tests/fixtures/fetch-models.sh has run, `smollm2.safetensors` + `smollm2.json`.
`make.py --check` writes nothing and compares with what is there.
Versions: ../requirements.txt. Architectures: transformers/models/{llama,mistral,qwen2,qwen3,phi3,gemma3}.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3TextConfig,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
)
from transformers.utils import logging

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("EMOTRAIN_TEST_MODELS") or Path.home() / ".cache/emotrain-test-models")
VOCAB = 96
SHARED = {
    "vocab_size": VOCAB,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
    "dtype": "float32",
}
# With theta 100, head_dim 12 and 32 original positions, the six wavelengths (6, 14, 29, 63,
# 135, 292) fall into all three bands of the llama3 rule (below 8, 8 to 32, above 32).
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 100.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
CONFIGS = {
    "llama3_tiny": LlamaConfig(
        hidden_size=48,
        num_hidden_layers=2,
        rms_norm_eps=1e-5,
        rope_parameters=LLAMA3_ROPE,
        tie_word_embeddings=False,
        **SHARED,
    ),
    "qwen2_tiny": Qwen2Config(
        hidden_size=32,
        num_hidden_layers=3,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0},
        tie_word_embeddings=True,
        **SHARED,
    ),
    "qwen3_tiny": Qwen3Config(
        hidden_size=40,
        head_dim=16,  # not hidden_size / heads, which is 10
        num_hidden_layers=2,
        rms_norm_eps=1e-3,  # large enough that a wrong epsilon shows
        rope_parameters={"rope_type": "default", "rope_theta": 2000.0},
        tie_word_embeddings=False,
        **SHARED,
    ),
    "mistral_tiny": MistralConfig(
        hidden_size=40,
        head_dim=14,  # as in Mistral NeMo, not hidden_size / heads
        num_hidden_layers=2,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 3000.0},
        sliding_window=7,
        tie_word_embeddings=False,
        **SHARED,
    ),
    "phi3_tiny": Phi3Config(
        hidden_size=32,
        num_hidden_layers=3,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 4000.0},
        sliding_window=11,
        tie_word_embeddings=False,
        **SHARED,
    ),
    # As Phi-4-mini: a part of each head is rotated, and every frequency scaled by itself.
    "phi4_tiny": Phi3Config(
        hidden_size=64,
        num_hidden_layers=2,
        rms_norm_eps=1e-5,
        original_max_position_embeddings=48,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 1000.0,
            "partial_rotary_factor": 0.75,
            "short_factor": [1.0, 1.1, 1.3, 1.7, 2.5, 4.0],
            "long_factor": [1.0, 1.5, 2.0, 4.0, 8.0, 16.0],
        },
        tie_word_embeddings=True,
        **SHARED,
    ),
    "gemma3_tiny": Gemma3TextConfig(
        hidden_size=36,
        head_dim=10,
        num_hidden_layers=3,
        rms_norm_eps=1e-4,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        sliding_window=6,
        query_pre_attn_scalar=17,  # not head_dim
        rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 9000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 500.0},
        },
        **SHARED,
    ),
}
# My own wording; no digits, so that the pre-tokenizer's digit rule plays no part (see `smollm2`).
CHATS = [
    [
        {
            "role": "user",
            "content": "Anna: I waited an hour for you!\nBen: The bus broke down, I am so sorry.\n"
            "Which emotion does Anna feel: neutral, joy, anger or sadness?",
        }
    ],
    [
        {"role": "system", "content": "You name the emotion of the last speaker in one word."},
        {"role": "user", "content": "Mia: We won the cup!\nTom: No way, that is wonderful!"},
        {"role": "assistant", "content": "joy"},
        {"role": "user", "content": "Mia: But Leo broke his arm.\nTom: Oh no, poor Leo..."},
    ],
]


def randomise(model, seed):
    """Every weight far from its initial value, logits of a few units."""
    middle = 0.0 if model.config.model_type == "gemma3_text" else 1.0  # Gemma adds 1 itself
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if "norm" in name:
                weight.copy_(middle + 0.3 * noise)
            elif "bias" in name or "embed" in name:
                weight.copy_(0.5 * noise)
            else:
                weight.copy_(1.2 * noise / weight.shape[1] ** 0.5)


def save(model, folder, **options):
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, **options)
    (folder / "generation_config.json").unlink(missing_ok=True)


def load(folder, **options):
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", **options
    ).eval()


def tiny(folder):
    """Writes the tiny models to `folder`; their logits, computed from the saved files."""
    for seed, (name, config) in enumerate(CONFIGS.items()):
        model = AutoModelForCausalLM.from_config(config)
        randomise(model, seed)
        save(model, folder / name)
        if name == "qwen3_tiny":
            save(model, folder / "qwen3_tiny_sharded", max_shard_size="80KB")
        if name == "llama3_tiny":
            save(model.to(torch.bfloat16), folder / "llama3_tiny_bf16")
    generator = torch.Generator().manual_seed(100)
    sequences = [torch.randint(VOCAB, (length,), generator=generator) for length in (17, 40)]
    expected = {}
    for name in [*CONFIGS, "qwen3_tiny_sharded", "llama3_tiny_bf16"]:
        model = load(folder / name)
        for index, ids in enumerate(sequences):
            expected[f"{name}.ids.{index}"] = ids.clone()
            expected[f"{name}.logits.{index}"] = model(ids[None]).logits[0].contiguous()
    return expected


def smollm2():
    """Last logits and next-token log-probabilities of SmolLM2-135M-Instruct from its GGUF."""
    folder = CACHE / "smollm2-135m-instruct"
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file="model.gguf")
    model = load(folder, gguf_file="model.gguf")
    tensors, prompts = {}, []
    for index, messages in enumerate(CHATS):
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = torch.tensor(tokenizer(text, add_special_tokens=False)["input_ids"])
        logits = model(ids[None]).logits[0]
        next_logprobs = logits[:-1].log_softmax(-1).gather(-1, ids[1:, None])[:, 0]
        tensors[f"prompt.{index}.ids"] = ids
        tensors[f"prompt.{index}.last_logits"] = logits[-1].contiguous()
        tensors[f"prompt.{index}.next_logprobs"] = next_logprobs.contiguous()
        top = logits[-1].topk(5)
        prompts.append(
            {
                "messages": messages,
                "text": text,
                "tokens": len(ids),
                "top_ids": top.indices.tolist(),
                "top_logits": top.values.tolist(),
                "top_tokens": [tokenizer.decode([token]) for token in top.indices.tolist()],
            }
        )
    return tensors, prompts


def read(path):
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def compare(path, tensors, tolerance=1e-4):
    stored = read(path)
    assert stored.keys() == tensors.keys(), f"{path}: other tensor names"
    worst = max((stored[name] - tensors[name]).abs().max().item() for name in stored)
    print(f"{path.relative_to(HERE)}: largest difference {worst:.2e}")
    assert worst <= tolerance, f"{path} differs"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    check = arguments.parse_args().check
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # one order of summation
    torch.set_grad_enabled(False)
    with tempfile.TemporaryDirectory() as scratch:
        expected = tiny(Path(scratch) if check else HERE)
        if check:
            for path in sorted(Path(scratch).glob("*/*.safetensors")):
                compare(HERE / path.relative_to(scratch), read(path), tolerance=0.0)
    if (CACHE / "smollm2-135m-instruct/model.gguf").exists():
        tensors, prompts = smollm2()
    else:
        tensors = None
        print("SmolLM2 left out: run tests/fixtures/fetch-models.sh", file=sys.stderr)
    if check:
        compare(HERE / "expected.safetensors", expected)
        if tensors:
            compare(HERE / "smollm2.safetensors", tensors, tolerance=1e-3)
        return
    save_file(expected, HERE / "expected.safetensors")
    if tensors:
        save_file(tensors, HERE / "smollm2.safetensors")
        (HERE / "smollm2.json").write_text(
            json.dumps({"prompts": prompts}, indent=1, ensure_ascii=False) + "\n"
        )


if __name__ == "__main__":
    main()
