//! What a comparison with a server comes to.

use emotrain_base::Complaint;
use emotrain_eval::{Agreement, Finding};
use serde::Serialize;
use serde_json::json;

use super::asking::{Answered, Form, Route};
use super::probe::Probe;
use crate::verdict::Verdict;

/// One of the server's routes compared with the run.
#[derive(Serialize)]
pub(super) struct RouteResult {
    #[serde(skip)]
    route: Route,
    #[serde(rename = "route")]
    name: &'static str,
    prompt: Form,
    answers: Agreement,
    /// Prompts of which the server counts another number of tokens than the training had.
    other_prompt_lengths: usize,
    /// The first such number, the server's and the training's.
    #[serde(skip)]
    example: Option<(usize, usize)>,
}

impl RouteResult {
    pub(super) fn new(answered: &Answered, probe: &Probe, answers: Agreement) -> Self {
        let (other_prompt_lengths, example) = answered.lengths(probe);
        let (route, prompt) = (answered.route, answered.form);
        Self { route, name: route.name(), prompt, answers, other_prompt_lengths, example }
    }

    fn text(&self) -> String {
        let how = match self.prompt {
            Form::TokenIds => "prompts as token ids",
            Form::Text => "prompts as text",
            Form::Messages => "messages, rendered by the server's chat template",
        };
        let total = self.answers.utterances;
        let lengths = match self.example {
            None => "prompt lengths: as in training".to_owned(),
            Some((served, trained)) => format!(
                "prompt lengths: {} of {total} differ from the training's, as {served} tokens for {trained}",
                self.other_prompt_lengths
            ),
        };
        format!("/{}: {how}\n\n{}\n\n{lengths}", self.name, self.answers.table())
    }
}

/// The verdict on a server.
pub(super) fn of_server(model: &str, routes: &[RouteResult]) -> Verdict {
    let complaint = complaint(model, routes);
    let passed = complaint.is_none();
    let texts: Vec<String> = routes.iter().map(RouteResult::text).collect();
    let little = (passed && routes.iter().all(|route| route.answers.proves_little())).then_some(
        "the base without the training is within the tolerance, too: the training has changed little, or the tolerance \
is too large: --dtype float32 or --tolerance",
    );
    let unchecked = (passed && of(routes, Route::Chat).is_none())
        .then_some("the server has no /chat/completions: its chat template was not checked");
    let longer = (passed && routes.iter().any(|route| route.example.is_some())).then_some(
        "prompts have other lengths at the server than in training: it renders another chat template, or adds a token",
    );
    Verdict {
        text: texts.join("\n\n"),
        json: json!({ "passed": passed, "model": model, "routes": routes }),
        warnings: [longer, little, unchecked].into_iter().flatten().collect(),
        conclusion: complaint.map_or(Ok("the server answers as the run"), Err),
    }
}

fn of(routes: &[RouteResult], route: Route) -> Option<&RouteResult> {
    routes.iter().find(|one| one.route == route)
}

/// `/completions` depends on the weights alone, `/chat/completions` also on the server's chat template.
fn complaint(model: &str, routes: &[RouteResult]) -> Option<Complaint> {
    let bad = routes.iter().find(|one| one.answers.finding != Finding::Agrees)?;
    // The first is /completions, where the server has it: if that agrees, the weights are right.
    let has_right_weights = bad.route == Route::Chat && of(routes, Route::Completions).is_some();
    if bad.answers.finding == Finding::AsBase && !has_right_weights {
        let message = format!("\"{model}\" answers as the base without the adapter");
        let hint = "the adapter is not loaded, or does nothing, or --model names the base: see the server's list of \
models, and serve.md for the options that load an adapter";
        return Some(Complaint::input(message).hint(hint));
    }
    let is_template = has_right_weights || bad.route == Route::Chat && bad.example.is_some();
    let lengths = bad.example.map_or(String::new(), |(served, trained)| {
        format!("; a prompt has {served} tokens there and {trained} in training")
    });
    let same = format!(
        "{} of {} labels are the same{lengths}",
        bad.answers.to_run.same_labels, bad.answers.utterances
    );
    Some(if is_template {
        Complaint::input(format!("the server renders another chat template than the training: {same}")).hint(
                "start it with the chat template of the export or the base (--chat-template, or --jinja of llama.cpp), \
or send prompts to /completions as prompt_contract.json has them",
            )
    } else {
        Complaint::input(format!("\"{model}\" answers otherwise than the run: {same}"))
                .hint("it serves another run or base, weights of a type with less precision than --dtype says, or another tokenizer")
    })
}
