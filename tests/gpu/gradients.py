"""Compares the loss and the adapter's gradients that `emotrain bench --gradients FILE` wrote with PEFT's.

FILE has the tokens, the adapter and its gradients; the base has random weights, which are written by this
script first:

    python3 gradients.py make CONFIG FOLDER --device cuda      a Hugging Face folder in bfloat16
    emotrain bench FOLDER --gradients FILE ...
    python3 gradients.py compare FOLDER FILE --device cuda     one JSON line

PEFT computes in float32 and in the dtype of FOLDER. What counts is that emotrain in bfloat16 lies as near to
float32 as PEFT in bfloat16 does.
"""

import argparse
import json
from pathlib import Path

import peft
import safetensors.torch
import torch
import transformers

SCALE = "scale"


def make(arguments):
    config = transformers.AutoConfig.from_pretrained(arguments.config)
    torch.manual_seed(0)
    with torch.device(arguments.device):
        model = transformers.AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    model.save_pretrained(arguments.folder)


def gradients(arguments, found, dtype):
    """PEFT's loss and gradients by the names in FILE."""
    model = transformers.AutoModelForCausalLM.from_pretrained(arguments.folder, dtype=dtype)
    ranks = [tensor.shape[0] for name, tensor in found.items() if name.endswith("lora_A.weight")]
    scale = found[SCALE].item()
    config = peft.LoraConfig(
        r=ranks[0],
        lora_alpha=scale * ranks[0],
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    model = peft.get_peft_model(model.to(arguments.device), config)
    adapter = {f"base_model.model.{name}": tensor for name, tensor in found.items() if ".lora_" in name}
    adapter = {name: tensor for name, tensor in adapter.items() if not name.endswith(".grad")}
    peft.set_peft_model_state_dict(model, adapter)
    ids = found["ids"].long().view(1, -1).to(arguments.device)
    labels = ids.clone()
    labels[:, : -int(found["completion"].item())] = -100
    loss = model(input_ids=ids, labels=labels, use_cache=False).loss
    loss.backward()
    grads = {
        name.removeprefix("base_model.model.").replace(".default", ""): parameter.grad.float().cpu()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    return loss.item(), grads


def distance(ours, theirs):
    """The norm of the difference of all gradients over the norm of theirs."""
    difference = sum((ours[name] - grad).square().sum().item() for name, grad in theirs.items())
    return (difference / sum(grad.square().sum().item() for grad in theirs.values())) ** 0.5


def compare(arguments):
    found = safetensors.torch.load_file(arguments.file)
    ours = {name.removesuffix(".grad"): grad for name, grad in found.items() if name.endswith(".grad")}
    loss, exact = gradients(arguments, found, torch.float32)
    theirs_loss, theirs = gradients(arguments, found, torch.bfloat16)
    report = {
        "loss": found["loss"].item(),
        "peft_loss_f32": loss,
        "peft_loss_bf16": theirs_loss,
        "gradients_to_peft_f32": distance(ours, exact),
        "peft_bf16_gradients_to_peft_f32": distance(theirs, exact),
        "tensors": len(exact),
    }
    print(json.dumps(report))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    maker = commands.add_parser("make")
    maker.add_argument("config", type=Path)
    maker.set_defaults(run=make)
    comparer = commands.add_parser("compare")
    comparer.set_defaults(run=compare)
    for command in (maker, comparer):
        command.add_argument("folder", type=Path)
        command.add_argument("--device", default="cpu")
    comparer.add_argument("file", type=Path)
    arguments = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
