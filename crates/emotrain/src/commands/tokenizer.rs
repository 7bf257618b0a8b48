//! `emotrain tokenizer`: a byte-level BPE tokenizer with a chat template, as Hugging Face keeps one.

use std::path::Path;

use emotrain_base::{Complaint, Lock, write_atomic};
use emotrain_data::TextFile;
use serde_json::json;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, DecoderWrapper, PostProcessorWrapper, TokenizerBuilder};

use super::export::check_place;
use crate::cli::TokenizerArgs;
use crate::exit::Exit;
use crate::shell::Shell;

/// Ends a document; begins and ends a turn of a chat. Their ids are 0, 1 and 2.
const SPECIAL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

/// Bytes and special tokens.
const LEAST: usize = 256 + SPECIAL.len();

/// The chat format of `ChatML`.
const CHAT_TEMPLATE: &str = "\
{%- for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}";

/// Runs the command.
///
/// # Errors
/// A vocabulary that is too small, a text that cannot be read, a folder that cannot be written.
pub(crate) fn run(args: &TokenizerArgs, shell: &Shell) -> anyhow::Result<Exit> {
    if args.vocab_size < LEAST {
        let complaint = Complaint::usage(format!("--vocab-size {}: too small", args.vocab_size));
        return Err(complaint.hint(format!("the bytes and the special tokens need at least {LEAST}")).into());
    }
    // Before it is looked at: another process may be about to write there.
    let _lock = Lock::beside(&args.output)?;
    check_place("--output", &args.output)?;
    let texts: Vec<TextFile> =
        args.files.iter().map(|file| TextFile::read(file)).collect::<Result<_, _>>()?;
    let (tokenizer_json, size) = train(&texts, args.vocab_size)?;
    if size < args.vocab_size {
        shell.printer.warn(format_args!("the text has merges for only {size} tokens"));
    }
    write(&args.output, &tokenizer_json)?;
    shell.printer.say(format_args!("{}: a tokenizer of {size} tokens", args.output.display()));
    Ok(Exit::Done)
}

/// The text of `tokenizer.json` and the number of tokens. The same texts give the same tokenizer.
fn train(texts: &[TextFile], vocab_size: usize) -> anyhow::Result<(String, usize)> {
    let wrong =
        |error: tokenizers::Error| Complaint::input(format!("the tokenizer cannot be trained: {error}"));
    // Spaces belong to the word after them; nothing is added before the first.
    let bytes = ByteLevel::new(false, true, true);
    let mut tokenizer =
        TokenizerBuilder::<BPE, NormalizerWrapper, ByteLevel, PostProcessorWrapper, DecoderWrapper>::new()
            .with_model(BPE::default())
            .with_normalizer(None)
            .with_pre_tokenizer(Some(bytes))
            .with_post_processor(None)
            .with_decoder(Some(DecoderWrapper::ByteLevel(bytes)))
            .build()
            .map_err(wrong)?;
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(vocab_size)
        .min_frequency(2)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(SPECIAL.iter().map(|token| AddedToken::from(*token, true)).collect())
        .build();
    let lines = texts.iter().flat_map(|text| text.text.split_inclusive('\n'));
    tokenizer.train(&mut trainer, lines).map_err(wrong)?;
    let size = tokenizer.get_vocab_size(true);
    Ok((tokenizer.to_string(true).map_err(wrong)?, size))
}

fn write(folder: &Path, tokenizer_json: &str) -> anyhow::Result<()> {
    let [document, _, turn] = SPECIAL;
    let config = json!({
        "add_prefix_space": false,
        "bos_token": null,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": false,
        "eos_token": turn,
        "model_max_length": 1_000_000_000_000_000_000_u64,
        "pad_token": document,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": null,
    });
    emotrain_base::create_folder(folder)?;
    write_atomic(&folder.join("tokenizer.json"), tokenizer_json.as_bytes())?;
    write_atomic(&folder.join("tokenizer_config.json"), format!("{config:#}\n").as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use emotrain_prompt::{ChatTokenizer, Ending, Message, Role, Thinking, TokenizerFiles};

    use super::*;

    fn trained(folder: &Path) -> (String, ChatTokenizer) {
        let text = "Mara laughs. Mara sings. Mara laughs and sings again.\n".repeat(3);
        let corpus = TextFile { path: "corpus.txt".into(), sha256: String::new(), text };
        let (json, size) = train(&[corpus], LEAST + 20).unwrap();
        assert_eq!(size, LEAST + 20);
        write(folder, &json).unwrap();
        let tokenizer = ChatTokenizer::new(TokenizerFiles::from_folder(folder).unwrap()).unwrap();
        (json, tokenizer)
    }

    #[test]
    fn any_text_comes_back_and_frequent_words_are_short() {
        let folder = tempfile::tempdir().unwrap();
        let (_, tokenizer) = trained(folder.path());
        let text = "Mara laughs: «ça va?» 🎈\n";
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        assert_eq!(tokenizer.encode(" laughs").unwrap().len(), 1);
        assert_eq!(tokenizer.encode("<|endoftext|><|im_start|><|im_end|>").unwrap(), [0, 1, 2]);
        assert_eq!(tokenizer.eos_token(), Some(("<|im_end|>", 2)));
    }

    #[test]
    fn chats_are_written_in_chat_ml() {
        let folder = tempfile::tempdir().unwrap();
        let (_, tokenizer) = trained(folder.path());
        let messages = [
            Message { role: Role::System, content: "Be kind." },
            Message { role: Role::User, content: "Hi" },
        ];
        let text = tokenizer.apply(&messages, Ending::GenerationPrompt, Thinking::Off).unwrap();
        let expected =
            "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_same_text_gives_the_same_tokenizer() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(trained(folder.path()).0, trained(folder.path()).0);
    }
}
