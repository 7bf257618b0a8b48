//! Knowledge in prompts, and removed parts.

use emotrain_data::ShownDemonstration;
use expect_test::{Expect, expect};

use super::super::*;
use super::example;
use crate::fixture::{harbour, labels, recipe};

const SOURCES: [&str; 3] = ["characteristic", "explicit", "implicit"];
const TEXTS: [&str; 3] = ["A tidy person.", "Short and loud.", "Afraid to be late."];

fn sources(names: &[&str]) -> String {
    let source = |name: &&str| format!("[[knowledge]]\nname = \"{name}\"\npath = \"{name}.jsonl\"\n");
    names.iter().map(source).collect::<Vec<_>>().concat()
}

/// The template of a recipe with these sources and keys of `[prompt]`.
fn template(names: &[&str], prompt: &str) -> Result<Template, PromptError> {
    let recipe = recipe(&format!("{}[prompt]\n{prompt}", sources(names)));
    Template::new(&recipe.prompt, &recipe.knowledge)
}

fn demonstrations() -> Vec<ShownDemonstration> {
    vec![example("We won!", "joy"), example("It is gone.", "sadness")]
}

/// The second-to-last utterance of the harbour conversation with everything there can be.
fn render(template: &Template, texts: &[&str]) -> Prompt {
    let (dialogue, labels) = (harbour(), labels());
    let input = PromptInput {
        dialogue: &dialogue,
        position: 2,
        labels: &labels,
        history: 5,
        future: 1,
        demonstrations: &demonstrations(),
        knowledge: texts,
    };
    template.render(&input).unwrap()
}

fn whole(prompt: &Prompt) -> String {
    format!("{}\n=====\n{}", prompt.system, prompt.user)
}

