use super::*;

const DIALOGUES: &str = "Did you lock the door ? __eou__ I did . __eou__ Then who\u{92}s there ? __eou__\n\
    Happy birthday ! __eou__ Oh ! For me ? __eou__ \n";
const EMOTIONS: &str = "0 0 3 \n4 6\n";

/// Loads `path` of a folder of `files`.
fn check_files(files: &[(&str, &str)], path: &str, policy: LabelPolicy, expected: &Expect) {
    check_set(LabelSetName::Dailydialog, files, (path, policy), expected);
}

fn check_set(set: LabelSetName, files: &[(&str, &str)], how: (&str, LabelPolicy), expected: &Expect) {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let folder = folder(&files);
    let labels = LabelSet::builtin(set);
    let result = load_split(&folder.path().join(how.0), DataFormat::Dailydialog, &labels, how.1);
    expected.assert_eq(&shown(result, &labels, folder.path()));
}

fn check_pair(dialogues: &str, emotions: &str, expected: &Expect) {
    let files = [("dialogues_train.txt", dialogues), ("dialogues_emotion_train.txt", emotions)];
    check_files(&files, "dialogues_train.txt", LabelPolicy::Required, expected);
}

#[test]
fn a_line_is_a_dialogue_of_two_who_take_turns() {
    check_pair(
        DIALOGUES,
        EMOTIONS,
        &expect![[r#"
            1
              A: Did you lock the door ? [no_emotion]
              B: I did . [no_emotion]
              A: Then who’s there ? [fear]
            2
              A: Happy birthday ! [happiness]
              B: Oh ! For me ? [surprise]
            mended 1
        "#]],
    );
}

#[test]
fn the_last_mark_may_be_missing() {
    check_pair(
        "Hello . __eou__ Hi .",
        "0 0",
        &expect![[r#"
            1
              A: Hello . [no_emotion]
              B: Hi . [no_emotion]
            mended 0
        "#]],
    );
}

#[test]
fn the_numbers_are_the_releases_own_whatever_the_label_set() {
    let files = [("dialogues_test.txt", DIALOGUES), ("dialogues_emotion_test.txt", EMOTIONS)];
    check_set(
        LabelSetName::Meld,
        &files,
        ("dialogues_test.txt", LabelPolicy::Required),
        &expect![[r#"
            1
              A: Did you lock the door ? [neutral]
              B: I did . [neutral]
              A: Then who’s there ? [fear]
            2
              A: Happy birthday ! [joy]
              B: Oh ! For me ? [surprise]
            mended 1
        "#]],
    );
    check_set(
        LabelSetName::Iemocap,
        &files,
        ("dialogues_test.txt", LabelPolicy::Required),
        &expect![[r#"
            dialogues_emotion_test.txt:1: unknown labels: fear × 1 (line 1), surprise × 1 (line 2)
            hint: the labels are happy, sad, neutral, angry, excited, frustrated; data.context_labels = ["fear", "surprise"] shows such utterances without labelling them
            data.labels lists others, and data.label_aliases = { fear = "…" } reads it as one of these; both with data.label_set = "custom"
        "#]],
    );
}

#[test]
fn a_folder_of_one_split_is_accepted() {
    let files = [
        ("dialogues_act_train.txt", "1 1 1\n1 1\n"),
        ("dialogues_emotion_train.txt", EMOTIONS),
        ("dialogues_train.txt", DIALOGUES),
        ("readme.txt", "About."),
    ];
    check_files(
        &files,
        "",
        LabelPolicy::Required,
        &expect![[r#"
            1
              A: Did you lock the door ? [no_emotion]
              B: I did . [no_emotion]
              A: Then who’s there ? [fear]
            2
              A: Happy birthday ! [happiness]
              B: Oh ! For me ? [surprise]
            mended 1
        "#]],
    );
    check_files(
        &[],
        "",
        LabelPolicy::Required,
        &expect![[r#"
            : expected one file dialogues_<split>.txt in the folder, found none
            hint: give the path of the dialogues file itself
        "#]],
    );
    check_files(
        &[("dialogues_test.txt", ""), ("dialogues_train.txt", "")],
        "",
        LabelPolicy::Required,
        &expect![[r#"
            : expected one file dialogues_<split>.txt in the folder, found dialogues_test.txt, dialogues_train.txt
            hint: give the path of the dialogues file itself
        "#]],
    );
}

#[test]
fn the_undivided_files_are_named_otherwise() {
    let files = [("dialogues_text.txt", "Hi . __eou__"), ("dialogues_emotion.txt", "4")];
    check_files(
        &files,
        "dialogues_text.txt",
        LabelPolicy::Required,
        &expect![[r#"
            1
              A: Hi . [happiness]
            mended 0
        "#]],
    );
}

#[test]
fn the_emotion_file_may_be_absent_only_where_labels_are_not_required() {
    let files = [("dialogues_train.txt", "Hi . __eou__"), ("talk.txt", "Hi . __eou__")];
    check_files(
        &files,
        "dialogues_train.txt",
        LabelPolicy::Required,
        &expect![[r#"
            dialogues_train.txt: its emotion file dialogues_emotion_train.txt is missing
        "#]],
    );
    check_files(
        &files,
        "dialogues_train.txt",
        LabelPolicy::Optional,
        &expect![[r#"
            1
              A: Hi . [-]
            mended 0
        "#]],
    );
    check_files(
        &files,
        "talk.txt",
        LabelPolicy::Required,
        &expect![[r#"
            talk.txt: the name should be dialogues_<split>.txt, so that its emotion file can be found
        "#]],
    );
    check_files(
        &files,
        "talk.txt",
        LabelPolicy::Optional,
        &expect![[r#"
            1
              A: Hi . [-]
            mended 0
        "#]],
    );
}

#[test]
fn errors_name_the_file_and_line() {
    check_pair(
        DIALOGUES,
        "0 0 3\n4 6 0\n",
        &expect![[r#"
            dialogues_train.txt:2: dialogue 2: lists of different lengths: utterances 2, emotions 3
        "#]],
    );
    check_pair(
        DIALOGUES,
        "0 0 3\n",
        &expect![[r#"
            dialogues_train.txt: the numbers of lines differ: 2 here, 1 in dialogues_emotion_train.txt
        "#]],
    );
    check_pair(
        DIALOGUES,
        "0 0 3\n4 7\n",
        &expect![[r#"
            dialogues_emotion_train.txt:2: dialogue 2: label 7 is out of range: the label set has the labels 0 to 6
        "#]],
    );
    check_pair(
        DIALOGUES,
        "0 0 3\n4 joy\n",
        &expect![[r#"
            dialogues_emotion_train.txt:2: dialogue 2: an emotion should be a whole number, not "joy"
        "#]],
    );
    check_pair(
        "Hello . __eou__ __eou__\n",
        "0 0\n",
        &expect![[r#"
            dialogues_train.txt:1: utterance 1#1: the utterance is empty
        "#]],
    );
    check_pair(
        "Hi . __eou__\n\nBye . __eou__\n",
        "0\n\n0\n",
        &expect![[r#"
            dialogues_train.txt:2: dialogue 2: the dialogue has no utterances
        "#]],
    );
    check_pair(
        "\n\n",
        "\n",
        &expect![[r#"
            dialogues_train.txt: has no dialogues
            hint: name a file with at least one; data.format says how it is read
        "#]],
    );
}

#[test]
fn other_labels_are_another_split() {
    let load = |emotions: &str| {
        let folder = folder(&[
            ("dialogues_train.txt", b"Hi . __eou__".as_slice()),
            ("dialogues_emotion_train.txt", emotions.as_bytes()),
        ]);
        let labels = LabelSet::builtin(LabelSetName::Dailydialog);
        load_split(folder.path(), DataFormat::Dailydialog, &labels, LabelPolicy::Required).unwrap().sha256
    };
    assert_eq!(load("0"), load("0"));
    assert_ne!(load("0"), load("1"));
}
