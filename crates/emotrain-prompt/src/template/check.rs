//! The checks when a template is loaded, so that nothing fails in the middle of a training.

use emotrain_data::{Dialogue, ShownDemonstration, Utterance};
use minijinja::{Environment, ErrorKind, Value};

use super::slots::{self, DEMONSTRATION, Parts, Scene, TURN};
use super::source::{Tag, line_at, line_of, tags};
use super::{FILE, SYSTEM, Texts, USER};
use crate::error::{TemplateProblem, nearest};
use crate::jinja;
use crate::task::Task;

/// What a valid template shows of its input.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) system: bool,
    /// Its parts: those whose removal changes the output.
    pub(super) parts: Vec<String>,
}

/// A conversation for trying a template.
#[derive(Clone, Copy)]
struct Probe<'p> {
    /// Utterances before and after the target.
    window: usize,
    demonstrations: usize,
    /// Whether knowledge sources have texts.
    knowledge: bool,
    parts: &'p Parts,
}

impl Probe<'_> {
    /// The position of the target utterance.
    fn position(self) -> usize {
        self.window.max(self.parts.task.least_history())
    }

    /// The [`SPEAKERS`] in the conversation.
    fn speakers(self) -> &'static [&'static str] {
        match (self.position(), self.window) {
            (0, _) => &SPEAKERS[1..2],
            (_, 0) => &SPEAKERS[..2],
            _ => &SPEAKERS,
        }
    }
}

/// Compiles the source into the environment and finds every problem that needs no data.
pub(super) fn check(
    origin: &str,
    source: &str,
    parts: &Parts,
    environment: &mut Environment<'static>,
) -> Result<Shown, Vec<TemplateProblem>> {
    let report = Report { origin, parts };
    if let Err(error) = jinja::add(environment, FILE, source.to_owned()) {
        return Err(vec![report.at(error.line(), jinja::message(&error), None)]);
    }
    let tags = tags(source);
    let mut problems = report.blocks(&tags);
    problems.extend(report.placeholders(&tags, environment));
    problems.extend(report.single_braces(source));
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        return Err(problems);
    }
    let has_system = tags.iter().any(|tag| block_name(tag) == Some(SYSTEM));
    report.probes(environment, has_system)
}

/// At most this many problems of a kind are reported.
const MAX_REPORTED: usize = 20;

struct Report<'a> {
    origin: &'a str,
    parts: &'a Parts,
}

