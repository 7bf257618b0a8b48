"""What four runs of SmolLM2-135M on one base take, in one process and in four.

    python together.py EMOTRAIN MODEL [--steps N] [--batch N]

EMOTRAIN is the program, MODEL the folder or file of SmolLM2-135M-Instruct; Linux, Python 3.11 alone. The runs have other
seeds and curricula, r = 32 on all linear layers, and the quickstart's dialogues. Each trains alone, then all of them
in one process. Every adapter must be that of the run alone, byte for byte. The peak of the anonymous memory (RssAnon;
pages of files are not in it) of the one process must be at most half of the sum over the four, and it must not take
longer than they do one after the other. Prints a JSON line; time is also given as CPU time, which other processes on
the machine disturb less.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS = {"none-42": ("none", 42), "es-43": ("es", 43), "wes-44": ("wes", 44), "prc-45": ("prc_emo", 45)}
RECIPE = """
[model]
model_name_or_path = "{model}"
device = "cpu"
[lora]
r = 32
lora_alpha = 128
lora_dropout = 0.05
[data]
label_set = "meld"
train = "{root}/recipes/quickstart/train.jsonl"
valid = "{valid}"
[prompt]
history_window = 5
[curriculum]
name = "{curriculum}"
[train]
seed = {seed}
learning_rate = 3e-4
per_device_train_batch_size = {batch}
gradient_accumulation_steps = 1
max_steps = {steps}
output_dir = "{output}"
[eval]
baseline = false
eval_steps = {steps}
[logging]
logging_steps = 1
report_to = ["jsonl"]
"""


def measured(command):
    """Seconds, CPU seconds and the peak of the anonymous memory in MiB of a command."""
    begin, peak = time.monotonic(), 0
    said = tempfile.TemporaryFile()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        try:
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            found = [int(line.split()[1]) for line in lines if line.startswith("RssAnon:")]
            peak = max([peak, *found])
        except OSError:
            pass
        time.sleep(0.01)
    if status != 0:
        said.seek(0)
        sys.exit(f"{' '.join(command)} ended with {status}:\n{said.read().decode()}")
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, peak / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--batch", type=int, default=4)
    arguments = parser.parse_args()
    program = str(Path(arguments.program).resolve())
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        valid = work / "valid.jsonl"
        lines = (ROOT / "recipes/quickstart/valid.jsonl").read_text().splitlines(keepends=True)
        valid.write_text(min(lines, key=len))
        for name, (curriculum, seed) in RUNS.items():
            values = {"model": Path(arguments.model).resolve(), "root": ROOT, "valid": valid}
            values |= {"curriculum": curriculum, "seed": seed, "output": work / "together" / name}
            values |= {"batch": arguments.batch, "steps": arguments.steps}
            (work / f"{name}.toml").write_text(RECIPE.format(**values))
        recipes = [str(work / f"{name}.toml") for name in RUNS]
        alone = []
        for name, recipe in zip(RUNS, recipes):
            alone.append(measured([program, recipe, "--set", f"train.output_dir={work / 'alone' / name}"]))
        together = measured([program, *recipes])
        for name in RUNS:
            for file in ["adapter/adapter_model.safetensors", "predictions.valid.jsonl"]:
                one, other = [(work / place / name / file).read_bytes() for place in ["alone", "together"]]
                if one != other:
                    sys.exit(f"{name}: {file} differs from that of the run alone")
    sums = [sum(values) for values in zip(*alone)]
    ratios = [one / other for one, other in zip(together, sums)]
    keys = ["seconds", "cpu_seconds", "anonymous_mib"]
    result = {"alone": [dict(zip(keys, (round(value, 1) for value in run))) for run in alone]}
    result["together"] = dict(zip(keys, (round(value, 1) for value in together)))
    result["ratio"] = dict(zip(keys, (round(value, 3) for value in ratios)))
    print(json.dumps(result))
    if ratios[2] > 0.5:
        sys.exit("more than half of the memory of four processes")


if __name__ == "__main__":
    main()
