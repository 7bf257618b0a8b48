"""Reference vectors of sentence encoders, by sentence-transformers: f32, CPU.

`make.py` writes the tiny encoders with their vectors (`tiny.json`) and, when
tests/fixtures/fetch-models.sh has run, those of all-MiniLM-L6-v2 (`minilm.safetensors`).
`make.py --check` writes nothing and compares with what is there.
The texts are ours: `texts.json`. Versions: ../requirements.txt.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertForMaskedLM, BertModel, BertTokenizerFast

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("EMOTRAIN_TEST_MODELS") or Path.home() / ".cache/emotrain-test-models")
TOLERANCE = 2e-6
# Folder, pooling in the words of old and new versions, whether vectors get length 1, stored as, how it is saved.
TINY = {
    "tiny_mean": {
        "pooling": {"word_embedding_dimension": 24, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True},
        "normalize": True,
        "dtype": torch.float32,
        "saved": "whole",
    },
    "tiny_cls": {
        "pooling": {"embedding_dimension": 24, "pooling_mode": "cls", "include_prompt": True},
        "normalize": False,
        "dtype": torch.float16,
        "saved": "in shards, with a head",
    },
    "tiny_max": {
        "pooling": {"word_embedding_dimension": 24, "pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True},
        "normalize": False,
        "dtype": torch.bfloat16,
        "saved": "whole",
    },
}
MODULES = ["sentence_transformers.models.Transformer", "sentence_transformers.models.Pooling", "sentence_transformers.models.Normalize"]


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def tokenizer(texts):
    """Word pieces of the texts; truncation and padding are stored, as they are in MiniLM's file."""
    pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer(lowercase=True)
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=220, special_tokens=special, show_progress=False)
    pieces.train_from_iterator(texts, trainer)
    ends = [(token, pieces.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    pieces.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    pieces.enable_truncation(8)
    pieces.enable_padding(length=8)
    return pieces


def make_tiny(folder, settings, pieces, seed):
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=pieces.get_vocab_size(),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=48,
        initializer_range=0.4,
    )
    whole = settings["saved"] == "whole"
    model = (BertModel if whole else BertForMaskedLM)(config)
    for name, weights in model.named_parameters():
        if "LayerNorm" in name or name.endswith("bias"):
            torch.nn.init.normal_(weights, 1.0 if "LayerNorm.weight" in name else 0.0, 0.2)
    model = model.to(settings["dtype"])
    model.save_pretrained(folder, max_shard_size="5GB" if whole else "20KB")
    pieces.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 40})
    kinds = MODULES if settings["normalize"] else MODULES[:2]
    paths = ["", "1_Pooling", "2_Normalize"]
    rows = [{"idx": i, "name": str(i), "path": paths[i], "type": kind} for i, kind in enumerate(kinds)]
    write_json(folder / "modules.json", rows)
    write_json(folder / "1_Pooling/config.json", settings["pooling"])
    # Without a stated length the tokenizer's 40 counts, not the 8 of its file.
    if settings["normalize"]:
        write_json(folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": False})


def encode(folder, texts, dtype=torch.float32):
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": dtype})
    ids = [model.tokenize([text])["input_ids"][0].tolist() for text in texts]
    vectors = model.encode(texts, batch_size=8, convert_to_numpy=True, show_progress_bar=False)
    return ids, vectors.astype(np.float32)


def make(target, texts):
    pieces = tokenizer(texts)
    numbers = {}
    for seed, (name, settings) in enumerate(TINY.items()):
        make_tiny(target / name, settings, pieces, seed)
        ids, vectors = encode(target / name, texts)
        numbers[name] = {"ids": ids, "vectors": [[round(float(x), 8) for x in row] for row in vectors]}
    (target / "tiny.json").write_text(json.dumps(numbers) + "\n")
    if (CACHE / "all-minilm-l6-v2").exists():
        ids, vectors = encode(CACHE / "all-minilm-l6-v2", texts)
        lengths = np.array([len(row) for row in ids], dtype=np.int64)
        flat = np.concatenate([np.array(row, dtype=np.int64) for row in ids])
        save_file({"ids": flat, "lengths": lengths, "vectors": vectors}, target / "minilm.safetensors")
    else:
        print("all-minilm-l6-v2 is not there: minilm.safetensors is left as it is", file=sys.stderr)


def check(target):
    ours, theirs = (json.loads((folder / "tiny.json").read_text()) for folder in (HERE, target))
    pairs = [(name, ours[name]["ids"], theirs[name]["ids"]) for name in TINY]
    close = [(name, np.array(ours[name]["vectors"]), np.array(theirs[name]["vectors"])) for name in TINY]
    if (target / "minilm.safetensors").exists():
        ours, theirs = (load_file(folder / "minilm.safetensors") for folder in (HERE, target))
        pairs.append(("minilm", ours["ids"].tolist(), theirs["ids"].tolist()))
        close.append(("minilm", ours["vectors"], theirs["vectors"]))
    for name, one, other in pairs:
        if one != other:
            sys.exit(f"{name}: other token ids")
    for name, one, other in close:
        difference = float(np.abs(one - other).max())
        print(f"{name}: largest difference {difference:.1e}")
        if difference > TOLERANCE:
            sys.exit(f"{name}: differs")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with what is there")
    wanted = parser.parse_args()
    texts = json.loads((HERE / "texts.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder)
        make(target, texts)
        if wanted.check:
            check(target)
            return
        for path in target.iterdir():
            if path.is_dir():
                shutil.rmtree(HERE / path.name, ignore_errors=True)
                shutil.copytree(path, HERE / path.name)
            else:
                shutil.copy(path, HERE / path.name)


if __name__ == "__main__":
    main()
