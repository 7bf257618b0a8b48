//! What servers load, and the commands that start them.

use std::fmt::Write;

use emotrain_base::Complaint;
use emotrain_hub::Trained;
use emotrain_model::{ModelConfig, PeftAdapter};
use emotrain_prompt::PromptContract;

use crate::error::ExportError;
use crate::format::{ExportFormat, Server};

/// The ranks that vLLM takes (`vllm/config/lora.py`, `MaxLoRARanks`); an adapter of another rank needs the next one.
const VLLM_RANKS: [usize; 9] = [1, 8, 16, 32, 64, 128, 256, 320, 512];

/// The modules that TGI adapts (`server/text_generation_server/utils/adapter.py`).
const TGI_MODULES: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

const GGUF: &str = Trained::GGUF;
const GGUF_LORA: &str = Trained::GGUF_ADAPTER;

/// Whether a server takes one rank and one scale for all modules.
pub(crate) fn wants_one_rank(server: Server) -> bool {
    match server {
        Server::Vllm | Server::Tgi | Server::Sglang => true,
        Server::Peft | Server::LlamaCpp | Server::Ollama => false,
    }
}

/// Refuses what a server would not load, or would load in part.
///
/// # Errors
/// The limit that is exceeded, with the way around it.
pub(crate) fn check(
    server: Server,
    formats: &[ExportFormat],
    adapter: Option<&PeftAdapter>,
    model: &ModelConfig,
) -> Result<(), ExportError> {
    let needs_gguf = matches!(server, Server::LlamaCpp | Server::Ollama);
    if !formats.iter().any(|format| format.is_gguf() == needs_gguf) {
        let format = if needs_gguf { ExportFormat::Gguf } else { ExportFormat::Merged };
        let message = format!("--for {}: it loads none of the formats asked for", server.name());
        return Err(Complaint::usage(message).hint(format!("add {} to --format", format.name())).into());
    }
    let Some(adapter) = adapter.filter(|_| formats.contains(&ExportFormat::Peft)) else { return Ok(()) };
    if adapter.is_dora() && wants_one_rank(server) {
        let message = format!("--for {}: it loads no DoRA adapter", server.name());
        return Err(Complaint::usage(message).hint("export a whole model for it: --format merged").into());
    }
    let refuse = |message: String| {
        Err(Complaint::usage(message).hint("export a whole model for it: --format merged").into())
    };
    let rank = adapter.rank();
    match server {
        Server::Vllm if rank > VLLM_RANKS[VLLM_RANKS.len() - 1] => {
            refuse(format!("--for vllm: rank {rank}, it loads at most 512"))
        }
        Server::Tgi => {
            let names = adapter.target_names();
            if let Some(other) = names.iter().find(|name| !TGI_MODULES.contains(&name.as_str())) {
                return refuse(format!("--for tgi: {other} is adapted, which it does not know"));
            }
            match adapter.name_missing_in_a_layer(model) {
                Some(name) => refuse(format!(
                    "--for tgi: {name} is adapted in some layers only, and TGI would leave it out everywhere"
                )),
                None => Ok(()),
            }
        }
        Server::Vllm | Server::Sglang | Server::Peft | Server::LlamaCpp | Server::Ollama => Ok(()),
    }
}

/// The text of `serve.md`.
pub(crate) fn guide(
    servers: &[Server],
    format: ExportFormat,
    base: &str,
    adapter: Option<&PeftAdapter>,
    contract: Option<&PromptContract>,
) -> String {
    let mut text =
        "# Serving\n\nPrompts must be those of the training: `prompt_contract.json` has the template, the \
labels as tokens, and an example as text and as token ids.\n"
            .to_owned();
    let all: &[Server] = match format {
        ExportFormat::Peft | ExportFormat::Merged => {
            &[Server::Peft, Server::Vllm, Server::Sglang, Server::Tgi]
        }
        ExportFormat::Gguf | ExportFormat::GgufLora => &[Server::LlamaCpp, Server::Ollama],
    };
    let loads = |server: &Server| {
        !(format == ExportFormat::Peft && wants_one_rank(*server)) || adapter.is_none_or(|one| !one.is_dora())
    };
    let chosen =
        || all.iter().copied().filter(|one| servers.is_empty() || servers.contains(one)).filter(loads);
    for server in chosen() {
        let (name, command) = match format {
            ExportFormat::Peft => with_adapter(server, base, adapter.map_or(0, PeftAdapter::rank)),
            ExportFormat::Merged => whole(server),
            ExportFormat::Gguf | ExportFormat::GgufLora => llama_cpp(server, format, base),
        };
        // Writing to a string does not fail.
        let _ = write!(text, "\n## {name}\n\n{command}\n");
    }
    let thinking = contract.map(|contract| {
        format!(
            "Requests to `/chat/completions` need `\"chat_template_kwargs\": {{\"enable_thinking\": {}}}` where the chat \
template knows of reasoning. ",
            contract.enable_thinking
        )
    });
    // The others take no token ids.
    let takes_ids = |server: &Server| matches!(server, Server::Vllm | Server::Sglang | Server::LlamaCpp);
    if let (Some(server), Some(_)) = (chosen().find(takes_ids), contract) {
        let _ = write!(text, "\n## Asking a server\n\n{}", client(server));
    }
    let checks: Vec<String> = chosen().filter_map(verify_command).collect();
    if !checks.is_empty() {
        let _ = write!(
            text,
            "\n## Checking a server\n\n{}This compares a running server with the run, and tells an adapter that is not \
loaded from another chat template:\n\n```console\n{}\n```\n",
            thinking.unwrap_or_default(),
            checks.join("\n")
        );
    }
    let _ = write!(
        text,
        "\n## A hub\n\nNothing was sent anywhere. To upload this folder:\n\n```console\nhf upload OWNER/NAME . .\n```\n"
    );
    text
}

