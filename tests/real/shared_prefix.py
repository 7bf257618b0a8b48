"""What a step costs with and without rows that samples share (train.shared_prefix).

    python shared_prefix.py EMOTRAIN MODEL DIALOGUES [--data FORMAT] [--steps N] [--rounds N] [--set KEY=VALUE ...]
        [--sections FILE]

EMOTRAIN is the program, MODEL the folder or file of SmolLM2-135M-Instruct, DIALOGUES a file of labelled dialogues in FORMAT
(prc_json, as MELD in the PRC-Emo repository); Linux, Python 3.11 alone. Runs with r = 32 on all linear layers, without
dropout, and steps of four samples: once in the order of the dialogues, so that a step's samples are of one dialogue, and
once shuffled. FILE has further sections of the recipe, such as [retrieval] and [[knowledge]]. Each trains with shared_prefix = "never" and "always" in turn, on the same samples. The losses of every step must
be the same within 1e-4. Prints, as a JSON line for each, tokens computed and seconds per step, their ratios, and the CPU time of each process with
all else that it does.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RECIPE = """
[model]
model_name_or_path = "{model}"
device = "cpu"
[lora]
r = 32
lora_alpha = 128
lora_dropout = 0.0
[data]
format = "{data}"
label_set = "meld"
train = "{dialogues}"
[prompt]
history_window = 12
[curriculum]
name = "none"
shuffle = {shuffle}
[train]
learning_rate = 3e-4
per_device_train_batch_size = 4
gradient_accumulation_steps = 1
max_steps = {steps}
shared_prefix = "{word}"
output_dir = "{output}"
[eval]
baseline = false
eval_steps = 0
load_best_model_at_end = false
[save]
save_steps = 0
[logging]
logging_steps = 1
report_to = ["jsonl"]
"""


def trained(args, shuffle, word):
    """Losses of the steps, tokens computed, seconds of all steps, and CPU seconds of the whole process."""
    with tempfile.TemporaryDirectory() as folder:
        recipe, output = Path(folder) / "recipe.toml", Path(folder) / "run"
        recipe.write_text(
            RECIPE.format(
                model=args.model.resolve(),
                data=args.data,
                dialogues=args.dialogues.resolve(),
                shuffle="true" if shuffle else "false",
                steps=args.steps,
                word=word,
                output=output,
            )
            + (args.sections.read_text() if args.sections else "")
        )
        sets = [part for one in args.set for part in ("--set", one)]
        before = os.times()
        said = subprocess.run([args.program, recipe, *sets], capture_output=True, text=True)
        after = os.times()
        if said.returncode != 0:
            sys.exit(f"{word} ended with {said.returncode}:\n{said.stderr}")
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
        training = json.loads((output / "run.json").read_text())["training"]
        return [line["loss"] for line in lines], training["tokens"], training["seconds"], cpu


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("model", type=Path)
    parser.add_argument("dialogues", type=Path)
    parser.add_argument("--data", default="prc_json")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--sections", type=Path)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    for shuffle in (False, True):
        seconds, tokens, losses, pairs = {"never": [], "always": []}, {}, {}, []
        cpu = {"never": [], "always": []}
        for _ in range(args.rounds):
            for word in seconds:
                losses[word], tokens[word], time, cpu_time = trained(args, shuffle, word)
                seconds[word].append(time)
                cpu[word].append(cpu_time)
            pairs.append(seconds["never"][-1] / seconds["always"][-1])
            for one, other in zip(losses["never"], losses["always"], strict=True):
                assert abs(one - other) <= 1e-4 * abs(other), (losses["never"], losses["always"])
        steps = args.steps
        result = {
            "samples": "shuffled" if shuffle else "in the order of the dialogues",
            "tokens_a_step": {word: count / steps for word, count in tokens.items()},
            "tokens_ratio": round(tokens["never"] / tokens["always"], 2),
            "seconds_a_step": {word: [round(time / steps, 2) for time in times] for word, times in seconds.items()},
            "speed_ratio_of_pairs": [round(pair, 2) for pair in pairs],
            "cpu_seconds": {word: [round(time, 1) for time in times] for word, times in cpu.items()},
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
