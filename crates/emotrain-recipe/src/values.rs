//! Whether a value is valid for its key, and what to write instead.

use std::collections::BTreeSet;
use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::ops::RangeBounds as _;

use toml::Value;

use crate::foreign;
use crate::key::{Key, Kind};
use crate::path::is_toml;
use crate::problem::Fault;
use crate::section::{DeviceChoice, LoraInit, Section};
use crate::suggest::{did_you_mean, either, folded, nearest, quoted};

/// The maximum length of a text that a message quotes in full, in characters.
const QUOTED: usize = 60;

/// The largest weight of a label.
const MOST_WEIGHT: f64 = 1e6;

/// Something wrong with a value or with one of its elements.
#[derive(Debug, PartialEq)]
pub(crate) struct BadValue {
    /// The index of the invalid element in the list or table, if only that one is invalid.
    pub(crate) element: Option<usize>,
    pub(crate) fault: Fault,
}

/// The key that says where curves go.
const REPORT_TO: &str = "logging.report_to";

/// All problems of `value` as the value of `key` in `section`.
pub(crate) fn check(section: &str, key: &Key, value: &Value) -> Vec<BadValue> {
    let path = format!("{section}.{}", key.name);
    let whole = |fault| vec![BadValue { element: None, fault }];
    match (key.kind, value) {
        (Kind::Texts | Kind::WordOrTexts(_), Value::Array(items)) => elements(items.iter(), |item| {
            let message = || format!("every entry of {path} must be text, not {}", shown(item));
            (!item.is_str()).then(|| Fault::new(message()))
        }),
        (Kind::Shares, Value::Array(items)) => elements(items.iter(), |item| {
            let message =
                || format!("every entry of {path} must be a number above 0 and below 1, not {}", shown(item));
            let is_share = item.as_float().is_some_and(|share| share > 0.0 && share < 1.0);
            (!is_share).then(|| Fault::new(message()))
        }),
        (Kind::TextTable, Value::Table(entries)) => elements(entries.iter(), |(name, item)| {
            let message = || format!("{path}.{name} must be text, not {}", shown(item));
            (!item.is_str()).then(|| Fault::new(message()))
        }),
        (Kind::TextsBy(names), Value::Table(entries)) => elements(entries.iter(), |(name, item)| {
            if !names.contains(&name.as_str()) {
                let fault = Fault::new(format!("{path} has no key {name:?}"));
                let near = did_you_mean(&nearest(name, names.iter().copied()));
                return Some(fault.hint(near.unwrap_or_else(|| format!("its keys are {}", quoted(names)))));
            }
            let message = || format!("{path}.{name} must be text, not {}", shown(item));
            (!item.is_str()).then(|| Fault::new(message()))
        }),
        (Kind::WordOrNumbers(_), Value::Table(entries)) => numbers(&path, MOST_WEIGHT, entries),
        (Kind::NumberTable(most), Value::Table(entries)) => numbers(&path, most, entries),
        (Kind::CountTable(least, most), Value::Table(entries)) => counts_by(&path, [least, most], entries),
        (Kind::Counts(most), Value::Array(items)) => listed_counts(&path, most, items),
        (Kind::WordOrChoices(_, names), Value::Array(items)) if items.is_empty() => {
            let fault = Fault::new(format!("{path} is an empty list"));
            whole(fault.hint(format!("name at least one of {}", either(names))))
        }
        (Kind::Choices(names) | Kind::WordOrChoices(_, names), Value::Array(items)) => {
            listed_choices(&path, names, items)
        }
        (kind, value) if accepts(kind, value) => match tilde(&path, kind, value) {
            Some(fault) => whole(fault),
            None => Vec::new(),
        },
        (kind, value) => {
            let fault = Fault::new(format!("{path} must be {}, not {}", expected(kind), shown(value)));
            whole(fault.maybe_hint(remedy(&path, key, value)))
        }
    }
}

