"""What a run leaves for TensorBoard, Weights & Biases and MLflow, read by these programs; by hand.

    python3 -m venv /tmp/tracking && /tmp/tracking/bin/pip install tensorboard==2.21.0 wandb==0.31.0 mlflow==3.17.2
    /tmp/tracking/bin/python tests/real/tracking.py target/debug/emotrain

Trains nano for a few steps with two seeds. TensorBoard serves the folder on loopback, and its HParams plugin is asked for
the experiment and the sessions. The Python of recipes/tracking.md runs as it stands there, but for the folder and the
server's port: W&B offline, whose file is read back, and MLflow with a server on loopback, which is asked for what it has.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
STEPS = 12


def train(program, folder, seed):
    settings = [
        f"train.seed={seed}",
        f"train.max_steps={STEPS}",
        "train.num_train_epochs=2",
        "curriculum.name=none",
        "eval.eval_steps=6",
        "logging.logging_steps=2",
        "data.max_train_samples=64",
        "data.max_valid_samples=24",
        "data.max_test_samples=24",
        f'train.output_dir="{folder}"',
    ]
    command = [program, ROOT / "recipes/quickstart.toml", "--quiet"]
    for setting in settings:
        command += ["--set", setting]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def ask(address, body=None):
    """The JSON that a server on loopback answers; waits until there is one."""
    data = None if body is None else json.dumps(body).encode()
    head = {"Content-Type": "application/json"}
    for _ in range(240):
        try:
            with urllib.request.urlopen(urllib.request.Request(address, data, head), timeout=30) as reply:
                return json.load(reply)
        except (ConnectionError, urllib.error.URLError):
            time.sleep(0.5)
    raise SystemExit(f"{address} does not answer")


def scores(folder):
    """The final scores of a run by tag."""
    found = {}
    report = json.loads((folder / "report.json").read_text())
    for group, results in [("baseline", report["before"]), ("final", report["after"])]:
        for result in results:
            for name, value in (result["report"]["scores"] | {"loss": result["loss"]}).items():
                found[f"{group}/{result['split']}/{name}"] = value
    return found


def check_tensorboard(runs):
    port = free_port()
    server = subprocess.Popen(
        [BIN / "tensorboard", "--logdir", runs, "--host", "127.0.0.1", "--port", str(port), "--load_fast=false"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        at = f"http://127.0.0.1:{port}/data/plugin/hparams"
        while True:
            experiment = ask(f"{at}/experiment", {"experimentName": ""})
            if experiment.get("hparamInfos"):
                break
            time.sleep(0.5)
        names = {info["name"] for info in experiment["hparamInfos"]}
        assert {"train.seed", "lora.r", "model.model_name_or_path"} <= names, names
        metrics = [info["name"] for info in experiment["metricInfos"]]
        wanted = {
            "experimentName": "",
            "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
            "colParams": [{"metric": metric, "includeInResult": True} for metric in metrics]
            + [{"hparam": name, "includeInResult": True} for name in sorted(names)],
            "startIndex": 0,
            "sliceSize": 10,
        }
        groups = []
        for _ in range(60):
            groups = ask(f"{at}/session_groups", wanted).get("sessionGroups", [])
            if len(groups) == 2 and all(group.get("metricValues") for group in groups):
                break
            time.sleep(1)
        assert len(groups) == 2, groups
        for group in groups:
            seed = group["hparams"]["train.seed"]
            (session,) = group["sessions"]
            assert session["status"] == "STATUS_SUCCESS" and session["endTimeSecs"] >= session["startTimeSecs"]
            shown = {value["name"]["tag"]: value["value"] for value in group["metricValues"]}
            own = scores(runs / f"seed-{seed:.0f}")
            assert shown.keys() == own.keys(), (shown, own)
            assert all(abs(shown[tag] - own[tag]) < 1e-5 for tag in own), (shown, own)
        print(f"TensorBoard: {len(names)} keys, {len(metrics)} scores, {len(groups)} sessions")
    finally:
        server.terminate()
        server.wait()


def snippets():
    """The Python blocks of the page by what they import."""
    text = (ROOT / "recipes/tracking.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    return {name: block for block in blocks for name in ["wandb", "mlflow"] if f"import {name}\n" in block}


def run(snippet, folder, place, changes):
    for old, new in [("checkpoints/quickstart", str(folder)), *changes]:
        assert old in snippet
        snippet = snippet.replace(old, new)
    environment = os.environ | {"WANDB_SILENT": "true", "HOME": str(place)}
    subprocess.run([sys.executable, "-c", snippet], check=True, cwd=place, env=environment, stdout=subprocess.DEVNULL)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").open()]


def log_records(data):
    """The records of a .wandb file: a head of 7 bytes, then LevelDB's log format in blocks of 32 KiB."""
    assert data[:4] == b":W&B", data[:8]
    at, parts = 7, b""
    while at + 7 <= len(data):
        left = -at % 32768
        if 0 < left < 7:
            at += left
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, last
            yield parts
            parts = b""


def check_wandb(folder, place):
    run(snippets()["wandb"], folder, place, [])
    (file,) = (place / "wandb").glob("offline-run-*/run-*.wandb")
    from wandb.proto import wandb_internal_pb2

    logged = []
    for data in log_records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            logged.append({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items})
    assert len(logged) == len(lines(folder)), (len(logged), len(lines(folder)))
    for row, line in zip(logged, lines(folder)):
        assert row["step"] == line["step"] and row[f"{line['event']}/loss"] == line["loss"], (row, line)
    print(f"W&B, offline: {len(logged)} rows in {file.name}")


def check_mlflow(folder, place):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    store = f"sqlite:///{place}/mlflow.db"
    server = subprocess.Popen(
        [BIN / "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        + ["--backend-store-uri", store, "--default-artifact-root", str(place / "artifacts")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=place,
        start_new_session=True,
    )
    try:
        ask(f"{address}/api/2.0/mlflow/experiments/search", {"max_results": 5})
        run(snippets()["mlflow"], folder, place, [("http://127.0.0.1:5000", address)])
        found = ask(f"{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name=emotrain")
        wanted = {"experiment_ids": [found["experiment"]["experiment_id"]], "max_results": 5}
        (one,) = ask(f"{address}/api/2.0/mlflow/runs/search", wanted)["runs"]
        params = {param["key"]: param["value"] for param in one["data"]["params"]}
        assert params["train.max_steps"] == str(STEPS), params
        latest = {metric["key"]: metric["value"] for metric in one["data"]["metrics"]}
        own = {tag: value for tag, value in scores(folder).items() if tag.startswith("final/")}
        assert all(abs(latest[tag] - value) < 1e-9 for tag, value in own.items()), (latest, own)
        history = ask(
            f"{address}/api/2.0/mlflow/metrics/get-history?run_id={one['info']['run_id']}&metric_key=train/loss"
        )["metrics"]
        trained = [line for line in lines(folder) if line["event"] == "train"]
        assert [(point["step"], point["value"]) for point in history] == [(row["step"], row["loss"]) for row in trained]
        print(f"MLflow, on loopback: {len(params)} parameters, {len(latest)} metrics, {len(history)} training losses")
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def main():
    program = str(Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        runs = place / "runs"
        for seed in [1, 2]:
            train(program, runs / f"seed-{seed}", seed)
        check_tensorboard(runs)
        check_wandb(runs / "seed-1", place)
        check_mlflow(runs / "seed-1", place)


if __name__ == "__main__":
    main()
