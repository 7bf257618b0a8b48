//! SHA-256 in hexadecimal.

use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

/// The SHA-256 of bytes, in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// The SHA-256 of a file of any size, in hexadecimal.
///
/// # Errors
/// A missing file, a folder, a system error.
pub fn sha256_file(path: &Path) -> io::Result<String> {
    sha256_of(&mut fs_err::File::open(path)?)
}

/// The SHA-256 of the rest of a reader, in hexadecimal.
pub(crate) fn sha256_of(file: &mut impl Read) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hexadecimal(&digest.finalize()));
        }
        digest.update(&buffer[..count]);
    }
}

/// Two digits per byte.
pub fn hexadecimal(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_published_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs_err::write(&path, b"abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(b"abc"), abc);
        assert_eq!(sha256_file(&path).unwrap(), abc);
        assert_eq!(sha256_hex(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let large = vec![7; (1 << 20) + 1];
        fs_err::write(&path, &large).unwrap();
        assert_eq!(sha256_file(&path).unwrap(), sha256_hex(&large));
        assert!(sha256_file(folder.path()).is_err());
    }
}