/// The problems of a table of numbers.
fn numbers(path: &str, most: f64, entries: &toml::Table) -> Vec<BadValue> {
    elements(entries.iter(), |(name, item)| {
        let message =
            || format!("{path}.{name} must be a number above 0, at most {most}, not {}", shown(item));
        let number = item.as_float().or_else(|| item.as_integer().map(|number| number as f64));
        let is_sound = number.is_some_and(|number| within(number, Excluded(0.0), Included(most)));
        (!is_sound).then(|| Fault::new(message()))
    })
}

/// The problems of a table of whole numbers.
fn counts_by(path: &str, [least, most]: [i64; 2], entries: &toml::Table) -> Vec<BadValue> {
    elements(entries.iter(), |(name, item)| {
        let message = || format!("{path}.{name} must be {}, not {}", counts(least, most), shown(item));
        let is_sound = item.as_integer().is_some_and(|count| (least..=most).contains(&count));
        (!is_sound).then(|| Fault::new(message()))
    })
}

/// The problems of a list of different whole numbers.
fn listed_counts(path: &str, most: i64, items: &[Value]) -> Vec<BadValue> {
    let mut seen = BTreeSet::new();
    elements(items.iter(), |item| {
        let message = || format!("every entry of {path} must be {}, not {}", counts(0, most), shown(item));
        match item.as_integer().filter(|count| (0..=most).contains(count)) {
            None => Some(Fault::new(message())),
            Some(count) if !seen.insert(count) => Some(Fault::new(format!("{path} names {count} twice"))),
            Some(_) => None,
        }
    })
}

fn counts(least: i64, most: i64) -> String {
    format!("a whole number from {least} to {most}")
}

fn elements<I: Iterator>(items: I, mut fault: impl FnMut(I::Item) -> Option<Fault>) -> Vec<BadValue> {
    let faults = items.map(&mut fault).enumerate();
    faults.filter_map(|(at, fault)| fault.map(|fault| BadValue { element: Some(at), fault })).collect()
}

fn listed_choices(path: &str, names: &[&str], items: &[Value]) -> Vec<BadValue> {
    let mut seen = BTreeSet::new();
    let mut bad = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let word = item.as_str().unwrap_or_default();
        let fault = if !names.contains(&word) {
            let message =
                format!("every entry of {path} must be one of {}, not {}", either(names), shown(item));
            let tracker =
                (path == REPORT_TO && foreign::is_tracker(&folded(word))).then_some(foreign::TRACKING);
            let near = || did_you_mean(&nearest(word, names.iter().copied()));
            Fault::new(message).maybe_hint(tracker.map(str::to_owned).or_else(near))
        } else if !seen.insert(word) {
            Fault::new(format!("{path} names {word:?} twice"))
        } else {
            continue;
        };
        bad.push(BadValue { element: Some(at), fault });
    }
    bad
}

/// Whether a value that is not a list or table of texts is valid.
fn accepts(kind: Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Switch, Value::Boolean(_))
        | (
            Kind::Text | Kind::InputPath | Kind::OutputPath | Kind::Model | Kind::WordOrPath(_),
            Value::String(_),
        ) => true,
        (Kind::Count(least, most), Value::Integer(number)) => (least..=most).contains(number),
        (Kind::CountOrShare(most), Value::Integer(number)) => (0..=most).contains(number),
        (Kind::CountOrShare(_), Value::Float(number)) => within(*number, Excluded(0.0), Included(1.0)),
        (Kind::Number(low, high), Value::Float(number)) => within(*number, low, high),
        (Kind::Number(low, high), Value::Integer(number)) => within(*number as f64, low, high),
        (Kind::Choice(names) | Kind::WordOrNumbers(names), Value::String(word)) => {
            names.contains(&word.as_str())
        }
        (Kind::WordOrFile(names), Value::String(word)) => names.contains(&word.as_str()) || is_toml(word),
        (Kind::Device, Value::String(word)) => word.parse::<DeviceChoice>().is_ok(),
        (Kind::WordOrChoices(only, _) | Kind::WordOrTexts(only), Value::String(word)) => word == only,
        (Kind::LoraInit, Value::String(word)) => LoraInit::named(word).is_some(),
        (Kind::LoraInit, Value::Boolean(flag)) => *flag,
        _ => false,
    }
}

