"""What bitsandbytes makes of matrices: codes, scales and the numbers that they stand for.

`make.py` writes all of it; `make.py --check` computes the tensors again and compares; `make.py --load FOLDER` loads what
`emotrain quantize tiny --out FOLDER` has written and compares its logits with those of the same as transformers has
saved it. Versions: ../requirements.txt. CPU only.

* states.safetensors: for each case, under its name, `input`, the matrix; what bitsandbytes' own file format holds of it
  (`weight`, `weight.absmax`, ..., as transformers saves a quantised model); `dequantized`, the numbers again.
* tiny: a model whose rows are whole blocks (bitsandbytes 0.50 dequantises others wrongly on the CPU); logits.safetensors:
  token ids, and the logits of the same model in NF4 with double quantisation, computed in float32.
* tiny_nf4, tiny_int8: the same model as transformers saves it quantised.
* adamw_8bit.safetensors: ten updates of AdamW with states in 8 bits, from `parameter` with `gradient.1` to `gradient.10`:
  `parameter.1`, `parameter.5` and `parameter.10`, the codes and scales of both moments at the end, the map of the second one's.
* qlora: ten steps of PEFT's LoRA on it, in the form of ../lora.
"""

import argparse
import importlib.util
import json
import shutil
import sys
from pathlib import Path

import torch
from bitsandbytes import functional, optim
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, Qwen3Config

HERE = Path(__file__).resolve().parent
TINY = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "tie_word_embeddings": True,
    "max_position_embeddings": 128,
    "initializer_range": 0.15,
}
# case: shape, type of the input, quant_type, double quantisation. Rows of 48 and 96 numbers begin within a block of 64.
CASES = {
    "nf4": ((24, 64), torch.float32, "nf4", False),
    "nf4_double": ((300, 64), torch.float32, "nf4", True),
    "nf4_double_bfloat16": ((40, 96), torch.bfloat16, "nf4", True),
    "nf4_narrow": ((7, 48), torch.float16, "nf4", False),
    "fp4": ((24, 64), torch.float32, "fp4", False),
    "fp4_double": ((18, 96), torch.bfloat16, "fp4", True),
}


