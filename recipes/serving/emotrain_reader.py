"""Emotions of utterances from what emotrain has trained, with transformers and PEFT.

    from emotrain_reader import EmotionReader

    reader = EmotionReader("checkpoints/my-run/adapter")
    dialogue = [("Ada", "It works!"), ("Bo", "I wish mine did.")]
    print(reader.probabilities(dialogue, 1))

The last line prints the labels with their probabilities, the likeliest first; these are those of `emotrain predict`, whose
prompts it makes: from `prompt_contract.json` beside the adapter, or in the folder of a model. The folder of a run stands
for its adapter or model. Where prompts of the training showed demonstrations or knowledge, a call has to pass them, or to
say `demonstrations=()`, `knowledge={}`. Copy this file to where you need it; it takes torch, transformers and peft. Texts
are taken as they are but for space at their ends; emotrain also repairs damaged characters.
"""

import datetime
import hashlib
import json
import math
from pathlib import Path

import jinja2
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

SLOTS = ["instruction", "note", "history", "future", "demonstrations", "label_statement"]


class EmotionReader:
    """`folder` is an adapter in PEFT's format or a whole model, with its prompt contract, or a run that has one; `base` says
    where the base model of an adapter is, if not where the adapter says. With dtype=torch.bfloat16 close labels change
    places."""

    def __init__(self, folder, base=None, dtype=torch.float32, device="cpu"):
        folder = _trained(Path(folder))
        self.contract = json.loads((folder / "prompt_contract.json").read_text(encoding="utf-8"))
        config = folder / "adapter_config.json"
        if config.exists():
            base = base or json.loads(config.read_text(encoding="utf-8"))["base_model_name_or_path"]
        model = AutoModelForCausalLM.from_pretrained(base or folder, dtype=dtype, attn_implementation="eager")
        if config.exists():
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, folder)
        self.model = model.to(device).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(base or folder)
        self._check_tokenizer()
        added = self.tokenizer.added_tokens_decoder.values()
        self.control_tokens = [token.content for token in added if token.special and token.content]
        environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
        self.template = environment.from_string(self.contract["template"])

    def probabilities(self, dialogue, position, demonstrations=None, knowledge=None):
        """Every label's probability for the utterance at `position` of `dialogue`, a list of (speaker, text).

        What `emotrain predict` refuses is a ValueError: a text that contains a special token of the model, an utterance
        without text, a prompt that is too long.

        `demonstrations`, the most similar first, are dictionaries with text and label, and with source and score where
        prompts show them; `knowledge` has a text for each source that the contract names, "" where there is none. Without
        what the training showed the probabilities are others, so leaving it out has to be said: (), {}."""
        scores = self.log_likelihoods(dialogue, position, demonstrations, knowledge)
        most = max(scores.values())
        weights = {label: math.exp(score - most) for label, score in scores.items()}
        ranked = sorted(weights, key=lambda label: -weights[label])
        return {label: weights[label] / sum(weights.values()) for label in ranked}

    def log_likelihoods(self, dialogue, position, demonstrations=None, knowledge=None):
        """The log-likelihood of every label's tokens after the prompt, in nats."""
        prompt = self.prompt_ids(dialogue, position, demonstrations, knowledge)
        answers = self.contract["label_completions"]
        longest = max(len(answer) for answer in answers)
        # Nothing sees what is behind it, so it does not matter how rows are filled up.
        rows = [prompt + answer + [answer[-1]] * (longest - len(answer)) for answer in answers]
        with torch.no_grad():
            logits = self.model(torch.tensor(rows, device=self.model.device)).logits[:, len(prompt) - 1 : -1]
        log_probs = logits.double().log_softmax(-1)
        return {
            label: sum(log_probs[row, place, token].item() for place, token in enumerate(answers[row]))
            for row, label in enumerate(self.contract["labels"])
        }

    def prompt_ids(self, dialogue, position, demonstrations=None, knowledge=None):
        """The tokens of the prompt. What is too long loses demonstrations, then later utterances, then earlier ones."""
        contract, slot = self.contract, self.contract.get("demonstrations")
        if not 0 <= position < len(dialogue):
            raise ValueError(f"position {position}: the dialogue has {len(dialogue)} utterances, counted from 0")
        if empty := [place for place, (_, text) in enumerate(dialogue) if not text.strip()]:
            raise ValueError(f"utterance {empty[0]} of the dialogue is empty")
        demonstrations, knowledge = self._as_in_training(demonstrations, knowledge)
        examples = list(demonstrations)[: slot["k"] if slot else 0]
        before, after = position, len(dialogue) - position - 1
        window = [len(examples), min(contract["future_window"], after), min(contract["history_window"], before)]
        room = contract["max_seq_length"] - max(len(answer) for answer in contract["label_completions"])
        while True:
            count, future, history = window
            shown = examples[:count]
            if slot and slot["order"] == "most_similar_last":
                shown.reverse()
            around = (dialogue[position - history : position], dialogue[position + 1 : position + 1 + future])
            ids = self._encode(self._chat(dialogue[position], around, shown, knowledge))
            if len(ids) <= room:
                return ids
            place = next((place for place, size in enumerate(window) if size), None)
            if place is None:
                raise ValueError(f"{len(ids)} tokens are too many: there is room for {room}")
            window[place] -= 1

    def _as_in_training(self, demonstrations, knowledge):
        """What prompts show besides the dialogue: refuses a call that leaves out, or adds, what the training did not."""
        slot, named = self.contract.get("demonstrations"), self.contract.get("knowledge", [])
        if slot and demonstrations is None:
            count = f"{slot['k']} demonstration{'s' if slot['k'] > 1 else ''}"
            raise ValueError(f"the training showed {count} a prompt; pass demonstrations=…, or () to go without")
        if demonstrations and not slot:
            raise ValueError("the training showed no demonstrations; leave demonstrations out")
        if named and knowledge is None:
            texts = ", ".join(f'"{name}": …' for name in named)
            raise ValueError(f"the training showed knowledge; pass knowledge={{{texts}}}, or {{}} to go without")
        given = set(knowledge or {})
        if given - set(named):
            raise ValueError(f"prompts show no knowledge {sorted(given - set(named))}, but {sorted(named)}")
        if given and set(named) - given:
            raise ValueError(f'knowledge lacks {sorted(set(named) - given)}; pass "" where there is no text')
        return demonstrations or (), knowledge or {}

    def _chat(self, target, around, examples, knowledge):
        """The chat as text, up to the answer."""
        contract = self.contract
        removed = set(contract.get("removed_slots", []))
        sources = contract.get("knowledge", [])
        slot = contract.get("demonstrations") or {}
        turns = [[{"speaker": speaker.strip(), "text": text.strip()} for speaker, text in part] for part in around]
        values = {
            "labels": contract["labels"],
            "label_list": ", ".join(contract["labels"]),
            "speaker": target[0].strip(),
            "utterance": target[1].strip(),
            "history": [] if "history" in removed else turns[0],
            "future": [] if "future" in removed else turns[1],
            "demonstrations": [] if "demonstrations" in removed else [_example(one, slot) for one in examples],
            "slots": {name: name not in removed for name in [*SLOTS, *sources]},
            **{name: knowledge.get(name, "") for name in sources},
        }
        context = self.template.new_context(values)
        system, user = (
            "".join(self.template.blocks[name](context)).strip("\n") if name in self.template.blocks else ""
            for name in ("system", "user")
        )
        messages = [{"role": "user", "content": user}]
        if system and contract.get("system_before_user"):
            messages[0]["content"] = f"{system}\n\n{user}"
        elif system:
            messages.insert(0, {"role": "system", "content": system})
        if token := next((one for one in self.control_tokens if one in system or one in user), None):
            raise ValueError(f'the prompt contains the text of the special token "{token}"; remove it from the dialogue')
        options = {"enable_thinking": contract["enable_thinking"]}
        if date := contract.get("chat_date"):
            options["strftime_now"] = datetime.date.fromisoformat(date).strftime
        return self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **options)

    def _encode(self, text):
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def _check_tokenizer(self):
        """Refuses a base whose chat template or tokens are not those of the training."""
        contract, chat = self.contract, self.tokenizer.chat_template or ""
        if hashlib.sha256(chat.encode()).hexdigest() != contract["chat_template_sha256"]:
            raise ValueError("the base model has another chat template than in training")
        golden = contract["golden"]
        if contract["clean_border"] and self._encode(golden["text"]) != golden["ids"]:
            raise ValueError("the base model's tokenizer gives other tokens than in training")


def _trained(folder):
    """The folder with the contract: this one, or what the run that it is has trained."""
    for place in (folder, folder / "adapter", folder / "model"):
        if (place / "prompt_contract.json").exists():
            return place
    raise FileNotFoundError(
        f"{folder}: no prompt_contract.json in it, nor in adapter/ or model/; name the folder of a run, of its adapter or of "
        "an export"
    )


def _example(one, slot):
    """A demonstration as templates see it: a score has two decimals."""
    score = one.get("score") if slot.get("show_score") else None
    return {
        "text": one["text"],
        "label": one["label"],
        "source": one.get("source") if slot.get("show_source") else None,
        "score": None if score is None else math.floor(score * 100 + 0.5) / 100,
    }
