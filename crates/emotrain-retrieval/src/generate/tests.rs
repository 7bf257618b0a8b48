use emotrain_data::{Origin, SplitKind, load_demonstrations};
use expect_test::{Expect, expect};

use super::*;
use crate::fixture::{Place, demonstration, labels};

/// Returns replies in order, and stores the questions.
struct Script {
    replies: Vec<String>,
    asked: Vec<String>,
}

impl Script {
    fn new(replies: &[&str]) -> Self {
        Self { replies: replies.iter().rev().map(|reply| (*reply).to_owned()).collect(), asked: Vec::new() }
    }
}

/// Asks one question after another, reporting each result. Ends early when the script does.
fn generate(
    plan: &GeneratePlan,
    (labels, bank): (&LabelSet, Option<&Bank>),
    folder: &Path,
    script: &mut Script,
    report: &mut dyn FnMut(Result<&WrittenDialogue, &Rejection>),
) -> Result<GenerationOutcome, RetrievalError> {
    let mut work = DialogueGeneration::open(plan, labels, bank, folder)?;
    while let Some((number, prompt)) = work.next_question() {
        script.asked.push(prompt);
        let Some(reply) = script.replies.pop() else {
            work.lose(number);
            break;
        };
        match work.hear(number, &reply)? {
            Ok(Some(dialogue)) => report(Ok(&dialogue)),
            Ok(None) => {}
            Err(reason) => report(Err(&reason)),
        }
    }
    Ok(work.generated())
}

fn plan(per_label: usize) -> GeneratePlan {
    GeneratePlan {
        domains: vec!["family".to_owned()],
        subtopics: 2,
        wanted: vec![per_label; 2],
        counted: Counted::BankAndWritten,
        speakers: 2,
        least_turns: 2,
        most_turns: 4,
        most_questions: 100,
    }
}

