//! Rules between the keys of `[interpret]`.

use serde_json::{Map, Value};

use super::Checker;
use crate::problem::Fault;
use crate::recipe::Recipe;
use crate::sections::InterpretSection;

impl Checker<'_> {
    /// The server's address, and the parameters that are forwarded to it.
    pub(super) fn interpretation(&mut self, recipe: &Recipe) {
        let InterpretSection { base_url, extra_body, .. } = &recipe.interpret;
        if let Some(fault) = wrong_address(base_url) {
            self.add(&["interpret.base_url"], fault);
        }
        if let Some(text) = extra_body {
            for fault in wrong_members(text) {
                self.add(&["interpret.extra_body"], fault);
            }
        }
    }
}

fn wrong_address(url: &str) -> Option<Fault> {
    // Not shown in the message: it may contain a password.
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let Some(rest) = rest.filter(|rest| !rest.is_empty() && !rest.starts_with('/')) else {
        let fault = Fault::new("interpret.base_url is not an address of http:// or https://");
        return Some(
            fault.hint("write the part before /chat/completions: base_url = \"http://localhost:8000/v1\""),
        );
    };
    let host = rest.split('/').next().unwrap_or_default();
    if host.contains('@') {
        let fault = Fault::new("interpret.base_url contains a user name or a password");
        return Some(fault.hint("put the key into an environment variable and its name into api_key_env"));
    }
    if url.contains(|letter: char| letter.is_whitespace() || letter.is_control() || "?#".contains(letter)) {
        return Some(Fault::new("interpret.base_url contains a space, \"?\" or \"#\""));
    }
    let path = rest.trim_end_matches('/');
    path.ends_with("/chat/completions").then(|| {
        Fault::new("interpret.base_url contains /chat/completions, which is added to it")
            .hint("write only the part before it")
    })
}

fn wrong_members(text: &str) -> Vec<Fault> {
    let members: Map<String, Value> = match serde_json::from_str(text) {
        Ok(members) => members,
        Err(error) => {
            let fault = Fault::new(format!("interpret.extra_body is not a JSON object: {error}"));
            let example = r#"extra_body = '{"chat_template_kwargs": {"enable_thinking": false}}'"#;
            return vec![fault.hint(format!("write a JSON object in single quotes: {example}"))];
        }
    };
    let ours = members.keys().filter(|name| InterpretSection::OURS.contains(&name.as_str()));
    let fault = |name: &String| {
        let fault =
            Fault::new(format!("interpret.extra_body sets \"{name}\", which has to be set elsewhere"));
        if matches!(name.as_str(), "messages" | "stream" | "n") {
            fault.hint("remove it: emotrain sets the messages and the reply format")
        } else {
            fault.hint(format!("it has a key of its own: {name} = … under [interpret]"))
        }
    };
    ours.map(fault).collect()
}
