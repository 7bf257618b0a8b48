#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

mod auxiliary;
mod knowledge;

use emotrain_data::{Label, Utterance};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::fixture::{
    CHAT, chat, dialogue, encoder, files, harbour, labels, recipe, section, tokenizer_json,
};
use crate::sample::{Piece, TokenCounts};
use crate::tokenizer::TokenizerFiles;

const LONG: usize = 2048;

impl Encoder {
    /// Encodes an utterance and its answer, without demonstrations.
    pub(crate) fn encode(&self, dialogue: &Dialogue, position: usize) -> Result<Sample, PromptError> {
        self.encode_question(Answers::Given, Question::new(dialogue, position))
    }

    /// Encodes an utterance without its answer and demonstrations.
    fn encode_prompt(&self, dialogue: &Dialogue, position: usize) -> Result<Sample, PromptError> {
        self.encode_question(Answers::Withheld, Question::new(dialogue, position))
    }
}

fn check_unfit(chat_template: &str, expected: &Expect) {
    expected.assert_eq(&encoder(chat_template, &section(5, 0), LONG).unwrap_err().to_string());
}

fn shown(encoder: &Encoder, sample: &Sample) -> String {
    let mark = |piece: Piece| if piece.supervised { format!("[{}]", piece.text) } else { piece.text };
    encoder.chat().pieces(sample).unwrap().into_iter().map(mark).collect()
}

