//! Ollama's `Modelfile`. Ollama runs no Jinja: what the chat template makes of a system and a user message is written in
//! the template language of Go.

use emotrain_hub::HubError;
use emotrain_prompt::{ChatTokenizer, Ending, Message, PromptContract, Role, Thinking};

use crate::error::ExportError;

/// What stands for the two messages while the chat template is rendered.
const SYSTEM: &str = "Emotrain8System4Text";
const USER: &str = "Emotrain3User9Text";

/// What a line of a `Modelfile`, or Go, would read otherwise.
const RESERVED: [&str; 3] = ["\"\"\"", "{{", "}}"];

/// The lines before `TEMPLATE`: what is loaded.
pub(crate) enum Loaded {
    /// A whole model: its file.
    Model(&'static str),
    /// An adapter: its file. Its base is named by whoever serves it.
    Adapter(&'static str),
}

/// How prompts are written.
pub(crate) struct Chat<'a> {
    /// The base's tokenizer, with its chat template.
    pub(crate) tokenizer: Option<&'a ChatTokenizer>,
    /// The token that Ollama puts before every prompt by itself.
    pub(crate) added: Option<&'a str>,
    /// What the training's prompts were.
    pub(crate) contract: Option<&'a PromptContract>,
}

/// The text of the file.
///
/// # Errors
/// A tokenizer that fails.
pub(crate) fn text(loaded: &Loaded, chat: &Chat) -> Result<String, ExportError> {
    let from = match loaded {
        Loaded::Model(file) => format!("FROM ./{file}\n"),
        Loaded::Adapter(file) => format!(
            "# BASE is the base model in F16 or F32: its name in Ollama, or the path of its GGUF file.\n\
FROM BASE\nADAPTER ./{file}\n"
        ),
    };
    let (remark, template) = match template(chat) {
        Ok(template) => (String::new(), template),
        Err(why) => (
            format!("# {why}: prompts must be sent rendered, as prompt_contract.json shows.\n"),
            "{{ .Prompt }}".to_owned(),
        ),
    };
    let stop = stop(chat)?.map_or_else(String::new, |stop| format!("PARAMETER stop \"{stop}\"\n"));
    Ok(format!("{from}{remark}TEMPLATE \"\"\"{template}\"\"\"\n{stop}PARAMETER temperature 0\n"))
}

/// The token that ends an answer.
fn stop(chat: &Chat) -> Result<Option<String>, ExportError> {
    let Some(tokenizer) = chat.tokenizer else { return Ok(None) };
    Ok(match chat.contract {
        Some(contract) => {
            let ids = [contract.special_tokens.end_of_turn];
            Some(tokenizer.decode(&ids).map_err(HubError::from)?)
        }
        None => tokenizer.eos_token().map(|(text, _)| text.to_owned()),
    })
}

/// The template in Go's language, or why there is none.
fn template(chat: &Chat) -> Result<String, String> {
    let tokenizer = chat.tokenizer.ok_or("The base has no tokenizer")?;
    let is_before_user = chat.contract.is_some_and(|contract| contract.system_before_user);
    let thinking = match chat.contract {
        Some(contract) if contract.enable_thinking => Thinking::On,
        _ => Thinking::Off,
    };
    let render = |system: Option<&str>, user: &str| {
        let system = system.map(|content| Message { role: Role::System, content });
        let user = Message { role: Role::User, content: user };
        let messages: Vec<Message> = system.into_iter().chain([user]).collect();
        let text = tokenizer.apply(&messages, Ending::GenerationPrompt, thinking);
        let text = text.map_err(|_| "The chat template refuses a system and a user message".to_owned())?;
        Ok::<String, String>(text.strip_prefix(chat.added.unwrap_or_default()).unwrap_or(&text).to_owned())
    };
    let both = if is_before_user {
        render(None, &format!("{SYSTEM}\n\n{USER}"))?
    } else {
        render(Some(SYSTEM), USER)?
    };
    in_go(&both, &render(None, USER)?)
        .ok_or_else(|| "The chat template does not write a system and a user text as they are".to_owned())
}

/// One template of a chat with a system text and of one without.
fn in_go(both: &str, alone: &str) -> Option<String> {
    if RESERVED.iter().any(|reserved| both.contains(reserved) || alone.contains(reserved)) {
        return None;
    }
    let once = |text: &str, part: &str| text.matches(part).count() == 1;
    if !once(both, SYSTEM) || !once(both, USER) || !once(alone, USER) {
        return None;
    }
    let (before_system, rest) = both.split_once(SYSTEM)?;
    let (between, end) = rest.split_once(USER)?;
    let (before_user, same_end) = alone.split_once(USER)?;
    if end != same_end || end.ends_with('"') {
        return None;
    }
    let begin = if before_system == before_user {
        format!("{before_user}{{{{ if .System }}}}{{{{ .System }}}}{between}{{{{ end }}}}")
    } else if let Some(own) = between.strip_suffix(before_user) {
        format!("{{{{ if .System }}}}{before_system}{{{{ .System }}}}{own}{{{{ end }}}}{before_user}")
    } else {
        format!(
            "{{{{ if .System }}}}{before_system}{{{{ .System }}}}{between}{{{{ else }}}}{before_user}{{{{ end }}}}"
        )
    };
    Some(format!("{begin}{{{{ .Prompt }}}}{end}"))
}

#[cfg(test)]
mod tests {
    use emotrain_prompt::TokenizerFiles;
    use expect_test::{Expect, expect};

    use super::*;

