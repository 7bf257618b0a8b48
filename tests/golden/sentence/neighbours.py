"""Compares what `emotrain bank search --out` found with an exact float32 cosine search of its own.

The bank's texts are read from its folder and encoded by sentence-transformers, as are the queries; faiss's
IndexFlatIP and numpy look for the nearest. Neighbours agree if their scores do, in order: equal scores may belong to
other texts.

    emotrain bank search BANK --queries QUERIES --out FOUND --top-k 3
    neighbours.py BANK QUERIES FOUND MODEL
"""

import argparse
import json
import sys
from pathlib import Path

import faiss
import numpy as np
from sentence_transformers import SentenceTransformer

TOLERANCE = 2e-6


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("bank", "queries", "found", "model"):
        parser.add_argument(name)
    wanted = parser.parse_args()
    bank, queries, found = lines(f"{wanted.bank}/demonstrations.jsonl"), lines(wanted.queries), lines(wanted.found)
    k = len(found[0]["neighbours"])
    model = SentenceTransformer(wanted.model, device="cpu")
    settings = {"batch_size": 32, "normalize_embeddings": True, "show_progress_bar": False}
    rows = model.encode([row["text"] for row in bank], **settings).astype(np.float32)
    asked = model.encode([row["text"] for row in queries], **settings).astype(np.float32)
    scores = asked @ rows.T
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    flat, _ = index.search(asked, k)
    by_numpy = -np.sort(-scores, axis=1)[:, :k]
    print(f"faiss and numpy differ by {np.abs(flat - by_numpy).max():.1e}")
    places = {(row["dataset"], row["split"], row["dialogue"], row["position"]): at for at, row in enumerate(bank)}
    wrong, swapped, largest = 0, 0, 0.0
    for number, (query, answer) in enumerate(zip(queries, found, strict=True)):
        assert query["id"] == answer["id"]
        ours = [places[(n["dataset"], n["split"], n["dialogue"], n["position"])] for n in answer["neighbours"]]
        said = np.array([n["score"] for n in answer["neighbours"]])
        exact = scores[number, ours]
        largest = max(largest, float(np.abs(said - exact).max()))
        # The scores of what was found, by the exact search, against the best scores there are.
        wrong += bool(np.abs(np.sort(exact)[::-1] - flat[number]).max() > TOLERANCE)
        swapped += ours != np.lexsort((np.arange(len(bank)), -scores[number]))[:k].tolist()
    print(f"{len(queries)} queries in {len(bank)} demonstrations, the {k} nearest of each")
    print(f"{wrong} with other neighbours; {swapped} in which equal scores come in another order")
    print(f"scores differ by at most {largest:.1e}")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
