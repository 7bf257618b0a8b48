//! A language model in this process: questions are answered in batches, each reply as soon as it has ended.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use emotrain_model::{Generation, GenerationConfig, Generator, ModelError, Prompt, Sampling, device};
use emotrain_prompt::{ChatTokenizer, Message, PromptError, Role, Thinking};
use emotrain_recipe::{InterpretSection, ModelInit, ModelSection};

use super::{Answer, ChatModel, Finish, Inquiry, ModelIdentity, Question, Reply};
use crate::exit::Complaint;
use crate::pipeline::Base;
use crate::shell::Shell;

/// A model that was loaded, and how it answers.
pub(crate) struct Local {
    generator: Generator,
    chat: ChatTokenizer,
    config: GenerationConfig,
    identity: ModelIdentity,
    /// The user's wish to stop.
    wish: Arc<AtomicBool>,
}

impl Local {
    /// Loads `section.model` onto the device that `model` names.
    ///
    /// # Errors
    /// A section without a model; a model, a tokenizer or a device that cannot be used.
    pub(crate) fn load(
        section: &InterpretSection,
        model: &ModelSection,
        wish: Arc<AtomicBool>,
        shell: &Shell,
    ) -> anyhow::Result<Self> {
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
            ..model.clone()
        };
        let base = Base::find(&model, &shell.hub())?;
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
        let on = device::open(&model.device, model.dtype)?;
        let (weights, checkpoint) = base.load(&shell.hub(), 0, &on)?;
        let revision = match (base.commit(), &checkpoint) {
            (Some(commit), _) => commit.to_owned(),
            (None, Some(checkpoint)) => checkpoint.sha256(),
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
            identity: ModelIdentity { provider: "local".to_owned(), model: name, revision },
            wish,
        })
    }
}

impl ChatModel for Local {
    fn answer(&mut self, inquiry: &mut dyn Inquiry) -> anyhow::Result<()> {
        let Self { generator, chat, config, wish, .. } = self;
        let mut generation = generator.start(config.clone())?;
        // The asker's numbers by ours; none for what has been answered.
        let mut open: Vec<Option<usize>> = Vec::new();
        loop {
            if wish.load(Ordering::SeqCst) {
                for number in open.into_iter().flatten() {
                    inquiry.hear(number, Answer::Unanswered("interrupted".to_owned()))?;
                }
                return Ok(());
            }
            while generation.has_room() {
                let Some(question) = inquiry.next() else { break };
                match put(&question, chat, &mut generation)? {
                    None => open.push(Some(question.number)),
                    Some(reason) => inquiry.hear(question.number, Answer::Refused(reason))?,
                }
            }
            if generation.is_idle() {
                return Ok(());
            }
            for (ours, answer) in generation.step(&mut |_| ControlFlow::Continue(()))? {
                let finish = match answer.finish {
                    emotrain_model::Finish::StopToken(_) | emotrain_model::Finish::Observer => Finish::Stop,
                    emotrain_model::Finish::Length => Finish::Length,
                };
                let reply = Reply { text: chat.decode_text(&answer.ids)?, finish };
                if let Some(number) = open[ours].take() {
                    inquiry.hear(number, Answer::Reply(reply))?;
                }
            }
        }
    }

    fn identity(&self) -> ModelIdentity {
        self.identity.clone()
    }
}

/// Puts a question, or says why it cannot be answered.
fn put(
    question: &Question,
    chat: &ChatTokenizer,
    generation: &mut Generation,
) -> anyhow::Result<Option<String>> {
    let system = Message { role: Role::System, content: &question.system };
    let user = Message { role: Role::User, content: &question.user };
    let messages = if question.system.is_empty() { vec![user] } else { vec![system, user] };
    let ids = match chat.encode_chat(&messages, Thinking::Off) {
        Ok(ids) => ids,
        Err(error @ PromptError::ControlToken(_)) => return Ok(Some(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    match generation.push(Prompt { ids: &ids, sequence: question.seed }) {
        Ok(()) => Ok(None),
        Err(ModelError::Generation { problems }) => Ok(Some(problems.join("; "))),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
