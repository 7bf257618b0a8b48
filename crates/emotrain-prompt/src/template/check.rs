//! What is checked when a template is loaded, so that nothing is found out in the middle of a training.

use emotrain_data::{Dialogue, ShownDemonstration, Utterance};
use minijinja::{Environment, ErrorKind, Value};

use super::slots::{self, DEMONSTRATION, SLOTS, Scene, TURN};
use super::source::{Tag, line_at, line_of, tags};
use super::{FILE, SYSTEM, Texts, USER};
use crate::error::{TemplateProblem, nearest};
use crate::jinja;

/// What a sound template shows of what it is given.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each slot is shown or not")]
pub(super) struct Shown {
    pub(super) system: bool,
    pub(super) history: bool,
    pub(super) future: bool,
    pub(super) demonstrations: bool,
}

/// A conversation to try a template on.
#[derive(Clone, Copy)]
struct Probe {
    /// Utterances before and after the one in question.
    window: usize,
    demonstrations: usize,
}

impl Probe {
    const FULL: Self = Self { window: 2, demonstrations: 2 };
    const BARE: Self = Self { window: 2, demonstrations: 0 };
    const ALONE: Self = Self { window: 0, demonstrations: 0 };
}

/// Compiles the source into the environment and looks for every defect that can be told without data.
pub(super) fn check(
    origin: &str,
    source: &str,
    environment: &mut Environment<'static>,
) -> Result<Shown, Vec<TemplateProblem>> {
    let report = Report { origin };
    if let Err(error) = environment.add_template_owned(FILE, source.to_owned()) {
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

struct Report<'a> {
    origin: &'a str,
}

impl Report<'_> {
    fn at(&self, line: Option<usize>, message: String, hint: Option<String>) -> TemplateProblem {
        TemplateProblem { origin: self.origin.to_owned(), line, message, hint }
    }

    /// The file must consist of the two blocks, the user's at least, and of nothing from elsewhere.
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
        let known =
            |name: &str| SLOTS.contains(&name) || environment.globals().any(|(global, _)| global == name);
        let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        names.retain(|name| !known(name));
        names.sort();
        let problem = |name: String| {
            let hint = did_you_mean(&name, &SLOTS)
                .unwrap_or_else(|| format!("the placeholders are {}", SLOTS.join(", ")));
            self.at(line_of(tags, &name), format!("unknown placeholder \"{name}\""), Some(hint))
        };
        names.into_iter().map(problem).collect()
    }

    /// `{utterance}` is a habit from other tools and would reach the model as it stands.
    fn single_braces(&self, source: &str) -> Vec<TemplateProblem> {
        let mut problems = Vec::new();
        for slot in SLOTS {
            for (at, single) in source.match_indices(&format!("{{{slot}}}")) {
                if !source[..at].ends_with('{') {
                    let hint = format!("write {{{{ {slot} }}}}");
                    let message = format!("\"{single}\" is not a placeholder");
                    problems.push(self.at(Some(line_at(source, at)), message, Some(hint)));
                }
            }
        }
        problems
    }

    /// Renders a conversation of marked texts: with utterances around the one in question and
    /// demonstrations, without demonstrations, and with nothing but the utterance.
    fn probes(
        &self,
        environment: &Environment<'static>,
        has_system: bool,
    ) -> Result<Shown, Vec<TemplateProblem>> {
        let mut environment = environment.clone();
        environment.set_debug(true); // errors then know where in the source they arose
        let render = |probe: Probe| {
            let texts = super::render(&environment, &probe_values(probe), has_system);
            texts.map_err(|error| vec![self.failed(&error, probe)])
        };
        let texts = render(Probe::FULL)?;
        let mut problems = self.missing(&texts);
        problems.extend(self.outside(&texts));
        for probe in [Probe::BARE, Probe::ALONE] {
            if problems.is_empty() {
                problems = self.missing(&render(probe)?);
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let shows = |mark: &str| texts.whole.to_lowercase().contains(mark);
        let demonstrations = shows(EXAMPLE) && shows(EXAMPLE_LABEL);
        Ok(Shown { system: has_system, history: shows(BEFORE), future: shows(AFTER), demonstrations })
    }

    fn failed(&self, error: &minijinja::Error, probe: Probe) -> TemplateProblem {
        let (mut message, mut hint) = (jinja::message(error), None);
        if let (ErrorKind::UndefinedError, Some(expression)) = (error.kind(), failing_expression(error)) {
            message = format!("\"{expression}\" has no value");
            let attributes = [&TURN[..], &DEMONSTRATION].concat();
            let name = expression.rsplit('.').next().filter(|name| !attributes.contains(name));
            hint = name.and_then(|name| did_you_mean(name, &attributes));
        }
        if probe.window > 0 && probe.demonstrations == 0 {
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

    fn missing(&self, texts: &Texts) -> Vec<TemplateProblem> {
        let Texts { system, user, .. } = texts;
        let text = format!("{system}\n{user}").to_lowercase();
        let wanted = [
            (!user.trim().is_empty(), "the block \"user\" is empty", "ask the question there"),
            (
                text.contains(ASKED),
                "the utterance is never shown",
                "put {{ utterance }} into the block \"user\"",
            ),
            (
                LABELS.iter().all(|label| text.contains(label)),
                "the labels are never stated",
                "put {{ label_list }} into the block \"system\"",
            ),
        ];
        let problem =
            |(_, message, hint): (bool, &str, &str)| self.at(None, message.to_owned(), Some(hint.to_owned()));
        wanted.into_iter().filter(|(sound, ..)| !sound).map(problem).collect()
    }
}

/// The tag in which an error arose.
fn failing_expression(error: &minijinja::Error) -> Option<&str> {
    let (source, range) = (error.template_source()?, error.range()?);
    let tag = tags(source).into_iter().rfind(|tag| tag.range.start <= range.start)?;
    Some(tag.body)
}

fn block_name<'a>(tag: &Tag<'a>) -> Option<&'a str> {
    let mut words = tag.body.split_whitespace();
    (tag.keyword() == Some("block")).then(|| words.nth(1)).flatten()
}

fn did_you_mean(name: &str, candidates: &[&'static str]) -> Option<String> {
    nearest(name, candidates.iter().copied()).map(|name| format!("did you mean \"{name}\"?"))
}

const BEFORE: &str = "marked as said before";
const ASKED: &str = "marked as the one in question";
const AFTER: &str = "marked as said after";
const EXAMPLE: &str = "marked as an example";
const EXAMPLE_LABEL: &str = "examplelabelmark";
const LABELS: [&str; 3] = ["labelmarkone", "labelmarktwo", "labelmarkthree"];

fn probe_values(Probe { window, demonstrations }: Probe) -> Value {
    let texts = [vec![BEFORE; window], vec![ASKED], vec![AFTER; window]].concat();
    let utterance =
        |text: &str| Utterance { speaker: "speakermark".to_owned(), text: text.to_owned(), label: None };
    let dialogue =
        Dialogue { id: "probe".to_owned(), utterances: texts.into_iter().map(utterance).collect() };
    let labels = LABELS.map(str::to_owned);
    let example = ShownDemonstration {
        text: EXAMPLE.to_owned(),
        label: EXAMPLE_LABEL.to_owned(),
        source: Some("sourcemark".to_owned()),
        score: Some(0.5),
    };
    let demonstrations = vec![example; demonstrations];
    slots::values(&Scene {
        dialogue: &dialogue,
        position: window,
        labels: &labels,
        history: window,
        future: window,
        demonstrations: &demonstrations,
    })
}
