#!/usr/bin/env python3
"""A sweep on a real Slurm that is disturbed, against the same sweep done locally.

The cluster is that of start.sh: a controller and two nodes on this machine. Twelve runs are trained as a job array, and
meanwhile

* two tasks are killed (kill -9), and a second `emotrain sweep` submits those two and no others,
* a node is drained and returned,
* a task is warned by signal, saves, and requeues itself,
* the controller is stopped and started again.

In the end every run is finished and equal, byte by byte, to the same run done locally; no step but those after the last
saved one was trained twice, and no two processes were ever at the same run. Then smaller sweeps are cancelled and
continued, and fail and are retried.

    python3 tests/slurm/sweep.py target/debug/emotrain [--keep]

Needs root, and Slurm's and munge's packages; exits with 1 if anything is not as it should be. --keep leaves the folder
with all files.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
COMMAND_S = 120
# Other work may take most of a machine's time.
PATIENCE_S = 400
STEPS = 40
SAVE_STEPS = 5
RESULTS = ["model/model.safetensors", "predictions.valid.jsonl", "predictions.test.jsonl"]

RECIPE = f"""
extends = "{TOP}/recipes/quickstart.toml"

[model]
num_threads = 1
[data]
train = "train.jsonl"
valid = "valid.jsonl"
test = "test.jsonl"
[train]
per_device_train_batch_size = 6
max_steps = {STEPS}
[eval]
eval_steps = 20
[save]
save_steps = {SAVE_STEPS}
[logging]
logging_steps = 1
"""
SWEEP = """
base = "recipe.toml"
output_dir = "{output}"
seeds = {seeds}

[grid]
{grid}

[slurm]
cpus_per_task = 1
time = "30"
signal = "B:USR1@60"
"""
CURRICULA = '"curriculum.name" = ["none", "es", "prc_emo"]'


class Failure(Exception):
    pass


def check(holds, words):
    if not holds:
        raise Failure(words)


def say(words):
    print(f"[{time.monotonic() - BEGIN:5.1f} s] {words}", flush=True)


def until(what, holds, limit_s=PATIENCE_S):
    """Waits for something, and returns what it was."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.1)
    raise Failure(f"not within {limit_s} s: {what}")


