//! Auxiliary questions.

use std::path::Path;

use expect_test::expect;

use crate::{check, good};

#[test]
fn there_are_none_unless_a_recipe_asks_for_them() {
    let section = good("").auxiliary;
    assert!(section.speaker_identification == 0.0 && section.emotion_impact == 0.0);
    assert_eq!((section.speaker_identification_template, section.emotion_impact_template), (None, None));
    let section = good("[auxiliary]\nemotion_impact = 1\nemotion_impact_template = \"next.jinja\"").auxiliary;
    assert!((section.emotion_impact - 1.0).abs() < 1e-12);
    assert_eq!(section.emotion_impact_template.as_deref(), Some(Path::new("next.jinja")));
}

#[test]
fn a_ratio_is_a_share() {
    check(
        "[auxiliary]\nspeaker_identification = 1.5\nemotion_impact = -0.1",
        expect![[r#"
            erc.toml:2:26: auxiliary.speaker_identification must be a number from 0 to 1, not 1.5
            erc.toml:3:18: auxiliary.emotion_impact must be a number from 0 to 1, not -0.1
        "#]],
    );
    check(
        "[auxiliary]\nspeaker_identificaton = 0.5\nemotion_prediction = 0.5",
        expect![[r#"
        erc.toml:2:1: unknown key "speaker_identificaton" in [auxiliary]
          hint: did you mean "speaker_identification"?
        erc.toml:3:1: unknown key "emotion_prediction" in [auxiliary]
          hint: the keys of [auxiliary] are speaker_identification, emotion_impact, speaker_identification_template, emotion_impact_template
    "#]],
    );
}

#[test]
fn plain_text_has_none() {
    let text = "[data]\ntrain = \"a.txt\"\nformat = \"text\"\n[train]\ncompletion_only_loss = false\n\
                [eval]\nload_best_model_at_end = false\n[auxiliary]\n";
    check(
        &format!("{text}speaker_identification = 0.5\nemotion_impact = 0.5"),
        expect![[r#"
            erc.toml:9:26: format = "text" has no utterances for auxiliary.speaker_identification
              hint: write speaker_identification = 0.0 under [auxiliary]
            erc.toml:10:18: format = "text" has no utterances for auxiliary.emotion_impact
              hint: write emotion_impact = 0.0 under [auxiliary]
        "#]],
    );
    good(&format!("{text}emotion_impact_template = \"next.jinja\""));
}
