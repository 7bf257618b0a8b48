//! Real tokenizers compared with transformers: `tests/golden/chat_template/make.py` made the expected values.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "golden/chats.rs"]
mod chats;

use std::time::Instant;

use emotrain_data::{Dialogue, Label, LabelSet, Utterance};
use emotrain_prompt::{Answers, ChatTokenizer, Encoder, Question, Sample, Task, Template, TokenizerFiles};
use emotrain_recipe::{LabelSetName, PromptSection, PromptSlots, PromptTemplate};

fn tokenizer(name: &str) -> ChatTokenizer {
    let folder = chats::model(name, "tokenizer.json");
    ChatTokenizer::new(TokenizerFiles::from_folder(&folder).unwrap()).unwrap()
}

#[test]
fn qwen2_5() {
    let tokenizer = tokenizer("qwen2.5-tokenizer");
    chats::check(&tokenizer, "qwen2.5");
    assert_eq!(tokenizer.vocab_size(), 151_665);
    assert_eq!(tokenizer.eos_token(), Some(("<|im_end|>", 151_645)));
}

#[test]
fn qwen3() {
    let tokenizer = tokenizer("qwen3-tokenizer");
    chats::check(&tokenizer, "qwen3");
    check_answer(&tokenizer, false, "neutral<|im_end|>");
    check_answer(&tokenizer, true, "<think>\n\n</think>\n\nneutral<|im_end|>");
    check_speed(&tokenizer);
}

/// The supervised text is what the chat template prints after the prompt.
fn check_answer(tokenizer: &ChatTokenizer, enable_thinking: bool, answer: &str) {
    for (task, said) in
        [(Task::Emotion, "neutral"), (Task::SpeakerIdentification, "Rosa"), (Task::EmotionImpact, "neutral")]
    {
        let (encoder, dialogue) = (encoder(tokenizer, task, enable_thinking), bakery(9));
        let sample = encoder.encode_question(Answers::Given, Question::new(&dialogue, 7)).unwrap();
        let answer = answer.replace("neutral", said);
        assert_eq!(tokenizer.decode(sample.completion()).unwrap(), answer, "{task:?}");
    }
    let encoder = encoder(tokenizer, Task::Emotion, enable_thinking);
    let contract = encoder.contract().unwrap();
    assert!(contract.clean_border);
    assert_eq!(tokenizer.encode(&contract.golden.text).unwrap(), contract.golden.ids);
}

/// The validation split of MELD has 1,109 utterances. They take half a second on one thread; the limit allows for
/// loaded machines.
fn check_speed(tokenizer: &ChatTokenizer) {
    let encoder = encoder(tokenizer, Task::Emotion, false);
    let dialogue = bakery(10);
    let start = Instant::now();
    let question = |at: usize| Question::new(&dialogue, at % 10);
    let samples: Vec<Sample> =
        (0..1109).map(|at| encoder.encode_question(Answers::Given, question(at)).unwrap()).collect();
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(samples.len(), 1109);
    assert!(seconds < 10.0, "1,109 prompts took {seconds:.1} s");
}

fn encoder(tokenizer: &ChatTokenizer, task: Task, enable_thinking: bool) -> Encoder {
    let section = PromptSection {
        template: PromptTemplate::Plain,
        slots: PromptSlots::All,
        causal: false,
        history_window: 5,
        future_window: 0,
        enable_thinking,
    };
    let labels = LabelSet::builtin(LabelSetName::Meld);
    Encoder::new(tokenizer.clone(), Template::of_task(task, None).unwrap(), labels, &section, 2048).unwrap()
}

fn bakery(utterances: usize) -> Dialogue {
    let lines = [
        ("Theo", "You won't believe whom I met at the bakery this morning, standing right behind me!"),
        ("Rosa", "Let me guess… the mayor? Or that actor with the 3 dogs?"),
        (
            "Theo",
            "My old maths teacher. She still remembers that I never did my homework, not once in 4 years.",
        ),
    ];
    let utterance = |at: usize| {
        let (speaker, text) = lines[at % lines.len()];
        let text = format!("{text} ({at})");
        Utterance::new(speaker.to_owned(), text, Some(Label::from_index(0)))
    };
    Dialogue::new("bakery".to_owned(), (0..utterances).map(utterance).collect())
}
