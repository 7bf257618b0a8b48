"""What `emotrain report` writes, in Chromium without a display.

    python3 report.py EMOTRAIN [--keep FOLDER]     (EMOTRAIN: the program; also needed: chromium, npm)

Pages of a short run of the quickstart, of a run on data with hostile texts, of a sweep, and of a run with 10,000 answers,
which may take 3 s of a development build and 3 MB. Each is
opened in the widths of a phone and of a desk, light and dark, with everything unfolded, and must

- write nothing to the console and ask for nothing over a network;
- not be wider than the window;
- have drawings with a size, one first heading, headings without gaps, ids that occur once, links that lead somewhere;
- be dark where that is preferred, also in its drawings;
- begin with a link that skips to the report, for the keyboard;
- have no violations for axe-core (https://github.com/dequelabs/axe-core), the checker of accessibility;
- fit on paper.

With --keep, pictures of the pages go to a folder.
"""

import base64
import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parent.parent.parent
AXE = "axe-core@4.14.1"
# The bar: a report of so many answers, in seconds of a development build and in bytes.
ANSWERS, SECONDS, BYTES = 10_000, 3.0, 3_000_000
WIDTHS = {"phone": 390, "desk": 1280}
BRIEF = {
    "train.method": "lora",
    "train.max_steps": 20,
    "train.num_train_epochs": 1,
    "eval.eval_steps": 10,
    "eval.test": True,
    "logging.logging_steps": 2,
    "data.max_train_samples": 300,
    "data.max_valid_samples": 60,
    "data.max_test_samples": 150,
}
LABELS = ["calm", "<script>document.title='run'</script>", "\"quoted\" & 'single'"]
TEXTS = [
    "<script>document.title='run'</script><img src=x onerror=alert(1)>",
    "]]></style></svg><h1>another heading</h1>",
    "\u202eright to left, \u0645\u0631\u062d\u0628\u0627 {{ 7 * 7 }} {% raw %}",
    "w" * 400,
    "a line\nand a \"quoted\" one 'here' & there",
    "plain",
]
LOOK = """(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const ids = all('[id]').map((one) => one.id);
  const levels = all('h1, h2, h3, h4').map((one) => Number(one.tagName[1]));
  const shown = (name) => getComputedStyle(all(name)[0]);
  return {
    title: document.title,
    wide: document.documentElement.scrollWidth,
    window: document.documentElement.clientWidth,
    drawings: all('svg').map((one) => one.getBoundingClientRect()).map((box) => [box.width, box.height]),
    named: all('svg').every((one) => one.querySelector('title') && one.querySelector('desc')),
    scripts: all('script, img, iframe, link[rel=stylesheet], object').length,
    first: levels.filter((level) => level === 1).length,
    gaps: levels.filter((level, at) => at > 0 && level > levels[at - 1] + 1).length,
    repeated: ids.filter((id, at) => ids.indexOf(id) !== at),
    astray: all('a[href^="#"]').filter((one) => !document.getElementById(one.hash.slice(1))).length,
    tables: all('table').filter((one) => !one.caption || !one.querySelector('th[scope]')).length,
    page: shown('body').backgroundColor,
    ink: shown('svg text').fill,
  };
})()"""


def emotrain(*words):
    words = [str(word) for word in (sys.argv[1], *words)]
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8")
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stderr}"


def train(recipe, folder, settings):
    told = [f"--set={key}={json.dumps(value)}" for key, value in settings.items()]
    emotrain(recipe, "--quiet", *told, f"--set=train.output_dir={json.dumps(str(folder))}")