#[test]
fn the_papers_template_has_all_its_slots() {
    let template = template(&SOURCES, "template = \"prc_emo\"").unwrap();
    expect![[r#"
        You are an attentive reader of conversations. Someone in a conversation has just said something, and you are to tell which emotion it carries. Weigh the words, the conversation they belong to, and whatever else is given below about the speaker and the utterance.

        An emotion may be explicit or implicit. Explicit is what anyone hears at once: in the choice of words, the tone, the manner. Implicit is what lies beneath: what the speaker feels given what has happened, even where the words hide it. The two may agree or differ; keep both in mind.

        What was said before:
        Nadia: The ferry leaves at nine.
        Bruno: Then we still have time for breakfast!

        What was said afterwards:
        Bruno: Run.

        What Nadia is like: A tidy person.

        How the utterance sounds (explicit): Short and loud.

        What may lie beneath it (implicit): Afraid to be late.

        Similar utterances from elsewhere, with their emotions:
        - "We won!": joy
        - "It is gone.": sadness

        The possible emotions are: neutral, surprise, fear, sadness, joy, disgust, anger. Reply with exactly one of them and with no other word.
        =====
        Nadia says: "It is five to nine, Bruno."
        Which emotion does Nadia have in saying this?"#]].assert_eq(&whole(&render(&template, &TEXTS)));
}

/// What each part of the paper's template shows of [`render`]'s utterance.
const MARKS: [(&str, &str); 9] = [
    ("instruction", "You are an attentive reader"),
    ("note", "An emotion may be explicit or implicit."),
    ("history", "What was said before:\nNadia: The ferry leaves at nine.\nBruno: Then we still"),
    ("future", "What was said afterwards:\nBruno: Run."),
    ("characteristic", "What Nadia is like: A tidy person."),
    ("explicit", "(explicit): Short and loud."),
    ("implicit", "(implicit): Afraid to be late."),
    (
        "demonstrations",
        "from elsewhere, with their emotions:\n- \"We won!\": joy\n- \"It is gone.\": sadness",
    ),
    ("label_statement", "The possible emotions are: neutral, surprise, "),
];

#[test]
fn every_choice_of_slots_shows_those_and_nothing_else() {
    for choice in 0..1_u32 << MARKS.len() {
        let chosen = |at: usize| choice & (1 << at) != 0;
        let names = (0..MARKS.len()).filter(|at| chosen(*at)).map(|at| format!("{:?}", MARKS[at].0));
        let slots = format!("template = \"prc_emo\"\nslots = [{}]", names.collect::<Vec<_>>().join(", "));
        let prompt = render(&template(&SOURCES, &slots).unwrap(), &TEXTS);
        for (at, (name, mark)) in MARKS.iter().enumerate() {
            assert_eq!(prompt.system.contains(mark), chosen(at), "{name} with {slots}\n{}", prompt.system);
        }
        assert_eq!(prompt.system.is_empty(), choice == 0, "{}", prompt.system);
        assert!(
            !prompt.system.contains("\n\n\n") && prompt.system == prompt.system.trim(),
            "{}",
            prompt.system
        );
        assert!(prompt.user.contains("Nadia says: \"It is five to nine, Bruno.\""));
    }
}

#[test]
fn the_plain_template_has_slots_too() {
    let plain = |slots: &str| whole(&render(&template(&[], slots).unwrap(), &[]));
    let all =
        plain("slots = [\"instruction\", \"history\", \"future\", \"demonstrations\", \"label_statement\"]");
    assert_eq!(all, plain(""));
    expect![[r#"
        The conversation before the utterance:
        Nadia: The ferry leaves at nine.
        Bruno: Then we still have time for breakfast!
        =====
        Nadia says: "It is five to nine, Bruno."
        Which emotion does Nadia express here?"#]]
    .assert_eq(&plain("slots = [\"history\"]"));
}

#[test]
fn a_blank_text_leaves_nothing_behind() {
    let template = template(&SOURCES, "template = \"prc_emo\"").unwrap();
    let without = super::parts::template(
        &SOURCES,
        "template = \"prc_emo\"\nslots = [\"instruction\", \"note\", \"history\", \"future\", \"demonstrations\", \"label_statement\", \"implicit\"]",
    );
    let (blank, removed) = (render(&template, &["", "", TEXTS[2]]), render(&without.unwrap(), &TEXTS));
    assert_eq!(blank, removed);
}

#[track_caller]
fn check(result: Result<Template, PromptError>, expected: &Expect) {
    let error = result.unwrap_err();
    expected.assert_eq(&format!("{error}\n{}", error.hint().unwrap_or_default()));
}

/// The template of a file with this text, in a recipe with these sources and slots.
fn file(names: &[&str], user: &str, slots: &str) -> Result<Template, PromptError> {
    let recipe = recipe(&format!("{}[prompt]\n{slots}", sources(names)));
    let parts = Parts::new(&recipe.prompt, &recipe.knowledge);
    let template = Template::from_source("mine.jinja".to_owned(), &super::with_user(user), parts)?;
    template.check_parts()?;
    Ok(template)
}

#[test]
fn names_that_are_not_sources_are_reported_with_the_sources() {
    check(
        file(&["mood", "tone"], "{{ utterance }} {{ moood }}\n{{ weather }}\n{tone}", ""),
        &expect![[r#"
        mine.jinja:5: unknown placeholder "moood"
          hint: did you mean "mood"?
        mine.jinja:6: unknown placeholder "weather"
          hint: the placeholders are labels, label_list, speaker, utterance, history, future, demonstrations, slots and the recipe's knowledge sources mood, tone
        mine.jinja:7: "{tone}" is not a placeholder
          hint: write {{ tone }}
    "#]],
    );
    check(
        template(&["explicit"], "template = \"prc_emo\""),
        &expect![[r#"
        template "prc_emo":27: unknown placeholder "characteristic"
          hint: the placeholders are labels, label_list, speaker, utterance, history, future, demonstrations, slots and the recipe's knowledge sources explicit
        template "prc_emo":35: unknown placeholder "implicit"
          hint: did you mean "explicit"?
    "#]],
    );
    check(
        template(&[], "template = \"prc_emo\""),
        &expect![[r#"
        template "prc_emo":27: unknown placeholder "characteristic"
          hint: the placeholders are labels, label_list, speaker, utterance, history, future, demonstrations, slots; the recipe has no knowledge source: each [[knowledge]] adds its name
        template "prc_emo":31: unknown placeholder "explicit"
          hint: the placeholders are labels, label_list, speaker, utterance, history, future, demonstrations, slots; the recipe has no knowledge source: each [[knowledge]] adds its name
        template "prc_emo":35: unknown placeholder "implicit"
          hint: the placeholders are labels, label_list, speaker, utterance, history, future, demonstrations, slots; the recipe has no knowledge source: each [[knowledge]] adds its name
    "#]],
    );
    check(
        file(&["mood"], "{{ utterance }} {{ mood }} {{ slots.notes }}", ""),
        &expect![[r#"
        mine.jinja:5: "slots.notes" has no value
          hint: did you mean "note"?
    "#]],
    );
}

#[test]
fn sources_that_are_never_shown_are_refused() {
    check(
        file(&["mood", "tone", "place"], "{{ utterance }} {{ tone }}", ""),
        &expect![[r#"
            mine.jinja: the template never shows the recipe's knowledge sources mood, place
            put {{ mood }} and {{ place }} into the template, remove them from prompt.slots or the recipe, or use a template that shows them, such as template = "prc_emo""#]],
    );
    file(&["mood", "tone", "place"], "{{ utterance }} {{ tone }}", "slots = [\"tone\", \"label_statement\"]")
        .map(|_| ())
        .unwrap_err();
    file(&["mood", "tone"], "{{ utterance }} {{ tone }}", "slots = [\"tone\"]").unwrap();
    check(
        template(&["mood"], "template = \"plain\""),
        &expect![[r#"
            template "plain": the template never shows the recipe's knowledge sources mood
            put {{ mood }} into the template, remove them from prompt.slots or the recipe, or use a template that shows them, such as template = "prc_emo""#]],
    );
    check(
        template(&[], "slots = [\"note\", \"history\"]"),
        &expect![[r#"
        template "plain": prompt.slots names "note", which the template does not have
        it has instruction, history, future, demonstrations, label_statement"#]],
    );
    check(
        template(&[], "template = \"prcemo\""),
        &expect![[r#"
            no template file prcemo
            did you mean template = "prc_emo"? the built-in templates are plain, prc_emo; your own template is the path of a file, such as "my.jinja""#]],
    );
    check(
        template(&[], "template = \"chatml\""),
        &expect![[r#"
            no template file chatml
            the built-in templates are plain, prc_emo; your own template is the path of a file, such as "my.jinja""#]],
    );
}

#[test]
fn a_template_must_render_without_a_source() {
    check(
        file(&["mood"], "{{ utterance if mood else '' }}", ""),
        &expect![[r#"
        mine.jinja: the block "user" is empty
          hint: ask the question there
        mine.jinja: the utterance is never shown
          hint: put {{ utterance }} into the block "user"
    "#]],
    );
}

#[test]
fn texts_of_sources_are_data() {
    let hostile = "{{ labels }} {% raw %} <b>\"&'";
    let template = file(&["mood"], "{{ utterance }} [{{ mood }}]", "").unwrap();
    assert!(render(&template, &[hostile]).user.ends_with(&format!("[{hostile}]")));
}

/// A layout as printed in papers: numbered turns, tags, everything in one message.
const LAYOUT: &str = "\
{% block user %}
### Task
Classify utterance [{{ history|length + 1 }}] as one of {{ labels|join(' | ') }}.

### Dialogue
{% for turn in history %}
[{{ loop.index }}] <{{ turn.speaker|upper }}> {{ turn.text }}
{% endfor %}
[{{ history|length + 1 }}] <{{ speaker|upper }}> {{ utterance }}

### Speaker profile: {{ speaker }}
{{ characteristic or 'unknown' }}

### Shots
{% for shot in demonstrations %}
#{{ loop.index }}\t{{ shot.text }}\t=> {{ shot.label }}
{% endfor %}
### Output
emotion =
{% endblock %}
";

#[test]
fn a_layout_of_a_paper_can_be_reproduced_exactly() {
    let recipe = recipe(&sources(&["characteristic"]));
    let parts = Parts::new(&recipe.prompt, &recipe.knowledge);
    let template = Template::from_source("layout.jinja".to_owned(), LAYOUT, parts).unwrap();
    let expected = "\
### Task
Classify utterance [3] as one of neutral | surprise | fear | sadness | joy | disgust | anger.

### Dialogue
[1] <NADIA> The ferry leaves at nine.
[2] <BRUNO> Then we still have time for breakfast!
[3] <NADIA> It is five to nine, Bruno.

### Speaker profile: Nadia
A tidy person.

### Shots
#1\tWe won!\t=> joy
#2\tIt is gone.\t=> sadness
### Output
emotion =";
    let prompt = render(&template, &TEXTS[..1]);
    assert_eq!((prompt.system.as_str(), prompt.user.as_str()), ("", expected));
    assert!(render(&template, &[""]).user.contains("profile: Nadia\nunknown\n"));
}
