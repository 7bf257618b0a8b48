"""What a sweep of a thousand runs costs before, while and after it runs.

    python3 scale.py EMOTRAIN     (EMOTRAIN: the program; Linux)

A sweep of 1,000 runs is expanded (`sweep --dry-run`); one run of it is trained, and its folder stands in for the others,
one in ten of them as one that has failed. Then `sweep status` and `sweep board` read all. Each of the three may take 2 s
and 200 MB. The expansion is also measured where every run has a recipe of its own.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS, MEGABYTES = 2.0, 200
SWEEP = """
base = "{root}/recipes/quickstart.toml"
output_dir = "{output}"
split = "test"
seeds = {seeds}

[set]
"train.method" = "lora"
"train.max_steps" = 2
"train.num_train_epochs" = 1
"eval.eval_steps" = 2
"eval.baseline" = false
"data.max_valid_samples" = 8
"data.max_test_samples" = 8
"retrieval.bank" = ""

[random]
samples = {samples}
"train.learning_rate" = {{ distribution = "log_uniform", min = 1e-5, max = 1e-3 }}
"lora.lora_dropout" = {{ distribution = "uniform", min = 0.0, max = 0.2 }}
"""


def measured(*command):
    """Seconds, megabytes and the output of a command that must end well."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begin
    if status != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {status}:\n{out}")
    return seconds, usage.ru_maxrss * 1024 / 1e6, out


def held(what, command):
    """Measures a command and holds it to the bar, by the best of a few times: other work disturbs."""
    for _ in range(5):
        seconds, megabytes, out = measured(*command)
        if seconds <= SECONDS and megabytes <= MEGABYTES:
            print(f"{what}: {seconds:.2f} s, {megabytes:.0f} MB", flush=True)
            return out
    sys.exit(f"{what}: {seconds:.2f} s, {megabytes:.0f} MB; the bar is {SECONDS} s and {MEGABYTES} MB")



def first_run(program, file, sweep):
    """Starts the sweep, stops it after its first run, and returns the folder of that."""
    process = subprocess.Popen([program, "sweep", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None:
        finished = [path.parent for path in sweep.glob("runs/*/run.json") if "finished_unix_s" in path.read_text()]
        if finished:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)
            return finished[0]
        time.sleep(0.05)
    sys.exit(f"the sweep ended with {process.returncode}: {process.stderr.read().decode()}")


def fill(sweep, first):
    """Folders for all runs of the sweep, made of the first; every tenth has failed. Returns how many have."""
    ids = [json.loads(line)["id"] for line in (sweep / "runs.jsonl").read_text().splitlines()]
    files = [file for file in first.iterdir() if file.is_file()]
    attempt = json.loads((sweep / "attempts" / first.name / "attempts.json").read_text())
    failed = 0
    for number, id in enumerate(ids):
        fails = number % 10 == 0 and id != first.name
        failed += fails
        run, attempts = sweep / "runs" / id, sweep / "attempts" / id
        if id != first.name:
            for folder in [run, attempts]:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
            for file in files:
                shutil.copy(file, run)
            (attempts / "attempts.json").write_text(json.dumps(attempt))
        if fails:
            (run / "report.json").unlink()
            record = json.loads((run / "run.json").read_text())
            del record["finished_unix_s"]
            (run / "run.json").write_text(json.dumps(record))
            end = {**attempt[-1], "exit": 4, "message": "the loss is not a number"}
            (attempts / "attempts.json").write_text(json.dumps([end]))
    return len(ids), failed


def main():
    program = str(Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)

        def sweep_file(name, seeds, samples):
            values = {"root": ROOT, "output": work / name, "seeds": list(range(seeds)), "samples": samples}
            (work / f"{name}.toml").write_text(SWEEP.format(**values))
            return str(work / f"{name}.toml")

        one_seed = sweep_file("one", 1, 1000)
        file = sweep_file("ten", 10, 100)
        held("expansion, a recipe for each of 1,000 runs", [program, "sweep", one_seed, "--dry-run"])
        held("expansion, 100 recipes with 10 seeds", [program, "sweep", file, "--dry-run"])
        sweep = work / "ten"
        count, failed = fill(sweep, first_run(program, file, sweep))
        status = held("status of 1,000 runs", [program, "sweep", "status", file])
        board = held("board of 1,000 runs", [program, "sweep", "board", file])
    told = [("status", status, f"{failed} failed"), ("board", board, f"{failed} runs have failed")]
    for what, out, expected in told:
        if expected not in out:
            sys.exit(f"{what} of {count} runs does not say {expected!r}:\n{out[-2000:]}")


if __name__ == "__main__":
    main()
