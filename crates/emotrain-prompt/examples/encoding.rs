//! The time from a sample's dialogue to token ids, on one core, with the template `short` and nano's tokenizer:
//! `cargo run --release -p emotrain-prompt --example encoding -- DATA.json [HISTORY_WINDOW]`, for a file in PRC-Emo's
//! format.

#![expect(clippy::print_stdout, reason = "an example that measures")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use emotrain_data::{LabelPolicy, LabelSet, load_split};
use emotrain_prompt::{Answers, ChatTokenizer, Encoder, Question, Template, TokenizerFiles};

const NANO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../checkpoints/nano");
const SHORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/prompts/short.jinja");

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let data = arguments.next().ok_or("name a file of dialogues")?;
    let window = arguments.next().unwrap_or_else(|| "5".to_owned());
    let recipe = format!(
        "[model]\nmodel_name_or_path = \"none\"\n[data]\nformat = \"prc_json\"\nlabel_set = \"meld\"\ntrain = {data:?}\n\
         valid = \"none.json\"\n[prompt]\ntemplate = {SHORT:?}\nhistory_window = {window}"
    );
    let recipe = emotrain_recipe::parse(&recipe, "encoding.toml".as_ref(), &[])?;
    let labels = LabelSet::from_section(&recipe.data)?;
    let split = load_split(data.as_ref(), &recipe.data, &labels, LabelPolicy::Required)?;
    let chat = ChatTokenizer::new(TokenizerFiles::from_folder(Path::new(NANO))?)?;
    let template = Template::new(&recipe.prompt, &recipe.knowledge)?;
    let encoder = Encoder::new(chat, template, labels, &recipe.prompt, recipe.train.max_seq_length)?;
    for pass in 1..=3 {
        let start = Instant::now();
        let (mut samples, mut tokens) = (0_u32, 0);
        for dialogue in &split.dialogues {
            for position in 0..dialogue.utterances.len() {
                let sample = encoder.encode_question(Answers::Given, Question::new(dialogue, position))?;
                samples += 1;
                tokens += sample.ids.len();
            }
        }
        let each = start.elapsed() / samples;
        println!("pass {pass}: {samples} samples, {tokens} tokens, {each:.1?} a sample");
    }
    Ok(())
}