fn within(number: f64, low: Bound<f64>, high: Bound<f64>) -> bool {
    number.is_finite() && (low, high).contains(&number)
}

/// A path that relies on shell expansion.
fn tilde(path: &str, kind: Kind, value: &Value) -> Option<Fault> {
    let is_path = matches!(
        kind,
        Kind::InputPath | Kind::OutputPath | Kind::Model | Kind::WordOrFile(_) | Kind::WordOrPath(_)
    );
    let written = value.as_str().filter(|text| is_path && text.starts_with('~'))?;
    let message = format!("{path} starts with \"~\", which is not expanded: {written:?}");
    Some(Fault::new(message).hint("write the full path"))
}

/// The valid values of a key, to follow "must be".
fn expected(kind: Kind) -> String {
    match kind {
        Kind::Switch => "true or false".to_owned(),
        Kind::Count(least, i64::MAX) => format!("a whole number of at least {least}"),
        Kind::Count(least, most) => counts(least, most),
        Kind::CountOrShare(most) => {
            format!("a whole number from 0 to {most}, or a share of an epoch above 0.0 and at most 1.0")
        }
        Kind::Number(Included(low), Included(high)) => format!("a number from {low} to {high}"),
        Kind::Number(low, high) => format!("a number{}", range(low, high)),
        Kind::Text => "text".to_owned(),
        Kind::InputPath | Kind::OutputPath => "a path".to_owned(),
        Kind::Model => "a Hub id or a path".to_owned(),
        Kind::Choice(names) => either(names),
        Kind::WordOrFile(names) => format!("{} or the path of a .toml file", quoted(names)),
        Kind::WordOrPath(names) => format!("{} or a path", quoted(names)),
        Kind::Device => format!("{} (\"cuda:1\" for the second GPU)", either(DeviceChoice::NAMES)),
        Kind::Texts => "a list of texts".to_owned(),
        Kind::Shares => "a list of shares, as in [0.8, 0.1, 0.1]".to_owned(),
        Kind::Choices(names) => format!("a list of {}", either(names)),
        Kind::WordOrChoices(word, names) => format!("{word:?} or a list of {}", either(names)),
        Kind::WordOrTexts(word) => format!("{word:?} or a list of texts"),
        Kind::LoraInit => "true, \"gaussian\", \"pissa\", \"pissa_niter_4\" or \"olora\"".to_owned(),
        Kind::TextTable => "a table of texts".to_owned(),
        Kind::CountTable(..) => "a table of whole numbers".to_owned(),
        Kind::NumberTable(_) => "a table of numbers".to_owned(),
        Kind::Counts(_) => "a list of whole numbers".to_owned(),
        Kind::TextsBy(names) => format!("a table of texts with the keys {}", quoted(names)),
        Kind::WordOrNumbers(names) => format!("{} or a table of numbers", quoted(names)),
    }
}

fn range(low: Bound<f64>, high: Bound<f64>) -> String {
    let low = match low {
        Included(low) => format!(" of at least {low}"),
        Excluded(low) => format!(" above {low}"),
        Unbounded => String::new(),
    };
    let high = match high {
        Included(high) => format!(" and at most {high}"),
        Excluded(high) => format!(" and below {high}"),
        Unbounded => String::new(),
    };
    low + &high
}

/// A value as a message shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().count() > QUOTED => {
            format!("{:?}", text.chars().take(QUOTED).chain(['…']).collect::<String>())
        }
        Value::String(text) => format!("{text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        Value::Datetime(date) => format!("the date {date}"),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => value.to_string(),
    }
}

/// What to write for a value of another tool's name of this key (`section.key`): the same if the key takes it, or our
/// word for it. `None` where it is neither, and for lists and tables, which messages do not show.
pub(crate) fn taken(path: &str, value: &Value) -> Option<String> {
    let (section, name) = path.split_once('.')?;
    let kind = Section::find(section)?.key(name)?.kind;
    let word = value.as_str().and_then(|word| foreign::word(path, &folded(word)));
    let value = word.map_or_else(|| value.clone(), Value::from);
    let is_shown = match &value {
        Value::String(text) => text.chars().count() <= QUOTED,
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => true,
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => false,
    };
    (is_shown && accepts(kind, &value)).then(|| value.to_string())
}

