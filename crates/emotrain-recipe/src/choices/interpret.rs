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