def matrix(shape, dtype, seed):
    """Normal numbers of very different sizes from row to row, with a row of zeros and some exact ties."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(shape, generator=generator) * 10 ** torch.linspace(-3, 0, shape[0])[:, None]
    numbers[1] = 0.0
    numbers[2] = numbers[2].round(decimals=2)
    return numbers.to(dtype)


def four_bit(name, shape, dtype, quant_type, double, seed):
    numbers = matrix(shape, dtype, seed)
    codes, state = functional.quantize_4bit(numbers, compress_statistics=double, quant_type=quant_type)
    saved = {f"weight.{key}": value for key, value in state.as_dict(packed=True).items()}
    absmax = state.absmax
    if double:
        absmax = functional.dequantize_blockwise(state.absmax, state.state2) + state.offset
    # The general form: the one for the CPU takes rows that begin within a block for rows of whole blocks.
    again = _dequantize_4bit_compute(codes.reshape(-1), absmax.float(), state.code, 64, shape, torch.float32)
    tensors = {"input": numbers.float(), "weight": codes, **saved, "dequantized": again}
    return {f"{name}.{key}": value.contiguous() for key, value in tensors.items()}


def eight_bit(name, seed):
    numbers = matrix((24, 64), torch.float16, seed)
    codes, absmax, _ = functional.int8_vectorwise_quant(numbers.clone())
    again = functional.int8_vectorwise_dequant(codes, absmax)
    tensors = {"input": numbers.float(), "weight": codes, "SCB": absmax, "dequantized": again.float()}
    return {f"{name}.{key}": value.contiguous() for key, value in tensors.items()}


def make():
    tensors = {}
    for seed, (name, case) in enumerate(CASES.items()):
        tensors |= four_bit(name, *case, seed)
    return tensors | eight_bit("int8", len(CASES))


def adamw_8bit():
    """Gradients of very different sizes, so that codes of all sizes occur; 17 blocks, the last one short."""
    generator = torch.Generator().manual_seed(21)
    parameter = torch.nn.Parameter(torch.randn(17, 255, generator=generator))
    tensors = {"parameter": parameter.detach().clone()}
    optimizer = optim.AdamW(
        [parameter], lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, optim_bits=8
    )
    sizes = 10 ** torch.linspace(-4, 0, 17)[:, None]
    for step in range(1, 11):
        parameter.grad = torch.randn(17, 255, generator=generator) * sizes
        tensors[f"gradient.{step}"] = parameter.grad.clone()
        optimizer.step()
        if step in (1, 5, 10):
            tensors[f"parameter.{step}"] = parameter.detach().clone()
    state = optimizer.state[parameter]
    assert state["state1"].dtype == torch.uint8
    tensors |= {name: state[name].clone() for name in ("state1", "state2", "absmax1", "absmax2")}
    return tensors | {"udynamic": state["qmap2"].clone()}


def lora_script():
    """../lora/make.py as a module: its windows, its loop, its files."""
    spec = importlib.util.spec_from_file_location("lora_make", HERE.parent / "lora/make.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["lora_make"] = module
    spec.loader.exec_module(module)
    return module


def int8():
    return BitsAndBytesConfig(load_in_8bit=True)


def nf4():
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )


def quantised_model(config=None):
    model = AutoModelForCausalLM.from_pretrained(
        HERE / "tiny",
        quantization_config=config or nf4(),
        dtype=torch.float32,
        device_map="cpu",
        attn_implementation="eager",
    )
    model.get_input_embeddings().padding_idx = None
    return model


def models():
    torch.manual_seed(11)
    for name in ("tiny", "qlora"):
        shutil.rmtree(HERE / name, ignore_errors=True)
    model = AutoModelForCausalLM.from_config(Qwen3Config(**TINY))
    model.save_pretrained(HERE / "tiny")
    model = quantised_model()
    (HERE / "tiny/generation_config.json").unlink(missing_ok=True)
    ids, found = logits(model)
    save_file({"ids": ids, "logits": found.contiguous()}, HERE / "logits.safetensors")


def logits(model):
    ids = torch.randint(96, (30,), generator=torch.Generator().manual_seed(5))
    # As in training: without gradients bitsandbytes' CPU kernel for inference would multiply in bfloat16.
    return ids, model(input_ids=ids[None]).logits[0].detach()


def opened(folder):
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, device_map="cpu", attn_implementation="eager"
    )
    model.get_input_embeddings().padding_idx = None
    return model


def load(folder):
    """In 4 bits the mean of scales ends in other bits. In 8 bits inputs are quantised, too: the logits of bitsandbytes' own
    codes are 5.1e-2 from those of the model in float32, ours 4.2e-2."""
    model = opened(folder)
    kinds = {type(module).__name__ for module in model.modules()}
    form, bound = ("nf4", 1e-5) if "Linear4bit" in kinds else ("int8", 5e-2)
    assert form == "nf4" or "Linear8bitLt" in kinds, kinds
    (_, ours), (_, expected) = logits(model), logits(opened(HERE / f"tiny_{form}"))
    difference = ((ours - expected).abs().max() / expected.abs().max()).item()
    print(f"{form}: logits differ by {difference:.1e} of the largest")
    assert difference < bound


def saved():
    for name, config in (("tiny_nf4", nf4()), ("tiny_int8", int8())):
        shutil.rmtree(HERE / name, ignore_errors=True)
        quantised_model(config).save_pretrained(HERE / name)
        (HERE / name / "generation_config.json").unlink(missing_ok=True)


def qlora():
    script = lora_script()
    folder = HERE / "qlora"
    folder.mkdir()
    torch.manual_seed(12)
    config = LoraConfig(
        r=4, lora_alpha=8, lora_dropout=0.0, task_type="CAUSAL_LM", target_modules=script.LINEARS
    )
    model = get_peft_model(quantised_model(), config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.copy_(0.05 * torch.randn(weight.shape))
    model.save_pretrained(folder / "initial")
    (folder / "initial/README.md").unlink()
    path = folder / "initial/adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = "tiny"
    config["target_modules"].sort(key=script.LINEARS.index)
    path.write_text(json.dumps(config, indent=2, sort_keys=True))
    model = PeftModel.from_pretrained(quantised_model(), folder / "initial", is_trainable=True)
    model.train()
    result = script.train(model, script.LORA, script.windows(script.LORA["steps"], seed=7))
    script.CASES["qlora"] = ("tiny", script.LORA, {})
    script.write("qlora", folder, result, None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--load", type=Path, metavar="FOLDER")
    file = HERE / "states.safetensors"
    torch.set_num_threads(1)
    given = parser.parse_args()
    if given.load:
        load(given.load)
    elif given.check:
        known, found = load_file(file), make()
        assert known.keys() == found.keys()
        assert all(torch.equal(known[name], found[name]) for name in known)
        steps, again = load_file(HERE / "adamw_8bit.safetensors"), adamw_8bit()
        assert all(torch.equal(steps[name], again[name]) for name in steps)
        print(f"{len(known) + len(steps)} tensors are the same")
    else:
        save_file(make(), file)
        save_file(adamw_8bit(), HERE / "adamw_8bit.safetensors")
        models()
        saved()
        qlora()
