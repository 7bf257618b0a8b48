#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with them")]

use emotrain_recipe::LabelSetName;
use expect_test::{Expect, expect};

use super::*;
use crate::fixture::{meld, section};

/// The built-in wheel's similarity of two labels of a set.
fn similarity(labels: &[&str], labels_n: Option<usize>) -> f64 {
    let set = LabelSet::custom(labels.iter().copied(), []).unwrap();
    let table = Wheel::builtin().similarity(&set, labels_n).unwrap();
    let (one, other) = (Label::from_index(0), Label::from_index(1));
    assert_eq!(table.of(one, other).to_bits(), table.of(other, one).to_bits());
    table.of(one, other)
}

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-15, "{found} is not {expected}");
}

#[test]
fn similarities_are_those_of_the_equation() {
    // cos 18°, cos 36° and cos 72° by roots.
    let five = 5.0_f64.sqrt();
    close(similarity(&["anger", "hate"], None), (10.0 + 2.0 * five).sqrt() / 4.0);
    close(similarity(&["happy", "excited"], None), f64::midpoint(0.5, five / 2.0));
    close(similarity(&["anger", "fear"], None), (five - 1.0) / 4.0);
    // More than a right angle apart, on the same side.
    close(similarity(&["anger", "sadness"], None), 0.0);
    // On opposite sides, though only 18° apart.
    close(similarity(&["surprise", "anger"], None), 0.0);
    close(similarity(&["joy", "joyful"], None), 1.0);
    close(similarity(&["neutral", "joy"], None), 0.5);
    close(similarity(&["neutral", "sadness"], Some(8)), 0.125);
    close(similarity(&["no emotion", "Boredom"], Some(4)), 0.25);
    // Boredom has a direction, 180°, and a valence.
    close(similarity(&["boredom", "fear"], None), (9.0_f64).to_radians().cos());
    close(similarity(&["boredom", "pleasure"], None), 0.0);
}

#[test]
fn a_right_angle_is_exact() {
    let bits = |degrees: f64| cos_degrees(degrees).to_bits();
    assert_eq!([90.0, 270.0, -90.0, 450.0].map(bits), [0; 4]);
    assert_eq!([0.0, 180.0, 360.0].map(bits), [1.0, -1.0, 1.0].map(f64::to_bits));
    for degrees in -720..=720 {
        let degrees = f64::from(degrees);
        assert!((cos_degrees(degrees) - degrees.to_radians().cos()).abs() < 2e-15, "{degrees}");
    }
}

#[test]
fn every_label_of_every_data_set_is_on_the_wheel() {
    let wheel = Wheel::builtin();
    for name in [LabelSetName::Meld, LabelSetName::Iemocap, LabelSetName::Emorynlp, LabelSetName::Dailydialog]
    {
        let labels = LabelSet::builtin(name);
        let table = wheel.similarity(&labels, None).unwrap();
        for one in labels.iter() {
            for other in labels.iter() {
                assert!((0.0..=1.0).contains(&table.of(one, other)));
                let centre = wheel.is_neutral(labels.name(one)) || wheel.is_neutral(labels.name(other));
                let inverse = 1.0 / labels.len() as f64;
                assert!(!centre || table.of(one, other).to_bits() == inverse.to_bits());
            }
        }
    }
    assert_eq!(wheel.places.len(), 26 + 2 + 11);
}

