#!/usr/bin/env python3
"""What a kill or a failing call leaves behind: every call that changes a file, once.

Three commands are watched: a small training, a bank that is added to, and a prediction. strace lists the calls with
which a command changes files; then the command is run again for each of them, and at that call it is

* killed (`kill`), and at random instants as well, or
* told that the disk is full, broken or closed to it (`fail`: ENOSPC, EIO, EACCES).

After that the same command is given again, as a person or a script would (a training with --resume), and has to come to
the very bytes of a run that nothing happened to. In between nothing that was published may be lost. A failing call has
to end a command with exit code 5, or not to matter at all.

    python3 tests/faults/faults.py [kill] [fail] [--most N] [--instants N] [--emotrain PATH]

--most tries so many calls of each command, spread evenly; without it every one is tried. Needs Linux, strace, and the
program; exits with 1 if anything was lost, differed, panicked or hung.
"""

import argparse
import hashlib
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
CALLS = (
    "openat,creat,write,pwrite64,writev,ftruncate,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,"
    "mkdir,mkdirat,unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat,chmod,fchmod,fchmodat"
)
ERRORS = ["ENOSPC", "EIO", "EACCES"]
TIMEOUT_S = 300
RECIPE = """
[model]
model_name_or_path = "{top}/checkpoints/nano"
device = "cpu"
num_threads = 1
[lora]
r = 4
lora_alpha = 8
[data]
train = "train.jsonl"
valid = "valid.jsonl"
label_set = "meld"
[prompt]
template = "{top}/recipes/prompts/short.jinja"
history_window = 1
[train]
learning_rate = 3e-3
per_device_train_batch_size = 2
gradient_accumulation_steps = 1
max_steps = 4
max_seq_length = 512
output_dir = "out"
[eval]
eval_steps = 1
[save]
save_steps = 2
save_total_limit = 1
[logging]
logging_steps = 1
"""


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


class Training:
    """A run that is begun; a second start goes on with it."""

    name = "training"

    def prepare(self, folder):
        (folder / "recipe.toml").write_text(RECIPE.format(top=TOP))
        lines = (TOP / "recipes/quickstart/train.jsonl").read_text().splitlines(keepends=True)
        (folder / "train.jsonl").write_text("".join(lines[:3]))
        (folder / "valid.jsonl").write_text(lines[3])

    def first(self):
        return ["-q", "recipe.toml"]

    def again(self):
        return ["-q", "recipe.toml", "--resume"]

    def result(self, folder):
        files = ["adapter/adapter_model.safetensors", "report.json", "predictions.valid.jsonl"]
        return {file: digest(folder / "out" / file) for file in files}

    def intact(self, folder):
        """A result that was published can be used at any moment."""
        out = folder / "out"
        published = [out / "adapter", out / ".adapter.replaced"]
        return all((place / "manifest.json").exists() for place in published if place.exists())


class Bank:
    """A bank that is added to; the same command again adds to what is there."""

    name = "bank build"

    def prepare(self, folder):
        lines = (TOP / "recipes/quickstart/train.jsonl").read_text().splitlines(keepends=True)
        for name, part in [("first", lines[:3]), ("second", lines[3:6])]:
            (folder / f"{name}.jsonl").write_text("".join(part))
        self.build(folder, "first")

    def build(self, folder, name):
        subprocess.run([EMOTRAIN, *self.words(name)], cwd=folder, check=True, timeout=TIMEOUT_S)

    def words(self, name):
        return ["-q", "bank", "build", "bank", f"{name}.jsonl", "--dataset", name, "--format", "jsonl", "--label-set", "meld"]

    def first(self):
        return self.words("second")

    again = first

    def result(self, folder):
        return {file: digest(folder / "bank" / file) for file in ["demonstrations.jsonl", "manifest.json"]}

    def intact(self, folder):
        """The first file's demonstrations are there whatever happened."""
        places = [folder / "bank", folder / ".bank.replaced"]
        # What is on its way out may have lost one of its files already.
        lists = [place / "demonstrations.jsonl" for place in places if (place / "manifest.json").exists()]
        texts = [lines.read_text() for lines in lists if lines.exists()]
        return any('"first"' in text for text in texts)


class Prediction:
    """Labels that replace those of an earlier prediction."""

    name = "predict"

    def prepare(self, folder):
        training = Training()
        training.prepare(folder)
        subprocess.run([EMOTRAIN, *training.first()], cwd=folder, check=True, timeout=TIMEOUT_S, stdout=subprocess.DEVNULL)
        shutil.copy(folder / "valid.jsonl", folder / "input.jsonl")
        (folder / "labels.jsonl").write_text("those of before\n")

    def first(self):
        files = ["--input", "input.jsonl", "--output", "labels.jsonl"]
        return ["-q", "predict", "recipe.toml", "--run", "out", *files, "--overwrite"]

    again = first

    def result(self, folder):
        return {"labels.jsonl": digest(folder / "labels.jsonl")}

    def intact(self, folder):
        text = (folder / "labels.jsonl").read_text()
        return text == "those of before\n" or text.endswith("\n") and all(json.loads(line) for line in text.splitlines())


def run(words, folder, inject=None):
    """Exit code and standard error; a negative code is a signal, None a hang."""
    command = [EMOTRAIN, *words]
    if inject:
        command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={inject[0]}", "-e", f"inject={':'.join(inject)}", *command]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _, text = process.communicate(timeout=TIMEOUT_S)
        return process.returncode, text
    except subprocess.TimeoutExpired:
        process.kill()
        return None, process.communicate()[1]