/// What it calls itself.
fn named(server: Server) -> &'static str {
    match server {
        Server::Vllm => "vLLM",
        Server::Tgi => "TGI",
        Server::Sglang => "SGLang",
        Server::Peft => "PEFT",
        Server::LlamaCpp => "llama.cpp",
        Server::Ollama => "Ollama",
    }
}

/// Where it listens, started as above: each on its own port by default.
fn port(server: Server) -> Option<u16> {
    match server {
        Server::Peft => None,
        Server::Vllm => Some(8000),
        Server::Sglang => Some(30000),
        Server::Tgi => Some(3000),
        Server::LlamaCpp => Some(8080),
        Server::Ollama => Some(11434),
    }
}

/// A client that asks the contract's example as token ids, so that no template comes in between.
fn client(server: Server) -> String {
    let (name, port) = (named(server), port(server).unwrap_or_default());
    format!(
        "The contract's example, which {name} answers with a label:\n\n```python\nimport json, urllib.request\n\n\
example = json.load(open(\"prompt_contract.json\"))[\"golden\"]\n\
body = {{\"model\": \"emotion\", \"prompt\": example[\"ids\"][: example[\"prompt_len\"]], \"max_tokens\": 8, \"temperature\": 0}}\n\
url, kind = \"http://localhost:{port}/v1/completions\", {{\"Content-Type\": \"application/json\"}}\n\
answer = urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), kind))\n\
print(json.load(answer)[\"choices\"][0][\"text\"])\n```\n\n\
`prompt_ids` of emotrain_reader.py makes the token ids of other utterances.\n"
    )
}

/// The command that compares a server, started as above, with the run.
fn verify_command(server: Server) -> Option<String> {
    let (name, port) = (named(server), port(server)?);
    Some(format!(
        "emotrain verify --endpoint http://localhost:{port}/v1 --model emotion --run RUN   # {name}"
    ))
}

fn llama_cpp(server: Server, format: ExportFormat, base: &str) -> (&'static str, String) {
    let command = match (server, format) {
        (Server::Ollama, ExportFormat::Gguf) => {
            "ollama create emotion -f Modelfile\nollama run emotion".to_owned()
        }
        (Server::Ollama, _) => {
            "# name the base in Modelfile first: a model of Ollama's, or a .gguf file of emotrain export\nollama create emotion -f Modelfile\nollama run emotion"
                .to_owned()
        }
        (_, ExportFormat::Gguf) => format!("llama-server --model {GGUF} --alias emotion --jinja --port 8080"),
        _ => format!(
            "{}\nllama-server --model BASE/{GGUF} --lora {GGUF_LORA} --alias emotion --jinja --port 8080",
            base_as_gguf(base)
        ),
    };
    (named(server), format!("```console\n{command}\n```"))
}

/// The commands that write the base for llama.cpp into the folder BASE.
fn base_as_gguf(base: &str) -> String {
    if std::path::Path::new(base).exists() {
        return format!("emotrain export {base} --format gguf --out BASE");
    }
    format!("hf download {base} --local-dir base\nemotrain export base --format gguf --out BASE")
}

fn with_adapter(server: Server, base: &str, rank: usize) -> (&'static str, String) {
    let console = |lines: &str| format!("```console\n{lines}\n```");
    let rank = VLLM_RANKS.into_iter().find(|allowed| *allowed >= rank).unwrap_or(rank);
    match server {
        Server::Vllm => (
            named(server),
            console(&format!(
                "vllm serve {base} --enable-lora --max-lora-rank {rank} --lora-modules emotion=$PWD"
            )),
        ),
        Server::Sglang => (
            named(server),
            console(&format!(
                "python -m sglang.launch_server --model-path {base} --max-lora-rank {rank} --lora-paths emotion=$PWD"
            )),
        ),
        Server::Tgi => (
            named(server),
            console(&format!("LORA_ADAPTERS=emotion=$PWD text-generation-launcher --model-id {base}")),
        ),
        Server::Peft | Server::LlamaCpp | Server::Ollama => (
            named(server),
            format!(
                "```python\nfrom peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n\
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({base:?}), \".\").eval()\n```"
            ),
        ),
    }
}