#[test]
fn an_unknown_emotion_is_named_with_the_wheel() {
    let labels = LabelSet::custom(["joy", "boredum", "zest"], []).unwrap();
    let error = Wheel::builtin().similarity(&labels, None).unwrap_err();
    expect![[r#"the wheel curriculum/wheel.toml (built in) has no labels "boredum", "zest""#]]
        .assert_eq(&error.to_string());
    expect![[r#"add them to a wheel of your own and name that file in curriculum.wheel, perhaps under [aliases]: boredum = "boredom""#]]
        .assert_eq(&error.hint().unwrap());
    let labels = LabelSet::custom(["joy", "zest"], []).unwrap();
    let own = Wheel::from_toml("[angles]\njoy = 27\n", "own.toml").unwrap();
    let error = own.similarity(&labels, None).unwrap_err();
    assert_eq!(error.to_string(), "the wheel own.toml has no label \"zest\"");
    expect!["add it to a wheel of your own and name that file in curriculum.wheel"]
        .assert_eq(&error.hint().unwrap());
}

#[test]
fn a_wheel_of_ones_own_takes_the_place_of_the_built_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wheel.toml");
    fs_err::write(&path, "[angles]\nup = 90\nwarm = 30.5\n[points]\ndown = [-1, 1e-1]\n").unwrap();
    let wheel = Wheel::from_section(&section(&format!("wheel = {:?}", path.display().to_string()))).unwrap();
    let labels = LabelSet::custom(["Up", "down", "warm"], []).unwrap();
    let table = wheel.similarity(&labels, None).unwrap();
    let [up, down, warm] = [0, 1, 2].map(Label::from_index);
    // Straight up, valence is zero.
    close(table.of(up, down), 1.0 / 3.0);
    close(table.of(up, warm), 1.0 / 3.0);
    close(table.of(down, warm), 0.0);
    close(table.of(down, down), 1.0);
    assert!(!wheel.is_neutral("up") && !wheel.is_neutral("elsewhere"));
    assert!(wheel.similarity(&meld(), None).is_err());
    let missing = Wheel::from_section(&section("wheel = \"/nowhere/wheel.toml\"")).unwrap_err();
    assert_eq!(missing.to_string(), "/nowhere/wheel.toml: no such file");
}

#[track_caller]
fn check(text: &str, expected: &Expect) {
    let error = Wheel::from_toml(text, "own.toml").unwrap_err();
    let hint = error.hint().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
    expected.assert_eq(&format!("{error}{hint}"));
}

#[test]
fn mistakes_are_named_with_their_line() {
    check("[angles]\njoy = = 3\n", &expect!["own.toml:2: not valid TOML: extra `=`, expected nothing"]);
    check(
        "[angles]\njoy = \"up\"\n",
        &expect!["own.toml:2: an angle is a number of degrees from 0 to below 360"],
    );
    check(
        "[angles]\njoy = 360\n",
        &expect!["own.toml:2: an angle is a number of degrees from 0 to below 360"],
    );
    check(
        "[angles]\njoy = nan\n",
        &expect!["own.toml:2: an angle is a number of degrees from 0 to below 360"],
    );
    check(
        "[points]\na = [0, 1]\nb = [0, 1, 2]\n",
        &expect!["own.toml:3: a point is a list of two numbers, [x, y]"],
    );
    check("[points]\nb = [0, \"1\"]\n", &expect!["own.toml:2: a point is a list of two numbers, [x, y]"]);
    check(
        "[angle]\njoy = 3\n",
        &expect![[r#"
        own.toml:1: unknown section [angle]
        hint: the sections are [angles], [points] and [aliases]"#]],
    );
    check(
        "joy = 3\n",
        &expect![[r#"
            own.toml:1: "joy" is outside any section
            hint: the sections are [angles], [points] and [aliases]"#]],
    );
    check(
        "\n[angles]\njoy = 27\n[aliases]\nhappy = \"jo\"\n",
        &expect![[r#"
            own.toml:5: "jo" is not an emotion of this wheel
            hint: an alias names an emotion under [angles] or [points]"#]],
    );
    check(
        "[angles]\njoy = 27\n[aliases]\nhappy = 27\n",
        &expect!["own.toml:4: an alias names an emotion, in quotes"],
    );
    check(
        "[angles]\nno-joy = 27\n\"No Joy\" = 30\n",
        &expect![[r#"
            own.toml:3: "No Joy" is already defined on line 2
            hint: names that differ only in case, spaces, "-" and "_" are the same"#]],
    );
    check(
        "[angles]\njoy = 27\n[points]\njoy = [0, 0]\n",
        &expect![[r#"
            own.toml:4: "joy" is already defined on line 2
            hint: names that differ only in case, spaces, "-" and "_" are the same"#]],
    );
    check("[angles]\n\" \" = 27\n", &expect!["own.toml:2: an emotion without a name"]);
    check("", &expect!["own.toml:1: has no emotions"]);
}