impl Report<'_> {
    fn at(&self, line: Option<usize>, message: String, hint: Option<String>) -> TemplateProblem {
        TemplateProblem { origin: self.origin.to_owned(), line, message, hint }
    }

    /// The file must consist of the two blocks, at least the user's, and must not refer to other files.
    fn blocks(&self, tags: &[Tag<'_>]) -> Vec<TemplateProblem> {
        let mut problems = Vec::new();
        for tag in tags {
            if let Some(keyword @ ("include" | "import" | "from" | "extends")) = tag.keyword() {
                let message = format!("\"{keyword}\" cannot be used: a template is one file");
                problems.push(self.at(Some(tag.line), message, None));
            }
            if let Some(name) = block_name(tag).filter(|name| ![SYSTEM, USER].contains(name)) {
                let hint = did_you_mean(name, &[SYSTEM, USER])
                    .unwrap_or_else(|| format!("the blocks are \"{SYSTEM}\" and \"{USER}\""));
                problems.push(self.at(Some(tag.line), format!("unknown block \"{name}\""), Some(hint)));
            }
        }
        if !tags.iter().any(|tag| block_name(tag) == Some(USER)) {
            let hint = "put the question between {% block user %} and {% endblock %}".to_owned();
            problems.push(self.at(None, format!("there is no block \"{USER}\""), Some(hint)));
        }
        problems
    }

    fn placeholders(&self, tags: &[Tag<'_>], environment: &Environment<'_>) -> Vec<TemplateProblem> {
        let Ok(template) = environment.get_template(FILE) else { return Vec::new() };
        let placeholders = self.parts.placeholders();
        let known = |name: &str| {
            placeholders.contains(&name) || environment.globals().any(|(global, _)| global == name)
        };
        let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        names.retain(|name| !known(name));
        names.sort();
        names.truncate(MAX_REPORTED);
        let problem = |name: String| {
            let hint = did_you_mean(&name, &placeholders).unwrap_or_else(|| self.offer());
            self.at(line_of(tags, &name), format!("unknown placeholder \"{name}\""), Some(hint))
        };
        names.into_iter().map(problem).collect()
    }

    /// All placeholders, and how to get more.
    fn offer(&self) -> String {
        let builtin = self.parts.names().join(", ");
        if self.parts.task != Task::Emotion {
            format!("the placeholders of this question are {builtin}")
        } else if self.parts.sources.is_empty() {
            format!(
                "the placeholders are {builtin}; the recipe has no knowledge source: each [[knowledge]] adds its name"
            )
        } else {
            let sources = self.parts.sources.join(", ");
            format!("the placeholders are {builtin} and the recipe's knowledge sources {sources}")
        }
    }

    /// `{utterance}` is common in other tools and would reach the model literally.
    fn single_braces(&self, source: &str) -> Vec<TemplateProblem> {
        let mut problems = Vec::new();
        for slot in self.parts.placeholders() {
            for (at, single) in source.match_indices(&format!("{{{slot}}}")).take(MAX_REPORTED) {
                if !source[..at].ends_with('{') {
                    let hint = format!("write {{{{ {slot} }}}}");
                    let message = format!("\"{single}\" is not a placeholder");
                    problems.push(self.at(Some(line_at(source, at)), message, Some(hint)));
                }
            }
        }
        problems
    }

    /// Renders a conversation of marked texts: with everything; without each part, and without all; without
    /// demonstrations; with only the utterance; and as the recipe configures it.
    fn probes(
        &self,
        environment: &Environment<'static>,
        has_system: bool,
    ) -> Result<Shown, Vec<TemplateProblem>> {
        let mut environment = environment.clone();
        environment.set_debug(true); // errors then have their place in the source
        let render = |probe: Probe<'_>| {
            let (environment, values) = (environment.clone(), probe_values(probe));
            let texts = jinja::tried(move || super::render(&environment, &values, has_system));
            texts.map_err(|error| vec![self.failed(&error, probe)])
        };
        let (all, none) = (self.parts.without(Vec::new()), self.parts.without(self.parts.all()));
        let full = Probe { window: 2, demonstrations: 2, knowledge: true, parts: &all };
        let texts = render(full)?;
        let mut problems = self.missing(&texts, full);
        problems.extend(self.outside(&texts));
        let rarer = [
            Probe { demonstrations: 0, ..full },
            Probe { window: 0, demonstrations: 0, knowledge: false, ..full },
            Probe { parts: &none, ..full },
            Probe { parts: self.parts, ..full },
        ];
        for probe in rarer {
            if problems.is_empty() {
                problems = self.missing(&render(probe)?, probe);
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut parts = Vec::new();
        for part in self.parts.all() {
            let without = self.parts.without(vec![part.clone()]);
            if self.has(&part, &texts, &render(Probe { parts: &without, ..full })?) {
                parts.push(part);
            }
        }
        Ok(Shown { system: has_system, parts })
    }

    /// Whether a template has a part: its output changes without it.
    fn has(&self, part: &str, all: &Texts, without: &Texts) -> bool {
        let shows = |mark: &str| all.whole.to_lowercase().contains(mark);
        match part {
            "history" => shows(BEFORE),
            "future" => shows(AFTER),
            "demonstrations" => shows(EXAMPLE) && shows(EXAMPLE_LABEL),
            source if self.parts.sources.iter().any(|name| name == source) => shows(&knowledge_mark(source)),
            _ => all.whole != without.whole,
        }
    }

    fn failed(&self, error: &minijinja::Error, probe: Probe<'_>) -> TemplateProblem {
        let (mut message, mut hint) = (jinja::message(error), None);
        if let (ErrorKind::UndefinedError, Some(expression)) = (error.kind(), failing_expression(error)) {
            message = format!("\"{expression}\" has no value");
            let slots = self.parts.all();
            let slots = slots.iter().map(String::as_str).filter(|_| expression.contains("slots."));
            let attributes: Vec<&str> = TURN.into_iter().chain(DEMONSTRATION).chain(slots).collect();
            let name = expression.rsplit('.').next().filter(|name| !attributes.contains(name));
            hint = name.and_then(|name| did_you_mean(name, &attributes));
        }
        if probe.window > 0 && !probe.parts.removed.is_empty() {
            message.push_str(" when parts are removed from the prompt");
            hint = hint.or_else(|| Some("guard it with {% if history %} and the like".to_owned()));
        } else if probe.window > 0 && probe.demonstrations == 0 {
            message.push_str(" when there are no demonstrations");
            hint = hint.or_else(|| Some("guard it with {% if demonstrations %}".to_owned()));
        }
        if probe.window == 0 {
            message.push_str(" when a dialogue has only one utterance");
            hint = hint.or_else(|| Some("guard it with {% if history %}".to_owned()));
        }
        self.at(error.line(), message, hint)
    }

    /// Text outside of the blocks would be lost.
    fn outside(&self, texts: &Texts) -> Option<TemplateProblem> {
        let rest = texts.whole.replacen(&texts.system, "", 1).replacen(&texts.user, "", 1);
        let lost = rest.lines().find(|line| !line.trim().is_empty())?;
        let message = format!("text outside of the blocks is never shown: \"{}\"", lost.trim());
        Some(self.at(None, message, None))
    }

    fn missing(&self, texts: &Texts, probe: Probe<'_>) -> Vec<TemplateProblem> {
        let Texts { system, user, .. } = texts;
        let text = format!("{system}\n{user}").to_lowercase();
        let has_all = |marks: &[&str]| marks.iter().all(|mark| text.contains(mark));
        let stated = !probe.parts.shows("label_statement") || has_all(&LABELS);
        let put = |name: &str, block: &str| format!("put {{{{ {name} }}}} into the block \"{block}\"");
        let over_history = "loop over \"history\" and show .speaker and .text".to_owned();
        let wanted = [
            (
                "history",
                probe.position() == 0 || has_all(&[BEFORE]),
                "the history is never shown",
                over_history,
            ),
            ("utterance", has_all(&[ASKED]), "the utterance is never shown", put("utterance", "user")),
            ("speaker", has_all(&[SPEAKERS[1]]), "the speaker is never shown", put("speaker", "user")),
            (
                "speaker_list",
                has_all(probe.speakers()),
                "the speakers are never listed",
                put("speaker_list", "system"),
            ),
            ("label_list", stated, "the labels are never stated", put("label_list", "system")),
        ];
        let empty = user.trim().is_empty().then(|| {
            let (message, hint) = ("the block \"user\" is empty", "ask the question there");
            self.at(None, message.to_owned(), Some(hint.to_owned()))
        });
        let needed = needs(self.parts.task);
        let missing = wanted.into_iter().filter(|(name, sound, ..)| !sound && needed.contains(name));
        let problem =
            |(_, _, message, hint): (&str, bool, &str, String)| self.at(None, message.to_owned(), Some(hint));
        empty.into_iter().chain(missing.map(problem)).collect()
    }
}

/// What a template must show.
fn needs(task: Task) -> &'static [&'static str] {
    match task {
        Task::Emotion => &["utterance", "label_list"],
        Task::SpeakerIdentification => &["history", "utterance", "speaker_list"],
        Task::EmotionImpact => &["history", "speaker", "label_list"],
    }
}

/// The tag in which an error occurred.
fn failing_expression(error: &minijinja::Error) -> Option<&str> {
    let (source, range) = (error.template_source()?, error.range()?);
    let tag = tags(source).into_iter().rfind(|tag| tag.range.start <= range.start)?;
    Some(tag.body)
}

fn block_name<'a>(tag: &Tag<'a>) -> Option<&'a str> {
    let mut words = tag.body.split_whitespace();
    (tag.keyword() == Some("block")).then(|| words.nth(1)).flatten()
}

