//! Knowledge in samples: its effect on the token limit, and its record in the contract.

use expect_test::expect;

use super::*;
use crate::contract::PromptContract;

const TEXTS: [&str; 3] = ["A tidy person who hates to be late.", "Short.", "Afraid."];

/// An encoder with the paper's prompt and these keys of `[prompt]`.
fn papers(prompt: &str, room: usize) -> Encoder {
    let sources = ["characteristic", "explicit", "implicit"];
    let sources = sources.map(|name| format!("[[knowledge]]\nname = \"{name}\"\npath = \"{name}.jsonl\"\n"));
    let recipe = recipe(&format!(
        "{}[prompt]\ntemplate = \"prc_emo\"\n{prompt}\n[retrieval]\nbank = \"b\"",
        sources.concat()
    ));
    let template = Template::new(&recipe.prompt, &recipe.knowledge).unwrap();
    let encoder = Encoder::new(chat(CHAT).unwrap(), template, labels(), &recipe.prompt, room).unwrap();
    encoder.with_demonstrations(&recipe.retrieval).unwrap()
}

#[test]
fn knowledge_is_never_cut() {
    let (dialogue, examples) = (harbour(), examples(3));
    let question = Question { demonstrations: &examples, knowledge: &TEXTS, ..Question::new(&dialogue, 2) };
    let whole = papers("", LONG * 4).encode_question(Answers::Withheld, question).unwrap();
    assert_eq!((whole.demonstrations, whole.dropped_history), (3, 0));
    let (mut seen, mut refused) = (Vec::new(), None);
    for room in (400..=whole.ids.len() + 9).rev().step_by(9) {
        let encoder = papers("", room);
        let sample = match encoder.encode_question(Answers::Withheld, question) {
            Ok(sample) => sample,
            Err(error) => {
                assert!(matches!(error, PromptError::TooLong { .. }));
                if refused.replace(true).is_none() {
                    expect![[r#"
                        utterance harbour#2: 945 tokens without any history, 48 of them knowledge, and 9 for the answer are more than train.max_seq_length = 945
                        raise train.max_seq_length, shorten the texts, or remove a source from prompt.slots: knowledge is never truncated"#]].assert_eq(&format!("{error}\n{}", error.hint().unwrap()));
                }
                continue;
            }
        };
        let text = encoder.chat().decode(&sample.ids).unwrap();
        assert!(TEXTS.iter().all(|known| text.contains(known)), "{text}");
        let left_out = (sample.dropped_demonstrations, sample.dropped_history);
        if seen.last() != Some(&left_out) {
            seen.push(left_out);
        }
    }
    assert_eq!(seen, [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (3, 2)]);
}

#[test]
fn removed_slots_take_no_room() {
    let (dialogue, examples) = (harbour(), examples(3));
    let question = Question { demonstrations: &examples, knowledge: &TEXTS, ..Question::new(&dialogue, 2) };
    let sample = papers("slots = [\"explicit\"]", LONG).encode_question(Answers::Given, question).unwrap();
    assert_eq!((sample.demonstrations, sample.dropped_demonstrations, sample.dropped_history), (0, 0, 0));
}

#[test]
fn the_contract_keeps_sources_and_slots() {
    let contract = |prompt: &str| papers(prompt, LONG).contract().unwrap();
    let (all, some) = (contract(""), contract("slots = [\"history\", \"label_statement\", \"explicit\"]"));
    assert!(all.golden.text.contains("(explicit): (what explicit has to say)"), "{}", all.golden.text);
    assert!(!some.golden.text.contains("implicit"), "{}", some.golden.text);
    for contract in [&all, &some] {
        let json = serde_json::to_string(contract).unwrap();
        assert_eq!(serde_json::from_str::<PromptContract>(&json).unwrap(), *contract);
        contract.check(contract).unwrap();
    }
    expect![[r#"the prompt differs from the one the adapter was trained with: what prompts show of [retrieval] was k = 3, order = "most_similar_first" and is no demonstrations; the knowledge in the prompt was characteristic, explicit, implicit and is explicit; what prompt.slots removes was nothing and is instruction, note, future, demonstrations"#]].assert_eq(&all.check(&some).unwrap_err().to_string());
}
