"""Small GGUF files and what other readers make of them.

`make.py` writes, with the gguf package:
  types.gguf        a tensor of every storage type; types.safetensors: gguf.quants.dequantize
  MODEL.gguf        tiny decoders, mixed types; MODEL.safetensors: transformers' GGUF loader
  tokenizer.gguf    a byte-level BPE vocabulary without tensors; tokenizer.json: its ids by the
                    tokenizers package under every supported pre-tokenizer
  smollm2.json      tensors and ids of SmolLM2-135M-Instruct, when tests/fixtures/fetch-models.sh has run
`make.py --check` writes nothing and compares with what is there. Versions: ../requirements.txt.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import load_file, save_file
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("EMOTRAIN_TEST_MODELS") or Path.home() / ".cache/emotrain-test-models")
SMOLLM2 = CACHE / "smollm2-135m-instruct"

HIDDEN, INNER, VOCAB, HEADS, KEY_HEADS = 32, 64, 32, 4, 2
MODELS = {
    "llama": {"head_dim": 8, "bias": False, "norms": False, "tied": True},
    "qwen2": {"head_dim": 8, "bias": True, "norms": False, "tied": True},
    "qwen3": {"head_dim": 16, "bias": False, "norms": True, "tied": False},
    "phi3": {"head_dim": 8, "bias": False, "norms": False, "tied": False, "fused": True},
    "gemma3": {"head_dim": 16, "bias": False, "norms": True, "tied": True, "gemma": True},
}
SMOLLM2_TENSORS = [
    "model.embed_tokens.weight",
    "model.layers.0.self_attn.q_proj.weight",
    "model.layers.0.self_attn.k_proj.weight",
    "model.layers.12.self_attn.v_proj.weight",
    "model.layers.29.mlp.down_proj.weight",
    "model.layers.29.input_layernorm.weight",
    "model.norm.weight",
]
# My own wording. Digits, contractions, runs of spaces, line ends, accents in both normal forms,
# scripts without spaces, signs outside the basic plane, and special tokens inside text.
TEXTS = [
    "",
    " ",
    "She'll say we've won, won't she?",
    "WE'LL SEE, IT'S LATE",
    "Flat 4071, second floor, 19:45 on 2024-06-30",
    "3.14159 is not 22/7",
    "x2y3z  4",
    "two  spaces   three    four",
    "tab\there\tand there",
    "line one\nline two\r\n\r\nline three\n\n\n",
    "  indented and trailing  ",
    "caf\u00e9 na\u00efve \u00fcber",
    "cafe\u0301 nai\u0308ve u\u0308ber",
    "\u212b and \ufb01ne \u2126",
    "今日はいい天気ですね。明日は?",
    "Привет, как дела?",
    "שלום עולם",
    "sad 😢 then glad 😂😂 and 👩‍👩‍👧",
    "math: ½ + ¼ = ¾, x² ≤ √16, ٣٤٥",
    "<|turn|>user\nhello<|end|>\n",
    "almost <|turn |> special <|end|><|end|>",
    "e-mail: a.b_c@example.org (see §7)!!!",
    "\u00a0non-breaking\u00a0space\u3000wide\u200bzero",
    "$1,250.00 -- \"quoted\" 'single' `code` ...",
]
TRAINING_TEXT = [
    "The year 2024 has 366 days, the year 2023 has 365 days, and 1999 had 365 days too.",
    "She'll say that we've won the game, and he's sure that they're late, but I'd wait.",
    "  A line with two spaces in front of it.\n\nAnd then a line that is the last line.\n",
    "café über naïve, the weather is nice, the weather was nice, isn't it? It is, it is!",
]
GPT4_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


# Types that gguf cannot make: where the half-precision factors of a block stand.
FACTORS = {
    Type.Q4_K: (0, 2),
    Type.Q6_K: (208,),
    Type.Q2_K: (80, 82),
    Type.Q3_K: (108,),
    Type.Q5_K: (0, 2),
    Type.IQ4_NL: (0,),
    Type.IQ4_XS: (0,),
}


def random_tensor(rng, shape, kind):
    """The bytes of a tensor of type `kind`, by gguf's quantiser or, where it has none, random blocks."""
    values = rng.normal(0.0, 0.6, shape).astype(np.float32)
    if kind not in FACTORS:
        return gguf.quants.quantize(values, kind)
    block, size = gguf.GGML_QUANT_SIZES[kind]
    raw = rng.integers(0, 256, (*shape[:-1], shape[-1] // block, size), dtype=np.uint8)
    for place in FACTORS[kind]:
        factor = rng.normal(0.0, 0.01, raw.shape[:-1]).astype(np.float16)
        raw[..., place : place + 2] = factor[..., None].view(np.uint8)
    return raw.reshape(*shape[:-1], -1)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def types(folder):
    """types.gguf and its values."""
    rng = np.random.default_rng(7)
    writer = gguf.GGUFWriter(folder / "types.gguf", "llama")
    expected = {}
    kinds = (Type.F32, Type.F16, Type.BF16, Type.Q4_0, Type.Q4_1, Type.Q8_0, Type.Q4_K, Type.Q6_K)
    kinds += (Type.Q5_0, Type.Q5_1, Type.Q2_K, Type.Q3_K, Type.Q5_K, Type.IQ4_NL, Type.IQ4_XS)
    for kind in kinds:
        data = random_tensor(rng, (2, 512), kind)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
        expected[kind.name] = gguf.quants.dequantize(data, kind).reshape(2, 512).copy()
    finish(writer)
    save_file(expected, folder / "types.safetensors")


QUERIES = ("attn_q", "attn_k", "attn_v")


def layer_tensors(shape):
    """GGUF names and shapes of layer 0."""
    queries, keys = HEADS * shape["head_dim"], KEY_HEADS * shape["head_dim"]
    tensors = {
        "attn_norm.weight": (HIDDEN,),
        "attn_q.weight": (queries, HIDDEN),
        "attn_k.weight": (keys, HIDDEN),
        "attn_v.weight": (keys, HIDDEN),
        "attn_output.weight": (HIDDEN, queries),
        "ffn_norm.weight": (HIDDEN,),
        "ffn_gate.weight": (INNER, HIDDEN),
        "ffn_up.weight": (INNER, HIDDEN),
        "ffn_down.weight": (HIDDEN, INNER),
    }
    if shape.get("fused"):
        tensors = {name: size for name, size in tensors.items() if "gate" not in name}
        tensors = {name: size for name, size in tensors.items() if name[:6] not in QUERIES}
        tensors |= {"attn_qkv.weight": (queries + 2 * keys, HIDDEN), "ffn_up.weight": (2 * INNER, HIDDEN)}
    if shape.get("gemma"):
        tensors |= {"post_attention_norm.weight": (HIDDEN,), "post_ffw_norm.weight": (HIDDEN,)}
    if shape["bias"]:
        tensors |= {"attn_q.bias": (queries,), "attn_k.bias": (keys,), "attn_v.bias": (keys,)}
    if shape["norms"]:
        tensors |= {
            name: (shape["head_dim"],) for name in ("attn_q_norm.weight", "attn_k_norm.weight")
        }
    return tensors


def model(folder, name, shape):
    """MODEL.gguf, and its tensors as transformers loads them."""
    rng = np.random.default_rng(sum(name.encode()))
    writer = gguf.GGUFWriter(folder / f"{name}.gguf", name)
    writer.add_vocab_size(VOCAB)
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(75000.0)
    if shape["norms"]:
        writer.add_key_length(shape["head_dim"])
        writer.add_value_length(shape["head_dim"])
    else:
        writer.add_rope_dimension_count(shape["head_dim"])
    if name in ("phi3", "gemma3"):
        writer.add_sliding_window(24)
    tensors = {"token_embd.weight": (VOCAB, HIDDEN), "output_norm.weight": (HIDDEN,)}
    tensors |= {} if shape["tied"] else {"output.weight": (VOCAB, HIDDEN)}
    tensors |= {f"blk.0.{key}": size for key, size in layer_tensors(shape).items()}
    for index, (key, size) in enumerate(tensors.items()):
        kinds = (Type.Q8_0, Type.Q4_1, Type.F16, Type.Q4_0, Type.BF16)
        kind = kinds[index % len(kinds)] if len(size) == 2 else Type.F32
        writer.add_tensor(key, random_tensor(rng, size, kind), raw_dtype=kind)
    finish(writer)
    # transformers does not read the width of a head from the file.
    config = AutoConfig.from_pretrained(folder, gguf_file=f"{name}.gguf")
    config.head_dim = shape["head_dim"]
    config.pad_token_id = 0
    config.tie_word_embeddings = shape["tied"]
    loaded = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=f"{name}.gguf", config=config, dtype=torch.float32
    )
    state = {key: value.numpy().copy() for key, value in loaded.state_dict().items()}
    if shape["tied"]:
        del state["lm_head.weight"]
    save_file(state, folder / f"{name}.safetensors")


def splitters():
    """Name in GGUF → normalizer and pre-tokenizer."""
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    raw = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    gpt4 = lambda digits: pre_tokenizers.Split(Regex(GPT4_WORDS % digits), "isolated")
    return {
        "gpt-2": (None, words),
        "default": (None, words),
        "smollm": (None, pre_tokenizers.Sequence([pre_tokenizers.Digits(True), words])),
        "qwen2": (normalizers.NFC(), pre_tokenizers.Sequence([gpt4(r"\p{N}"), raw])),
        "llama-bpe": (None, pre_tokenizers.Sequence([gpt4(r"\p{N}{1,3}"), raw])),
    }


def reference_tokenizer(vocabulary, merges, special, pre):
    """A byte-level BPE of the tokenizers package, put together by hand."""
    bpe = models.BPE(vocabulary, [tuple(merge.split(" ")) for merge in merges])
    if pre == "llama-bpe":
        bpe.ignore_merges = True
    tokenizer = Tokenizer(bpe)
    normalizer, splitter = splitters()[pre]
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return tokenizer


def trained_vocabulary():
    """Tokens and merges of a small BPE trained on the text above, numbers kept whole."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=380,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=["<|end|>", "<|turn|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(TRAINING_TEXT * 4, trainer)
    stored = json.loads(tokenizer.to_str())["model"]
    return stored["vocab"], [" ".join(merge) for merge in stored["merges"]]


def vocabulary(folder):
    """tokenizer.gguf and the ids of all texts under every pre-tokenizer."""
    vocab, merges = trained_vocabulary()
    special = ["<|end|>", "<|turn|>"]
    tokens = sorted(vocab, key=vocab.get)
    kinds = [
        gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens
    ]
    tokens.append("[PAD0]")
    kinds.append(gguf.TokenType.UNUSED)
    writer = gguf.GGUFWriter(folder / "tokenizer.gguf", "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(vocab["<|end|>"])
    writer.add_bos_token_id(vocab["<|turn|>"])
    writer.add_chat_template("{% for m in messages %}<|turn|>{{ m.content }}<|end|>{% endfor %}")
    finish(writer)
    ids = {}
    for pre in splitters():
        tokenizer = reference_tokenizer(vocab, merges, special, pre)
        ids[pre] = [tokenizer.encode(text).ids for text in TEXTS]
    return {"texts": TEXTS, "ids": ids}


def smollm2():
    """Tensors and ids of the real file."""
    fields = gguf.GGUFReader(SMOLLM2 / "model.gguf").fields
    read = lambda name: fields[f"tokenizer.ggml.{name}"].contents()
    tokens = read("tokens")
    special = [
        token for token, kind in zip(tokens, read("token_type")) if kind == gguf.TokenType.CONTROL
    ]
    vocab = {token: index for index, token in enumerate(tokens)}
    tokenizer = reference_tokenizer(vocab, read("merges"), special, read("pre"))
    texts = [
        text.replace("<|turn|>", "<|im_start|>").replace("<|end|>", "<|im_end|>") for text in TEXTS
    ]
    loaded = AutoModelForCausalLM.from_pretrained(
        SMOLLM2, gguf_file="model.gguf", dtype=torch.float32
    )
    state = loaded.state_dict()
    tensors = {}
    for name in SMOLLM2_TENSORS:
        values = state[name].numpy()
        tensors[name] = {
            "shape": list(values.shape),
            "sha256": hashlib.sha256(values.astype("<f4").tobytes()).hexdigest(),
            "first": [float(value) for value in values.reshape(-1)[:4]],
        }
    return {
        "tensors": tensors,
        "texts": texts,
        "ids": [tokenizer.encode(text).ids for text in texts],
    }


def write_json(path, content):
    """Two levels deep, one item of the second a line."""
    parts = []
    for key, value in content.items():
        if isinstance(value, dict):
            items = [f"{json.dumps(name)}: {json.dumps(item)}" for name, item in value.items()]
        else:
            items = [json.dumps(item) for item in value]
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        listed = ",\n  ".join(items)
        parts.append(f" {json.dumps(key)}: {opening}\n  {listed}\n {closing}")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def compare(fresh, stored):
    """Fails unless both files hold the same."""
    if fresh.suffix == ".safetensors":
        left, right = load_file(fresh), load_file(stored)
        same = left.keys() == right.keys() and all(
            np.array_equal(left[key], right[key]) for key in left
        )
    else:
        same = fresh.read_bytes() == stored.read_bytes()
    print(f"{stored.name}: {'same' if same else 'DIFFERENT'}")
    return same


def make(folder):
    types(folder)
    for name, shape in MODELS.items():
        model(folder, name, shape)
    write_json(folder / "tokenizer.json", vocabulary(folder))
    if (SMOLLM2 / "model.gguf").exists():
        write_json(folder / "smollm2.json", smollm2())
    else:
        print("SmolLM2 left out: run tests/fixtures/fetch-models.sh", file=sys.stderr)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if not arguments.parse_args().check:
        make(HERE)
        return
    with tempfile.TemporaryDirectory() as scratch:
        make(Path(scratch))
        results = [compare(path, HERE / path.name) for path in sorted(Path(scratch).iterdir())]
        sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
