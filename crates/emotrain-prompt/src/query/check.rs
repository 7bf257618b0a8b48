//! The checks when a query is read, so that nothing fails after a thousand questions.

use emotrain_data::{Dialogue, Utterance};
use emotrain_recipe::KnowledgeLevel;
use minijinja::{Environment, UndefinedBehavior};

use super::{QueryFile, QueryTarget, Reach, SYSTEM, USER, slots, values};
use crate::error::{TemplateProblem, nearest};
use crate::jinja;

/// Keys of a row that identify what its texts belong to.
const RESERVED: [&str; 4] = ["dialogue", "position", "speaker", "split"];

const BEFORE: &str = "marked as said before";
const ASKED: &str = "marked as the one in question";
const AFTER: &str = "marked as said after";
const WHO: &str = "Speakermark";

/// Reads a query and finds every problem that needs no data.
pub(super) fn check(
    origin: &str,
    source: &str,
) -> Result<(QueryFile, Environment<'static>), Vec<TemplateProblem>> {
    let mut report = Report { origin, problems: Vec::new() };
    let file: QueryFile = match toml::from_str(source) {
        Ok(file) => file,
        Err(error) => {
            let line = error.span().map(|span| 1 + source[..span.start].matches('\n').count());
            let problem = TemplateProblem {
                origin: origin.to_owned(),
                line,
                message: error.message().to_owned(),
                hint: None,
            };
            return Err(vec![problem]);
        }
    };
    report.keys(&file);
    report.scope(&file);
    let environment = report.templates(&file);
    if report.problems.is_empty() {
        report.probe(&file, &environment);
    }
    if report.problems.is_empty() { Ok((file, environment)) } else { Err(report.problems) }
}

struct Report<'a> {
    origin: &'a str,
    problems: Vec<TemplateProblem>,
}

impl Report<'_> {
    fn add(&mut self, message: impl Into<String>, hint: Option<String>) {
        let origin = self.origin.to_owned();
        self.problems.push(TemplateProblem { origin, line: None, message: message.into(), hint });
    }

    fn keys(&mut self, file: &QueryFile) {
        if file.keys.is_empty() {
            let hint = "list the keys of a reply, for example keys = [\"explicit\", \"implicit\"]";
            self.add("keys is empty", Some(hint.to_owned()));
        }
        for (at, key) in file.keys.iter().enumerate() {
            let is_word =
                |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
            if key.is_empty() || !key.chars().all(is_word) {
                let hint = "keys consist of small letters, digits and \"_\"";
                self.add(format!("the key \"{key}\" is not a valid name"), Some(hint.to_owned()));
            } else if RESERVED.contains(&key.as_str()) {
                let hint = format!("the keys {} identify what a text belongs to", RESERVED.join(", "));
                self.add(format!("the key \"{key}\" is reserved"), Some(hint));
            } else if file.keys[..at].contains(key) {
                self.add(format!("the key \"{key}\" is repeated"), None);
            }
        }
        if let (Some(least), Some(most)) = (file.min_words, file.max_words)
            && least > most
        {
            self.add(format!("min_words = {least} is more than max_words = {most}"), None);
        }
    }

    fn scope(&mut self, file: &QueryFile) {
        if file.reach == Reach::History && file.level != KnowledgeLevel::Utterance {
            let hint = "write reach = \"dialogue\": only an utterance has a history".to_owned();
            self.add("reach = \"history\" needs level = \"utterance\"", Some(hint));
        }
        if file.history_window.is_some() && file.level != KnowledgeLevel::Utterance {
            self.add("history_window needs level = \"utterance\"", None);
        }
    }

    /// Compiles both messages and refuses placeholders without a value.
    fn templates(&mut self, file: &QueryFile) -> Environment<'static> {
        let mut environment = jinja::environment(UndefinedBehavior::Strict);
        let known = slots(file);
        for (name, text) in [(SYSTEM, &file.system), (USER, &file.user)] {
            if let Err(error) = jinja::add(&mut environment, name, text.clone()) {
                let line = error.line().map_or_else(String::new, |line| format!(", line {line}"));
                self.add(format!("{name}{line}: {}", jinja::message(&error)), None);
                continue;
            }
            let Ok(template) = environment.get_template(name) else { continue };
            let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
            names.sort();
            let is_global = |name: &str| environment.globals().any(|(global, _)| global == name);
            for unknown in names.iter().filter(|name| !known.contains(&name.as_str()) && !is_global(name)) {
                let hint = match nearest(unknown, known.iter().copied()) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("with this level and reach the placeholders are {}", known.join(", ")),
                };
                self.add(format!("{name}: unknown placeholder \"{unknown}\""), Some(hint));
            }
            for slot in &known {
                let single = format!("{{{slot}}}");
                if text.match_indices(&single).any(|(at, _)| !text[..at].ends_with('{')) {
                    let hint = format!("write {{{{ {slot} }}}}");
                    self.add(format!("{name}: \"{single}\" is not a placeholder"), Some(hint));
                }
            }
        }
        environment
    }

    /// Renders a conversation of marked texts, and one with a single utterance.
    fn probe(&mut self, file: &QueryFile, environment: &Environment<'static>) {
        for around in [2, 0] {
            let texts = [vec![BEFORE; around], vec![ASKED], vec![AFTER; around]].concat();
            let said = |text: &str| Utterance::new(WHO.to_owned(), text.to_owned(), None);
            let dialogue = Dialogue::new("probe".to_owned(), texts.into_iter().map(said).collect());
            let target = match file.level {
                KnowledgeLevel::Utterance => QueryTarget::Utterance(around),
                KnowledgeLevel::Speaker => QueryTarget::Speaker(WHO.to_owned()),
                KnowledgeLevel::Dialogue => QueryTarget::Dialogue,
            };
            let values = values(file, &dialogue, &target);
            let mut whole = String::new();
            for name in [SYSTEM, USER] {
                let (environment, values) = (environment.clone(), values.clone());
                match jinja::tried(move || environment.get_template(name)?.render(&values)) {
                    Ok(text) => whole.push_str(&text),
                    Err(error) => {
                        let alone = if around == 0 { " when a dialogue has only one utterance" } else { "" };
                        return self.add(format!("{name}: {}{alone}", jinja::message(&error)), None);
                    }
                }
            }
            if around > 0 {
                self.shown(file, &whole);
            }
        }
    }

    fn shown(&mut self, file: &QueryFile, whole: &str) {
        let wanted = match file.level {
            KnowledgeLevel::Utterance => (ASKED, "utterance"),
            KnowledgeLevel::Speaker => (WHO, "speaker"),
            KnowledgeLevel::Dialogue => (ASKED, "dialogue"),
        };
        if !whole.contains(wanted.0) {
            self.add(
                format!("the {} is never shown", wanted.1),
                Some(format!("put {{{{ {} }}}} into \"user\"", wanted.1)),
            );
        }
        for key in &file.keys {
            if !whole.contains(&format!("\"{key}\"")) {
                let hint = "show the form of a reply in the text, with every key in quotes".to_owned();
                self.add(format!("the key \"{key}\" is never asked for"), Some(hint));
            }
        }
    }
}
