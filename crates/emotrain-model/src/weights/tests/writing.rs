//! Written files, read back by this crate and by the reference implementation.

use std::collections::BTreeMap;
use std::path::Path;

use expect_test::expect;
use safetensors::SafeTensors;

use super::complaint;
use crate::error::ModelError;
use crate::float::FloatType;
use crate::weights::{NamedTensor, SafetensorsFile, TensorSpec, write_safetensors, write_safetensors_with};

fn spec(name: &str, shape: &[usize], dtype: FloatType) -> TensorSpec {
    TensorSpec { name: name.to_owned(), shape: shape.to_vec(), dtype }
}

fn tensor(name: &str, shape: &[usize], dtype: FloatType, first: f32) -> NamedTensor {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|index| first + index as f32 / 3.0).collect();
    NamedTensor { spec: spec(name, shape, dtype), values }
}

fn files_in(folder: &Path) -> Vec<String> {
    let names = fs_err::read_dir(folder).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.safetensors");
    let tensors = [
        tensor("half", &[5], FloatType::F16, -1.0),
        tensor("matrix", &[3, 4], FloatType::F32, 2.5),
        tensor("brain", &[7, 1], FloatType::Bf16, 0.1),
        tensor("nothing", &[0, 4], FloatType::F32, 0.0),
    ];
    let notes = BTreeMap::from([("step".to_owned(), "12".to_owned())]);
    write_safetensors(&path, &tensors, &notes).unwrap();

    let file = SafetensorsFile::open(&path).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["brain", "half", "matrix", "nothing"]);
    assert_eq!(file.metadata()["format"], "pt");
    assert_eq!(file.metadata()["step"], "12");
    for tensor in &tensors {
        let (shape, values) = file.tensor(&tensor.spec.name).unwrap();
        assert_eq!(
            (&shape, file.float_type(&tensor.spec.name)),
            (&tensor.spec.shape, Some(tensor.spec.dtype))
        );
        let expected = tensor.values.iter().map(|value| match tensor.spec.dtype {
            FloatType::F32 => *value,
            FloatType::F16 => half::f16::from_f32(*value).to_f32(),
            FloatType::Bf16 => half::bf16::from_f32(*value).to_f32(),
        });
        assert_eq!(values, expected.collect::<Vec<_>>());
    }
    assert_eq!(files_in(folder.path()), ["adapter.safetensors"]);
}

#[test]
fn the_reference_implementation_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let tensors = [
        tensor("b", &[2, 3], FloatType::F32, 1.0),
        tensor("c", &[3], FloatType::Bf16, 1.0),
        tensor("a", &[1], FloatType::F32, 9.0),
    ];
    write_safetensors(&path, &tensors, &BTreeMap::new()).unwrap();
    let bytes = fs_err::read(&path).unwrap();
    let (length, header) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(length % 8, 0);
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
    let read = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(read.tensor("a").unwrap().data(), 9.0_f32.to_le_bytes());
    assert_eq!(read.tensor("b").unwrap().shape(), [2, 3]);
    assert_eq!(read.tensor("c").unwrap().dtype(), safetensors::Dtype::BF16);
}

#[test]
fn the_same_tensors_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = vec![
        tensor("b", &[2], FloatType::F32, 1.0),
        tensor("a", &[2], FloatType::F16, 2.0),
        tensor("c", &[2], FloatType::F32, 3.0),
    ];
    let notes: BTreeMap<String, String> =
        ('a'..'j').map(|letter| (letter.to_string(), letter.to_string())).collect();
    write_safetensors(&folder.path().join("one"), &tensors, &notes).unwrap();
    tensors.reverse();
    write_safetensors(&folder.path().join("two"), &tensors, &notes).unwrap();
    assert_eq!(
        fs_err::read(folder.path().join("one")).unwrap(),
        fs_err::read(folder.path().join("two")).unwrap()
    );
}

#[test]
fn a_failure_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs_err::write(&path, "old").unwrap();
    let none = BTreeMap::new();
    let twice = [tensor("a", &[2], FloatType::F32, 1.0), tensor("a", &[2], FloatType::F32, 1.0)];
    let mut short = tensor("b", &[2, 2], FloatType::F32, 1.0);
    short.values.pop();
    let specs = [spec("first", &[1], FloatType::F32), spec("second", &[1], FloatType::F32)];
    let refusing = |spec: &TensorSpec, visit: &mut dyn FnMut(&[f32])| match spec.name.as_str() {
        "first" => {
            visit(&[1.0]);
            Ok(())
        }
        name => Err(ModelError::tensor(&path, name, "no longer there")),
    };
    let messages = [
        complaint(write_safetensors(&path, &twice, &none), folder.path()),
        complaint(write_safetensors(&path, &[short], &none), folder.path()),
        complaint(write_safetensors_with(&path, &specs, &none, refusing), folder.path()),
        complaint(write_safetensors(Path::new("/"), &[], &none), folder.path()),
    ];
    assert_eq!(fs_err::read(&path).unwrap(), b"old");
    assert_eq!(files_in(folder.path()), ["model.safetensors"]);
    expect![[r#"
        model.safetensors: tensor "a": given twice
        model.safetensors: tensor "b": 3 values for shape [2, 2]
        model.safetensors: tensor "second": no longer there
        /: cannot be written: the path names no file
    "#]]
    .assert_eq(&messages.concat());
}
