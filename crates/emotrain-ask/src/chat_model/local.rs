//! A language model in this process: questions are answered in batches, each reply as soon as it has ended.

mod draft;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use emotrain_base::Complaint;
use emotrain_hub::Base;
use emotrain_model::{
    Generation, GenerationConfig, Generator, ModelError, NewToken, Sampling, TokenPrompt, device,
};
use emotrain_prompt::{ChatTokenizer, PromptError};
use emotrain_recipe::{InterpretSection, ModelInit, ModelSection, Recipe, ResponseFormat};

use self::draft::Draft;
use super::{Answer, AskContext, ChatModel, Inquiry, ModelIdentity};
use crate::error::AskError;

/// A model that was loaded, and how it answers.
pub(super) struct Local {
    generator: Generator,
    chat: ChatTokenizer,
    config: GenerationConfig,
    response_format: ResponseFormat,
    identity: ModelIdentity,
    /// The user's request to stop.
    stop: Arc<AtomicBool>,
}

impl Local {
    /// Loads `section.model` onto the device that the recipe names.
    ///
    /// # Errors
    /// A section without a model; a model, a tokenizer or a device that cannot be used.
    pub(super) fn load(
        section: &InterpretSection,
        recipe: &Recipe,
        AskContext { hub, stop, .. }: AskContext<'_>,
    ) -> Result<Self, AskError> {
        let Some(name) = section.model.clone() else {
            return Err(Complaint::usage(
                "interpret.model is needed: a Hub id, a folder or a .gguf file of a model to run here",
            )
            .into());
        };
        let model = ModelSection {
            model_name_or_path: name.clone(),
            revision: "main".to_owned(),
            init: ModelInit::Pretrained,
            ..recipe.model.clone()
        };
        let base = Base::find(&model, hub)?;
        let chat = ChatTokenizer::new(base.tokenizer()?)?;
        if !chat.has_chat_template() {
            return Err(PromptError::NoChatTemplate(chat.origin().to_owned()).into());
        }
        let mut stop_tokens = chat.stop_tokens();
        stop_tokens.extend(base.stop_tokens()?);
        if stop_tokens.is_empty() {
            let message =
                format!("{name}: neither its files nor its chat template say which token ends an answer");
            return Err(Complaint::input(message).into());
        }
        base.description()?.warnings.iter().for_each(|warning| hub.listener().warn(warning));
        let on = device::open(&model.device, model.dtype)?;
        let (weights, checkpoint) = base.load(hub, 0, &on, &recipe.quantization)?;
        let revision = match (base.commit(), &checkpoint) {
            (Some(commit), _) => commit.to_owned(),
            (None, Some(checkpoint)) => checkpoint.sha256()?,
            (None, None) => String::new(),
        };
        #[expect(clippy::cast_possible_truncation, reason = "logits are f32")]
        let sampling = Sampling {
            temperature: section.temperature as f32,
            top_p: section.top_p as f32,
            ..Sampling::GREEDY
        };
        Ok(Self {
            generator: Generator::new(&weights),
            chat,
            config: GenerationConfig {
                max_new_tokens: section.max_tokens,
                min_new_tokens: 0,
                sampling,
                stop_tokens,
                seed: 0,
                max_batch_size: section.concurrency,
            },
            response_format: section.response_format,
            identity: ModelIdentity { provider: "local".to_owned(), model: name, revision },
            stop: Arc::clone(stop),
        })
    }
}

impl ChatModel for Local {
    fn answer(&mut self, inquiry: &mut dyn Inquiry) -> Result<(), AskError> {
        let Self { generator, chat, config, response_format, stop, .. } = self;
        let mut generation = generator.start(config.clone())?;
        // By the generation's numbers; none for what has come to its end.
        let mut drafts: Vec<Option<Draft>> = Vec::new();
        loop {
            if stop.load(Ordering::SeqCst) {
                for draft in drafts.into_iter().flatten() {
                    inquiry.receive(draft.number, Answer::Unanswered("interrupted".to_owned()))?;
                }
                return Ok(());
            }
            while generation.has_room() {
                let Some(mut question) = inquiry.next() else { break };
                if *response_format == ResponseFormat::Text {
                    question.keys.clear();
                }
                match Draft::new(&question, chat)? {
                    Ok(draft) => put(draft, chat, &mut generation, &mut drafts, inquiry)?,
                    Err(reason) => inquiry.receive(question.number, Answer::Refused(reason))?,
                }
            }
            if generation.is_idle() {
                return Ok(());
            }
            let mut broken = None;
            let ended = generation.step(&mut |NewToken { prompt, id, .. }| {
                let heard = drafts[prompt].as_mut().map(|draft| draft.receive(id, chat));
                heard.unwrap_or(Ok(ControlFlow::Continue(()))).unwrap_or_else(|error| {
                    broken = Some(error);
                    ControlFlow::Break(())
                })
            })?;
            if let Some(error) = broken {
                return Err(error.into());
            }
            for (ours, answer) in ended {
                let Some(mut draft) = drafts[ours].take() else { continue };
                match draft.end(&answer, chat)? {
                    Some(reply) => inquiry.receive(draft.number, Answer::Reply(reply))?,
                    None => put(draft, chat, &mut generation, &mut drafts, inquiry)?,
                }
            }
        }
    }

    fn identity(&self) -> ModelIdentity {
        self.identity.clone()
    }
}

/// Has a draft written on, or says why it cannot be.
fn put(
    draft: Draft,
    chat: &ChatTokenizer,
    generation: &mut Generation,
    drafts: &mut Vec<Option<Draft>>,
    inquiry: &mut dyn Inquiry,
) -> Result<(), AskError> {
    match generation.push(TokenPrompt { ids: &draft.prompt(chat)?, sequence: draft.sequence() }) {
        Ok(()) => drafts.push(Some(draft)),
        Err(ModelError::Generation { problems }) => {
            inquiry.receive(draft.number, Answer::Refused(problems.join("; ")))?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
