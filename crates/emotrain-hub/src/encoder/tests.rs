use std::path::{Path, PathBuf};

use emotrain_model::device;
use emotrain_recipe::{DeviceChoice, Dtype};
use serde_json::Value;

use super::*;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/sentence")
}

fn texts() -> Vec<String> {
    serde_json::from_str(&fs_err::read_to_string(golden().join("texts.json")).unwrap()).unwrap()
}

fn open(folder: &Path) -> Result<TextEncoder, HubError> {
    TextEncoder::open("e", folder, device::open(&DeviceChoice::Cpu, Dtype::Float32).unwrap())
}

fn copied(name: &str) -> tempfile::TempDir {
    let target = tempfile::tempdir().unwrap();
    for file in ["", "1_Pooling", "2_Normalize"] {
        let from = golden().join(name).join(file);
        for entry in fs_err::read_dir(&from).into_iter().flatten() {
            let path = entry.unwrap().path();
            fs_err::create_dir_all(target.path().join(file)).unwrap();
            if path.is_file() {
                fs_err::copy(&path, target.path().join(file).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    target
}

fn ids(encoder: &TextEncoder, texts: &[String]) -> Vec<Vec<u32>> {
    texts
        .iter()
        .map(|text| encoder.tokenizer.encode_fast(text.as_str(), true).unwrap().get_ids().to_vec())
        .collect()
}

#[test]
fn texts_become_the_tokens_and_vectors_of_sentence_transformers() {
    let texts = texts();
    let numbers: Value =
        serde_json::from_str(&fs_err::read_to_string(golden().join("tiny.json")).unwrap()).unwrap();
    for name in ["tiny_mean", "tiny_cls", "tiny_max"] {
        let encoder = open(&golden().join(name)).unwrap();
        let expected: Vec<Vec<u32>> = serde_json::from_value(numbers[name]["ids"].clone()).unwrap();
        assert_eq!(ids(&encoder, &texts), expected, "{name}");
        let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
        let vectors = encoder.embed(&borrowed).unwrap();
        let expected: Vec<Vec<f32>> = serde_json::from_value(numbers[name]["vectors"].clone()).unwrap();
        for (text, (ours, mut theirs)) in
            texts.iter().zip(vectors.chunks_exact(encoder.dimensions()).zip(expected))
        {
            // Whatever the encoder gives, retrieval gets vectors of length 1.
            let width = theirs.len();
            normalise(&mut theirs, width);
            let difference = ours.iter().zip(&theirs).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(difference < 1e-5, "{name}: {text:?} differs by {difference}");
        }
    }
}

#[test]
fn the_identity_follows_weights_tokenizer_and_settings() {
    let folder = copied("tiny_mean");
    let first = open(folder.path()).unwrap().identity();
    assert_eq!(first, open(&golden().join("tiny_mean")).unwrap().identity());
    let mut seen = vec![first];
    let mut edit = |file: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let path = folder.path().join(file);
        let mut bytes = fs_err::read(&path).unwrap();
        change(&mut bytes);
        fs_err::write(&path, bytes).unwrap();
        let now = open(folder.path()).unwrap().identity();
        assert!(!seen.contains(&now), "{file}");
        seen.push(now);
    };
    let replace = |from: &'static str, to: &'static str| {
        move |bytes: &mut Vec<u8>| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            assert!(text.contains(from), "{from}");
            *bytes = text.replacen(from, to, 1).into_bytes();
        }
    };
    edit("model.safetensors", &|bytes| *bytes.last_mut().unwrap() ^= 1);
    edit("tokenizer.json", &replace("\"lowercase\": true", "\"lowercase\": false"));
    edit("sentence_bert_config.json", &replace("32", "31"));
    edit(
        "1_Pooling/config.json",
        &replace("\"pooling_mode_mean_tokens\": true", "\"pooling_mode_max_tokens\": true"),
    );
    edit("config.json", &replace("1e-12", "1e-11"));
}

#[test]
fn lower_case_is_the_settings_to_ask_for() {
    let folder = copied("tiny_mean");
    let path = folder.path().join("tokenizer.json");
    let text =
        fs_err::read_to_string(&path).unwrap().replacen("\"lowercase\": true", "\"lowercase\": false", 1);
    fs_err::write(&path, text).unwrap();
    let texts = ["HELLO [SEP]".to_owned(), "hello [SEP]".to_owned()];
    let rows = ids(&open(folder.path()).unwrap(), &texts);
    assert_ne!(rows[0], rows[1]);
    let path = folder.path().join("sentence_bert_config.json");
    fs_err::write(&path, "{\"max_seq_length\": 32, \"do_lower_case\": true}").unwrap();
    let rows = ids(&open(folder.path()).unwrap(), &texts);
    assert_eq!(rows[0], rows[1]);
}

#[test]
fn a_tokenizer_that_does_not_belong_to_the_encoder_is_refused() {
    let folder = copied("tiny_mean");
    let path = folder.path().join("tokenizer.json");
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, text.replacen("\"[MASK]\": 4", "\"[MASK]\": 4, \"beyond\": 220", 1)).unwrap();
    let said = Problems::from(open(folder.path()).err().unwrap()).to_string();
    assert!(said.contains("tokenizer.json: token id 220, but the encoder knows 220 tokens"), "{said}");
    fs_err::write(&path, "{}").unwrap();
    assert!(Problems::from(open(folder.path()).err().unwrap()).to_string().contains("tokenizer.json: "));
    fs_err::remove_file(&path).unwrap();
    assert!(
        Problems::from(open(folder.path()).err().unwrap()).to_string().contains("tokenizer.json: not there")
    );
}

/// `all-MiniLM-L6-v2`; `tests/fixtures/fetch-models.sh` brings it.
#[test]
fn minilm_reads_texts_as_sentence_transformers_does() {
    let script = golden().join("../../fixtures/fetch-models.sh");
    let output = std::process::Command::new("bash").arg(script).arg("all-minilm-l6-v2").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let encoder = open(Path::new(String::from_utf8(output.stdout).unwrap().trim())).unwrap();
    let texts = texts();
    let bytes = fs_err::read(golden().join("minilm.safetensors")).unwrap();
    let (header, data) =
        bytes[8..].split_at(usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap());
    let header: Value = serde_json::from_slice(header).unwrap();
    let part = |name: &str| {
        let at =
            |which: usize| usize::try_from(header[name]["data_offsets"][which].as_u64().unwrap()).unwrap();
        &data[at(0)..at(1)]
    };
    let whole = |name: &str| {
        let raw = part(name).chunks_exact(8);
        raw.map(|raw| u32::try_from(i64::from_le_bytes(raw.try_into().unwrap())).unwrap())
            .collect::<Vec<u32>>()
    };
    let rows = ids(&encoder, &texts);
    assert_eq!(
        rows.iter().map(|row| u32::try_from(row.len()).unwrap()).collect::<Vec<_>>(),
        whole("lengths")
    );
    assert_eq!(rows.concat(), whole("ids"));
    assert_eq!(rows.iter().map(Vec::len).max(), Some(256));
    let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
    let ours = encoder.embed(&borrowed).unwrap();
    let theirs = part("vectors").chunks_exact(4).map(|raw| f32::from_le_bytes(raw.try_into().unwrap()));
    let largest = ours.iter().zip(theirs).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
    // Six layers in float32; vectors have length 1.
    assert!(largest < 1e-5, "{largest}");
}