/// What to write instead of a value of the wrong type or range.
fn remedy(path: &str, key: &Key, value: &Value) -> Option<String> {
    let write = |text: String| Some(format!("write {} = {text}", key.name));
    match (key.kind, value) {
        (Kind::Choice(names) | Kind::WordOrFile(names) | Kind::WordOrNumbers(names), Value::String(word)) => {
            choice(path, names, word)
        }
        (Kind::Device, Value::String(word)) => choice(path, DeviceChoice::NAMES, word),
        (Kind::Count(..) | Kind::CountOrShare(_) | Kind::Number(..), Value::String(text)) => match text
            .trim()
            .parse::<f64>()
        {
            Ok(number) if accepts(key.kind, &Value::Float(number)) => write(Value::Float(number).to_string()),
            Ok(_) => whole(text.trim().parse().ok()?, key.kind).and_then(write),
            Err(_) => None,
        },
        (Kind::Count(..) | Kind::CountOrShare(_), Value::Float(number)) => {
            whole(*number, key.kind).and_then(write)
        }
        (Kind::Count(0, _) | Kind::CountOrShare(_), Value::Integer(-1)) => write("0".to_owned()),
        (Kind::Switch | Kind::LoraInit, Value::String(text)) => match folded(text).as_str() {
            "true" | "yes" | "on" => write("true".to_owned()),
            "false" | "no" | "off" if key.kind == Kind::Switch => write("false".to_owned()),
            word => match foreign::word(path, word) {
                Some(ours) => write(ours.to_owned()),
                None if key.kind == Kind::LoraInit => {
                    did_you_mean(&nearest(word, LoraInit::NAMES.iter().copied()))
                }
                None => None,
            },
        },
        (Kind::Counts(most), Value::Integer(count)) if (0..=most).contains(count) => {
            write(format!("[{count}]"))
        }
        (Kind::Switch, Value::Integer(flag @ (0 | 1))) => write((*flag == 1).to_string()),
        (Kind::Choices(_), Value::String(word))
            if path == REPORT_TO && foreign::is_tracker(&folded(word)) =>
        {
            Some(foreign::TRACKING.to_owned())
        }
        (Kind::Choices(_), Value::String(word)) if word == "none" => write("[]".to_owned()),
        (Kind::Choices(names), Value::String(word)) if word == "all" => write(format!("{names:?}")),
        (Kind::Choices(names) | Kind::WordOrChoices(_, names), Value::String(word))
            if names.contains(&word.as_str()) =>
        {
            write(format!("[{word:?}]"))
        }
        (Kind::WordOrChoices(only, _), Value::String(word)) => did_you_mean(&nearest(word, [only])),
        (Kind::WordOrTexts(only), Value::String(word)) if !nearest(word, [only]).is_empty() => {
            did_you_mean(&[only])
        }
        (Kind::Texts | Kind::WordOrTexts(_), Value::String(word)) => write(format!("[{word:?}]")),
        (Kind::InputPath, Value::Array(_)) => Some("a split is one file".to_owned()),
        (Kind::Text, Value::Integer(_) | Value::Float(_)) => write(format!("\"{value}\"")),
        _ => None,
    }
}

fn choice(path: &str, names: &[&str], word: &str) -> Option<String> {
    match foreign::word(path, &folded(word)) {
        Some(ours) => did_you_mean(&[ours]),
        None => did_you_mean(&nearest(word, names.iter().copied())),
    }
}

/// `number` as an integer, if it is valid for `kind`.
fn whole(number: f64, kind: Kind) -> Option<String> {
    let text = format!("{number:.0}");
    let value = Value::Integer(text.parse().ok()?);
    (number.fract() == 0.0 && accepts(kind, &value)).then_some(text)
}
