mod parts;
mod tasks;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::fixture::{dialogue, harbour, labels, section};

fn render(template: &Template, dialogue: &Dialogue, position: usize, window: [usize; 2]) -> Prompt {
    let [history, future] = window;
    let (labels, demonstrations, knowledge) = (labels(), &[][..], &[][..]);
    let labels = &labels;
    template
        .render(&PromptInput { dialogue, position, labels, history, future, demonstrations, knowledge })
        .unwrap()
}

fn example(text: &str, label: &str) -> ShownDemonstration {
    ShownDemonstration { text: text.to_owned(), label: label.to_owned(), source: None, score: None }
}

fn render_with(template: &Template, demonstrations: &[ShownDemonstration]) -> Prompt {
    let (dialogue, labels) = (harbour(), labels());
    let input = PromptInput {
        dialogue: &dialogue,
        position: 0,
        labels: &labels,
        history: 0,
        future: 0,
        demonstrations,
        knowledge: &[],
    };
    template.render(&input).unwrap()
}

fn check_prompt(position: usize, window: [usize; 2], expected: &Expect) {
    let prompt = render(&Template::builtin(), &harbour(), position, window);
    let answer = prompt.answer.as_deref().unwrap_or("(none)");
    expected.assert_eq(&format!("{}\n=====\n{}\n=====\n{answer}\n", prompt.system, prompt.user));
}

fn load(source: &str) -> Result<Template, PromptError> {
    Template::from_source("mine.jinja".to_owned(), source, Parts::default())
}

fn check_refused(source: &str, expected: &Expect) {
    expected.assert_eq(&load(source).unwrap_err().to_string());
}

/// A valid template with one place to break.
fn with_user(user: &str) -> String {
    format!(
        "{{% block system %}}\nLabels: {{{{ label_list }}}}\n{{% endblock %}}\n{{% block user %}}\n{user}\n{{% endblock %}}\n"
    )
}

