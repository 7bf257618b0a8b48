use super::*;

const LINES: &str = r#"{"id":"Ses02M_script01","utterances":[
{"speaker":"F","text":"You kept it?","label":"sur"},{"speaker":"M","text":"Of course.","label":"Xxx "},
{"speaker":"F","text":"Why?"},{"speaker":"M","text":"Ask them.","label":null},{"speaker":"F","text":"Whom?","label":""},
{"speaker":"M","text":"No.","label":-1},{"speaker":"F","text":"Fine.","label":"oth"},
{"speaker":"M","text":"Go!","label":"ang"},{"speaker":"F","text":"Gladly.","label":0}]}"#;

#[test]
fn utterances_without_an_agreed_label_are_context() {
    let text = LINES.replace('\n', "");
    check_section(
        "label_set = \"iemocap\"\ncontext_labels = [\"SUR\", \"fea\"]",
        &text,
        &expect![[r#"
        Ses02M_script01
          F: You kept it? [-]
          M: Of course. [-]
          F: Why? [-]
          M: Ask them. [-]
          F: Whom? [-]
          M: No. [-]
          F: Fine. [-]
          M: Go! [angry]
          F: Gladly. [happy]
        mended 0
    "#]],
    );
    check_section(
        "label_set = \"iemocap\"",
        &text,
        &expect![[r#"
            file:1: utterance Ses02M_script01#0: unknown label "sur"
            hint: the labels are happy, sad, neutral, angry, excited, frustrated; data.context_labels = ["sur"] shows such utterances without labelling them
            data.labels lists others, and data.label_aliases = { sur = "…" } reads it as one of these; both with data.label_set = "custom"
        "#]],
    );
    check_section(
        "label_set = \"iemocap\"\ncontext_labels = [\"sur\"]\nunlabelled = \"refuse\"",
        &text,
        &expect![[r#"
            file:1: utterance Ses02M_script01#0: has no label
              hint: with data.unlabelled = "context" such utterances are context and not labelled
            file:1: utterance Ses02M_script01#1: has no label
            file:1: utterance Ses02M_script01#2: has no label
            file:1: utterance Ses02M_script01#3: has no label
            file:1: utterance Ses02M_script01#4: has no label
            file:1: utterance Ses02M_script01#5: has no label
            file:1: utterance Ses02M_script01#6: has no label
        "#]],
    );
}

#[test]
fn every_form_has_a_way_to_say_it() {
    let prc = r#"{"Ses01F_x": {"labels": [2, -1, null, "xxx", 1.0], "sentences": ["a", "b", "c", "d", "e"], "genders": ["F", "M", "F", "M", "F"]}}"#;
    check_section(
        "format = \"prc_json\"\nlabel_set = \"iemocap\"",
        prc,
        &expect![[r#"
        Ses01F_x
          Ses01_F: a [neutral]
          Ses01_M: b [-]
          Ses01_F: c [-]
          Ses01_M: d [-]
          Ses01_F: e [sad]
        mended 0
    "#]],
    );
    let csv =
        "Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\nHi.,Ada,,0,0\nHo.,Bo,joy,0,1\nHu.,Bo,oth,0,2\n";
    check_section(
        "format = \"meld_csv\"",
        csv,
        &expect![[r#"
        0
          Ada: Hi. [-]
          Bo: Ho. [joy]
          Bo: Hu. [-]
        mended 0
    "#]],
    );
}

#[test]
fn a_file_without_any_label_is_refused() {
    let text = r#"{"id":"a","utterances":[{"speaker":"Ada","text":"Hi."},{"speaker":"Bo","text":"Ho.","label":"xxx"}]}"#;
    check_section(
        "",
        text,
        &expect![[r#"
        file: no utterance has a label
        hint: training and evaluation need labels; emotrain predict finds them
    "#]],
    );
}

#[test]
fn a_label_of_the_set_is_a_label_whatever_its_name() {
    let text = r#"{"id":"a","utterances":[{"speaker":"Ada","text":"Hi.","label":"other"},{"speaker":"Bo","text":"Ho.","label":"xxx"}]}"#;
    check_section(
        "label_set = \"custom\"\nlabels = [\"happy\", \"Other\"]",
        text,
        &expect![[r#"
        a
          Ada: Hi. [Other]
          Bo: Ho. [-]
        mended 0
    "#]],
    );
    let section = section("context_labels = [\"bored\", \"Anger\"]");
    let error = LabelSet::from_section(&section).unwrap_err().to_string();
    assert_eq!(error, "data.context_labels names \"Anger\", which is a label of the label set");
}

#[test]
fn labels_are_compared_in_one_form_of_unicode() {
    // Recipe and file have the accent composed and decomposed, in each direction.
    for (recipe, file) in
        [("\u{e9}tonn\u{e9}", "e\u{301}tonne\u{301}"), ("e\u{301}tonne\u{301}", "\u{c9}TONN\u{c9}")]
    {
        let keys = format!(
            "label_set = \"custom\"\nlabels = [\"joie\", {recipe:?}]\nlabel_aliases = {{ {file:?} = {recipe:?} }}"
        );
        let labels = LabelSet::from_section(&section(&keys.replace("\\u{301}", "\u{301}"))).unwrap();
        assert_eq!(labels.resolve(file), labels.resolve(recipe));
        assert!(labels.resolve(&format!("{file}\u{200b}")).is_some());
        assert_eq!(labels.names()[1], "\u{e9}tonn\u{e9}");
    }
    let twice = LabelSet::custom(["caf\u{e9}", "cafe\u{301}"], []);
    assert_eq!(twice.unwrap_err().to_string(), "\"caf\u{e9}\" means two labels");
}
