"""Adapters that begin with a part of the weight (PiSSA, OLoRA): what PEFT takes out of the base, and ten steps from there.

`make.py` writes a folder per case: trajectory.json as in ../lora, start.safetensors with s·B·A of each layer before the
first step, and update.safetensors with s·(B·A - B0·A0) after the last: what is added to the base as it was. Signs of
singular vectors and of columns of Q are free, so factors are not compared, only their products; losses and gradient
norms do not depend on them. `make.py --check` writes nothing and compares. Versions: ../requirements.txt.
"""

import argparse
import importlib.util
import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers.utils import logging

HERE = Path(__file__).resolve().parent
specification = importlib.util.spec_from_file_location("lora", HERE.parent / "lora" / "make.py")
lora = importlib.util.module_from_spec(specification)
specification.loader.exec_module(lora)

SETTINGS = lora.LORA | {"learning_rate": 1e-3}
# case: model, LoraConfig arguments
CASES = {
    "pissa": ("llama3_tiny", {"init_lora_weights": "pissa"}),
    "pissa_rslora": ("qwen2_tiny", {"init_lora_weights": "pissa", "use_rslora": True}),
    "olora": ("llama3_tiny", {"init_lora_weights": "olora"}),
}


def products(model):
    """Path -> s·B·A of each adapted layer."""
    found = {}
    for name, module in model.named_modules():
        if hasattr(module, "lora_A"):
            a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
            path = name.removeprefix("base_model.model.")
            found[path] = (module.scaling["default"] * b @ a).detach().float().clone().contiguous()
    return found


def run(case):
    name, arguments = CASES[case]
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=lora.LINEARS, task_type="CAUSAL_LM", **arguments
    )
    model = get_peft_model(lora.load(name, torch.float32), config)
    start = products(model)
    model.train()
    records, _, _ = lora.train(model, SETTINGS, lora.windows(SETTINGS["steps"], seed=7))
    update = {path: (after - start[path]).contiguous() for path, after in products(model).items()}
    return records, start, update


def difference(a, b):
    def tensors(left, right):
        assert left.keys() == right.keys()
        return max((left[name] - right[name]).abs().max().item() for name in left)

    losses = max(abs(x["loss"] - y["loss"]) for x, y in zip(a[0], b[0], strict=True))
    return {"loss": losses, "start": tensors(a[1], b[1]), "update": tensors(a[2], b[2])}


def stored(folder):
    records = json.loads((folder / "trajectory.json").read_text())["steps"]
    return records, load_file(folder / "start.safetensors"), load_file(folder / "update.safetensors")


def write(case, folder, result):
    records, start, update = result
    folder.mkdir(exist_ok=True)
    save_file(start, folder / "start.safetensors", metadata={"format": "pt"})
    save_file(update, folder / "update.safetensors", metadata={"format": "pt"})
    name, arguments = CASES[case]
    header = {"model": name, "kind": "lora", "lora": arguments, "settings": SETTINGS}
    text = json.dumps(header, indent=1)[:-2] + ',\n "steps": [\n  '
    text += ",\n  ".join(json.dumps(record) for record in records) + "\n ]\n}\n"
    (folder / "trajectory.json").write_text(text)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    check = arguments.parse_args().check
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # one order of summation
    torch.use_deterministic_algorithms(True)
    for case in CASES:
        result = run(case)
        if check:
            change = difference(result, stored(HERE / case))
            print(case, "against the stored run:", change)
            assert max(change.values()) < 1e-5, f"{case} differs"
        else:
            write(case, HERE / case, result)
            print(case, result[0][0]["loss"], "to", result[0][-1]["loss"])


if __name__ == "__main__":
    main()
