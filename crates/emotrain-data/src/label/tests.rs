use super::*;

const BUILTIN: [LabelSetName; 4] =
    [LabelSetName::Meld, LabelSetName::Iemocap, LabelSetName::Emorynlp, LabelSetName::Dailydialog];

fn pets() -> LabelSet {
    LabelSet::custom(["calm", "very upset", "Curious"], [("relaxed", "calm"), ("upset", "Very Upset")])
        .unwrap()
}

#[test]
fn built_in_sets_keep_the_data_sets_order() {
    let first_and_last = BUILTIN.map(|name| {
        let set = LabelSet::builtin(name);
        format!("{} {}..{}", set.len(), set.names()[0], set.names()[set.len() - 1])
    });
    assert_eq!(
        first_and_last,
        ["7 neutral..anger", "6 happy..frustrated", "7 joyful..scared", "7 no_emotion..surprise"]
    );
}

#[test]
fn every_name_resolves_to_its_own_place() {
    for set in BUILTIN.map(LabelSet::builtin).iter().chain([&pets()]) {
        for label in set.iter() {
            assert_eq!(set.resolve(set.name(label)), Some(label));
            assert_eq!(set.nearest(set.name(label)), Some(set.name(label)));
        }
    }
}

#[test]
fn words_of_other_data_sets_are_aliases() {
    let check = |set: LabelSetName, spelling: &str, expected: Option<&str>| {
        let set = LabelSet::builtin(set);
        assert_eq!(set.resolve(spelling).map(|label| set.name(label)), expected, "{spelling}");
    };
    check(LabelSetName::Meld, "happy", Some("joy"));
    check(LabelSetName::Meld, " Happiness ", Some("joy"));
    check(LabelSetName::Meld, "No Emotion", Some("neutral"));
    check(LabelSetName::Meld, "excited", None);
    check(LabelSetName::Iemocap, "fru", Some("frustrated"));
    check(LabelSetName::Iemocap, "fear", None);
    check(LabelSetName::Emorynlp, "Mad", Some("mad"));
    check(LabelSetName::Emorynlp, "anger", Some("mad"));
    check(LabelSetName::Dailydialog, "no-emotion", Some("no_emotion"));
    check(LabelSetName::Dailydialog, "neutral", Some("no_emotion"));
}

#[test]
fn no_row_of_synonyms_holds_two_labels_of_a_set() {
    for set in [MELD, IEMOCAP, EMORYNLP, DAILYDIALOG] {
        for row in SAME_EMOTION {
            assert!(row.iter().filter(|word| set.contains(word)).count() <= 1, "{row:?}");
        }
    }
}

#[test]
fn custom_sets_resolve_names_and_aliases() {
    let set = pets();
    assert_eq!(set.names(), ["calm", "very upset", "Curious"]);
    assert_eq!(set.resolve("VERY_upset"), Some(Label::from_index(1)));
    assert_eq!(set.resolve("upset"), Some(Label::from_index(1)));
    assert_eq!(set.resolve("Relaxed"), Some(Label::from_index(0)));
    assert_eq!(set.resolve("joy"), None);
}

#[test]
fn the_nearest_label_is_named_by_its_own_word() {
    let set = LabelSet::builtin(LabelSetName::Meld);
    assert_eq!(set.nearest("joyy"), Some("joy"));
    assert_eq!(set.nearest("suprise"), Some("surprise"));
    assert_eq!(set.nearest("hapiness"), Some("joy"));
    assert_eq!(set.nearest("zzzz"), None);
    assert_eq!(set.nearest(""), None);
}

#[test]
fn sets_that_make_no_sense_are_refused() {
    let check = |names: &[&'static str], aliases: &[(&'static str, &'static str)], expected: &str| {
        let refused = LabelSet::custom(names.iter().copied(), aliases.iter().copied());
        assert_eq!(refused.unwrap_err().to_string(), expected);
    };
    check(&["one"], &[], "a label set needs at least 2 labels, got 1");
    check(&["a"; 257], &[], "a label set has at most 256 labels, got 257");
    check(&["a", " _ "], &[], "a label or alias is empty");
    check(&["so so", "So_So"], &[], "\"So_So\" means two labels");
    check(&["a", "b\nc"], &[], "the label or alias \"b\\nc\" has a line break or another control character");
    check(
        &["a", "b"],
        &[("x\u{2028}y", "a")],
        "the label or alias \"x\\u{2028}y\" has a line break or another control character",
    );
    check(&["a", "b"], &[("B", "a")], "\"B\" means two labels");
    check(&["a", "b"], &[("x", "a"), ("x", "b")], "\"x\" means two labels");
    check(&["a", "b"], &[("x", "c")], "alias \"x\" names \"c\", which is not a label");
    check(&["a", "b"], &[("x", "a"), ("y", "x")], "alias \"y\" names \"x\", which is not a label");
}

#[test]
fn an_alias_repeated_is_no_contradiction() {
    let set = LabelSet::custom(["a", "b"], [("x", "a"), ("X", "a"), ("A", "a")]).unwrap();
    assert_eq!(set.resolve("x"), Some(Label::from_index(0)));
}

#[test]
fn labels_are_numbers_in_files() {
    let label = Label::from_index(5);
    assert_eq!(serde_json::to_string(&label).unwrap(), "5");
    assert_eq!(serde_json::from_str::<Label>("5").unwrap(), label);
    assert!(serde_json::from_str::<Label>("256").is_err());
}
