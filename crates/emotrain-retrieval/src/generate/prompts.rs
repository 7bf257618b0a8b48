//! The questions for a language model.

use std::fmt::Write as _;

/// The requirements for a dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogueRequest<'a> {
    /// The domain.
    pub domain: &'a str,
    /// The subtopic.
    pub subtopic: &'a str,
    /// The number of speakers.
    pub speakers: usize,
    /// Minimum utterances.
    pub least_turns: usize,
    /// Maximum utterances.
    pub most_turns: usize,
    /// The label set.
    pub labels: &'a [String],
    /// The labels that are missing.
    pub wanted: Vec<&'a str>,
    /// First utterances of existing dialogues.
    pub beginnings: Vec<&'a str>,
}

/// Asks for situations in a domain; [`parse_subtopics`](crate::parse_subtopics) parses the reply.
pub fn subtopics_prompt(domain: &str, count: usize) -> String {
    format!(
        "We are collecting everyday conversations in which people show how they feel. The area of life is: \
         {domain}.\n\n\
         List {count} situations from this area in which two or more people would talk to each other. Make \
         them concrete and unlike one another, some of them happy, some of them difficult, some ordinary. \
         Describe each in three to ten words.\n\n\
         Reply with one JSON object and nothing before or after it:\n\
         {{\"subtopics\": [\"...\", \"...\"]}}\n"
    )
}

/// Asks for one dialogue; [`parse_dialogue`](crate::parse_dialogue) parses the reply.
pub fn dialogue_prompt(request: &DialogueRequest<'_>) -> String {
    let DialogueRequest { domain, subtopic, speakers, least_turns, most_turns, labels, .. } = request;
    let mut prompt = format!(
        "Write a conversation between {speakers} people. Area of life: {domain}. Situation: {subtopic}.\n\n\
         - {least_turns} to {most_turns} utterances, one to three sentences each, the way people really talk.\n\
         - Give the speakers first names. No narration and no stage directions.\n\
         - Let feelings show in what is said and how, and let them change for a reason. Do not name them.\n\
         - Label every utterance with the one emotion its speaker shows in it, in exactly one of these words: \
         {}.\n",
        labels.join(", ")
    );
    // Writing to a string cannot fail.
    if !request.wanted.is_empty() {
        let _ = writeln!(
            prompt,
            "- We have too few utterances labelled {}: let the situation bring several of them about, \
             without forcing any.",
            request.wanted.join(", ")
        );
    }
    if !request.beginnings.is_empty() {
        prompt.push_str("- Tell another story than the conversations we have, which begin with:\n");
        for beginning in &request.beginnings {
            let _ = writeln!(prompt, "  \"{beginning}\"");
        }
    }
    prompt.push_str(
        "\nReply with one JSON object and nothing before or after it:\n\
         {\"utterances\": [{\"speaker\": \"...\", \"text\": \"...\", \"label\": \"...\"}]}\n",
    );
    prompt
}
