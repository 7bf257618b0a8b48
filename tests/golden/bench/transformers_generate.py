"""transformers' side of the inference comparison, with ours measured in turn by the same script.

    cargo build --release -p emotrain -p emotrain-model --example inference
    python transformers_generate.py target/release/examples/inference [--work FILE] [--rounds 3]

SmolLM2-135M-Instruct in float32 with its cache, on the threads there are. Generation: the first
prompts of ../generate/smollm2.json at batch sizes 1 and 8 (left-padded on their side), a fixed
number of tokens. With `--work FILE`, a JSON file of `prompts` and `completions` (token ids; the
first lines of `emotrain inspect` show them), also scoring: ours scores all completions after every
prompt, in float32 and with `eval.bf16_full_eval`; theirs generates an answer to each prompt at
batch size 1 in float32, until the model ends its turn or `--answer` tokens are written: an untrained
model needs some ten to name a label, one that was trained on them the longest completion's. Prints one JSON line a round and the medians of the ratios; needs fetch-models.sh.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch
import transformers

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("EMOTRAIN_TEST_MODELS") or Path.home() / ".cache/emotrain-test-models")
FOLDER = CACHE / "smollm2-135m-instruct"
PAD = 2


class Ours:
    """Our program, asked line by line."""

    def __init__(self, program, work):
        self.file = tempfile.NamedTemporaryFile("w", suffix=".json")
        json.dump(work, self.file)
        self.file.flush()
        self.process = subprocess.Popen(
            [program, FOLDER, self.file.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["seconds"], answer["result"]


def generate(model, prompts, tokens, end=None):
    """Seconds and the new tokens: so many, or fewer where `end` comes first."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[PAD] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    config = transformers.GenerationConfig(
        do_sample=False, use_cache=True, max_new_tokens=tokens, eos_token_id=end, pad_token_id=PAD
    )
    start = time.perf_counter()
    out = model.generate(ids, attention_mask=mask, generation_config=config)
    return time.perf_counter() - start, out[:, longest:].tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--work")
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--answer", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    torch.set_grad_enabled(False)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        FOLDER, gguf_file="model.gguf", dtype=torch.float32
    ).eval()
    model.generation_config.eos_token_id = None  # so many tokens, whatever they are
    cases = json.loads((HERE.parent / "generate/smollm2.json").read_text())["cases"]
    prompts = [case["prompt"] for case in cases]
    ours = Ours(arguments.program, {"prompts": prompts})
    ratios = {}
    for number in range(arguments.rounds + 1):  # the first warms up
        for batch in (1, 8):
            theirs, expected = generate(model, prompts[:batch], arguments.tokens)
            mine, found = ours.ask(f"generate {batch} {arguments.tokens}")
            report = {"batch": batch, "transformers": round(theirs, 3), "ours": round(mine, 3)}
            report["tokens_per_second"] = round(batch * arguments.tokens / mine, 1)
            report["equal"] = found == expected
            report["ratio"] = round(theirs / mine, 2)
            print(json.dumps(report), flush=True)
            if number:
                ratios.setdefault(f"generate, batch {batch}", []).append(theirs / mine)
    if arguments.work:
        work = json.loads(Path(arguments.work).read_text())
        end = work["completions"][0][-1]  # of a turn
        ours = Ours(arguments.program, work)
        for number in range(arguments.rounds + 1):
            answers = [generate(model, [prompt], arguments.answer, end) for prompt in work["prompts"]]
            theirs = sum(seconds for seconds, _ in answers)
            (full, exact), (bf16, near) = ours.ask("score 8"), ours.ask("score 8 bf16")
            written = statistics.mean(len(ids) for _, [ids] in answers)
            report = {"prompts": len(work["prompts"]), "mean_new_tokens": written}
            report |= {"transformers": round(theirs, 3), "ours": round(full, 3), "ours in bf16": round(bf16, 3)}
            likeliest = [[row.index(max(row)) for row in rows] for rows in (exact, near)]
            report["equal labels"] = sum(one == other for one, other in zip(*likeliest))
            report |= {"ratio": round(theirs / full, 2), "ratio in bf16": round(theirs / bf16, 2)}
            print(json.dumps(report), flush=True)
            if number:
                ratios.setdefault("score", []).append(theirs / full)
                ratios.setdefault("score in bf16", []).append(theirs / bf16)
    print(json.dumps({name: round(statistics.median(values), 2) for name, values in ratios.items()}))


if __name__ == "__main__":
    main()