#[test]
fn the_first_utterance_has_no_history() {
    check_prompt(
        0,
        [5, 0],
        &expect![[r#"
        You recognise emotions in conversations. You are shown part of a conversation and asked about one of its utterances: name the emotion that its speaker expresses, judging by the words and by what was said around them.

        Answer with one of these labels and nothing else: neutral, surprise, fear, sadness, joy, disgust, anger.
        =====
        Nadia says: "The ferry leaves at nine."
        Which emotion does Nadia express here?
        =====
        neutral
    "#]],
    );
}

#[test]
fn history_comes_with_its_speakers() {
    check_prompt(
        2,
        [5, 0],
        &expect![[r#"
        You recognise emotions in conversations. You are shown part of a conversation and asked about one of its utterances: name the emotion that its speaker expresses, judging by the words and by what was said around them.

        The conversation before the utterance:
        Nadia: The ferry leaves at nine.
        Bruno: Then we still have time for breakfast!

        Answer with one of these labels and nothing else: neutral, surprise, fear, sadness, joy, disgust, anger.
        =====
        Nadia says: "It is five to nine, Bruno."
        Which emotion does Nadia express here?
        =====
        surprise
    "#]],
    );
}

#[test]
fn the_window_is_the_nearest_utterances() {
    check_prompt(
        2,
        [1, 1],
        &expect![[r#"
        You recognise emotions in conversations. You are shown part of a conversation and asked about one of its utterances: name the emotion that its speaker expresses, judging by the words and by what was said around them.

        The conversation before the utterance:
        Bruno: Then we still have time for breakfast!

        The conversation after the utterance:
        Bruno: Run.

        Answer with one of these labels and nothing else: neutral, surprise, fear, sadness, joy, disgust, anger.
        =====
        Nadia says: "It is five to nine, Bruno."
        Which emotion does Nadia express here?
        =====
        surprise
    "#]],
    );
}

#[test]
fn a_user_template_is_read_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("short.jinja");
    let source = "\u{feff}{% block user %}\r\n{{ utterance }} ({{ labels|join('/') }})\r\n{% endblock %}";
    fs_err::write(&path, source).unwrap();
    let section = PromptSection { template: PromptTemplate::File(path.clone()), ..section(5, 0) };
    let template = Template::new(&section, &[]).unwrap();
    let prompt = render(&template, &harbour(), 3, [0, 0]);
    assert_eq!(prompt.system, "");
    assert_eq!(prompt.user, "Run. (neutral/surprise/fear/sadness/joy/disgust/anger)");
    assert_eq!(template.text(), source[3..].replace("\r\n", "\n"));
    assert_eq!(template.origin(), path.display().to_string());
}

#[test]
fn a_missing_file_is_named() {
    let section =
        PromptSection { template: PromptTemplate::File("prompts/none.jinja".into()), ..section(5, 0) };
    let error = Template::new(&section, &[]).unwrap_err().to_string();
    assert!(error.contains("prompts/none.jinja"), "{error}");
}

#[test]
fn every_unknown_placeholder_is_reported_with_its_line() {
    let source =
        with_user("{{ speaker }}: {{ utterence }}\n{{ mood }}\n{% if Labels %}{{ utterance }}{% endif %}");
    check_refused(
        &source,
        &expect![[r#"
            mine.jinja:5: unknown placeholder "utterence"
              hint: did you mean "utterance"?
            mine.jinja:6: unknown placeholder "mood"
              hint: the placeholders are labels, label_list, speaker, utterance, history, future, demonstrations, slots; the recipe has no knowledge source: each [[knowledge]] adds its name
            mine.jinja:7: unknown placeholder "Labels"
              hint: did you mean "labels"?"#]],
    );
}

#[test]
fn unknown_attributes_are_reported() {
    check_refused(
        &with_user(
            "{{ utterance }}\n{% for turn in history %}{{ turn.speaker }}: {{ turn.txt }}{% endfor %}",
        ),
        &expect![[r#"
            mine.jinja:6: "turn.txt" has no value
              hint: did you mean "text"?"#]],
    );
    check_refused(
        &with_user("{{ utterance }} after {{ history[0].text }}"),
        &expect![[r#"
            mine.jinja:5: "history[0].text" has no value when a dialogue has only one utterance
              hint: guard it with {% if history %}"#]],
    );
}

#[test]
fn what_must_be_shown_is_asked_for() {
    check_refused(
        &with_user("What does {{ speaker }} feel?"),
        &expect![[r#"
        mine.jinja: the utterance is never shown
          hint: put {{ utterance }} into the block "user""#]],
    );
    check_refused(
        "{% block user %}What is felt in {{ utterance }}?{% endblock %}",
        &expect![[r#"
        mine.jinja: the labels are never stated
          hint: put {{ label_list }} into the block "system""#]],
    );
    check_refused(
        "{% block system %}{{ utterance }} {{ label_list }}{% endblock %}",
        &expect![[r#"
        mine.jinja: there is no block "user"
          hint: put the question between {% block user %} and {% endblock %}"#]],
    );
    check_refused(
        "{% block system %}{{ utterance }} {{ label_list }}{% endblock %}{% block user %} {% endblock %}",
        &expect![[r#"
            mine.jinja: the block "user" is empty
              hint: ask the question there"#]],
    );
    check_refused(
        &with_user("{% if history %}{{ utterance }}{% endif %}"),
        &expect![[r#"
        mine.jinja: the block "user" is empty
          hint: ask the question there
        mine.jinja: the utterance is never shown
          hint: put {{ utterance }} into the block "user""#]],
    );
}

#[test]
fn syntax_of_other_tools_is_explained() {
    check_refused(
        &with_user("Say: {utterance} by { speaker } {{ utterance }}"),
        &expect![[r#"
        mine.jinja:5: "{utterance}" is not a placeholder
          hint: write {{ utterance }}"#]],
    );
    check_refused(
        "{% extends 'base' %}\n{% block usr %}{{ utterance }}{% endblock %}",
        &expect![[r#"
        mine.jinja:1: "extends" cannot be used: a template is one file
        mine.jinja:2: unknown block "usr"
          hint: did you mean "user"?
        mine.jinja: there is no block "user"
          hint: put the question between {% block user %} and {% endblock %}"#]],
    );
    check_refused(
        &format!("Hello!\n{}", with_user("{{ utterance }}")),
        &expect![[r#"mine.jinja: text outside of the blocks is never shown: "Hello!""#]],
    );
}

#[test]
fn broken_syntax_is_reported_with_its_line() {
    check_refused(
        &with_user("{{ utterance }\n{{ speaker }}"),
        &expect!["mine.jinja:5: syntax error: unexpected `}`, expected end of variable block"],
    );
    check_refused(
        &with_user("{{ utterance|shout }}"),
        &expect!["mine.jinja:5: unknown filter: filter shout is unknown"],
    );
    check_refused(
        "",
        &expect![[r#"
        mine.jinja: there is no block "user"
          hint: put the question between {% block user %} and {% endblock %}"#]],
    );
}

#[test]
fn a_window_that_is_never_shown_is_refused() {
    let template = load(&with_user("{{ utterance }}")).unwrap();
    template.check_windows(0, 0).unwrap();
    let error = template.check_windows(5, 0).unwrap_err();
    expect![[r#"
        mine.jinja: the template never shows "history", but prompt.history_window is 5
        loop over "history" in the template, or set prompt.history_window = 0"#]]
    .assert_eq(&format!("{error}\n{}", error.hint().unwrap()));
    let error = template.check_windows(0, 1).unwrap_err();
    expect![[r#"
        mine.jinja: the template never shows "future", but prompt.future_window is 1
        loop over "future" in the template, or set prompt.future_window = 0"#]]
    .assert_eq(&format!("{error}\n{}", error.hint().unwrap()));
    Template::builtin().check_windows(5, 5).unwrap();
}

#[test]
fn an_utterance_that_does_not_exist_is_an_error() {
    let (dialogue, labels) = (harbour(), labels());
    let input = PromptInput {
        dialogue: &dialogue,
        position: 4,
        labels: &labels,
        history: 0,
        future: 0,
        demonstrations: &[],
        knowledge: &[],
    };
    let error = Template::builtin().render(&input).unwrap_err();
    expect!["utterance harbour#4: the dialogue has 4 utterances"].assert_eq(&error.to_string());
}

#[test]
fn texts_are_data() {
    let hostile = "{{ labels }} {% raw %} {# gone? #} <b>\"&'";
    let dialogue = dialogue(&[(hostile, hostile, None), ("Ann", hostile, None)]);
    let prompt = render(&Template::builtin(), &dialogue, 1, [1, 0]);
    assert!(prompt.system.contains(&format!("\n{hostile}: {hostile}\n")));
    assert!(prompt.user.starts_with(&format!("Ann says: \"{hostile}\"")));
}

#[test]
fn demonstrations_stand_before_the_labels() {
    let mut examples = [example("We won!", "joy"), example("It is gone.", "sadness")];
    expect![[r#"
        You recognise emotions in conversations. You are shown part of a conversation and asked about one of its utterances: name the emotion that its speaker expresses, judging by the words and by what was said around them.

        Other utterances and the emotions they express:
        "We won!": joy
        "It is gone.": sadness

        Answer with one of these labels and nothing else: neutral, surprise, fear, sadness, joy, disgust, anger."#]]
    .assert_eq(&render_with(&Template::builtin(), &examples).system);
    examples[0].source = Some("diary".to_owned());
    examples[0].score = Some(0.0);
    examples[1].score = Some(0.876_54);
    let shown = render_with(&Template::builtin(), &examples).system;
    expect![[r#"
        "We won!" (from diary) (similarity 0.0): joy
        "It is gone." (similarity 0.88): sadness"#]]
    .assert_eq(&shown.lines().filter(|line| line.starts_with('"')).collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_short_template_shows_demonstrations_too() {
    let source = include_str!("../../../../recipes/prompts/short.jinja");
    let template = load(source).unwrap();
    template.check_demonstrations().unwrap();
    expect![[r#"
        What does Nadia feel? neutral, surprise, fear, sadness, joy, disgust, anger
        "We won!" is joy.
        Nadia: The ferry leaves at nine."#]]
    .assert_eq(&render_with(&template, &[example("We won!", "joy")]).user);
    expect![[r"
        What does Nadia feel? neutral, surprise, fear, sadness, joy, disgust, anger
        Nadia: The ferry leaves at nine."]]
    .assert_eq(&render_with(&template, &[]).user);
}

#[test]
fn demonstrations_that_are_never_shown_are_refused() {
    for user in ["{{ utterance }}", "{{ utterance }}{% for d in demonstrations %}{{ d.text }}{% endfor %}"] {
        let error = load(&with_user(user)).unwrap().check_demonstrations().unwrap_err();
        expect![[r#"
            mine.jinja: the template never shows "demonstrations", but retrieval.bank is set
            loop over "demonstrations" in the template and show .text and .label, or set retrieval.bank = """#]]
        .assert_eq(&format!("{error}\n{}", error.hint().unwrap()));
    }
}

#[test]
fn templates_must_render_without_demonstrations() {
    check_refused(
        &with_user("{{ utterance }} {{ demonstrations[0].text }}"),
        &expect![[r#"
            mine.jinja:5: "demonstrations[0].text" has no value when there are no demonstrations
              hint: guard it with {% if demonstrations %}"#]],
    );
    check_refused(
        &with_user("{{ utterance }}{% for d in demonstrations %}{{ d.lable }}{% endfor %}"),
        &expect![[r#"
            mine.jinja:5: "d.lable" has no value
              hint: did you mean "label"?"#]],
    );
}

fn conversation() -> impl Strategy<Value = Dialogue> {
    let text = "[^\\{\\}\\p{C}]{1,30}";
    let utterance = (text, text).prop_map(|(speaker, text)| {
        emotrain_data::Utterance::new(speaker.trim().to_owned() + ".", text.trim().to_owned() + "!", None)
    });
    proptest::collection::vec(utterance, 1..8)
        .prop_map(|utterances| Dialogue::new("any".to_owned(), utterances))
}

proptest! {
    #[test]
    fn no_placeholder_survives_and_nothing_is_lost(
        dialogue in conversation(), at in any::<prop::sample::Index>(), history in 0_usize..9, future in 0_usize..9,
    ) {
        let position = at.index(dialogue.utterances.len());
        let prompt = render(&Template::builtin(), &dialogue, position, [history, future]);
        let whole = format!("{}\n{}", prompt.system, prompt.user);
        prop_assert!(!whole.contains(['{', '}']), "{whole}");
        for name in labels().names() {
            prop_assert!(whole.contains(name));
        }
        let asked = &dialogue.utterances[position];
        prop_assert!(prompt.user.contains(&asked.text) && prompt.user.contains(&asked.speaker));
        let window = position.saturating_sub(history)..=(position + future).min(dialogue.utterances.len() - 1);
        for (place, utterance) in dialogue.utterances.iter().enumerate() {
            let line = format!("\n{}: {}\n", utterance.speaker, utterance.text);
            let expected = window.contains(&place) && place != position;
            let twin = |other: usize| dialogue.utterances[other] == *utterance && other != place;
            let unique = !(0..dialogue.utterances.len()).any(twin);
            prop_assert!(!unique || prompt.system.contains(&line) == expected, "{place}: {}", prompt.system);
        }
    }
}
