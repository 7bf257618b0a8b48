"""A small SentencePiece vocabulary in a GGUF file, and its ids by SentencePiece and by llama.cpp.

`make.py` writes:
  vocabulary.gguf   a BPE vocabulary trained by the sentencepiece package on the text below, in a tiny model of
                    zeros, since llama.cpp's server opens nothing less
  ids.json          ids of all texts by llama.cpp, with the space before a text and without; those by sentencepiece
                    for the texts that hold no token of their own
`make.py --check` writes nothing and compares with what is there. Versions: ../requirements.txt.
"""

import argparse
import io
import json
import sys
import tempfile
import urllib.request
from pathlib import Path

import gguf
import numpy as np
import sentencepiece
import xllamacpp
from sentencepiece import sentencepiece_model_pb2

HERE = Path(__file__).resolve().parent
HIDDEN, INNER, CONTEXT = 32, 32, 512
CONTROL, USER_DEFINED = ["<|turn|>", "<|end|>"], ["<table>", "\n\n"]
TRAINING_TEXT = [
    "She says that she is sorry, and that she was late because the train was late.",
    "He was late, too; the last train had left, and the next one came at 19:45.",
    "They laughed and laughed until the waiter came and asked whether all was well.",
    "    four spaces,  two spaces,        eight spaces,   three spaces",
    "Oh no, not again! Not that, not there, not now... well, all right then.",
    "Она сказала, что она сказала это вчера, и он сказал то же самое.",
    "今日は天気がいいですね。今日は散歩に行きましょう。明日は雨です。",
    "naïve café, déjà vu, señor, mañana, über alles, größer",
    "😀😀 😢😢 ❤❤ numbers 1 2 3 4 5 6 7 8 9 0 2024 1999 366",
]
# My own wording: runs of spaces, digits, scripts, signs that are no token, tokens inside text, the sign for a space.
TEXTS = [
    "",
    " ",
    "  ",
    "Hello",
    " Hello",
    "   Hello there",
    "She was late, and he was later still.",
    "the  train   was    late     again",
    "trailing spaces   ",
    "tab\there, line\nend\r\n, two\n\nlines\n\n\n",
    "In 2024 there were 366 days; 3.14159 is not 22/7.",
    "Она сказала, что вчера шёл дождь.",
    "今日は雨ですか。明日も散歩に行きます。",
    "שלום עולם ٣٤٥ ½",
    "naïve café cafe\u0301 größer",
    "😀 😢😢 👩\u200d👩\u200d👧 ❤",
    "<|turn|>user\nHello<|end|>\n<|turn|> she was late<|end|>",
    "a<table>b <table> c<table><table>",
    "almost <|turn |> and <tab le> and <|end|",
    "</s> and <s> and <unk> and <0x0A>",
    "▁she▁▁was late",
    "\u00a0no break\u3000wide",
    "aaaaaaa wwwwww ........ !!!!",
    "nothing but the last train, that she said, they laughed at until it came",
]


def trained():
    """The model's bytes."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TRAINING_TEXT * 3),
        model_writer=model,
        model_type="bpe",
        vocab_size=520,
        character_coverage=0.98,
        byte_fallback=True,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        control_symbols=CONTROL,
        user_defined_symbols=USER_DEFINED,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def write(path, proto, space_prefix):
    """A llama model of zeros with the vocabulary."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(HIDDEN)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([piece.piece for piece in proto.pieces])
    writer.add_token_scores([piece.score for piece in proto.pieces])
    writer.add_token_types([piece.type for piece in proto.pieces])
    writer.add_add_space_prefix(space_prefix)
    writer.add_chat_template("{% for m in messages %}<|turn|>{{ m.content }}<|end|>{% endfor %}")
    kind = gguf.GGMLQuantizationType
    shapes = {"token_embd.weight": (len(proto.pieces), HIDDEN)}
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        shapes[f"blk.0.{name}.weight"] = (HIDDEN, HIDDEN)
    for name, shape in shapes.items():
        zeros = gguf.quants.quantize(np.zeros(shape, np.float32), kind.Q4_0)
        writer.add_tensor(name, zeros, raw_dtype=kind.Q4_0)
    for name in ("output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"):
        writer.add_tensor(name, np.ones(HIDDEN, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama_cpp_ids(path):
    """Ids of all texts, tokens in text recognised, without those around a text."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = CONTEXT
    parameters.n_gpu_layers = 0
    parameters.port = 0
    parameters.warmup = False
    parameters.cpuparams.n_threads = 1
    server = xllamacpp.Server(parameters)
    ids = []
    for text in TEXTS:
        body = json.dumps({"content": text, "add_special": False, "parse_special": True}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{server.listening_address}/tokenize", body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            ids.append(json.load(answer)["tokens"])
    return ids


def sentencepiece_ids(proto, space_prefix):
    """Ids of the texts without tokens of their own; `null` for the others."""
    proto.normalizer_spec.add_dummy_prefix = space_prefix
    processor = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())
    own = [*CONTROL, *USER_DEFINED, "<s>"]
    return [
        None if any(token in text for token in own) else processor.encode(text) for text in TEXTS
    ]


def make(folder):
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(trained())
    write(folder / "vocabulary.gguf", proto, space_prefix=True)
    content = {"texts": TEXTS, "with_space": llama_cpp_ids(folder / "vocabulary.gguf")}
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / "plain.gguf"
        write(plain, proto, space_prefix=False)
        content["without_space"] = llama_cpp_ids(plain)
    content["sentencepiece_with_space"] = sentencepiece_ids(proto, True)
    content["sentencepiece_without_space"] = sentencepiece_ids(proto, False)
    parts = []
    for key, items in content.items():
        listed = ",\n  ".join(json.dumps(item) for item in items)
        parts.append(f" {json.dumps(key)}: [\n  {listed}\n ]")
    text = "{\n" + ",\n".join(parts) + "\n}\n"
    (folder / "ids.json").write_text(text, encoding="utf-8")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    if not arguments.parse_args().check:
        make(HERE)
        return
    with tempfile.TemporaryDirectory() as scratch:
        make(Path(scratch))
        same = True
        for path in sorted(Path(scratch).iterdir()):
            equal = path.read_bytes() == (HERE / path.name).read_bytes()
            print(f"{path.name}: {'same' if equal else 'DIFFERENT'}")
            same &= equal
        sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