    /// A tokenizer of single bytes with this chat template.
    fn tokenizer(chat_template: &str) -> ChatTokenizer {
        let tokenizer_json =
            r#"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "added_tokens": []}"#;
        let config = r#"{"bos_token": "<s>", "eos_token": "a"}"#;
        let files = TokenizerFiles {
            tokenizer_json: tokenizer_json.to_owned(),
            tokenizer_config_json: Some(config.to_owned()),
            special_tokens_map_json: None,
            added_tokens_json: None,
            chat_template: Some(chat_template.to_owned()),
            origin: "test".to_owned(),
        };
        ChatTokenizer::new(files).unwrap()
    }

    #[track_caller]
    fn check(chat_template: &str, expected: &Expect) {
        let tokenizer = tokenizer(chat_template);
        let chat = Chat { tokenizer: Some(&tokenizer), added: Some("<s>"), contract: None };
        expected.assert_eq(&text(&Loaded::Model("model.gguf"), &chat).unwrap());
    }

    #[test]
    fn a_system_message_may_have_a_turn_of_its_own() {
        let chatml = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n{% endfor %}\
{% if add_generation_prompt %}<|im_start|>assistant\n{% if not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}";
        check(
            chatml,
            &expect![[r#"
            FROM ./model.gguf
            TEMPLATE """{{ if .System }}<|im_start|>system
            {{ .System }}<|im_end|>
            {{ end }}<|im_start|>user
            {{ .Prompt }}<|im_end|>
            <|im_start|>assistant
            <think>

            </think>

            """
            PARAMETER stop "a"
            PARAMETER temperature 0
        "#]],
        );
        // Qwen2.5 has a system text where none is given.
        let default = "{% if messages[0].role != 'system' %}<|im_start|>system\nHelp.<|im_end|>\n{% endif %}";
        check(
            &format!("{default}{chatml}"),
            &expect![[r#"
            FROM ./model.gguf
            TEMPLATE """{{ if .System }}<|im_start|>system
            {{ .System }}<|im_end|>
            <|im_start|>user
            {{ else }}<|im_start|>system
            Help.<|im_end|>
            <|im_start|>user
            {{ end }}{{ .Prompt }}<|im_end|>
            <|im_start|>assistant
            <think>

            </think>

            """
            PARAMETER stop "a"
            PARAMETER temperature 0
        "#]],
        );
        let llama = "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content }}\
<|eot_id|>{% endfor %}<|start_header_id|>assistant<|end_header_id|>\n\n";
        check(
            llama,
            &expect![[r#"
            FROM ./model.gguf
            TEMPLATE """{{ if .System }}<|start_header_id|>system<|end_header_id|>

            {{ .System }}<|eot_id|>{{ end }}<|start_header_id|>user<|end_header_id|>

            {{ .Prompt }}<|eot_id|><|start_header_id|>assistant<|end_header_id|>
            """
            PARAMETER stop "a"
            PARAMETER temperature 0
        "#]],
        );
    }

    #[test]
    fn a_system_message_may_be_part_of_the_users() {
        let first = "{% if messages[0].role == 'system' %}{% set s = messages[0].content ~ '\n\n' %}\
{% set rest = messages[1:] %}{% else %}{% set s = '' %}{% set rest = messages %}{% endif %}";
        let mistral = "{{ bos_token }}{% for m in rest %}[INST] {{ s }}{{ m.content }}[/INST]{% endfor %}";
        check(
            &format!("{first}{mistral}"),
            &expect![[r#"
            FROM ./model.gguf
            TEMPLATE """[INST] {{ if .System }}{{ .System }}

            {{ end }}{{ .Prompt }}[/INST]"""
            PARAMETER stop "a"
            PARAMETER temperature 0
        "#]],
        );
        let gemma = "{{ bos_token }}{% for m in rest %}<start_of_turn>user\n{{ s }}{{ m.content }}<end_of_turn>\n{% endfor %}\
<start_of_turn>model\n";
        check(
            &format!("{first}{gemma}"),
            &expect![[r#"
            FROM ./model.gguf
            TEMPLATE """<start_of_turn>user
            {{ if .System }}{{ .System }}

            {{ end }}{{ .Prompt }}<end_of_turn>
            <start_of_turn>model"""
            PARAMETER stop "a"
            PARAMETER temperature 0
        "#]],
        );
    }

    #[test]
    fn a_template_that_changes_texts_is_left_to_the_client() {
        let said = "{% for m in messages %}[{{ m.content | upper }}]{% endfor %}";
        check(
            said,
            &expect![[r#"
            FROM ./model.gguf
            # The chat template does not write a system and a user text as they are: prompts must be sent rendered, as prompt_contract.json shows.
            TEMPLATE """{{ .Prompt }}"""
            PARAMETER stop "a"
            PARAMETER temperature 0
        "#]],
        );
        check(
            "{% for m in messages %}{{ '{{' }}{{ m.content }}{% endfor %}",
            &expect![[r#"
            FROM ./model.gguf
            # The chat template does not write a system and a user text as they are: prompts must be sent rendered, as prompt_contract.json shows.
            TEMPLATE """{{ .Prompt }}"""
            PARAMETER stop "a"
            PARAMETER temperature 0
        "#]],
        );
        check(
            "{{ raise_exception('no') }}",
            &expect![[r#"
            FROM ./model.gguf
            # The chat template refuses a system and a user message: prompts must be sent rendered, as prompt_contract.json shows.
            TEMPLATE """{{ .Prompt }}"""
            PARAMETER stop "a"
            PARAMETER temperature 0
        "#]],
        );
    }
}
