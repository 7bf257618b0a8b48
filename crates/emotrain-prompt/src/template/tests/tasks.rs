//! Templates of auxiliary questions.

use expect_test::{Expect, expect};

use super::super::*;
use crate::task::Task;

#[track_caller]
fn check(task: Task, source: &str, expected: &Expect) {
    let result = Template::from_source("mine.jinja".to_owned(), source, Parts::of(task));
    expected.assert_eq(&result.unwrap_err().to_string());
}

#[test]
fn each_question_has_placeholders_of_its_own() {
    check(
        Task::SpeakerIdentification,
        "{% block user %}{{ speaker }} says {{ utterance }}\n{{ label_list }} {speaker_list}{% endblock %}",
        &expect![[r#"
            mine.jinja:1: unknown placeholder "speaker"
              hint: did you mean "speakers"?
            mine.jinja:2: unknown placeholder "label_list"
              hint: the placeholders of this question are speakers, speaker_list, utterance, history
            mine.jinja:2: "{speaker_list}" is not a placeholder
              hint: write {{ speaker_list }}"#]],
    );
    check(
        Task::EmotionImpact,
        "{% block user %}{{ utterance }}\n{{ histroy }} {{ future }}{% if slots.history %}{% endif %}{% endblock %}",
        &expect![[r#"
            mine.jinja:1: unknown placeholder "utterance"
              hint: the placeholders of this question are labels, label_list, speaker, history
            mine.jinja:2: unknown placeholder "future"
              hint: the placeholders of this question are labels, label_list, speaker, history
            mine.jinja:2: unknown placeholder "histroy"
              hint: did you mean "history"?
            mine.jinja:2: unknown placeholder "slots"
              hint: the placeholders of this question are labels, label_list, speaker, history"#]],
    );
}

#[test]
fn each_question_must_be_answerable() {
    check(
        Task::SpeakerIdentification,
        "{% block user %}Who?{% endblock %}",
        &expect![[r#"
            mine.jinja: the history is never shown
              hint: loop over "history" and show .speaker and .text
            mine.jinja: the utterance is never shown
              hint: put {{ utterance }} into the block "user"
            mine.jinja: the speakers are never listed
              hint: put {{ speaker_list }} into the block "system""#]],
    );
    check(
        Task::SpeakerIdentification,
        "{% block user %}{{ history[-1].speaker }}: {{ history[-1].text }} {{ utterance }}{% endblock %}",
        &expect![[r#"
            mine.jinja: the speakers are never listed
              hint: put {{ speaker_list }} into the block "system""#]],
    );
    check(
        Task::EmotionImpact,
        "{% block user %}What next?{% endblock %}",
        &expect![[r#"
            mine.jinja: the history is never shown
              hint: loop over "history" and show .speaker and .text
            mine.jinja: the speaker is never shown
              hint: put {{ speaker }} into the block "user"
            mine.jinja: the labels are never stated
              hint: put {{ label_list }} into the block "system""#]],
    );
}

#[test]
fn a_file_takes_the_place_of_the_built_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("next.jinja");
    let source = "{% block user %}{% for turn in history %}{{ turn.text }} {% endfor %}{{ speaker }}? {{ label_list }}{% endblock %}";
    fs_err::write(&path, source).unwrap();
    let template = Template::of_task(Task::EmotionImpact, Some(&path)).unwrap();
    assert_eq!((template.task(), template.text()), (Task::EmotionImpact, source));
    let gone = Template::of_task(Task::EmotionImpact, Some(&folder.path().join("plain"))).unwrap_err();
    assert!(gone.to_string().contains("plain"), "{gone}");
    let hint = "without the key the built-in template is used";
    assert_eq!(gone.hint().as_deref(), Some(hint));
    for task in [Task::Emotion, Task::SpeakerIdentification, Task::EmotionImpact] {
        assert_eq!(Template::of_task(task, None).unwrap().task(), task);
    }
}