def hostile(folder):
    """A recipe for dialogues whose every text means something in HTML."""
    for split, first in (("train", 0), ("valid", 40), ("test", 60)):
        lines = []
        for number in range(first, first + (40 if split == "train" else 20)):
            turns = [
                {
                    "speaker": TEXTS[(number + at) % 5][:60],
                    "text": f"{TEXTS[(number * 5 + at) % len(TEXTS)]} {number} {at}",
                    "label": LABELS[(number + at * at) % len(LABELS)],
                }
                for at in range(4)
            ]
            lines.append(json.dumps({"id": f"<i>{number}</i>", "utterances": turns}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    recipe = folder / "<b>hostile<b>.toml"
    data = {name: f"{name}.jsonl" for name in ("train", "valid", "test")}
    lines = [f"{name} = {json.dumps(value)}" for name, value in data.items()]
    labels = ["label_set = \"custom\"", f"labels = {json.dumps(LABELS)}"]
    model = f"model_name_or_path = {json.dumps(str(ROOT / 'checkpoints/nano'))}"
    settings = ["max_seq_length = 1000", "max_steps = 6", "per_device_train_batch_size = 4"]
    parts = [
        ("model", [model, "device = \"cpu\""]),
        ("data", [*lines, *labels]),
        ("train", settings),
        ("eval", ["eval_steps = 3", "test = true"]),
        ("logging", ["logging_steps = 1"]),
    ]
    text = "\n".join("\n".join([f"[{name}]", *lines]) for name, lines in parts)
    recipe.write_text(text + "\n")
    return recipe


def sweep(folder, recipe, values):
    """A sweep of two recipes with two seeds each, one of which has not been run."""
    (folder / "runs").mkdir(parents=True)
    (folder / "sweep.toml").write_text(f"base = {json.dumps(str(recipe))}\nsplit = \"test\"\n")
    plans = []
    for number, (value, seed) in enumerate((value, seed) for value in values for seed in (1, 2)):
        name = f"run{number}"
        settings = {"train.learning_rate": value}
        plan = {"format_version": 1, "id": name, "name": f"<u>rate</u>={value}", "seed": seed}
        plans.append(json.dumps({**plan, "settings": settings, "recipe": ""}))
        if number < 3:
            train(recipe, folder / "runs" / name, {**BRIEF, **settings, "train.seed": seed, "train.max_steps": 4})
            emotrain("report", folder / "runs" / name)
    (folder / "runs.jsonl").write_text("\n".join(plans) + "\n")


def large(place, recipe):
    """A run with 10,000 answers: a short one, whose test file is long and whose answers are made up."""
    source = (ROOT / "recipes/quickstart/test.jsonl").read_text().splitlines()
    random, lines, predictions, names = Random(1), [], [], None
    settings = {**BRIEF, "retrieval.bank": "", "data.test": str(place / "large.jsonl")}
    settings["data.shared_dialogues"] = "report"
    while sum(len(json.loads(line)["utterances"]) for line in lines) < ANSWERS:
        dialogue = json.loads(source[len(lines) % len(source)])
        dialogue["id"] = f"large-{len(lines)}"
        for turn in dialogue["utterances"]:
            turn["text"] += f" {random.randrange(10**6)}"
        lines.append(json.dumps(dialogue))
    (place / "large.jsonl").write_text("\n".join(lines) + "\n")
    train(recipe, place / "large", settings)
    report = json.loads((place / "large/report.json").read_text())
    scored = next(one["report"] for one in report["after"] if one["split"] == "test")
    names = [row["label"] for row in scored["labels"]]
    counts = [[0] * len(names) for _ in names]
    for line in lines:
        dialogue = json.loads(line)
        for at, turn in enumerate(dialogue["utterances"]):
            scores = {name: -random.expovariate(0.3) - 0.01 for name in names}
            answer = max(scores, key=scores.get)
            counts[names.index(turn["label"])][names.index(answer)] += 1
            one = {"id": f"{dialogue['id']}#{at}", "label": answer, "truth": turn["label"], "scores": scores}
            predictions.append(json.dumps(one))
    scored.update(confusion=counts, utterances=len(predictions), unparsed=0)
    for row, support in zip(scored["labels"], map(sum, counts)):
        row["support"] = support
    (place / "large/report.json").write_text(json.dumps(report))
    (place / "large/predictions.test.jsonl").write_text("\n".join(predictions) + "\n")
    return len(predictions)


def timed(run, page):
    """Seconds of processor time that a report takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    emotrain("report", run, "--out", page)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class Chromium:
    """A browser that is told what to do over a pipe."""

    def __init__(self, profile):
        hear, self.tell = os.pipe()
        self.hear, tell = os.pipe()

        def pipes():
            os.dup2(hear, 63), os.dup2(tell, 64)  # neither end may be 3 or 4 itself
            os.dup2(63, 3), os.dup2(64, 4)

        words = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        words += [f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(words, stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=pipes)
        os.close(hear), os.close(tell)
        self.number, self.buffer, self.session, self.events = 0, b"", None, []
        target = next(one for one in self("Target.getTargets")["targetInfos"] if one["type"] == "page")
        attached = self("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")

    def message(self):
        while b"\0" not in self.buffer:
            part = os.read(self.hear, 1 << 16)
            assert part, "the browser is gone"
            self.buffer += part
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def __call__(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.tell, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self.events.append(answer)

    def open(self, address):
        self.events.clear()
        self("Page.navigate", url=address)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.message())

    def value(self, expression):
        answer = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def complaints(self, address):
        told = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
                told.append(json.dumps(params)[:400])
            if method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                if url.split("#")[0] != address and not url.startswith("data:"):
                    told.append(f"a request for {url}")
        return told

    def close(self):
        self.session = None
        self("Browser.close")
        self.process.wait(30)


def axe(folder):
    """The script of axe-core."""
    words = ["npm", "pack", "--silent", AXE, "--pack-destination", str(folder)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(next(folder.glob("axe-core-*.tgz"))) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()


def darkness(colour):
    """Of `rgb(1, 2, 3)`, from 0 to 1."""
    parts = colour[colour.index("(") + 1 : -1].split(",")
    return 1 - sum(float(part) for part in parts[:3]) / 765


def check(browser, page, script, keep):
    address = page.as_uri()
    wrong = []
    for name, width in WIDTHS.items():
        for scheme in ("light", "dark"):
            where = f"{page.name}, {name}, {scheme}"
            feature = {"name": "prefers-color-scheme", "value": scheme}
            size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": name == "phone"}
            browser("Emulation.setDeviceMetricsOverride", **size)
            browser("Emulation.setEmulatedMedia", media="screen", features=[feature])
            browser.open(address)
            folded = browser.value(LOOK)
            if keep:
                picture(browser, keep / f"{page.stem}-{name}-{scheme}.png", width)
            for kind in ("keyDown", "keyUp"):
                browser("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
            focused = browser.value("document.activeElement.className")
            browser.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            look = browser.value(LOOK)
            browser.value(f"{script}; 0")
            found = browser.value(
                "axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations.map("
                "(one) => one.id + ': ' + one.help + ' ' + one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160))))"
            )
            is_dark = darkness(look["page"]) > 0.8 and darkness(look["ink"]) < 0.3
            is_light = darkness(look["page"]) < 0.1 and darkness(look["ink"]) > 0.7
            tests = {
                "wider than the window": folded["wide"] > folded["window"],
                "wider than the window when unfolded": look["wide"] > look["window"],
                "a drawing without a size": not all(min(box) > 40 for box in look["drawings"]),
                "no drawing": not look["drawings"],
                "a drawing without a name": not look["named"],
                "elements of a hostile text": look["scripts"] > 0 or look["title"] == "run",
                "not one first heading": look["first"] != 1,
                "a gap between headings": look["gaps"] > 0,
                f"ids that occur twice: {look['repeated']}": bool(look["repeated"]),
                "links that lead nowhere": look["astray"] > 0,
                "tables without caption or heads": look["tables"] > 0,
                f"not {scheme}: {look['page']}, {look['ink']}": not (is_dark if scheme == "dark" else is_light),
                f"the first Tab goes to {focused!r}": focused != "skip",
            }
            told = [text for text, is_wrong in tests.items() if is_wrong] + found + browser.complaints(address)
            wrong += [f"{where}: {text}" for text in told]
    paper = base64.b64decode(browser("Page.printToPDF", preferCSSPageSize=True)["data"])
    browser("Emulation.setEmulatedMedia", media="print")
    printed = browser.value(LOOK)
    if not paper.startswith(b"%PDF") or printed["wide"] > printed["window"]:
        wrong.append(f"{page.name}: does not fit on paper")
    print(f"{page.name}: {page.stat().st_size / 1024:.0f} KiB, {len(folded['drawings'])} drawings, {len(wrong)} problems")
    return wrong


def picture(browser, path, width):
    height = browser.value("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, 12000), "scale": 1}
    shot = browser("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
    path.write_bytes(base64.b64decode(shot["data"]))


def main():
    keep = Path(sys.argv[sys.argv.index("--keep") + 1]) if "--keep" in sys.argv else None
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        place = Path(place)
        quickstart = ROOT / "recipes/quickstart.toml"
        pages = [place / f"{name}.html" for name in ("run", "hostile", "sweep", "large")]
        train(quickstart, place / "run", BRIEF)
        emotrain("report", place / "run", "--out", pages[0])
        (place / "data").mkdir()
        train(hostile(place / "data"), place / "hostile", {})
        emotrain("report", place / "hostile", "--out", pages[1], "--against", place / "run")
        sweep(place / "sweep", quickstart, [1e-3, 1e-4])
        emotrain("report", place / "sweep", "--out", pages[2])
        answers = large(place, quickstart)
        seconds, size = timed(place / "large", pages[3]), pages[3].stat().st_size
        told = f"a report of {answers} answers takes {seconds:.2f} s and {size / 1e6:.2f} MB"
        print(told)
        wrong = [told] if seconds > SECONDS or size > BYTES else []
        wrong += ["prompts are missing"] if "<summary>Prompt" not in pages[3].read_text() else []
        browser = Chromium(place / "profile")
        script = axe(place)
        wrong += [problem for page in pages for problem in check(browser, page, script, keep)]
        browser.close()
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
