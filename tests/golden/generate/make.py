"""Greedy generation and logits processing, by transformers: f32, CPU, with its cache.

`make.py` writes `tiny.json` (the models of ../decoder), `processors.json` and, when
tests/fixtures/fetch-models.sh has run, `smollm2.json`. `make.py --check` writes nothing and
compares with what is there. Versions: ../requirements.txt.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.generation.logits_process import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.utils import logging

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("EMOTRAIN_TEST_MODELS") or Path.home() / ".cache/emotrain-test-models")
VOCAB = 96
TINY = ["llama3_tiny", "qwen2_tiny", "qwen3_tiny"]
# Of the tiny models, which end of themselves seldom: several stop tokens make some answers end early.
STOP = [1, 7, 23, 60]
CASES = [
    {"max_new_tokens": 24},
    {"max_new_tokens": 24, "repetition_penalty": 1.3},
    {"max_new_tokens": 16, "min_new_tokens": 12, "repetition_penalty": 0.9},
]
# Two answers are only comparable token for token where the best logit leads by more than rounding,
# which is some 1e-5 of the largest logit.
MARGIN = 1e-3
SMOLLM2_MARGIN = 1e-2

SYSTEM = "You are a careful listener. Answer briefly."
# Questions of our own wording; (system text or None, question, max_new_tokens).
QUESTIONS = [
    (None, "Name one emotion. Answer with a single word.", 24),
    (None, "Is the sky blue on a clear day? Answer only yes or no.", 24),
    (SYSTEM, "Nora says: \"I finally passed the exam!\" How does Nora feel?", 48),
    (SYSTEM, "Nora says: \"They cancelled our trip again.\" How does Nora feel?", 48),
    (SYSTEM, "Otto says: \"Who ate my cake?\" Is Otto angry or happy?", 32),
    (
        "You recognise emotions in conversations.",
        "Pia: The kitten is gone.\nRolf: Since when?\nPia: Since yesterday.\n"
        "What does Pia feel? Choose: joy, sadness, anger, fear.",
        32,
    ),
    (None, "Write a sentence about a rainy morning.", 40),
    (None, "List three fruits, separated by commas, and nothing else.", 24),
    (None, "Translate to French: good evening.", 24),
    (None, "What is 12 + 30?", 32),
    ("You speak like a sailor.", "Tell me about your breakfast.", 40),
    (None, "Give me a JSON object with the keys \"explicit\" and \"implicit\".", 48),
    (None, "Why do people sometimes smile when they are sad?", 48),
    ("Reply with one word.", "The opposite of hot is", 24),
    (None, "Finish the line: The lamp flickered twice, and then", 40),
    (
        None,
        "A man never forgets a birthday, pays for every coffee, and yet cannot be asked how he is "
        "without changing the subject. Name three of his traits.",
        40,
    ),
    ("Say nothing but OK.", "Please confirm.", 24),
    (None, "Hello!", 32),
    (None, "How many legs has a spider? Write the number.", 32),
    (None, "Explain to a child what a promise is.", 48),
]


def generate(model, ids, **options):
    """The new tokens of a greedy answer and the smallest lead of a chosen token."""
    config = GenerationConfig(do_sample=False, use_cache=True, **options)
    out = model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        generation_config=config,
        output_scores=True,
        return_dict_in_generate=True,
    )
    leads = [(top := scores[0].topk(2).values)[0] - top[1] for scores in out.scores]
    return out.sequences[0, len(ids) :].tolist(), min(lead.item() for lead in leads)


def tiny():
    generator = torch.Generator().manual_seed(5)
    cases = []
    for name in TINY:
        model = AutoModelForCausalLM.from_pretrained(
            HERE.parent / "decoder" / name, dtype=torch.float32
        ).eval()
        prefix = torch.randint(VOCAB, (37,), generator=generator).tolist()
        for index in range(8):
            ids = torch.randint(VOCAB, (1 + 7 * index,), generator=generator).tolist()
            if index % 2:
                ids = prefix[: 20 + index] + ids  # some begin alike
            for options in CASES:
                new, lead = generate(model, ids, eos_token_id=STOP, pad_token_id=1, **options)
                if lead > MARGIN:
                    cases.append({"model": name, "prompt": ids, "options": options, "new": new})
    return {"stop": STOP, "cases": cases}


def processors():
    """Scores after each list of processors; what is filtered out is null."""
    generator = torch.Generator().manual_seed(6)
    cases = []
    for penalty, temperature, top_k, top_p in [
        (1.0, 1.0, 0, 1.0),
        (1.2, 1.0, 0, 1.0),
        (0.8, 0.7, 0, 1.0),
        (1.0, 0.7, 10, 1.0),
        (1.0, 1.0, 0, 0.9),
        (1.0, 1.5, 0, 0.5),
        (1.0, 0.2, 0, 0.95),
        (1.1, 0.6, 20, 0.8),
        (1.3, 1.0, 1, 0.9),
        (1.0, 1.0, 500, 0.01),
    ]:
        logits = 3 * torch.randn(1, 300, generator=generator)
        history = torch.randint(300, (1, 40), generator=generator)
        chain = LogitsProcessorList()
        if penalty != 1.0:
            chain.append(RepetitionPenaltyLogitsProcessor(penalty))
        if temperature != 1.0:
            chain.append(TemperatureLogitsWarper(temperature))
        if top_k:
            chain.append(TopKLogitsWarper(top_k))
        if top_p < 1.0:
            chain.append(TopPLogitsWarper(top_p))
        scores = chain(history, logits)[0].tolist()
        cases.append(
            {
                "repetition_penalty": penalty,
                "temperature": temperature,
                "top_k": top_k,
                "top_p": top_p,
                "history": history[0].tolist(),
                "logits": logits[0].tolist(),
                "scores": [None if score == -float("inf") else score for score in scores],
            }
        )
    return {"cases": cases}


def smollm2():
    folder = CACHE / "smollm2-135m-instruct"
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file="model.gguf")
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file="model.gguf", dtype=torch.float32
    ).eval()
    stop = tokenizer.convert_tokens_to_ids("<|im_end|>")
    cases = []
    for system, question, limit in QUESTIONS:
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": question})
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        new, lead = generate(
            model, ids, eos_token_id=stop, pad_token_id=stop, max_new_tokens=limit
        )
        print(f"{lead:8.4f} {len(ids):4} {len(new):3} {tokenizer.decode(new)!r}", file=sys.stderr)
        assert lead > SMOLLM2_MARGIN, "another question is needed"
        cases.append({"messages": messages, "prompt": ids, "max_new_tokens": limit, "new": new})
    return {"stop": stop, "cases": cases}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    check = arguments.parse_args().check
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.set_grad_enabled(False)
    files = {"tiny.json": tiny(), "processors.json": processors()}
    if (CACHE / "smollm2-135m-instruct/model.gguf").exists():
        files["smollm2.json"] = smollm2()
    else:
        print("SmolLM2 left out: run tests/fixtures/fetch-models.sh", file=sys.stderr)
    for name, content in files.items():
        if check:
            stored = json.loads((HERE / name).read_text())
            assert stored == content, f"{name} differs"
            print(f"{name}: the same")
        else:
            text = json.dumps(content, ensure_ascii=False)
            (HERE / name).write_text(text.replace('{"', '\n{"') + "\n")


if __name__ == "__main__":
    main()
