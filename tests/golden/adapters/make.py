"""Adapters whose configuration says in many ways which layers are adapted, and what PEFT computes with each.

`make.py` writes a folder per case (with names, only those), in PEFT's form, and logits.safetensors: the ids and, by the name
of the case, the logits after each of them. `make.py --check` writes nothing and compares.
The models are those of ../decoder. Versions: ../requirements.txt.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "decoder"
IDS = [3, 17, 91, 42, 8, 8, 60, 25, 77, 1, 33, 50]
# case: model, LoraConfig arguments; "saved" replaces keys of the file, as other tools write them
CASES = {
    "pattern": (
        "qwen2_tiny",
        {"target_modules": r"model\.layers\.(?!1)\d+\.(self_attn\.[qo]_proj|mlp\.(up|down)_proj)"},
    ),
    "excluded": (
        "qwen2_tiny",
        {
            "target_modules": "all-linear",
            "exclude_modules": ["self_attn.k_proj", "model.layers.2.mlp.up_proj"],
        },
    ),
    "layers": (
        "llama3_tiny",
        {
            "target_modules": ["q_proj", "mlp.gate_proj", "model.layers.0.self_attn.o_proj"],
            "layers_to_transform": [1, 5],
            "layers_pattern": ["h", "layers"],
        },
    ),
    "ranks": (
        "qwen3_tiny",
        {
            "target_modules": ["q_proj", "v_proj", "gate_proj", "up_proj", "down_proj"],
            "rank_pattern": {
                r"layers\.\d\.mlp\.up_proj": 1,
                "up_proj": 5,
                "self_attn.q_proj": 3,
                "_proj": 7,
            },
            "alpha_pattern": {r".*\.0\..*v_proj": 9, "self_attn.v_proj": 1, "down_proj": 0.5},
            "use_rslora": True,
        },
    ),
    "nothing_named": ("llama3_tiny", {"saved": {"target_modules": None, "bias": "none"}}),
    "other_words": (
        "qwen2_tiny",
        {
            "target_modules": ["self_attn.v_proj", "layers.1.mlp.down_proj", "query_key_value"],
            "init_lora_weights": "gaussian",
            "saved": {
                "modules_to_save": [],
                "fan_in_fan_out": True,
                "layers_to_transform": [],
                "rank_pattern": None,
                "megatron_core": "megatron.core",
                "qalora_group_size": 16,
            },
        },
    ),
    "dora": (
        "qwen2_tiny",
        {
            "target_modules": ["q_proj", "v_proj", "o_proj", "gate_proj", "down_proj"],
            "use_dora": True,
            "use_rslora": True,
            "rank_pattern": {r"layers\.0\.mlp\.down_proj": 5, "v_proj": 1},
            "alpha_pattern": {"self_attn.v_proj": 1},
        },
    ),
}


def model_of(name):
    return AutoModelForCausalLM.from_pretrained(
        MODELS / name, dtype=torch.float32, attn_implementation="eager"
    )


def write_adapter(name, arguments, folder, seed):
    torch.manual_seed(seed)
    arguments = dict(arguments)
    saved = arguments.pop("saved", {})
    config = LoraConfig(**{"r": 2, "lora_alpha": 3, "task_type": "CAUSAL_LM"} | arguments)
    model = get_peft_model(model_of(name), config)
    with torch.no_grad():
        for parameter, weight in model.named_parameters():
            if "lora_B" in parameter:
                weight.copy_(0.3 * torch.randn(weight.shape))
            if "magnitude" in parameter:
                weight.mul_(1 + 0.2 * torch.randn(weight.shape))
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    path = folder / "adapter_config.json"
    written = json.loads(path.read_text()) | saved
    written["base_model_name_or_path"] = name  # not a path of this machine
    for key in ("target_modules", "exclude_modules"):  # PEFT writes them in no fixed order
        if isinstance(written[key], list):
            written[key].sort()
    path.write_text(json.dumps(written, indent=2, sort_keys=False))


def logits_of(name, folder):
    config = json.loads((folder / "adapter_config.json").read_text())
    if config["rank_pattern"] is None:  # older files leave the key out; PEFT does not take null
        config.pop("rank_pattern")
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "adapter"
        shutil.copytree(folder, copy)
        (copy / "adapter_config.json").write_text(json.dumps(config))
        model = PeftModel.from_pretrained(model_of(name), copy).eval()
    with torch.no_grad():
        adapted = model(torch.tensor([IDS])).logits[0]
        with model.disable_adapter():
            base = model(torch.tensor([IDS])).logits[0]
    change = (adapted - base).abs().max().item()
    assert change > 0.05, f"{folder.name} changes nothing ({change})"
    return adapted.contiguous()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("cases", nargs="*", metavar="CASE", help="only these")
    arguments = arguments.parse_args()
    check, wanted = arguments.check, arguments.cases or list(CASES)
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # one order of summation
    logits = {"ids": torch.tensor(IDS, dtype=torch.float32)}
    if wanted != list(CASES):
        logits = load_file(HERE / "logits.safetensors")
    for seed, (case, (name, arguments)) in enumerate(CASES.items()):
        if case not in wanted:
            continue
        folder = HERE / case
        if not check:
            shutil.rmtree(folder, ignore_errors=True)
            write_adapter(name, arguments, folder, seed)
        logits[case] = logits_of(name, folder)
    if check:
        stored = load_file(HERE / "logits.safetensors")
        assert stored.keys() == logits.keys()
        change = max((stored[case] - logits[case]).abs().max().item() for case in logits)
        print("largest difference from the stored logits:", change)
        assert change < 1e-5
    else:
        save_file(logits, HERE / "logits.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main()
