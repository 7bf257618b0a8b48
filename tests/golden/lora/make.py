"""Reference training runs on the tiny models of ../decoder: PEFT LoRA and full fine-tuning.

Everything that a trainer can get subtly wrong is in them: the loss of an optimiser step is the
sum of the token NLLs of its whole window over its supervised tokens (not a mean of means),
clipping is torch's (coefficient max_norm / (norm + 1e-6), at most 1), AdamW is torch's, the
learning rate is Hugging Face's linear schedule with warm-up (0 at step 0).

`make.py` writes one folder per case, with names only those; `make.py --check` runs again and compares with them.
Every case also runs with f64 weights: `f64_difference` in trajectory.json is how far rounding
alone moves each number (RMSNorm, rotary embedding and softmax stay f32 in transformers).
Versions: ../requirements.txt.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.optimizers import create_loraplus_optimizer
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, get_linear_schedule_with_warmup
from transformers.utils import logging

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "decoder"
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
FUSED = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]  # Phi-3's
LORA = {
    "learning_rate": 3e-3,
    "weight_decay": 0.01,
    "max_grad_norm": 0.3,  # below every norm seen: each step is clipped
    "steps": 10,
    "warmup_steps": 2,
}
SOMETIMES_CLIPPED = LORA | {"max_grad_norm": 3.0}  # some norms are below, some above
FULL = LORA | {"learning_rate": 1e-3, "weight_decay": 0.0, "steps": 5, "warmup_steps": 1}
# case: model, settings, LoraConfig arguments (None trains all weights)
CASES = {
    "llama3_all_linear": ("llama3_tiny", LORA, {"target_modules": LINEARS}),
    "qwen2_rslora": ("qwen2_tiny", LORA, {"target_modules": LINEARS, "use_rslora": True}),
    "qwen3_all_linear": ("qwen3_tiny", LORA, {"target_modules": LINEARS}),
    "qwen2_query_value": (
        "qwen2_tiny",
        SOMETIMES_CLIPPED,
        {"target_modules": ["q_proj", "v_proj"]},
    ),
    "llama3_full": ("llama3_tiny", FULL, None),
    "qwen2_full": ("qwen2_tiny", FULL, None),
    "mistral_all_linear": ("mistral_tiny", LORA, {"target_modules": LINEARS}),
    "phi3_all_linear": ("phi3_tiny", LORA, {"target_modules": FUSED}),
    "phi4_query_key_value": ("phi4_tiny", SOMETIMES_CLIPPED, {"target_modules": ["qkv_proj"]}),
    "gemma3_all_linear": ("gemma3_tiny", LORA, {"target_modules": LINEARS}),
    "phi3_full": ("phi3_tiny", FULL, None),
    "gemma3_full": ("gemma3_tiny", FULL, None),
    "llama3_loraplus": (
        "llama3_tiny",
        LORA | {"learning_rate": 5e-4, "loraplus_lr_ratio": 16.0},
        {"target_modules": LINEARS},
    ),
    "qwen2_dora": ("qwen2_tiny", LORA, {"target_modules": LINEARS, "use_dora": True}),
    "phi3_dora_loraplus": (
        "phi3_tiny",
        SOMETIMES_CLIPPED | {"learning_rate": 5e-4, "loraplus_lr_ratio": 4.0},
        {"target_modules": ["qkv_proj", "down_proj"], "use_dora": True, "use_rslora": True},
    ),
}


def windows(steps, seed, vocabulary=96):
    """Per step two micro-batches of two sequences: (ids, prompt length), all lengths differ."""
    generator = torch.Generator().manual_seed(seed)

    def whole(low, high):
        return int(torch.randint(low, high + 1, (1,), generator=generator))

    plan = []
    for _ in range(steps):
        window, lengths = [], set()
        while len(window) < 4:
            length, completion = whole(8, 24), whole(2, 4)
            if length not in lengths:
                lengths.add(length)
                ids = torch.randint(vocabulary, (length,), generator=generator)
                window.append((ids.tolist(), length - completion))
        plan.append([window[:2], window[2:]])
    return plan


def token_nll_sum(model, ids, prompt_len):
    """Sum of -log p(ids[t] | ids[:t]) over the completion, t >= prompt_len; no padding."""
    ids = torch.tensor([ids])
    logits = model(input_ids=ids).logits[0, prompt_len - 1 : -1]
    return torch.nn.functional.cross_entropy(logits, ids[0, prompt_len:], reduction="sum")


def load(name, dtype):
    model = AutoModelForCausalLM.from_pretrained(
        MODELS / name, dtype=dtype, attn_implementation="eager"
    )
    # torch gives the padding token's embedding no gradient; the ids here use its number as any other.
    model.get_input_embeddings().padding_idx = None
    return model


def write_initial_adapter(model_name, lora, folder, seed):
    """PEFT's own A; its zero B replaced by small noise, so that A has gradients at once."""
    torch.manual_seed(seed)
    config = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, task_type="CAUSAL_LM", **lora)
    model = get_peft_model(load(model_name, torch.float32), config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.copy_(0.05 * torch.randn(weight.shape))
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    path = folder / "adapter_config.json"  # PEFT writes target_modules in no fixed order
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = model_name  # not a path of this machine
    config["target_modules"].sort(key=[*LINEARS, *FUSED].index)
    path.write_text(json.dumps(config, indent=2, sort_keys=True))


def trainable(model, tensor_of):
    """Name in the saved file -> tensor_of(parameter); tied weights stand there once."""
    return {
        name.replace(".default.weight", "" if "magnitude" in name else ".weight"): tensor_of(weight).detach().clone().float().contiguous()
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }


def train(model, settings, plan):
    """The loop; returns per-step records, first gradients (before clipping), final weights."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    arguments = {"betas": (0.9, 0.999), "eps": 1e-8, "foreach": False}
    if "loraplus_lr_ratio" in settings:
        optimizer = create_loraplus_optimizer(
            model,
            torch.optim.AdamW,
            lr=settings["learning_rate"],
            loraplus_lr_ratio=settings["loraplus_lr_ratio"],
            loraplus_weight_decay=settings["weight_decay"],
            **arguments,
        )
    else:
        optimizer = torch.optim.AdamW(
            weights,
            lr=settings["learning_rate"],
            weight_decay=settings["weight_decay"],
            **arguments,
        )
    schedule = get_linear_schedule_with_warmup(
        optimizer, settings["warmup_steps"], settings["steps"]
    )
    records, first_grads = [], None
    for window in plan:
        sequences = [sequence for micro_batch in window for sequence in micro_batch]
        supervised = sum(len(ids) - prompt_len for ids, prompt_len in sequences)
        nll_sums = []
        for micro_batch in window:
            losses = [token_nll_sum(model, *sequence) for sequence in micro_batch]
            (sum(losses) / supervised).backward()
            nll_sums += [loss.item() for loss in losses]
        if first_grads is None:
            first_grads = trainable(model, lambda weight: weight.grad)
        grad_norm = torch.nn.utils.clip_grad_norm_(
            weights, settings["max_grad_norm"], foreach=False
        )
        records.append(
            {
                "lr": optimizer.param_groups[0]["lr"],
                "loss": sum(nll_sums) / supervised,
                "grad_norm": grad_norm.item(),
                "supervised_tokens": supervised,
                "nll_sum": nll_sums,
                "ids": [ids for ids, _ in sequences],
                "prompt_len": [prompt_len for _, prompt_len in sequences],
            }
        )
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return records, first_grads, trainable(model, lambda weight: weight)


def run(case, folder, dtype):
    model_name, settings, lora = CASES[case]
    plan = windows(settings["steps"], seed=7)
    model = load(model_name, dtype)
    if lora is not None:
        model = PeftModel.from_pretrained(model, folder / "initial", is_trainable=True)
        model = model.to(dtype)
        saved_names = get_peft_model_state_dict(model).keys()
        assert saved_names == trainable(model, lambda weight: weight).keys()
    model.train()
    return train(model, settings, plan)


def difference(a, b):
    """Largest absolute differences between two runs."""
    (records_a, grads_a, final_a), (records_b, grads_b, final_b) = a, b

    def tensors(left, right):
        assert left.keys() == right.keys()
        return max((left[name] - right[name]).abs().max().item() for name in left)

    def numbers(key):
        return max(abs(x[key] - y[key]) for x, y in zip(records_a, records_b, strict=True))

    return {
        "loss": numbers("loss"),
        "grad_norm": numbers("grad_norm"),
        "first_grads": tensors(grads_a, grads_b),
        "final": tensors(final_a, final_b),
    }


def stored(folder):
    records = json.loads((folder / "trajectory.json").read_text())["steps"]
    grads, final = (load_file(folder / f"{name}.safetensors") for name in ("first_grads", "final"))
    return records, grads, final


def write(case, folder, result, f64_difference):
    model_name, settings, lora = CASES[case]
    records, first_grads, final = result
    save_file(first_grads, folder / "first_grads.safetensors", metadata={"format": "pt"})
    save_file(final, folder / "final.safetensors", metadata={"format": "pt"})
    header = {
        "model": model_name,
        "kind": "full" if lora is None else "lora",
        "loss": "sum of token NLL of the window / supervised tokens of the window",
        "optimizer": "adamw, betas 0.9 and 0.999, eps 1e-8",
        "schedule": "linear with warm-up (Hugging Face)",
        "settings": settings,
        "micro_batch_size": 2,
        "f64_difference": f64_difference,
    }
    text = json.dumps(header, indent=1)[:-2] + ',\n "steps": [\n  '
    text += ",\n  ".join(json.dumps(record) for record in records) + "\n ]\n}\n"
    (folder / "trajectory.json").write_text(text)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("cases", nargs="*", metavar="CASE", help="only these")
    arguments = arguments.parse_args()
    check, wanted = arguments.check, arguments.cases or list(CASES)
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # one order of summation
    torch.use_deterministic_algorithms(True)
    with tempfile.TemporaryDirectory() as scratch:
        for seed, (case, (model_name, _, lora)) in enumerate(CASES.items()):
            if case not in wanted:
                continue
            folder = (Path(scratch) if check else HERE) / case
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            if lora is not None:
                write_initial_adapter(model_name, lora, folder / "initial", seed)
            result = run(case, folder, torch.float32)
            again = difference(result, run(case, folder, torch.float32))
            assert not any(again.values()), f"{case} does not reproduce: {again}"
            if check:
                change = difference(result, stored(HERE / case))
                print(case, "against the stored run:", change)
                assert max(change.values()) < 1e-5, f"{case} differs"
            else:
                f64_difference = difference(result, run(case, folder, torch.float64))
                write(case, folder, result, f64_difference)
                print(case, "f32 against f64:", f64_difference)


if __name__ == "__main__":
    main()
