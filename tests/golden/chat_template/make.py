"""Golden values for the chat templates: text and token ids of transformers' `apply_chat_template`.

    python make.py      (transformers, tokenizers and gguf of the versions written in the outputs)

Reads conversations.json (our own wording) and the folders that tests/fixtures/fetch-models.sh makes; writes one JSON
file per model beside itself. Every conversation is rendered with and without the generation prompt, and for Qwen3
with thinking on and off. templates_rendered.json holds what transformers makes of the templates in templates.json,
which are our own and use what chat templates use.
"""

import json
import os
from pathlib import Path

import gguf
import tokenizers
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import render_jinja_template

HERE = Path(__file__).parent
MODELS = Path(os.environ.get("EMOTRAIN_TEST_MODELS") or Path.home() / ".cache/emotrain-test-models")
CONTROL, USER_DEFINED = 3, 4  # token types of GGUF


def smollm2():
    """SmolLM2's tokenizer, rebuilt from the metadata of its GGUF file.

    transformers' own GGUF loader drops the pre-tokenizer `smollm`, which splits digits one by one, so it is put
    together here.
    """
    fields = gguf.GGUFReader(MODELS / "smollm2-135m-instruct/model.gguf").fields
    read = lambda name: fields[f"tokenizer.{name}"].contents()
    assert read("ggml.model") == "gpt2" and read("ggml.pre") == "smollm"
    tokens = read("ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in read("ggml.merges")]
    tokenizer = Tokenizer(models.BPE({token: id for id, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    types = read("ggml.token_type")
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token, kind in zip(tokens, types) if kind == CONTROL]
    )
    tokenizer.add_tokens(
        [AddedToken(token, normalized=False) for token, kind in zip(tokens, types) if kind == USER_DEFINED]
    )
    special = {name: tokens[read(f"ggml.{name}_token_id")] for name in ("bos", "eos")}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        chat_template=read("chat_template"),
        **{f"{name}_token": token for name, token in special.items()},
    )


def render_own_templates(conversations):
    """Every template over every conversation, closed and open, as one list of texts."""
    rendered = []
    for entry in json.loads((HERE / "templates.json").read_text(encoding="utf-8")):
        for add_generation_prompt in (False, True):
            texts, _ = render_jinja_template(
                conversations=[conversation["messages"] for conversation in conversations],
                chat_template=entry["template"],
                add_generation_prompt=add_generation_prompt,
                enable_thinking=False,
                bos_token="<s>",
                eos_token="</s>",
            )
            rendered.append(
                {"template": entry["name"], "add_generation_prompt": add_generation_prompt, "texts": texts}
            )
    return rendered


def render(tokenizer, conversations, thinking):
    cases = []
    for conversation in conversations:
        for add_generation_prompt in (False, True):
            for enable_thinking in thinking:
                settings = {"add_generation_prompt": add_generation_prompt, "enable_thinking": enable_thinking}
                messages = conversation["messages"]
                text = tokenizer.apply_chat_template(messages, tokenize=False, **settings)
                ids = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, **settings)
                cases.append({"conversation": conversation["name"], **settings, "text": text, "ids": ids})
    return cases


def write(name, versions, cases):
    """One case a line, so that a difference shows."""
    head = json.dumps({"made_with": versions}, indent=1)[:-2]
    lines = ",\n  ".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (HERE / name).write_text(f'{head},\n "cases": [\n  {lines}\n ]\n}}\n', encoding="utf-8")
    print(f"{name}: {len(cases)} cases")


def main():
    conversations = json.loads((HERE / "conversations.json").read_text(encoding="utf-8"))
    versions = {module.__name__: module.__version__ for module in (transformers, tokenizers)}
    sources = {
        "smollm2": (smollm2, (False,)),
        "qwen2.5": (lambda: AutoTokenizer.from_pretrained(MODELS / "qwen2.5-tokenizer"), (False,)),
        "qwen3": (lambda: AutoTokenizer.from_pretrained(MODELS / "qwen3-tokenizer"), (False, True)),
    }
    for name, (load, thinking) in sources.items():
        write(f"{name}.json", versions, render(load(), conversations, thinking))
    write("templates_rendered.json", versions, render_own_templates(conversations))


if __name__ == "__main__":
    main()
