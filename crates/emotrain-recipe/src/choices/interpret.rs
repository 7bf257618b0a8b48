//! The closed choices of `[interpret]`.

use std::fmt;

use serde::{Deserialize, Serialize};

choices! {
    /// Where the language model for knowledge runs.
    Provider {
        /// Behind an OpenAI-compatible API.
        Openai = "openai",
        /// In this process.
        Local = "local",
    }
}

choices! {
    /// How the form of a reply is enforced.
    #[derive(Default)]
    ResponseFormat {
        /// By the wording of the question only.
        #[default]
        Text = "text",
        /// By the JSON Schema of the requested object.
        JsonSchema = "json_schema",
    }
}
