#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use emotrain_recipe::DemonstrationOrder;
use expect_test::expect;

use super::*;
use crate::fixture::{CHAT, encoder, section};

fn contract(history_window: usize, max_seq_length: usize) -> PromptContract {
    encoder(CHAT, &section(history_window, 0), max_seq_length).unwrap().contract().unwrap()
}

#[test]
fn the_contract_survives_its_file() {
    let contract = contract(5, 2048);
    let json = serde_json::to_string_pretty(&contract).unwrap();
    assert_eq!(serde_json::from_str::<PromptContract>(&json).unwrap(), contract);
    contract.check(&contract).unwrap();
    assert!(serde_json::from_str::<PromptContract>("{}").is_err());
}

#[test]
fn the_golden_example_is_what_the_model_sees() {
    let encoder = encoder(CHAT, &section(2, 1), 2048).unwrap();
    let golden = encoder.contract().unwrap().golden;
    expect![[r#"
        <|turn|>system
        You recognise emotions in conversations. You are shown part of a conversation and asked about one of its utterances: name the emotion that its speaker expresses, judging by the words and by what was said around them.

        The conversation before the utterance:
        Jonas: Not yet. Is it from the school?
        Mira: It is. Read the second line, slowly.

        The conversation after the utterance:
        Mira: I'll put the kettle on.

        Answer with one of these labels and nothing else: neutral, surprise, fear, sadness, joy, disgust, anger.<|end|>
        <|turn|>user
        Jonas says: "They took me? After 14 months… they really took me!"
        Which emotion does Jonas express here?<|end|>
        <|turn|>assistant
        neutral<|end|>"#]].assert_eq(&golden.text);
    assert_eq!(encoder.chat().encode(&golden.text).unwrap(), golden.ids);
    let sample = encoder.encode(&example::dialogue(), example::POSITION).unwrap();
    assert_eq!((sample.ids, sample.prompt_len), (golden.ids, golden.prompt_len));
}

#[test]
fn differences_are_named() {
    let error = |then: &PromptContract, now: &PromptContract| {
        let error = then.check(now).unwrap_err();
        format!("{error}\n{}", error.hint().unwrap())
    };
    expect![[r#"
        the prompt differs from the one the adapter was trained with: prompt.history_window was 5 and is 3; train.max_seq_length was 2048 and is 1024
        use the recipe and the base model of the training"#]].assert_eq(&error(&contract(5, 2048), &contract(3, 1024)));
    let chat = encoder(&CHAT.replace("<|turn|>", "<|turn|> "), &section(5, 0), 2048).unwrap();
    expect![[r#"
        the prompt differs from the one the adapter was trained with: the chat template is different
        use the recipe and the base model of the training"#]]
    .assert_eq(&error(&contract(5, 2048), &chat.contract().unwrap()));
    let mut other = contract(5, 2048);
    other.golden.ids[3] += 1;
    expect![[r#"
        the prompt differs from the one the adapter was trained with: the tokenizer gives different tokens for the example
        use the recipe and the base model of the training"#]].assert_eq(&error(&contract(5, 2048), &other));
    let by = |name: Option<&str>| PromptContract { found_by: name.map(str::to_owned), ..contract(5, 2048) };
    expect![[r#"
        the prompt differs from the one the adapter was trained with: demonstrations were retrieved by sha256:53aa and now by lexical (retrieval.encoder)
        use the recipe and the base model of the training"#]].assert_eq(&error(&by(Some("sha256:53aa")), &by(Some("lexical"))));
    let slot = DemonstrationSlot {
        k: 2,
        order: DemonstrationOrder::MostSimilarFirst,
        show_score: true,
        show_source: false,
    };
    let shows = PromptContract {
        demonstrations: Some(slot),
        knowledge: vec!["mood".to_owned()],
        removed_slots: vec!["note".to_owned(), "history".to_owned()],
        chat_date: Some("2024-07-26".to_owned()),
        ..contract(5, 2048)
    };
    expect![[r#"
        the prompt differs from the one the adapter was trained with: what prompts show of [retrieval] was k = 2, order = "most_similar_first" with their scores and is no demonstrations; the knowledge in the prompt was mood and is nothing; what prompt.slots removes was note, history and is nothing; the date in the chat was 2024-07-26 and is none
        use the recipe and the base model of the training"#]].assert_eq(&error(&shows, &contract(5, 2048)));
    by(None).check(&by(Some("lexical"))).unwrap();
    let mut other = contract(5, 2048);
    other.labels.reverse();
    expect![[r#"
        the prompt differs from the one the adapter was trained with: the same labels are in another order: write label_set = "custom" and labels = ["anger", "disgust", "joy", "sadness", "fear", "surprise", "neutral"] under [data]
        use the recipe and the base model of the training"#]].assert_eq(&error(&other, &contract(5, 2048)));
}
