//! Auxiliary questions: what they show, and above all what they hide.

use expect_test::expect;

use super::*;

/// An encoder for this question with this window.
fn asking(task: Task, history: usize, room: usize) -> Encoder {
    let template = Template::of_task(task, None).unwrap();
    Encoder::new(chat(CHAT).unwrap(), template, labels(), &section(history, 2), room).unwrap()
}

fn outcome(result: Result<Sample, PromptError>) -> String {
    let error = result.unwrap_err();
    format!("{error}\n{}", error.hint().unwrap_or_default())
}

#[test]
fn who_spoke_is_asked_without_the_speaker() {
    let encoder = asking(Task::SpeakerIdentification, 5, LONG);
    let sample = encoder.encode(&harbour(), 1).unwrap();
    expect![[r#"
        <|turn|>system
        You follow who says what in conversations. You are shown part of a conversation and what somebody said next: name the speaker, judging by the words and by who has been talking with whom about what.

        The conversation before the utterance:
        Nadia: The ferry leaves at nine.

        Answer with one of these names and nothing else: Bruno, Nadia.<|end|>
        <|turn|>user
        Somebody says: "Then we still have time for breakfast!"
        Who is it?<|end|>
        <|turn|>assistant
        [B][r][u][n][o][<|end|>]"#]].assert_eq(&shown(&encoder, &sample));
    assert_eq!((sample.task, sample.label), (Some(Task::SpeakerIdentification), Some(Label::from_index(4))));
    let first = encoder.encode(&harbour(), 0).unwrap();
    assert!(!shown(&encoder, &first).contains("conversation before"));
    assert_eq!(encoder.chat().decode(first.completion()).unwrap(), "Nadia<|end|>");
}

#[test]
fn what_comes_next_is_asked_before_it_is_said() {
    let encoder = asking(Task::EmotionImpact, 5, LONG);
    let sample = encoder.encode(&harbour(), 2).unwrap();
    expect![[r#"
        <|turn|>system
        You know what people's words do to others. You are shown part of a conversation and told who speaks next, but not what is said: foresee the emotion that this speaker will express, judging by what has been said so far.

        The conversation so far:
        Nadia: The ferry leaves at nine.
        Bruno: Then we still have time for breakfast!

        Answer with one of these labels and nothing else: neutral, surprise, fear, sadness, joy, disgust, anger.<|end|>
        <|turn|>user
        Nadia is about to answer.
        Which emotion will Nadia express?<|end|>
        <|turn|>assistant
        [s][u][r][p][r][i][s][e][<|end|>]"#]].assert_eq(&shown(&encoder, &sample));
    assert_eq!(sample.task, Some(Task::EmotionImpact));
    let without = asking(Task::EmotionImpact, 0, LONG);
    let text = shown(&without, &without.encode(&harbour(), 2).unwrap());
    assert!(text.contains("so far:\nBruno: Then we still have time for breakfast!\n\nAnswer"), "{text}");
}

#[test]
fn only_what_has_an_answer_is_asked() {
    let alone = dialogue(&[("Ida", "One.", Some(0)), ("Ida", "Two.", Some(0)), ("Tom", "Three.", Some(1))]);
    let suited = |task: Task, dialogue: &Dialogue| {
        (0..5).filter(|position| task.suits(dialogue, *position)).collect::<Vec<_>>()
    };
    assert_eq!(suited(Task::Emotion, &harbour()), [0, 1, 2, 3]);
    assert_eq!(suited(Task::SpeakerIdentification, &harbour()), [0, 1, 2, 3]);
    assert_eq!(suited(Task::EmotionImpact, &harbour()), [1, 2], "the last has no label");
    assert_eq!(suited(Task::EmotionImpact, &alone), [2]);
    let monologue = Dialogue { utterances: alone.utterances[..2].to_vec(), ..alone };
    assert!(Task::AUXILIARY.into_iter().all(|task| suited(task, &monologue).is_empty()));
    expect![[r#"
        utterance harbour#0 cannot be asked the question "emotion_impact"
    "#]]
    .assert_eq(&outcome(asking(Task::EmotionImpact, 5, LONG).encode(&harbour(), 0)));
}

#[test]
fn answers_are_made_as_those_about_emotions_are() {
    let reasoning = CHAT.replace(
        "message.content",
        "('<room></room>' if message.role == 'assistant' else '') + message.content",
    );
    for (task, answer) in [(Task::SpeakerIdentification, "room"), (Task::EmotionImpact, "joy")] {
        let template = Template::of_task(task, None).unwrap();
        let encoder =
            Encoder::new(chat(&reasoning).unwrap(), template, labels(), &section(5, 0), LONG).unwrap();
        let dialogue = dialogue(&[("Ida", "Well?", Some(0)), ("room", "Well.", Some(4))]);
        let sample = encoder.encode(&dialogue, 1).unwrap();
        assert_eq!(
            encoder.chat().decode(sample.completion()).unwrap(),
            format!("<room></room>{answer}<|end|>")
        );
        assert_eq!(sample.prompt(), encoder.encode_prompt(&dialogue, 1).unwrap().ids);
    }
}

#[test]
fn errors_are_those_of_questions_about_emotions() {
    let speaker = asking(Task::SpeakerIdentification, 5, LONG);
    let typed = dialogue(&[("Ida", "Hello.", Some(0)), ("<|end|>", "Why?", Some(0))]);
    expect![[r#"
        utterance harbour#0: the prompt contains the text of the special token "<|end|>"
        remove it from the data or the template"#]]
    .assert_eq(&outcome(speaker.encode(&typed, 0)));
    let long = dialogue(&[("Ida", "Hello.", Some(0)), ("Tom", &"very ".repeat(80), Some(0))]);
    expect![[r#"
        utterance harbour#1: 714 tokens without any history and 4 for the answer are more than train.max_seq_length = 700
        raise train.max_seq_length or shorten the utterance"#]].assert_eq(&outcome(asking(Task::SpeakerIdentification, 5, 700).encode(&long, 1)));
    let examples = examples(3);
    let question = Question { demonstrations: &examples, knowledge: &["A text."], ..Question::new(&long, 1) };
    let error = asking(Task::SpeakerIdentification, 5, 700).encode_question(Answers::Given, question);
    assert!(!outcome(error).contains("knowledge"));
}

/// Two to four speakers, texts that are all different, a label each.
fn meeting() -> impl Strategy<Value = Dialogue> {
    let utterance = (0_usize..4, "[a-z ]{1,30}", 0_usize..7);
    proptest::collection::vec(utterance, 2..10).prop_map(|turns| {
        let utterance = |(place, (speaker, text, label)): (usize, (usize, String, usize))| {
            Utterance::new(
                ["Ada", "Bo", "Cornelius", "D"][speaker].to_owned(),
                format!("Said as number {place}: {text}."),
                Some(Label::from_index(label)),
            )
        };
        let utterances = turns.into_iter().enumerate().map(utterance).collect();
        Dialogue::new("any".to_owned(), utterances)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_question_gives_its_answer_away(
        dialogue in meeting(), other in meeting(), at in any::<prop::sample::Index>(), history in 0_usize..9,
        room in 0_usize..200,
    ) {
        let position = at.index(dialogue.utterances.len());
        let (examples, asked) = (examples(3), &dialogue.utterances[position]);
        for task in Task::AUXILIARY.into_iter().filter(|task| task.suits(&dialogue, position)) {
            let question = Question {
                demonstrations: &examples, knowledge: &["Known."], ..Question::new(&dialogue, position)
            };
            let bare = asking(task, 0, 100_000).encode(&dialogue, position).unwrap();
            let encoder = asking(task, history, bare.prompt_len + 10 + room);
            let sample = encoder.encode_question(Answers::Given, question).unwrap();
            let text = encoder.chat().decode(sample.prompt()).unwrap();

            let least = task.least_history();
            let kept = history.max(least).min(position) - sample.dropped_history;
            prop_assert!(kept >= least && sample.ids.len() <= bare.prompt_len + 10 + room);
            for (place, utterance) in dialogue.utterances.iter().enumerate() {
                let line = format!("\n{}: {}\n", utterance.speaker, utterance.text);
                prop_assert_eq!(text.contains(&line), place < position && place + kept >= position, "{}", text);
                let is_asked = place == position && task == Task::SpeakerIdentification;
                prop_assert_eq!(text.contains(&utterance.text), text.contains(&line) || is_asked, "{}", text);
            }
            prop_assert!(!text.contains("Example") && !text.contains("Known."), "{}", text);
            let answer = encoder.chat().decode(sample.completion()).unwrap();
            let (name, label) = (&asked.speaker, labels().name(asked.label.unwrap()).to_owned());
            let expected = if task == Task::EmotionImpact { &label } else { name };
            prop_assert_eq!(answer, format!("{expected}<|end|>"));

            // Another true answer, and what follows, does not change the question.
            let mut changed = dialogue.clone();
            if task == Task::EmotionImpact {
                let speaker = asked.speaker.clone();
                changed.utterances.truncate(position);
                changed.utterances.extend(other.utterances.iter().cloned());
                changed.utterances[position].speaker = speaker;
            } else {
                let mut others = dialogue.speakers().into_iter().filter(|speaker| speaker != name);
                changed.utterances[position].speaker = others.next_back().unwrap().to_owned();
                let after = Utterance { speaker: name.clone(), ..other.utterances[0].clone() };
                changed.utterances.push(after);
            }
            let again = encoder.encode(&changed, position).unwrap();
            prop_assert_eq!(again.prompt(), sample.prompt());
        }
    }
}
