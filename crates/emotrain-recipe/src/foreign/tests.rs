use std::collections::BTreeSet;

use super::words::{VALUED, WORDS};
use super::{HOMONYMS, KEYS, Meaning, SECTIONS};
use crate::key::Kind;
use crate::section::{Section, sections_with};

#[test]
fn every_foreign_key_leads_to_a_key_and_is_none_itself() {
    let mut seen = BTreeSet::new();
    for (foreign, meaning) in KEYS {
        assert!(seen.insert(foreign), "{foreign} is listed twice");
        // [curriculum] has a scheduler of its own, [interpret] a model; elsewhere the names mean the learning
        // rate's scheduler and the trained model.
        let is_homonym = ["scheduler", "model"].contains(foreign);
        assert!(sections_with(foreign).is_empty() || is_homonym, "{foreign} is ours");
        let (Meaning::Key(ours) | Meaning::Value(ours, _) | Meaning::Remark(ours, _)) = meaning else {
            continue;
        };
        let (section, key) = ours.split_once('.').unwrap();
        assert!(Section::find(section).unwrap().key(key).is_some(), "{ours} is no key");
    }
}

#[test]
fn every_homonym_is_a_key_elsewhere_and_leads_to_another() {
    for (section, foreign, meaning) in HOMONYMS {
        assert!(Section::find(section).unwrap().key(foreign).is_none(), "{section}.{foreign} is ours");
        assert!(!sections_with(foreign).is_empty(), "{foreign} is no key of any section");
        if let Meaning::Key(ours) | Meaning::Remark(ours, _) = meaning {
            let (section, key) = ours.split_once('.').unwrap();
            assert!(Section::find(section).unwrap().key(key).is_some(), "{ours} is no key");
        }
    }
}

#[test]
fn every_foreign_section_leads_to_a_section_and_is_none_itself() {
    for (foreign, ours) in SECTIONS {
        assert!(Section::find(foreign).is_none() && Section::find(ours).is_some(), "{foreign}");
    }
}

#[test]
fn every_foreign_word_leads_to_a_choice() {
    for (key, foreign, ours) in WORDS {
        let (section, name) = key.split_once('.').unwrap();
        let kind = Section::find(section).unwrap().key(name).unwrap().kind;
        if let Kind::Choice(names) = kind {
            assert!(names.contains(ours) && !names.contains(foreign), "{foreign}");
        } else if let Kind::WordOrChoices(only, _) = kind {
            assert_eq!(ours, &only);
        } else if let Kind::Switch = kind {
            assert!(ours.starts_with("true"), "{ours}");
        } else if let Kind::LoraInit = kind {
            assert_eq!(*ours, "true");
        } else {
            assert_eq!(kind, Kind::Device);
            assert!(ours.parse::<crate::DeviceChoice>().is_ok(), "{ours}");
        }
    }
}

#[test]
fn every_foreign_value_leads_to_a_value_that_its_key_takes() {
    for (foreign, value, ours, written) in VALUED {
        assert!(KEYS.iter().any(|(key, _)| key == foreign), "{foreign} is no foreign key");
        let written: toml::Value =
            toml::from_str::<toml::Table>(&format!("x = {written}")).unwrap()["x"].clone();
        assert_eq!(crate::values::taken(ours, &written), Some(written.to_string()), "{foreign} = {value}");
    }
}
