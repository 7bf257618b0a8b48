"""Sentences a second: `emotrain bank build --encoder` and sentence-transformers, in turn, on the same texts.

    speed.py EMOTRAIN MODEL TEXTS [--rounds N] [--threads N]

TEXTS is JSON lines of dialogues. Ours is the time that the build says it took for its vectors, writing them to disk
included; theirs that of `encode` alone, batches of 32, sorted by length as it does. Texts that occur twice are
encoded once by ours, so both are also measured on each text once.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path


def ours(wanted, texts, folder):
    source, bank = Path(folder) / "texts.jsonl", Path(folder) / "bank"
    rows = [{"id": str(at), "utterances": [{"speaker": "a", "text": text, "label": "joy"}]} for at, text in enumerate(texts)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [wanted.emotrain, "bank", "build", str(bank), str(source), "--dataset", "speed", "--encoder", wanted.model]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(wanted.threads)}
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stderr
    return float(re.search(r"texts encoded by .* in ([0-9.]+) s", said).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("emotrain", "model", "texts"):
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, default=None)
    wanted = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(wanted.threads)
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(wanted.threads)
    model = SentenceTransformer(wanted.model, device="cpu")
    dialogues = [json.loads(line) for line in Path(wanted.texts).read_text().splitlines()]
    texts = [turn["text"] for dialogue in dialogues for turn in dialogue["utterances"]][: wanted.limit]
    model.encode(texts[:256], batch_size=32, show_progress_bar=False)
    for name, texts in (("all", texts), ("each once", list(dict.fromkeys(texts)))):
        rounds = []
        for _ in range(wanted.rounds):
            with tempfile.TemporaryDirectory() as folder:
                mine = ours(wanted, texts, folder)
            start = time.perf_counter()
            model.encode(texts, batch_size=32, show_progress_bar=False)
            rounds.append((len(texts) / mine, len(texts) / (time.perf_counter() - start)))
        rates = [statistics.median(rates) for rates in zip(*rounds)]
        ratio = statistics.median(one / other for one, other in rounds)
        print(f"{name}: {len(texts)} texts, emotrain {rates[0]:.0f}/s, sentence-transformers {rates[1]:.0f}/s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