/// A dialogue of two lines with these labels.
fn dialogue(number: usize, labels: [&str; 2]) -> String {
    let turn = |speaker: &str, line: usize, label: &str| {
        format!(
            r#"{{"speaker":"{speaker}","text":"Here is what I say, number {number} of {line}.","label":"{label}"}}"#
        )
    };
    format!(r#"{{"utterances":[{},{}]}}"#, turn("Ana", 1, labels[0]), turn("Ben", 2, labels[1]))
}

const SUBTOPICS: &str = r#"{"subtopics": ["a lost key", "a visit", "A lost key!"]}"#;

fn two_labels() -> LabelSet {
    LabelSet::custom(["joy", "anger"], [("mad", "anger")]).unwrap()
}

#[test]
fn the_questions_say_what_is_wanted() {
    let labels = labels();
    let request = DialogueRequest {
        domain: "workplace",
        subtopic: "the broken printer",
        speakers: 2,
        least_turns: 6,
        most_turns: 10,
        labels: labels.names(),
        wanted: vec!["fear", "disgust"],
        beginnings: vec!["Not again."],
    };
    expect![[r#"
        Write a conversation between 2 people. Area of life: workplace. Situation: the broken printer.

        - 6 to 10 utterances, one to three sentences each, the way people really talk.
        - Give the speakers first names. No narration and no stage directions.
        - Let feelings show in what is said and how, and let them change for a reason. Do not name them.
        - Label every utterance with the one emotion its speaker shows in it, in exactly one of these words: neutral, surprise, fear, sadness, joy, disgust, anger.
        - We have too few utterances labelled fear, disgust: let the situation bring several of them about, without forcing any.
        - Tell another story than the conversations we have, which begin with:
          "Not again."

        Reply with one JSON object and nothing before or after it:
        {"utterances": [{"speaker": "...", "text": "...", "label": "..."}]}
    "#]]
    .assert_eq(&dialogue_prompt(&request));
    let plain = dialogue_prompt(&DialogueRequest { wanted: vec![], beginnings: vec![], ..request });
    assert!(!plain.contains("too few") && !plain.contains("another story"));
    assert!(subtopics_prompt("family", 30).contains("List 30 situations"));
}

fn check_rejected(replies: &[&str], expected: &Expect) {
    let reasons = replies.iter().map(|reply| match parse_dialogue(reply, &labels(), 2, 4) {
        Ok(turns) => panic!("taken: {turns:?}"),
        Err(reason) => reason.to_string(),
    });
    expected.assert_eq(&reasons.collect::<Vec<_>>().join("\n"));
}

#[test]
fn replies_are_parsed_strictly() {
    let turn = |speaker: &str, text: &str, label: &str| {
        format!(r#"{{"speaker":"{speaker}","text":"{text}","label":"{label}"}}"#)
    };
    let with = |turns: &[String]| format!(r#"{{"utterances":[{}]}}"#, turns.join(","));
    let good = [turn("Ana", " Look at that! ", "Happy"), turn("Ben", "Where?", "surprised")];
    let taken = parse_dialogue(&format!("\n{}\n", with(&good)), &labels(), 2, 4).unwrap();
    assert_eq!((taken[0].text.as_str(), taken[0].label.as_str()), ("Look at that!", "joy"));
    check_rejected(
        &[
            &format!("<think>They met.</think>{}", with(&good)),
            &format!("Sure! {}", with(&good)),
            &format!("```json\n{}\n```", with(&good)),
            &format!("{} Enjoy!", with(&good)),
            &with(&good)[..60],
            r#"{"dialogue": []}"#,
            &with(&good[..1]),
            &with(&[&good[..], &good, &good].concat()),
            &with(&[good[0].clone(), turn("Ben", " ", "joy")]),
            &with(&[good[0].clone(), turn("Ben", "Where?", "curious")]),
            &with(&[good[0].clone(), turn("Ben", "look, at that", "joy")]),
            &with(&[good[0].clone(), turn("Ana", "Where?", "joy")]),
        ],
        &expect![[r#"
            it contains reasoning
            it is not one JSON object: it does not start with {
            it is not one JSON object: it does not start with {
            it is not one JSON object: trailing characters at line 1 column 131
            it is not one JSON object: EOF while parsing a string at line 1 column 60
            it has the wrong form: unknown field `dialogue`, expected `utterances` at line 1 column 11
            it has 1 utterances, not 2 to 4
            it has 6 utterances, not 2 to 4
            utterance 2 lacks a speaker or a text
            utterance 2 has the unknown label "curious"
            it repeats itself: "look, at that"
            only one person speaks"#]],
    );
    assert_eq!(parse_subtopics(SUBTOPICS, 2).unwrap(), ["a lost key", "a visit"]);
    assert_eq!(
        parse_subtopics(SUBTOPICS, 3).unwrap_err().to_string(),
        "it names 2 different subtopics, not 3"
    );
}

#[test]
fn the_plan_fills_what_is_missing() {
    let place = Place::new();
    let there = ("own", SplitKind::Train, "a");
    let bank = place.build(
        &[
            demonstration(there, 0, "Joy was here long before.", "happy"),
            demonstration(there, 1, "And again.", "joy"),
        ],
        None,
    );
    let copy = dialogue(1, ["joy", "anger"])
        .replace("Here is what I say, number 1 of 1.", "Joy was here, long before!");
    let replies = [SUBTOPICS, &copy, &dialogue(1, ["joy", "mad"]), &dialogue(2, ["mad", "mad"])];
    let mut script = Script::new(&replies);
    let mut reported = Vec::new();
    let folder = place.parent().join("work");
    let labels = two_labels();
    let generated = generate(&plan(3), (&labels, Some(&bank)), &folder, &mut script, &mut |reply| {
        reported.push(reply.map_or_else(ToString::to_string, |dialogue| dialogue.id.clone()));
    });
    let generated = generated.unwrap();
    assert_eq!(
        reported,
        ["it copies an existing utterance: \"Joy was here, long before!\"", "family-0001", "family-0002"]
    );
    assert_eq!(
        generated.to_string(),
        "4 questions asked; 2 dialogues accepted, 1 replies rejected; nothing is missing"
    );
    // anger lacks more than joy, and after the first dialogue joy is complete.
    assert!(script.asked[1].contains("labelled anger, joy") && script.asked[3].contains("labelled anger:"));
    // Subtopics alternate: the rejected question counts for its subtopic.
    assert!(script.asked[1].contains("a lost key") && script.asked[2].contains("a visit"));
    assert!(script.asked[3].contains("a lost key") && !script.asked[3].contains("begin with"));
    let origin = Origin { dataset: "written", split: SplitKind::Train, domain: None };
    let read = load_demonstrations(&folder.join("dialogues.jsonl"), origin).unwrap().demonstrations;
    assert_eq!(read.len(), 4);
    assert_eq!((read[0].domain.as_deref(), read[1].label.as_str()), (Some("family"), "anger"));
    let rejected = fs_err::read_to_string(folder.join("rejected.jsonl")).unwrap();
    let rejected: RejectedReply = serde_json::from_str(rejected.trim()).unwrap();
    assert_eq!((rejected.reply.as_str(), rejected.subtopic.as_deref()), (copy.as_str(), Some("a lost key")));
}

#[test]
fn interrupted_work_is_resumed() {
    let replies: Vec<String> = (0..6).map(|number| dialogue(number, ["joy", "anger"])).collect();
    let mut all = vec![SUBTOPICS, "no idea"];
    all.extend(replies.iter().map(String::as_str));
    let labels = two_labels();
    let work =
        |folder: &Path, script: &mut Script| generate(&plan(6), (&labels, None), folder, script, &mut |_| {});
    let whole = Place::new();
    let mut uninterrupted = Script::new(&all);
    let expected = work(&whole.bank, &mut uninterrupted).unwrap();

    let place = Place::new();
    let mut asked = Vec::new();
    for part in [&all[..0], &all[..1], &all[1..3], &all[3..4], &all[4..]] {
        let mut script = Script::new(part);
        let generated = work(&place.bank, &mut script).unwrap();
        if generated.short.is_empty() {
            assert_eq!(generated.dialogues, expected.dialogues);
        }
        asked.extend(script.asked.into_iter().take(part.len()));
        // The last line was truncated while it was written.
        let path = place.bank.join("dialogues.jsonl");
        if let Ok(text) = fs_err::read_to_string(&path) {
            fs_err::write(&path, text + "{\"id\":\"family-0").unwrap();
        }
    }
    assert_eq!(asked, uninterrupted.asked);
    GenerationState::open(&place.bank, &labels).unwrap();
    for name in ["subtopics.jsonl", "dialogues.jsonl", "rejected.jsonl"] {
        let read = |place: &Place| fs_err::read_to_string(place.bank.join(name)).unwrap();
        assert_eq!(read(&place), read(&whole), "{name}");
    }
}

#[test]
fn questions_are_limited() {
    let place = Place::new();
    let limited = GeneratePlan { most_questions: 2, ..plan(1) };
    let mut script = Script::new(&["?", "??", SUBTOPICS]);
    let generated = generate(&limited, (&two_labels(), None), &place.bank, &mut script, &mut |_| {}).unwrap();
    assert_eq!(
        generated.to_string(),
        "2 questions asked; 0 dialogues accepted, 2 replies rejected; missing: joy 1, anger 1"
    );
    fs_err::write(place.bank.join("dialogues.jsonl"), "{\"id\":\"a\"}\n").unwrap();
    let error = GenerationState::open(&place.bank, &two_labels()).unwrap_err();
    assert!(error.to_string().contains("dialogues.jsonl:1: missing field"), "{error}");
}

#[test]
fn several_questions_may_be_under_way() {
    let place = Place::new();
    let (labels, plan) =
        (two_labels(), GeneratePlan { domains: vec!["family".into(), "work".into()], ..plan(4) });
    let mut work = DialogueGeneration::open(&plan, &labels, None, &place.bank).unwrap();
    let (first, prompt) = work.next_question().unwrap();
    let (second, other) = work.next_question().unwrap();
    assert!(prompt.contains("family") && other.contains("work"));
    // Dialogues wait for the subtopics of all domains.
    assert_eq!(work.next_question(), None);
    assert_eq!(work.hear(second, SUBTOPICS).unwrap(), Ok(None));
    assert_eq!(work.next_question(), None);
    work.hear(first, SUBTOPICS).unwrap().unwrap();
    let mut asked = Vec::new();
    while let Some(question) = work.next_question() {
        asked.push(question);
    }
    // Eight utterances are missing, and a dialogue has at least two.
    assert_eq!(asked.len(), 4);
    let about = |prompt: &String| {
        let begin = prompt.find("Area of life: ").unwrap();
        prompt[begin..].lines().next().unwrap().to_owned()
    };
    let about: Vec<String> = asked.iter().map(|(_, prompt)| about(prompt)).collect();
    assert_eq!(about.iter().collect::<HashSet<_>>().len(), 4, "{about:?}");
    // Replies arrive in another order; one is truncated and one never arrives.
    work.hear(asked[3].0, &dialogue(3, ["joy", "anger"])).unwrap().unwrap();
    work.reject(asked[0].0, "{\"utter", Rejection::CutOff).unwrap();
    work.lose(asked[1].0);
    work.hear(asked[2].0, &dialogue(2, ["joy", "anger"])).unwrap().unwrap();
    // A second reply to a question changes nothing.
    assert_eq!(work.hear(asked[2].0, &dialogue(9, ["joy", "joy"])).unwrap(), Ok(None));
    assert_eq!(
        work.generated().to_string(),
        "6 questions asked; 2 dialogues accepted, 1 replies rejected; missing: joy 2, anger 2"
    );
    assert!(work.next_question().is_some());
}

#[test]
fn a_further_round_counts_what_it_writes_alone() {
    let place = Place::new();
    let bank = place.build(&[demonstration(("own", SplitKind::Train, "a"), 0, "Joy was here.", "joy")], None);
    let (labels, plan) =
        (two_labels(), GeneratePlan { wanted: vec![1, 0], counted: Counted::Written, ..plan(0) });
    let work = DialogueGeneration::open(&plan, &labels, Some(&bank), &place.parent().join("work")).unwrap();
    assert_eq!(work.generated().short, [("joy".to_owned(), 1)]);
}