fn whole(server: Server) -> (&'static str, String) {
    let console = |lines: &str| format!("```console\n{lines}\n```");
    match server {
        Server::Vllm => (named(server), console("vllm serve $PWD --served-model-name emotion")),
        Server::Sglang => (
            named(server),
            console("python -m sglang.launch_server --model-path $PWD --served-model-name emotion"),
        ),
        Server::Tgi => (named(server), console("text-generation-launcher --model-id $PWD")),
        Server::Peft | Server::LlamaCpp | Server::Ollama => (
            "transformers",
            "```python\nfrom transformers import AutoModelForCausalLM\n\n\
model = AutoModelForCausalLM.from_pretrained(\".\").eval()\n```"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use emotrain_model::ModelDescription;
    use expect_test::{Expect, expect};

    use super::*;

    /// The commands of a guide.
    #[track_caller]
    fn check(format: ExportFormat, servers: &[Server], expected: &Expect) {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
        let config = ModelDescription::read(&golden.join("decoder/llama3_tiny/config.json")).unwrap().config;
        let adapter = PeftAdapter::open(&golden.join("lora/llama3_all_linear/initial"), &config).unwrap();
        let guide = guide(servers, format, "OWNER/BASE", Some(&adapter), None);
        let (_, commands) = guide.split_once("## ").unwrap();
        let (commands, _) = commands.split_once("\n## A hub").unwrap();
        expected.assert_eq(commands);
    }

    #[test]
    fn a_server_is_started_under_the_name_and_port_that_it_is_checked_by() {
        check(
            ExportFormat::Merged,
            &[Server::Vllm],
            &expect![[r"
        vLLM

        ```console
        vllm serve $PWD --served-model-name emotion
        ```

        ## Checking a server

        This compares a running server with the run, and tells an adapter that is not loaded from another chat template:

        ```console
        emotrain verify --endpoint http://localhost:8000/v1 --model emotion --run RUN   # vLLM
        ```
    "]],
        );
        check(
            ExportFormat::Peft,
            &[Server::Vllm, Server::Sglang],
            &expect![[r"
        vLLM

        ```console
        vllm serve OWNER/BASE --enable-lora --max-lora-rank 8 --lora-modules emotion=$PWD
        ```

        ## SGLang

        ```console
        python -m sglang.launch_server --model-path OWNER/BASE --max-lora-rank 8 --lora-paths emotion=$PWD
        ```

        ## Checking a server

        This compares a running server with the run, and tells an adapter that is not loaded from another chat template:

        ```console
        emotrain verify --endpoint http://localhost:8000/v1 --model emotion --run RUN   # vLLM
        emotrain verify --endpoint http://localhost:30000/v1 --model emotion --run RUN   # SGLang
        ```
    "]],
        );
    }

    #[test]
    fn so_is_one_of_gguf_files_and_what_only_loads_says_so() {
        check(
            ExportFormat::GgufLora,
            &[Server::LlamaCpp],
            &expect![[r"
        llama.cpp

        ```console
        hf download OWNER/BASE --local-dir base
        emotrain export base --format gguf --out BASE
        llama-server --model BASE/model.gguf --lora adapter.gguf --alias emotion --jinja --port 8080
        ```

        ## Checking a server

        This compares a running server with the run, and tells an adapter that is not loaded from another chat template:

        ```console
        emotrain verify --endpoint http://localhost:8080/v1 --model emotion --run RUN   # llama.cpp
        ```
    "]],
        );
        check(
            ExportFormat::Gguf,
            &[Server::LlamaCpp, Server::Ollama],
            &expect![[r"
        llama.cpp

        ```console
        llama-server --model model.gguf --alias emotion --jinja --port 8080
        ```

        ## Ollama

        ```console
        ollama create emotion -f Modelfile
        ollama run emotion
        ```

        ## Checking a server

        This compares a running server with the run, and tells an adapter that is not loaded from another chat template:

        ```console
        emotrain verify --endpoint http://localhost:8080/v1 --model emotion --run RUN   # llama.cpp
        emotrain verify --endpoint http://localhost:11434/v1 --model emotion --run RUN   # Ollama
        ```
    "]],
        );
        check(
            ExportFormat::Merged,
            &[Server::Peft],
            &expect![[r#"
        transformers

        ```python
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(".").eval()
        ```
    "#]],
        );
    }
}