def command(*words, limit_s=COMMAND_S):
    done = subprocess.run([str(word) for word in words], cwd=FOLDER, timeout=limit_s, capture_output=True, text=True)
    check(done.returncode == 0, f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def are_free(ports):
    """Whether nothing listens on any of these ports."""
    for port in ports:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return False
    return True


class Cluster:
    def __init__(self, folder):
        self.folder = folder
        os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
        os.environ["PORT"] = str(next(base for base in range(17817, 60000, 10) if are_free(range(base, base + 3))))
        self.start()

    def start(self, *what):
        # Daemons keep what they inherit, so nothing of them is captured.
        subprocess.run(["bash", HERE / "start.sh", self.folder, *what], check=True, timeout=COMMAND_S)

    def stop(self):
        subprocess.run(["bash", HERE / "stop.sh", self.folder], timeout=COMMAND_S)

    def stop_controller(self):
        """As for an update. Killed, it would forget what it had not saved yet: tasks that ended would seem to run on."""
        controller = int((self.folder / "run/slurmctld.pid").read_text())
        os.kill(controller, signal.SIGTERM)
        until("the controller stops", lambda: not Path(f"/proc/{controller}").exists(), 60)

    def is_empty(self):
        return not command("squeue", "--noheader")

    def node(self, name, state):
        command("scontrol", "update", f"nodename={name}", f"state={state}", "reason=test")


class Sweep:
    def __init__(self, name, seeds, grid, more=""):
        self.file = FOLDER / f"{name}.toml"
        self.folder = FOLDER / "out" / name
        self.file.write_text(SWEEP.format(output=f"out/{name}", seeds=seeds, grid=grid) + more)

    def emotrain(self, *words, limit_s=COMMAND_S):
        return command(EMOTRAIN, "sweep", *words, limit_s=limit_s)

    def submit(self, *words):
        self.emotrain(self.file, "--engine", "slurm", *words)

    def status(self):
        """What the program says of each run, by its id."""
        return {run["id"]: run for run in json.loads(self.emotrain("status", self.file, "--json"))["runs"]}

    def states(self):
        return {run: told["state"] for run, told in self.status().items()}

    def job(self, run):
        """The id of the run's task as Slurm has it, from what status says."""
        task = self.status()[run]["slurm"]
        return f"{task['job']}_{task['index']}"

    def submitted(self, number):
        """The runs of a submission."""
        tasks = json.loads((self.folder / f"slurm/{number}.json").read_text())["tasks"]
        return {run for task in tasks for run in task}

    def submissions(self):
        return len(list((self.folder / "slurm").glob("*.json")))

    def runs(self):
        lines = (self.folder / "runs.jsonl").read_text().splitlines()
        return {json.loads(line)["id"]: json.loads(line) for line in lines}

    def attempts(self, run):
        return json.loads((self.folder / f"attempts/{run}/attempts.json").read_text())

    def step(self, run):
        """The last step in the metrics of a run."""
        file = self.folder / "runs" / run / "metrics.jsonl"
        steps = re.findall(r'"event":"train","step":(\d+)', file.read_text()) if file.exists() else []
        return int(steps[-1]) if steps else 0

    def process(self, run):
        """The process that has the run's lock, and its host."""
        return re.match(r"process (\d+) on (\S+)", (self.folder / "runs" / run / ".lock").read_text()).groups()

    def in_the_middle(self, besides=(), host=None):
        """A run that has saved a step and has some to go, and that nothing was done to yet."""

        def find():
            for run, state in self.states().items():
                if run in besides or state != "running" or not SAVE_STEPS < self.step(run) < STEPS - 2 * SAVE_STEPS:
                    continue
                if host not in (None, self.process(run)[1]):
                    continue
                task = self.status()[run]["slurm"]
                told = (task["state"], task["nodes"])
                check(told == ("RUNNING", self.process(run)[1]) or self.states()[run] != "running", f"{run}: {task}")
                return run
            return None

        return until("a run in the middle of its training", find)

    def digests(self):
        def digest(path):
            return hashlib.sha256(path.read_bytes()).hexdigest()

        return {run: [digest(self.folder / "runs" / run / file) for file in RESULTS] for run in self.runs()}


def disturb(sweep, cluster):
    """Does to a sweep what the first lines of this file say; returns who was killed and who was warned."""
    killed = []
    for _ in range(2):
        run = sweep.in_the_middle(besides=killed)
        pid, host = sweep.process(run)
        os.kill(int(pid), signal.SIGKILL)
        say(f"{run} on {host} was killed at step {sweep.step(run)}")
        killed.append(run)
    until("killed runs are lost", lambda: all(sweep.states()[run] == "lost" for run in killed), 60)
    told = sweep.status()
    check(all(told[run]["slurm"]["state"] == "FAILED" for run in killed), f"killed tasks are {told}")

    drained = sweep.in_the_middle(besides=killed, host="node2")
    cluster.node("node2", "drain")
    say("node2 was drained")
    until("the run on it ends by itself", lambda: sweep.states()[drained] == "finished")
    time.sleep(3)
    busy = [told["slurm"]["nodes"] for told in sweep.status().values() if told["state"] == "running"]
    check(set(busy) <= {"node1"}, f"runs are on {busy} although node2 is drained")
    cluster.node("node2", "resume")
    say("node2 was returned")

    warned = sweep.in_the_middle(besides=killed)
    step = sweep.step(warned)
    task = sweep.job(warned)
    # As soon as the task has requeued itself scancel cannot find it, and would try for a minute and a half.
    warning = subprocess.Popen(["scancel", "--signal=USR1", "--batch", task], stderr=subprocess.DEVNULL)
    until("the warned run saves and is queued again", lambda: sweep.status()[warned]["slurm"]["state"] == "PENDING", 60)
    check(sweep.states()[warned] == "stopped", f"the warned run is {sweep.states()[warned]}")
    warning.kill()
    warning.wait()
    say(f"{warned} was warned at step {step}, saved and requeued itself")

    # Whoever submits now gets those that were killed and no others.
    sweep.submit()
    check(sweep.submitted(2) == set(killed), f"submitted again: {sweep.submitted(2)}, killed: {killed}")
    sweep.submit()
    check(sweep.submissions() == 2, "a third submission although nothing was left")
    say("the killed runs were submitted again, and no others")

    sweep.in_the_middle()
    before = sweep.states()
    cluster.stop_controller()
    now = sweep.states()
    check(set(now) == set(before) and "running" in now.values(), f"without a controller the runs are {now}")
    cluster.start("controller")
    say("the controller was stopped and started again")

    def begun():
        """Slurm lets requeued tasks wait for two minutes, and refuses to hurry one that has begun."""
        hurried = subprocess.run(["scontrol", "update", f"jobid={task}", "starttime=now"], capture_output=True)
        return hurried.returncode == 0 or sweep.status()[warned]["slurm"]["state"] != "PENDING"

    until("the warned task may begin again", begun, 60)
    return killed, warned


def compare(sweep, local, killed, warned):
    """Holds a disturbed sweep against the same one done locally."""
    check(set(sweep.states().values()) == {"finished"}, f"the runs are {sweep.states()}")
    check(sweep.runs().keys() == local.runs().keys(), "the sweeps have other runs")
    expected = local.digests()
    different = [run for run, found in sweep.digests().items() if found != expected[run]]
    check(not different, f"other results than locally: {different}")
    for run in sweep.runs():
        attempts = sweep.attempts(run)
        ends = [attempt.get("ended_unix_s") for attempt in attempts]
        begins = [attempt["begun_unix_s"] for attempt in attempts]
        check(len(attempts) == 1 + (run in [*killed, warned]), f"{run}: {len(attempts)} attempts")
        for end, begin in zip(ends, begins[1:]):
            check(end is None or end <= begin, f"{run}: attempts overlap: {attempts}")
        log = (sweep.folder / f"logs/{run}.log").read_text()
        resumed = [int(step) for step in re.findall(r"resuming after step (\d+)", log)]
        check(len(resumed) == len(attempts) - 1, f"{run}: resumed after {resumed} in {len(attempts)} attempts")
        if run in killed:
            check(all(step > 0 and step % SAVE_STEPS == 0 for step in resumed), f"{run}: resumed after {resumed}")
    say("every run is equal to its local one, bit for bit, and none was run twice")


def cancel_and_continue():
    sweep = Sweep("cancelled", [1, 2, 3], '"train.max_steps" = [2000]')
    sweep.submit()
    sweep.in_the_middle()
    sweep.emotrain("cancel", sweep.file)
    until("the queue is empty", CLUSTER.is_empty, 60)
    states = sorted(sweep.states().values())
    check(states[-1] == "waiting" and set(states) == {"stopped", "waiting"}, f"cancelled runs are {states}")
    say(f"a sweep was cancelled: {states}")


def fail_and_retry():
    sweep = Sweep("failing", [1], '"train.max_steps" = [2, 3]')
    sweep.emotrain(sweep.file, "--engine", "script")
    bad, good = sweep.runs()
    (sweep.folder / "runs").mkdir(exist_ok=True)
    (sweep.folder / "runs" / bad).write_text("a file where a folder has to be\n")
    sweep.submit()
    until("one run fails and the other ends", lambda: set(sweep.states().values()) == {"failed", "finished"})
    sweep.submit()
    check(sweep.submissions() == 1, "a failed run was submitted without retry")
    (sweep.folder / "runs" / bad).unlink()
    sweep.emotrain("retry", "--failed", sweep.file, "--engine", "slurm")
    check(sweep.submitted(2) == {bad}, f"retried {sweep.submitted(2)}, failed {bad}")
    until("the retried run ends", lambda: set(sweep.states().values()) == {"finished"})
    check(len(sweep.attempts(good)) == 1 and len(sweep.attempts(bad)) == 2, "attempts of retried runs")
    say("a failed run was retried, alone")


def prepare():
    (FOLDER / "recipe.toml").write_text(RECIPE)
    for split, most in [("train", 60), ("valid", 6), ("test", 6)]:
        lines = (TOP / f"recipes/quickstart/{split}.jsonl").read_text().splitlines(keepends=True)
        (FOLDER / f"{split}.jsonl").write_text("".join(lines[:most]))


def test():
    prepare()
    local = Sweep("local", [1, 2, 3, 4], CURRICULA)
    local.emotrain(local.file, "--engine", "local", "--jobs", "2", limit_s=PATIENCE_S)
    say("twelve runs were done locally")
    sweep = Sweep("slurm", [1, 2, 3, 4], CURRICULA)
    sweep.submit()
    killed, warned = disturb(sweep, CLUSTER)
    until("every run is finished", lambda: set(sweep.states().values()) == {"finished"})
    until("the queue is empty", CLUSTER.is_empty, 60)
    compare(sweep, local, killed, warned)
    cancel_and_continue()
    fail_and_retry()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("emotrain", type=Path)
    parser.add_argument("--keep", action="store_true", help="leave the folder with all files")
    arguments = parser.parse_args()
    EMOTRAIN = arguments.emotrain.resolve()
    BEGIN = time.monotonic()
    FOLDER = Path(tempfile.mkdtemp(prefix="emotrain-slurm-"))
    FOLDER.chmod(0o755)
    code = 1
    CLUSTER = Cluster(FOLDER / "cluster")
    try:
        test()
        code = 0
    except Failure as failure:
        say(f"FAILED: {failure}")
    finally:
        CLUSTER.stop()
        if arguments.keep:
            say(f"files: {FOLDER}")
        else:
            shutil.rmtree(FOLDER)
    sys.exit(code)
