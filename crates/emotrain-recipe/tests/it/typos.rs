//! The hint names the intended key or section, whatever the typo.

use std::path::Path;

use emotrain_recipe::{Problem, RecipeError, json_schema, parse};
use proptest::prelude::*;
use proptest::sample::Index;

/// Every `(section, key)` of the sections that occur once.
fn vocabulary() -> Vec<(String, String)> {
    let schema = json_schema();
    let sections = schema["properties"].as_object().unwrap().iter();
    let sections = sections.filter(|(_, schema)| schema.get("properties").is_some());
    let keys = sections.flat_map(|(section, schema)| {
        let keys = schema["properties"].as_object().unwrap();
        keys.keys().map(|key| (section.clone(), key.clone()))
    });
    keys.collect()
}

/// One typo at a place in a word.
#[derive(Clone, Copy, Debug)]
enum Mistake {
    Insert(char),
    Delete,
    Replace(char),
    Swap,
}

fn mistakes() -> impl Strategy<Value = Mistake> {
    let letter = proptest::char::ranges(vec!['a'..='z', '0'..='9', '_'..='_', '-'..='-', 'A'..='Z'].into());
    prop_oneof![
        letter.clone().prop_map(Mistake::Insert),
        Just(Mistake::Delete),
        letter.prop_map(Mistake::Replace),
        Just(Mistake::Swap),
    ]
}

fn mistyped(word: &str, mistake: Mistake, place: Index) -> String {
    let mut letters: Vec<_> = word.chars().collect();
    match mistake {
        Mistake::Insert(letter) => letters.insert(place.index(letters.len() + 1), letter),
        Mistake::Delete => drop(letters.remove(place.index(letters.len()))),
        Mistake::Replace(letter) => letters[place.index(word.chars().count())] = letter,
        Mistake::Swap if letters.len() > 1 => {
            let at = place.index(letters.len() - 1);
            letters.swap(at, at + 1);
        }
        Mistake::Swap => {}
    }
    letters.into_iter().collect()
}

fn problems(text: &str) -> Vec<Problem> {
    match parse(text, Path::new("erc.toml"), &[]) {
        Ok(_) => Vec::new(),
        Err(RecipeError::Problems(problems)) => problems,
        Err(error @ RecipeError::Read(_)) => panic!("nothing is read: {error}"),
    }
}

fn problem_on_line(line: usize, text: &str) -> Problem {
    problems(text).into_iter().find(|problem| problem.line == Some(line)).unwrap()
}

proptest! {
    #[test]
    fn of_a_key(which: Index, mistake in mistakes(), place: Index) {
        let vocabulary = vocabulary();
        let (section, key) = &vocabulary[which.index(vocabulary.len())];
        let typo = mistyped(key, mistake, place);
        prop_assume!(!typo.is_empty() && vocabulary.iter().all(|(_, known)| *known != typo));
        let problem = problem_on_line(2, &format!("[{section}]\n{typo} = 1"));
        // A typo may accidentally be another tool's name: `r` and `lr`.
        prop_assume!(!problem.message.contains("another tool's"));
        prop_assert_eq!(problem.message, format!("unknown key {typo:?} in [{section}]"));
        prop_assert_eq!(problem.column, Some(1));
        let hint = problem.hint.unwrap_or_default();
        prop_assert!(hint.contains(&format!("{key:?}")), "{typo} in [{section}]: {hint}");
    }

    #[test]
    fn of_a_section(which: Index, mistake in mistakes(), place: Index) {
        let vocabulary = vocabulary();
        let (section, key) = &vocabulary[which.index(vocabulary.len())];
        let typo = mistyped(section, mistake, place);
        prop_assume!(vocabulary.iter().all(|(known, _)| *known != typo));
        let problem = problem_on_line(1, &format!("[{typo}]\n{key} = 1"));
        prop_assert_eq!(problem.message, format!("unknown section [{typo}]"));
        let hint = problem.hint.unwrap_or_default();
        prop_assert!(hint.contains(&format!("[{section}]")), "{typo}: {hint}");
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "([a-z_\\[\\]{}=\"'.,#\\n \u{e9}\u{feff}0-9-]|\\[train\\]\n|seed = |\"\"\"|\r\n){0,60}") {
        for problem in problems(&text) {
            let line = problem.line.unwrap_or(1);
            prop_assert!(line <= text.split('\n').count(), "{problem}");
        }
    }
}
