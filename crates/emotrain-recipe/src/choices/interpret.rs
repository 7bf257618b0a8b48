//! The closed choices of `[interpret]`.

use std::fmt;

use serde::{Deserialize, Serialize};

choices! {
    /// Where the language model runs that is asked for knowledge.
    Provider {
        /// Behind an interface of OpenAI's form.
        Openai = "openai",
        /// In the program itself.
        Local = "local",
    }
}

choices! {
    /// What keeps a reply to the form that its question asks for.
    #[derive(Default)]
    ResponseFormat {
        /// The question's words alone.
        #[default]
        Text = "text",
        /// The JSON Schema of the object that is asked for.
        JsonSchema = "json_schema",
    }
}
