//! What every crate needs: files that are there whole or not at all, are read as they were written, and have limits;
//! what an error means to whoever started the program; and somebody to tell what goes on.
//!
//! [`write_atomic`] and [`Output`] write a file to where it was sent; [`Stage`] fills a folder and publishes it, with a
//! manifest of the digests of its files, which [`verify`] holds against what is there. A [`Lock`] keeps other
//! processes out of a folder. [`read_to_string`] and [`read`] read files up to a [`Limit`], so that no input, be it a
//! device or a file of the wrong kind, takes all memory or never ends; [`caught`] turns the panic of a library over a
//! file into an error, and [`tried`] gives up what does not end. Nothing here knows what the files are about. An error
//! says with [`Advice`] whose fault it is and what to do, [`Problems`] are told in one go, and a [`Listener`] hears what
//! a library has to say.
//!
//! ```
//! let folder = tempfile::tempdir()?;
//! let place = folder.path().join("adapter");
//! let stage = emotrain_base::Stage::open(&place)?;
//! stage.write("weights", b"1 2 3")?;
//! stage.publish()?;
//! emotrain_base::verify(&place)?;
//!
//! fs_err::write(place.join("weights"), "1 2 4")?;
//! assert!(emotrain_base::verify(&place).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod advice;
mod caught;
mod digest;
mod error;
mod folder;
mod listener;
mod lock;
mod manifest;
mod output;
mod read;
mod tried;

pub use advice::{Advice, Complaint, Fault, Problems, with_causes};
pub use caught::{caught, is_caught};
pub use digest::{hexadecimal, sha256_file, sha256_hex};
pub use error::{Damage, DamagedFile, WriteError, system_words};
pub use folder::{Stage, create_folder, recover, recover_all, remove_folder};
pub use listener::{Listener, Meter, Parts, Silent};
pub use lock::{Lock, LockError};
pub use manifest::{MANIFEST, Verified, verify};
pub use output::{Output, write_atomic};
pub use read::{Limit, limits, long_line, open, read, read_to_string};
pub use tried::tried;
