"""What `emotrain export` writes for llama.cpp, loaded by llama.cpp: the labels' log-probabilities of transformers.

    python llama_cpp.py EMOTRAIN     (EMOTRAIN: the program; packages: requirements.txt)

Trains an rsLoRA adapter of nano, a Llama whose query and key rows llama.cpp orders otherwise, for some steps. Exports it
as a merged model for transformers, as a GGUF model (F32, F16, Q8_0), and as a GGUF adapter beside the base's own GGUF
file. A llama.cpp server then gives, for 100 prompts made of the quickstart's dialogues, the log-probability of every
token that a label begins with. In F32 and F16, and with the adapter beside the base, they are transformers' to 0.02 and
at least 99 labels of 100 are the same; without the adapter they are not. Text alone would show nothing: an adapter whose
rows are in the wrong order still answers plausible text.

`emotrain verify --endpoint` is then pointed at such a server: one that serves the run, one without the adapter, one with
another chat template.
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import torch
import xllamacpp
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

ROOT = Path(__file__).resolve().parent.parent.parent
PROMPTS = 100
STEPS = ["--set", "train.method=lora", "--set", "lora.use_rslora=true", "--set", "train.max_steps=30"]
QUIET = ["--set", "train.learning_rate=1e-3", "--set", "eval.eval_steps=30", "--set", "eval.baseline=false", "--set", "eval.test=false"]


def run(program, *words):
    subprocess.run([str(word) for word in (program, *words)], check=True, capture_output=True, cwd=ROOT)


OTHER_TEMPLATE = "{% for message in messages %}### {{ message.role }}: {{ message.content }}\n\n{% endfor %}### assistant: "


def serve(model, adapter=None, template=None):
    """A llama.cpp server on this machine, in f32 and on one thread."""
    settings = xllamacpp.CommonParams()
    settings.model.path = str(model)
    settings.n_ctx, settings.n_gpu_layers, settings.port, settings.warmup = 1024, 0, 0, False
    settings.cpuparams.n_threads, settings.n_parallel = 1, 1
    settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    settings.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    if template is not None:
        settings.chat_template = template
    if adapter is not None:
        settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    return xllamacpp.Server(settings)


def asked(server, ids, vocabulary):
    """The log-probability of every token after `ids`."""
    body = {"prompt": ids, "n_predict": 1, "n_probs": vocabulary, "temperature": 0.0}
    request = urllib.request.Request(
        server.listening_address + "/completion",
        json.dumps(body | {"cache_prompt": False}).encode(),
        {"Content-Type": "application/json"},
    )
    answer = json.load(urllib.request.urlopen(request, timeout=120))
    logprobs = torch.full((vocabulary,), float("nan"))
    for token in answer["completion_probabilities"][0]["top_logprobs"]:
        logprobs[token["id"]] = token["logprob"]
    return logprobs


def verified(program, server, place, *options):
    """What `emotrain verify --endpoint` says of a server: its exit code and its last words."""
    address = server.listening_address + "/v1"
    words = ["verify", "--endpoint", address, "--model", "emotion", "--run", place / "run", *options]
    done = subprocess.run([str(word) for word in (program, *words)], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.count("prompts as token ids") == done.stdout.count("/chat/completions:") == 1, done.stderr
    return done.returncode, done.stderr


def check_endpoint(program, place):
    """A server that serves the run, one without the adapter, and one that renders another chat template."""
    model, base, adapter = (place / name for name in ("f32/model.gguf", "base/model.gguf", "lora/adapter.gguf"))
    cases = [
        ("merged", serve(model), ["--dtype", "float32"], 0, "the server answers as the run"),
        ("base with the adapter", serve(base, adapter), ["--dtype", "float32"], 0, "the server answers as the run"),
        ("base alone", serve(base), [], 3, "answers as the base without the adapter"),
        ("other template", serve(model, template=OTHER_TEMPLATE), [], 3, "renders another chat template"),
    ]
    for name, server, options, code, words in cases:
        found = verified(program, server, place, *options)
        assert found[0] == code and words in found[1], (name, found)
        print(f"verify --endpoint, {name}: exit code {code}, {words!r}")


def check_client(place):
    """The client in serve.md asks the contract's example and prints what the server answers: a label."""
    for export in (place / "f32", place / "lora"):
        text = (export / "serve.md").read_text(encoding="utf-8")
        code = text.split("## Asking a server")[1].split("```python\n")[1].split("```")[0]
        adapter = export / "adapter.gguf"
        server = serve(place / "base/model.gguf", adapter) if adapter.exists() else serve(export / "model.gguf")
        code = code.replace("http://localhost:8080", server.listening_address)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=export)
        answer = done.stdout.strip()
        labels = json.loads((export / "prompt_contract.json").read_text(encoding="utf-8"))["labels"]
        assert answer in labels, (answer, done.stderr)
        print(f"the client of {export.name}/serve.md: {answer!r}")