fn did_you_mean(name: &str, candidates: &[&str]) -> Option<String> {
    nearest(name, candidates.iter().copied()).map(|name| format!("did you mean \"{name}\"?"))
}

const BEFORE: &str = "marked as said before";
const ASKED: &str = "marked as the one in question";
const AFTER: &str = "marked as said after";
const EXAMPLE: &str = "marked as an example";
const EXAMPLE_LABEL: &str = "examplelabelmark";
/// Of the utterances before the target, of the target, and of those after it.
const SPEAKERS: [&str; 3] = ["speakermarkone", "speakermarktwo", "speakermarkthree"];
const LABELS: [&str; 3] = ["labelmarkone", "labelmarktwo", "labelmarkthree"];

fn knowledge_mark(source: &str) -> String {
    format!("marked as known from {source}.")
}

fn probe_values(probe: Probe<'_>) -> Value {
    let Probe { window, demonstrations, knowledge, parts } = probe;
    let position = probe.position();
    let utterance = |text: &str, speaker: &str| Utterance::new(speaker.to_owned(), text.to_owned(), None);
    let [before, asked, after] = SPEAKERS;
    let before = vec![utterance(BEFORE, before); position];
    let after = vec![utterance(AFTER, after); window];
    let utterances = [before, vec![utterance(ASKED, asked)], after].concat();
    let dialogue = Dialogue::new("probe".to_owned(), utterances);
    let labels = LABELS.map(str::to_owned);
    let example = ShownDemonstration {
        text: EXAMPLE.to_owned(),
        label: EXAMPLE_LABEL.to_owned(),
        source: Some("sourcemark".to_owned()),
        score: Some(0.5),
    };
    let demonstrations = vec![example; demonstrations];
    let texts: Vec<String> = parts.sources.iter().map(|source| knowledge_mark(source)).collect();
    let texts: Vec<&str> = texts.iter().map(|text| if knowledge { text } else { "" }).collect();
    let scene = Scene {
        dialogue: &dialogue,
        position,
        labels: &labels,
        history: position,
        future: window,
        demonstrations: &demonstrations,
        knowledge: &texts,
    };
    slots::values(&scene, parts)
}
