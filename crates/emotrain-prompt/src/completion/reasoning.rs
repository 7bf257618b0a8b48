//! Chat templates that open the model's reasoning, which rendered answers do not have.

/// The continuation of such a generation prompt: the end of an empty reasoning block, and what an answered chat has
/// after it. `None` for other prompts.
pub(super) fn closed(prompt: &str, answered: &str) -> Option<String> {
    let opened = prompt.trim_end();
    let (before, closing) = opening(opened)?;
    let rest = answered.strip_prefix(before).or_else(|| answered.strip_prefix(before.trim_end()))?;
    // Qwen3 and others write an empty reasoning block like this.
    let lines = "\n\n".strip_prefix(&prompt[opened.len()..]).unwrap_or("");
    Some(format!("{lines}{closing}\n\n{}", rest.trim_start()))
}

/// The text before a final mark like `<think>`, and the closing mark.
fn opening(text: &str) -> Option<(&str, String)> {
    let last = text.chars().next_back()?;
    let first = match last {
        '>' => '<',
        ']' => '[',
        _ => return None,
    };
    let at = text.rfind(first)?;
    let name = &text[at + 1..text.len() - 1];
    let is_name =
        !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || "_-".contains(letter));
    is_name.then(|| (&text[..at], format!("{first}/{name}{last}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opened_reasoning_is_closed_before_the_answer() {
        for (prompt, answered, expected) in [
            ("Q<a><think>\n", "Q<a>yes<end>", Some("\n</think>\n\nyes<end>")),
            ("Q<a><think>", "Q<a>\nyes<end>", Some("\n\n</think>\n\nyes<end>")),
            ("Q<a>\n<think>\n\n", "Q<a>\nyes", Some("</think>\n\nyes")),
            ("Q[THINK]", "Qyes", Some("\n\n[/THINK]\n\nyes")),
            ("Q<|assistant|>", "Qyes", None),
            ("Q: ", "Qyes", None),
            ("Other<think>", "Qyes", None),
            ("", "yes", None),
        ] {
            assert_eq!(closed(prompt, answered).as_deref(), expected, "{prompt:?}");
        }
    }
}