def prompts(tokenizer):
    lines = (ROOT / "recipes/quickstart/test.jsonl").read_text(encoding="utf-8").splitlines()
    turns = [turn for line in lines for turn in json.loads(line)["utterances"]]
    for turn in turns[:PROMPTS]:
        message = {"role": "user", "content": f"{turn['speaker']}: {turn['text']}"}
        ids = tokenizer.apply_chat_template([message], add_generation_prompt=True, return_dict=False)
        yield [int(token) for token in ids]


def compare(name, ours, expected, within):
    difference = (ours - expected).abs().max().item()
    same = (ours.argmax(1) == expected.argmax(1)).sum().item()
    print(f"{name}: log-probabilities of labels differ by {difference:.1e} at most, {same} of {len(ours)} likeliest agree")
    assert within is None or (difference < within and same >= 0.99 * len(ours)), name
    return difference


def main():
    program = Path(sys.argv[1]).resolve()
    logging.disable_progress_bar()
    torch.set_grad_enabled(False)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        run(program, "recipes/quickstart.toml", *STEPS, *QUIET, "--set", f"train.output_dir={place / 'run'}")
        export = lambda source, out, *options: run(program, "export", source, "--out", place / out, *options)
        export(place / "run", "merged", "--format", "merged", "--dtype", "float32")
        export(place / "run", "lora", "--format", "gguf-lora")
        for kind in ("f32", "f16", "q8_0"):
            export(place / "run", kind, "--format", "gguf", "--gguf-type", kind)
        export("checkpoints/nano", "base", "--format", "gguf", "--gguf-type", "f32")

        tokenizer = AutoTokenizer.from_pretrained(place / "merged")
        model = AutoModelForCausalLM.from_pretrained(place / "merged", dtype=torch.float32).eval()
        contract = json.loads((place / "merged/prompt_contract.json").read_text())
        labels = sorted({completion[0] for completion in contract["label_completions"]})
        assert len(labels) > 2, "labels begin with different tokens"
        all_ids = list(prompts(tokenizer))
        expected = [model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)[labels] for ids in all_ids]
        expected = torch.stack(expected)

        def of(file, adapter=None):
            server = serve(file, adapter)
            return torch.stack([asked(server, ids, model.config.vocab_size)[labels] for ids in all_ids])

        compare("F32", of(place / "f32/model.gguf"), expected, 0.02)
        compare("F16", of(place / "f16/model.gguf"), expected, 0.02)
        compare("Q8_0", of(place / "q8_0/model.gguf"), expected, None)
        both = of(place / "base/model.gguf", place / "lora/adapter.gguf")
        compare("F32 base with the adapter", both, expected, 0.02)
        without = compare("F32 base alone", of(place / "base/model.gguf"), expected, None)
        assert without > 0.5, "the adapter does something"
        check_endpoint(program, place)
        check_client(place)


if __name__ == "__main__":
    main()
