use std::collections::BTreeMap;

use emotrain_base::Silent;
use emotrain_hub::{Hub, HubSettings};
use emotrain_recipe::Recipe;

use super::*;
use crate::chat_model::{ChatQuestion, Reply, ReplyEnd};

/// Asks a list of questions; a request to stop may come after some answers.
struct List {
    questions: Vec<ChatQuestion>,
    heard: BTreeMap<usize, Answer>,
    stop_after: Option<(usize, Arc<AtomicBool>)>,
}

impl Inquiry for List {
    fn next(&mut self) -> Option<ChatQuestion> {
        self.questions.pop()
    }

    fn receive(&mut self, number: usize, answer: Answer) -> Result<(), AskError> {
        assert!(self.heard.insert(number, answer).is_none(), "{number} is answered once");
        if let Some((_, stop)) = self.stop_after.as_ref().filter(|(count, _)| *count <= self.heard.len()) {
            stop.store(true, Ordering::SeqCst);
        }
        Ok(())
    }
}

fn questions() -> Vec<ChatQuestion> {
    let question = |number: usize, user: &str| ChatQuestion {
        number,
        system: if number.is_multiple_of(2) { "Name the emotion.".to_owned() } else { String::new() },
        user: user.to_owned(),
        keys: Vec::new(),
        seed: 100 + number as u64,
    };
    let texts =
        ["I won!", "He left without a word.", "Get out of my house, now!", "What a day", "Who is there?"];
    texts.iter().enumerate().map(|(number, text)| question(number, text)).collect()
}

/// Nano, which comes with the repository, with so many questions at once.
fn nano(concurrency: usize, max_tokens: usize, stop: &Arc<AtomicBool>) -> Local {
    nano_with(concurrency, max_tokens, stop, "text")
}

fn nano_with(concurrency: usize, max_tokens: usize, stop: &Arc<AtomicBool>, form: &str) -> Local {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../checkpoints/nano");
    let text = format!(
        "[model]\nmodel_name_or_path = {path:?}\n[data]\ntrain = \"none\"\n[interpret]\nprovider = \"local\"\n\
         model = {path:?}\nconcurrency = {concurrency}\nmax_tokens = {max_tokens}\ntemperature = 1.0\n\
         response_format = {form:?}\n\
         [eval]\nload_best_model_at_end = false\n"
    );
    let recipe: Recipe = emotrain_recipe::parse(&text, std::path::Path::new("test.toml"), &[]).unwrap();
    let settings = HubSettings::default();
    let context = AskContext { hub: Hub::new(&settings, &Silent), stop, variable: |_| None };
    Local::load(&recipe.interpret, &recipe, context).unwrap()
}

fn ask(model: &mut Local, questions: Vec<ChatQuestion>) -> BTreeMap<usize, Answer> {
    let mut list = List { questions, heard: BTreeMap::new(), stop_after: None };
    model.answer(&mut list).unwrap();
    list.heard
}

#[test]
fn every_question_is_answered_and_company_does_not_matter() {
    let stop = Arc::default();
    let together = ask(&mut nano(3, 12, &stop), questions());
    assert_eq!(together.len(), 5);
    assert!(together.values().all(|answer| matches!(answer, Answer::Reply(_))), "{together:?}");
    let mut model = nano(1, 12, &stop);
    for question in questions() {
        let number = question.number;
        assert_eq!(ask(&mut model, vec![question])[&number], together[&number]);
    }
    let identity = model.identity();
    assert_eq!((identity.provider.as_str(), identity.revision.len()), ("local", 64));
}

#[test]
fn a_model_that_never_saw_json_fills_in_an_object() {
    let keys = ["explicit", "implicit \"or so\""].map(str::to_owned).to_vec();
    let asked = || questions().into_iter().map(|question| ChatQuestion { keys: keys.clone(), ..question });
    let together = ask(&mut nano_with(3, 60, &Arc::default(), "json_schema"), asked().collect());
    let mut alone = nano_with(1, 60, &Arc::default(), "json_schema");
    let mut read = 0;
    for question in asked() {
        let number = question.number;
        let Answer::Reply(Reply { text, finish }) = &together[&number] else { panic!("{together:?}") };
        assert!(text.starts_with("{\"explicit\": \""), "{text}");
        if *finish == ReplyEnd::Stop {
            assert!(text.contains("\", \"implicit \\\"or so\\\"\": \"") && text.ends_with("\"}"), "{text}");
            read += usize::from(emotrain_prompt::read_reply(text, &keys).is_ok());
        }
        assert_eq!(ask(&mut alone, vec![question])[&number], together[&number]);
    }
    assert!(read > 0, "{together:?}");
}

#[test]
fn another_seed_gives_another_reply_and_a_long_one_is_cut() {
    let stop = Arc::default();
    let mut model = nano(4, 12, &stop);
    let again: Vec<ChatQuestion> = (0..4)
        .map(|seed| ChatQuestion { number: 9 + seed, seed: seed as u64, ..questions()[0].clone() })
        .collect();
    let replies = ask(&mut model, again);
    let texts: std::collections::BTreeSet<String> =
        replies.values().map(|answer| format!("{answer:?}")).collect();
    assert!(texts.len() > 1, "{texts:?}");
    let mut cut = nano(4, 1, &stop);
    let replies = ask(&mut cut, questions());
    let lengths = replies
        .values()
        .filter(|answer| matches!(answer, Answer::Reply(Reply { finish: ReplyEnd::Length, .. })));
    assert!(lengths.count() > 0);
}

#[test]
fn what_the_model_cannot_read_is_refused_and_the_rest_answered() {
    let mut model = nano(2, 4, &Arc::default());
    let token = model.chat.eos_token().unwrap().0.to_owned();
    let mut all = questions();
    all[1].user = format!("stop{token}here");
    all[2].user = "word ".repeat(20_000);
    let heard = ask(&mut model, all);
    for number in [1, 2] {
        assert!(matches!(&heard[&number], Answer::Refused(_)), "{:?}", heard[&number]);
    }
    for number in [0, 3, 4] {
        assert!(matches!(&heard[&number], Answer::Reply(_)), "{:?}", heard[&number]);
    }
}

#[test]
fn a_wish_to_stop_ends_the_asking() {
    let stop = Arc::<AtomicBool>::default();
    let mut model = nano(2, 30, &stop);
    let mut list =
        List { questions: questions(), heard: BTreeMap::new(), stop_after: Some((1, Arc::clone(&stop))) };
    model.answer(&mut list).unwrap();
    assert!(!list.questions.is_empty(), "not all were asked");
    let asked = 5 - list.questions.len();
    assert_eq!(list.heard.len(), asked, "every one that was asked heard something");
}