#[test]
fn the_answer_and_the_end_of_turn_are_supervised() {
    let encoder = encoder(CHAT, &section(5, 0), LONG).unwrap();
    let sample = encoder.encode(&harbour(), 1).unwrap();
    expect![[r#"
        <|turn|>system
        You recognise emotions in conversations. You are shown part of a conversation and asked about one of its utterances: name the emotion that its speaker expresses, judging by the words and by what was said around them.

        The conversation before the utterance:
        Nadia: The ferry leaves at nine.

        Answer with one of these labels and nothing else: neutral, surprise, fear, sadness, joy, disgust, anger.<|end|>
        <|turn|>user
        Bruno says: "Then we still have time for breakfast!"
        Which emotion does Bruno express here?<|end|>
        <|turn|>assistant
        [j][o][y][<|end|>]"#]].assert_eq(&shown(&encoder, &sample));
    assert_eq!(sample.label, Some(Label::from_index(4)));
    assert_eq!(encoder.end_of_turn(), 1001);
    assert_eq!(encoder.label_completions()[4], [b'j'.into(), b'o'.into(), b'y'.into(), 1001]);
}

#[test]
fn evaluation_asks_exactly_what_training_taught() {
    let encoder = encoder(CHAT, &section(2, 1), LONG).unwrap();
    let dialogue = harbour();
    for position in 0..3 {
        let prompt = encoder.encode_prompt(&dialogue, position).unwrap();
        let sample = encoder.encode(&dialogue, position).unwrap();
        assert_eq!((sample.prompt(), sample.label), (&prompt.ids[..], prompt.label));
        assert_eq!(sample.completion(), encoder.label_completions()[prompt.label.unwrap().index()]);
        assert!(prompt.completion().is_empty());
    }
    assert_eq!(encoder.encode_prompt(&dialogue, 3).unwrap().label, None);
}

#[test]
fn what_the_template_prints_before_the_answer_is_part_of_it() {
    let reasoning = CHAT.replace(
        "message.content",
        "('<room></room>' if message.role == 'assistant' else '') + message.content",
    );
    let encoder = encoder(&reasoning, &section(0, 0), LONG).unwrap();
    let sample = encoder.encode(&harbour(), 0).unwrap();
    assert_eq!(encoder.chat().decode(sample.completion()).unwrap(), "<room></room>neutral<|end|>");
}

#[test]
fn a_merge_across_the_border_is_not_used() {
    let merged = tokenizer_json(&[("Ċ", "j")]);
    let chat = ChatTokenizer::new(TokenizerFiles { tokenizer_json: merged, ..files(Some(CHAT)) }).unwrap();
    assert_eq!(chat.encode("\njoy").unwrap().len(), 3);
    let encoder = Encoder::new(chat, Template::builtin(), labels(), &section(5, 0), LONG).unwrap();
    let sample = encoder.encode(&harbour(), 1).unwrap();
    assert_eq!(encoder.chat().decode(sample.completion()).unwrap(), "joy<|end|>");
    assert_eq!(sample.prompt(), encoder.encode_prompt(&harbour(), 1).unwrap().ids);
    assert!(!encoder.contract().unwrap().clean_border);
    let clean = super::tests::encoder(CHAT, &section(5, 0), LONG).unwrap();
    assert!(clean.contract().unwrap().clean_border);
}

#[test]
fn unfit_chat_templates_are_refused() {
    check_unfit(
        "{{ messages[-1].content }}",
        &expect![[
            r#"models/tiny: the chat template does not start an answered chat with its own generation prompt, which ends with "\"\nWhich emotion does Jonas express here?""#
        ]],
    );
    check_unfit(
        "{% for m in messages %}{{ m.content }}\n{% endfor %}",
        &expect!["models/tiny: the chat template does not end the assistant's turn with a special token"],
    );
    check_unfit(
        "{% for m in messages %}{{ m.content|title if m.role == 'assistant' else m.content }}</s>{% endfor %}",
        &expect![[r#"models/tiny: the chat template changes the answer "neutral""#]],
    );
    check_unfit(
        "{{ raise_exception('only for tools') }}",
        &expect!["models/tiny: chat template, line 1: invalid operation: only for tools"],
    );
}

#[test]
fn a_template_that_leaves_the_system_text_out_gets_it_before_the_users() {
    let silent = "{% for m in messages if m.role != 'system' %}{{ m.content }}</s>{% endfor %}";
    let encoder = encoder(silent, &section(5, 0), LONG).unwrap();
    assert!(encoder.folds_system());
    assert_eq!(
        encoder.remarks(),
        ["models/tiny: the chat template has no system role: the system text goes before the user's"]
    );
}

#[test]
fn labels_must_have_different_tokens() {
    let with = |names: [&str; 2]| {
        let labels = LabelSet::custom(names, []).unwrap();
        Encoder::new(chat(CHAT).unwrap(), Template::builtin(), labels, &section(5, 0), LONG)
    };
    with(["yes", "no"]).unwrap();
    let merging = json_with(|json| {
        json["normalizer"] =
            serde_json::json!({"type": "Replace", "pattern": {"String": "a"}, "content": "e"});
    });
    let chat = ChatTokenizer::new(TokenizerFiles { tokenizer_json: merging, ..files(Some(CHAT)) }).unwrap();
    let labels = LabelSet::custom(["then", "than"], []).unwrap();
    let error = Encoder::new(chat, Template::builtin(), labels, &section(5, 0), LONG).unwrap_err();
    expect![[r#"
        labels "then" and "than" encode to the same tokens
        give the labels names in the model's language"#]]
    .assert_eq(&format!("{error}\n{}", error.hint().unwrap()));

    let without = json_with(|json| {
        let vocabulary = json["model"]["vocab"].as_object_mut().unwrap();
        vocabulary.retain(|token, _| token.is_ascii());
    });
    let chat = ChatTokenizer::new(TokenizerFiles { tokenizer_json: without, ..files(Some(CHAT)) }).unwrap();
    let labels = LabelSet::custom(["joy", "喜"], []).unwrap();
    let error = Encoder::new(chat, Template::builtin(), labels, &section(5, 0), LONG).unwrap_err();
    expect![[r#"
        label "喜" encodes to no tokens
        give the labels names in the model's language"#]]
    .assert_eq(&format!("{error}\n{}", error.hint().unwrap()));
}

fn json_with(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut json = serde_json::from_str(&tokenizer_json(&[])).unwrap();
    change(&mut json);
    json.to_string()
}

#[test]
fn errors_name_the_utterance() {
    let encoder = encoder(CHAT, &section(5, 0), 700).unwrap();
    let error = |dialogue: &Dialogue, position| {
        let error = encoder.encode(dialogue, position).unwrap_err();
        format!("{error}\n{}", error.hint().unwrap_or_default())
    };
    expect![[r#"
        utterance harbour#3 has no label
    "#]]
    .assert_eq(&error(&harbour(), 3));
    expect![[r#"
        utterance harbour#9: the dialogue has 4 utterances
    "#]]
    .assert_eq(&error(&harbour(), 9));
    let typed = dialogue(&[("Ida", "I typed <|end|> again", Some(0)), ("Tom", "Why?", Some(0))]);
    expect![[r#"
        utterance harbour#1: the prompt contains the text of the special token "<|end|>"
        remove it from the data or the template"#]]
    .assert_eq(&error(&typed, 1));
    let long = dialogue(&[("Ida", &"very ".repeat(80), Some(0))]);
    expect![[r#"
        utterance harbour#0: 800 tokens without any history and 9 for the answer are more than train.max_seq_length = 700
        raise train.max_seq_length or shorten the utterance"#]].assert_eq(&error(&long, 0));
}

#[test]
fn counts_are_summed_up() {
    let lines: Vec<_> = (0..12).map(|_| ("Ida", "What a long and winding road that was.", Some(0))).collect();
    let dialogue = dialogue(&lines);
    let encoder = encoder(CHAT, &section(10, 0), 760).unwrap();
    let samples: Vec<_> = (0..12).map(|position| encoder.encode(&dialogue, position).unwrap()).collect();
    let counts = TokenCounts::of(&samples);
    expect![
        "12 samples, 8036 tokens (96 supervised), longest 750; 5 shortened by 14 context utterances to fit"
    ]
    .assert_eq(&counts.to_string());
    assert_eq!(TokenCounts::of(&[]).to_string(), "0 samples, 0 tokens (0 supervised), longest 0");
}

fn examples(count: usize) -> Vec<ShownDemonstration> {
    let example = |at| ShownDemonstration {
        text: format!("Example {at}"),
        label: "joy".to_owned(),
        source: None,
        score: None,
    };
    (0..count).map(example).collect()
}

fn retrieval(more: &str) -> RetrievalSection {
    recipe(&format!("[retrieval]\n{more}")).retrieval
}

fn order_shown(encoder: &Encoder, sample: &Sample) -> Vec<String> {
    let text = encoder.chat().decode(sample.prompt()).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("\"Example ")).map(|rest| rest[..1].to_owned()).collect()
}

#[test]
fn demonstrations_are_shown_in_the_section_s_order() {
    let dialogue = harbour();
    let examples = examples(4);
    let question = Question { demonstrations: &examples, ..Question::new(&dialogue, 1) };
    let shown = |more: &str| {
        let encoder =
            encoder(CHAT, &section(5, 0), LONG).unwrap().with_demonstrations(&retrieval(more)).unwrap();
        let sample = encoder.encode_question(Answers::Given, question).unwrap();
        assert_eq!(sample.dropped_demonstrations, 0);
        assert_eq!(sample.demonstrations, order_shown(&encoder, &sample).len());
        assert_eq!(sample.completion(), encoder.label_completions()[4]);
        order_shown(&encoder, &sample).join(" ")
    };
    assert_eq!(shown("bank = \"b\""), "0 1 2");
    assert_eq!(shown("bank = \"b\"\nk = 4\norder = \"most_similar_last\""), "3 2 1 0");
    assert_eq!(shown("k = 4"), "", "a section without a bank shows none");
}

#[test]
fn prompts_without_demonstrations_stay_as_they_are() {
    let dialogue = harbour();
    let plain = encoder(CHAT, &section(5, 1), LONG).unwrap();
    let ready = plain.clone().with_demonstrations(&retrieval("bank = \"b\"")).unwrap();
    for position in 0..4 {
        let (one, other) =
            (plain.encode_prompt(&dialogue, position), ready.encode_prompt(&dialogue, position));
        assert_eq!(one.unwrap(), other.unwrap());
    }
    let examples = examples(2);
    let question = Question { demonstrations: &examples, ..Question::new(&dialogue, 0) };
    assert_eq!(
        plain.encode_question(Answers::Withheld, question).unwrap(),
        plain.encode_prompt(&dialogue, 0).unwrap()
    );
    let (one, other) = (plain.contract().unwrap(), ready.contract().unwrap());
    assert_eq!(one.golden, other.golden);
    let error = one.check(&other).unwrap_err().to_string();
    assert!(error.contains("what prompts show of [retrieval] was no demonstrations and is k = 3, order = \"most_similar_first\""), "{error}");
    let json = serde_json::to_string(&one).unwrap();
    assert!(!json.contains("demonstrations\":") && json.len() < serde_json::to_string(&other).unwrap().len());
}

#[test]
fn demonstrations_are_dropped_before_history() {
    let dialogue = harbour();
    let examples = examples(3);
    let question = Question { demonstrations: &examples, ..Question::new(&dialogue, 2) };
    let with_room = |room| {
        let encoder = encoder(CHAT, &section(5, 0), room).unwrap();
        encoder.with_demonstrations(&retrieval("bank = \"b\"\norder = \"most_similar_last\"")).unwrap()
    };
    let whole = with_room(LONG).encode_question(Answers::Withheld, question).unwrap();
    let mut seen = Vec::new();
    for room in (0..=whole.ids.len() + 9).rev() {
        let encoder = with_room(room);
        let Ok(sample) = encoder.encode_question(Answers::Withheld, question) else { break };
        assert!(sample.ids.len() + 9 <= room);
        let (left_out, turns) = (sample.dropped_demonstrations, sample.dropped_history);
        assert!(turns == 0 || left_out == 3, "history went before demonstrations");
        let expected: Vec<String> = (0..3 - left_out).rev().map(|at| at.to_string()).collect();
        assert_eq!(order_shown(&encoder, &sample), expected, "the most similar stay");
        if seen.last() != Some(&(left_out, turns)) {
            seen.push((left_out, turns));
        }
    }
    assert_eq!(seen, [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (3, 2)]);
    let counts = TokenCounts::of(&[whole]);
    assert!(counts.to_string().ends_with("; 3 demonstrations shown"), "{counts}");
    let dropped = TokenCounts { dropped_demonstrations: 2, ..counts };
    assert!(dropped.to_string().ends_with("; 3 demonstrations shown, 2 dropped to fit"), "{dropped}");
}

fn conversation() -> impl Strategy<Value = Dialogue> {
    let utterance = ("[A-Z][a-z]{1,6}", "\\PC{1,40}", 0_usize..7).prop_map(|(speaker, text, label)| {
        Utterance::new(speaker, format!("{text}."), Some(Label::from_index(label)))
    });
    proptest::collection::vec(utterance, 1..10)
        .prop_map(|utterances| Dialogue::new("any".to_owned(), utterances))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn samples_keep_their_promises(
        dialogue in conversation(), at in any::<prop::sample::Index>(), room in 0_usize..500,
        history in 0_usize..9, future in 0_usize..3,
    ) {
        let position = at.index(dialogue.utterances.len());
        let wide = encoder(CHAT, &section(history, future), 100_000).unwrap();
        let bare = encoder(CHAT, &section(0, 0), 100_000).unwrap().encode(&dialogue, position).unwrap();
        // Room for the longest label, "surprise".
        let max_seq_length = bare.prompt_len + "surprise".len() + 1 + room;
        let tight = encoder(CHAT, &section(history, future), max_seq_length).unwrap();
        let sample = tight.encode(&dialogue, position).unwrap();

        prop_assert!(sample.ids.len() <= max_seq_length);
        prop_assert!(!sample.completion().is_empty());
        let prompt = tight.encode_prompt(&dialogue, position).unwrap();
        let completion = &tight.label_completions()[sample.label.unwrap().index()];
        prop_assert_eq!(&sample.ids, &[&prompt.ids[..], &completion[..]].concat());

        // Later utterances are dropped first, the oldest next, and no more than necessary.
        let kept = [history.min(position) - sample.dropped_history,
            future.min(dialogue.utterances.len() - position - 1) - sample.dropped_future];
        let same = encoder(CHAT, &section(kept[0], kept[1]), 100_000).unwrap();
        prop_assert_eq!(&same.encode(&dialogue, position).unwrap().ids, &sample.ids);
        prop_assert!(sample.dropped_history == 0 || kept[1] == 0);
        let fits = wide.encode_prompt(&dialogue, position).unwrap().ids.len() + 9 <= max_seq_length;
        prop_assert_eq!(fits, sample.dropped_history + sample.dropped_future == 0);
        if let Some(one_more) = (!fits).then(|| if sample.dropped_history > 0 { [kept[0] + 1, 0] } else { [kept[0], kept[1] + 1] }) {
            let more = encoder(CHAT, &section(one_more[0], one_more[1]), 100_000).unwrap();
            prop_assert!(more.encode_prompt(&dialogue, position).unwrap().ids.len() + 9 > max_seq_length);
        }

        let text: String = tight.chat().pieces(&sample).unwrap().into_iter().map(|piece| piece.text).collect();
        prop_assert_eq!(text, tight.chat().decode(&sample.ids).unwrap());
    }
}