def changing_calls(command, folder):
    """(call, which one of its name), in order, of the calls that change files under `folder`."""
    log = folder.parent / "calls"
    words = ["strace", "-f", "-y", "-qq", "-o", str(log), "-e", f"trace={CALLS}", EMOTRAIN, *command.first()]
    done = subprocess.run(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S)
    if done.returncode != 0:
        sys.exit(f"{command.name}: {done.stderr}")
    counts, found = Counter(), []
    for line in log.read_text(errors="replace").splitlines():
        match = re.match(r"(\d+) +(\w+)\((.*)", line)
        if not match:
            continue
        thread, call, rest = match.groups()
        counts[thread, call] += 1
        reads = call == "openat" and not re.search(r"O_(WRONLY|RDWR|CREAT)", rest)
        # Relative names are under the folder; what has an absolute one, or a descriptor of one, has to be.
        elsewhere = re.match(r'(?:AT_FDCWD<[^>]*>, )?"/|\d+<', rest) and str(folder) not in rest.split('", ')[0].split(">")[0]
        if not reads and not elsewhere:
            found.append((call, counts[thread, call]))
    return list(dict.fromkeys(found))


def spread(points, most):
    if not most or len(points) <= most:
        return points
    return [points[index * len(points) // most] for index in range(most)]


class Trial:
    """One command, what it comes to undisturbed, and what was found."""

    def __init__(self, command, scratch):
        self.command, self.folder = command, scratch / "work"
        self.clean = scratch / "clean"
        self.clean.mkdir()
        command.prepare(self.clean)
        self.reset()
        self.points = changing_calls(command, self.folder)
        self.expected = command.result(self.folder)
        assert all(self.expected.values()), f"{command.name} leaves no result"
        self.counts, self.faults = Counter(), []

    def reset(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.clean, self.folder, symlinks=True)

    def fault(self, where, what, text=""):
        self.counts[what] += 1
        self.faults.append(f"{self.command.name}, {where}: {what} {text.strip()[-300:]}")

    def look(self, where, code, text):
        """What no end of a process may be."""
        if code is None:
            self.fault(where, "hang")
        if "defect of its own" in text or "panicked" in text or code in (-6, -11, 134, 139):
            self.fault(where, "panic or abort", text)
        if not self.command.intact(self.folder):
            self.fault(where, "lost")

    def again(self, where):
        code, text = run(self.command.again(), self.folder)
        self.look(where, code, text)
        if code != 0:
            self.fault(where, f"exit {code} when given again", text)
        else:
            result = self.command.result(self.folder)
            for file in self.expected:
                if result[file] != self.expected[file]:
                    self.fault(where, f"another {file}")

    def kill(self, most, instants):
        for call, number in spread(self.points, most):
            where = f"killed at {call} {number}"
            self.reset()
            code, text = run(self.command.first(), self.folder, (call, "signal=KILL", f"when={number}"))
            self.counts["kills" if code != 0 else "kills that came too late"] += 1
            self.look(where, code, text)
            self.again(where)
        self.reset()
        begin = time.monotonic()
        run(self.command.first(), self.folder)
        length = time.monotonic() - begin
        for _ in range(instants):
            after = random.uniform(0, length)
            where = f"killed after {after:.3f} s"
            self.reset()
            process = subprocess.Popen(
                [EMOTRAIN, *self.command.first()], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            time.sleep(after)
            process.kill()
            process.wait()
            self.counts["kills at random instants"] += 1
            self.look(where, 0, "")
            self.again(where)

    def fail(self, most):
        for number, (call, when) in enumerate(spread(self.points, most)):
            for error in ERRORS if not most else [ERRORS[number % len(ERRORS)]]:
                where = f"{error} at {call} {when}"
                self.reset()
                code, text = run(self.command.first(), self.folder, (call, f"error={error}", f"when={when}"))
                self.counts[f"failing calls that ended with {code}"] += 1
                self.look(where, code, text)
                if code == 0 and self.command.result(self.folder) != self.expected:
                    self.fault(where, "exit 0 and another result")
                if code not in (0, 5, None):
                    self.fault(where, f"exit {code}", text)
                self.again(where)

    def tell(self):
        told = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))
        print(f"{self.command.name}: {len(self.points)} calls change files; {told or 'nothing was tried'}")
        for fault in self.faults:
            print(f"  {fault}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", nargs="*", help="kill, fail or both; both, if neither is named")
    arguments.add_argument("--most", type=int, default=0, metavar="N")
    arguments.add_argument("--instants", type=int, default=0, metavar="N")
    arguments.add_argument("--only", default="", metavar="COMMAND")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--emotrain", default=str(TOP / "target/release/emotrain"))
    given = arguments.parse_args()
    global EMOTRAIN
    EMOTRAIN = str(Path(given.emotrain).resolve())
    random.seed(given.seed)
    is_sound = True
    for command in [Training(), Bank(), Prediction()]:
        if given.only not in command.name:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            trial = Trial(command, Path(scratch))
            if not given.what or "kill" in given.what:
                trial.kill(given.most, given.instants)
            if not given.what or "fail" in given.what:
                trial.fail(given.most)
            trial.tell()
            is_sound = is_sound and not trial.faults
    sys.exit(0 if is_sound else 1)


if __name__ == "__main__":
    main()
