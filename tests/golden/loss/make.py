"""Ten steps of LoRA training with label smoothing and with weights of sequences, by PEFT and PyTorch.

Model, initial adapter, sequences, optimiser and schedule are those of ../lora/llama3_all_linear. The smoothed loss of a
sequence is Hugging Face's own: `LabelSmoother` of transformers/trainer_pt_utils.py, which is a mean, times its tokens;
torch's `cross_entropy(label_smoothing=…)` has to give the same. The loss of an optimiser step is the weighted sum over its
window, divided by the sum of the weights of all supervised tokens: torch's weighted cross-entropy, with weights that
belong to sequences instead of classes.

`make.py` writes one folder per case; `make.py --check` runs again and compares. Versions: ../requirements.txt.
"""

import argparse
import importlib.util
import json
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers.trainer_pt_utils import LabelSmoother

HERE = Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("lora_make", HERE.parent / "lora" / "make.py")
lora = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lora)

BASE = "llama3_all_linear"
# case: label smoothing, weights of the four sequences of a window, in turn
CASES = {
    "smoothed": (0.1, None),
    "weighted": (0.0, [0.25, 1.5, 4.0]),
    "both": (0.3, [3.0, 0.5, 1.0]),
}


def sequence_loss(model, ids, prompt_len, smoothing):
    """Sum of the smoothed losses of the completion's tokens."""
    ids = torch.tensor([ids])
    labels = ids.clone()
    labels[:, :prompt_len] = -100
    output = model(input_ids=ids)
    tokens = ids.shape[1] - prompt_len
    loss = LabelSmoother(epsilon=smoothing)({"logits": output.logits}, labels, shift_labels=True) * tokens
    own = torch.nn.functional.cross_entropy(
        output.logits[0, prompt_len - 1 : -1],
        ids[0, prompt_len:],
        reduction="sum",
        label_smoothing=smoothing,
    )
    assert torch.allclose(loss, own, rtol=1e-5), (loss, own)
    return loss


def run(case):
    smoothing, weights = CASES[case]
    model_name, settings, _ = lora.CASES[BASE]
    plan = lora.windows(settings["steps"], seed=7)
    model = lora.load(model_name, torch.float32)
    initial = HERE.parent / "lora" / BASE / "initial"
    model = PeftModel.from_pretrained(model, initial, is_trainable=True)
    model.train()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=settings["learning_rate"], weight_decay=settings["weight_decay"], foreach=False
    )
    schedule = lora.get_linear_schedule_with_warmup(
        optimizer, settings["warmup_steps"], settings["steps"]
    )
    records, number = [], 0
    for window in plan:
        sequences = [sequence for micro_batch in window for sequence in micro_batch]
        own = [weights[(number + at) % len(weights)] if weights else 1.0 for at in range(len(sequences))]
        number += len(sequences)
        total = sum(weight * (len(ids) - prompt) for weight, (ids, prompt) in zip(own, sequences))
        losses = [sequence_loss(model, *sequence, smoothing) for sequence in sequences]
        loss = sum(weight * loss for weight, loss in zip(own, losses)) / total
        loss.backward()
        grad_norm = torch.nn.utils.clip_grad_norm_(trained, settings["max_grad_norm"], foreach=False)
        records.append(
            {
                "lr": optimizer.param_groups[0]["lr"],
                "loss": loss.item(),
                "grad_norm": grad_norm.item(),
                "weights": own,
                "ids": [ids for ids, _ in sequences],
                "prompt_len": [prompt_len for _, prompt_len in sequences],
            }
        )
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return records, lora.trainable(model, lambda weight: weight)


def write(case, records, final):
    folder = HERE / case
    folder.mkdir(exist_ok=True)
    save_file(final, folder / "final.safetensors", metadata={"format": "pt"})
    header = {
        "model": lora.CASES[BASE][0],
        "kind": "lora",
        "initial": BASE,
        "label_smoothing_factor": CASES[case][0],
        "settings": lora.CASES[BASE][1],
    }
    text = json.dumps(header, indent=1)[:-2] + ',\n "steps": [\n  '
    text += ",\n  ".join(json.dumps(record) for record in records) + "\n ]\n}\n"
    (folder / "trajectory.json").write_text(text)


def check(case, records, final):
    stored = json.loads((HERE / case / "trajectory.json").read_text())["steps"]
    tensors = load_file(HERE / case / "final.safetensors")
    worst = max(abs(new["loss"] - old["loss"]) for new, old in zip(records, stored, strict=True))
    moved = max((final[name] - tensors[name]).abs().max().item() for name in tensors)
    print(f"{case}: loss {worst:.1e}, final weights {moved:.1e}")
    assert final.keys() == tensors.keys() and worst < 1e-5 and moved < 1e-4


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    only_check = arguments.parse_args().check
    lora.logging.disable_progress_bar()
    torch.set_num_threads(1)
    for case in CASES:
        records, final = run(case)
        (check if only_check else write)(case, records, final)


if __name__ == "__main__":
    main()
