"""`emotrain predict` on many utterances: an early first line, flat memory, nothing lost or repeated by kills.

    python predict.py EMOTRAIN [--utterances 6000] [--first-s 20] [--kills 3]

An adapter of nano is trained for some steps. Then dialogues are labelled that together have so many utterances, by the
run alone: through pipes, where the first line has to be there in time and the process must not grow; and into a file,
where the process is killed several times and started again. Both have the same rows, one for each utterance, in order.
The numbers of the project: --utterances 100000 --first-s 1, with a release build.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RECIPE = ROOT / "recipes/quickstart.toml"
TRAINING = {
    "train.method": "lora",
    "train.max_steps": 2,
    "eval.eval_steps": 2,
    "eval.baseline": False,
    "eval.test": False,
    "data.max_valid_samples": 20,
}
MEMORY = 1.1  # the most after nine tenths, as a share of the most after one
SLACK_KB = 8192
SETTLED = 2000  # rows of two full parts: until then the process grows to what a part of dialogues takes


def write_input(path, utterances):
    """The quickstart's dialogues under new ids, until there are so many utterances; returns the ids of all."""
    lines = (ROOT / "recipes/quickstart/train.jsonl").read_text(encoding="utf-8").splitlines()
    dialogues, ids = [json.loads(line) for line in lines], []
    with path.open("w", encoding="utf-8") as file:
        number = 0
        while len(ids) < utterances:
            dialogue = dialogues[number % len(dialogues)] | {"id": f"d{number}"}
            for turn in dialogue["utterances"]:
                turn.pop("label", None)
            file.write(json.dumps(dialogue) + "\n")
            ids += [f"d{number}#{position}" for position in range(len(dialogue["utterances"]))]
            number += 1
    return ids


def peak_kb(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def piped(words, source, count):
    """Rows from standard input to standard output; the seconds to the first, and the memory once the process has come to
    its size (after a tenth, or after SETTLED rows if they are more) and after nine tenths."""
    begin, rows = time.monotonic(), []
    with source.open("rb") as file, subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:

        def feed():
            with process.stdin as pipe:
                for line in file:
                    pipe.write(line)

        feeding = threading.Thread(target=feed)
        feeding.start()
        first = early = late = None
        for row in process.stdout:
            first = first or time.monotonic() - begin
            rows.append(row)
            if len(rows) == max(count // 10, SETTLED):
                early = peak_kb(process)
            if len(rows) == count * 9 // 10:
                late = peak_kb(process)
        feeding.join()
    assert process.returncode == 0, f"exit {process.returncode}"
    return rows, first, early, late, time.monotonic() - begin


def killed(words, output, expected, kills):
    """The same command again and again, killed at random while its file grows, and once to its end."""
    partial = output.with_name(output.name + ".partial")
    for kill in range(kills):
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        # A share of what is left, at a random instant between two parts or in one.
        goal = len(expected) * (kill + 1) // (kills + 1)
        while not (partial.exists() and partial.stat().st_size > goal) and process.poll() is None:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.2))
        process.kill()
        assert process.wait() != 0, "it came to its end before it was killed"
        print(f"killed with {partial.stat().st_size} of {len(expected)} bytes", flush=True)
    said = subprocess.run(words, check=True, stderr=subprocess.PIPE, encoding="utf-8").stderr
    assert "goes on after" in said, said
    assert not partial.exists()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("emotrain")
    arguments.add_argument("--utterances", type=int, default=6000)
    arguments.add_argument("--first-s", type=float, default=20)
    arguments.add_argument("--kills", type=int, default=3)
    given = arguments.parse_args()
    random.seed(1)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        settings = TRAINING | {"train.output_dir": str(place / "run")}
        told = [f"--set={key}={json.dumps(value)}" for key, value in settings.items()]
        subprocess.run([given.emotrain, "train", RECIPE, "--quiet", *told], check=True, stdout=subprocess.DEVNULL)
        source, output = place / "input.jsonl", place / "labels.jsonl"
        ids = write_input(source, given.utterances)
        words = [given.emotrain, "predict", "--run", str(place / "run")]
        rows, first, early, late, took = piped([*words, "--quiet"], source, len(ids))
        print(
            f"{len(ids)} utterances in {took:.0f} s, {len(ids) / took:.0f} a second; the first line after {first:.2f} s; "
            f"at most {early} kB once it has settled, {late} kB after nine tenths",
            flush=True,
        )
        assert [json.loads(row)["id"] for row in rows] == ids, "rows are lost, repeated or in another order"
        assert first < given.first_s, f"the first line came after {first:.2f} s"
        assert late < MEMORY * early + SLACK_KB, "memory grows with the input"
        expected = b"".join(rows)
        killed([*words, "--input", str(source), "--output", str(output)], output, expected, given.kills)
        assert output.read_bytes() == expected, "the file that was killed has other rows"
    print("no row is lost or repeated")


if __name__ == "__main__":
    sys.exit(main())
