//! What every crate needs: atomic writes, verified reads and size limits; what an error means to whoever started the
//! program; and a listener for progress.
//!
//! [`write_atomic`] and [`Output`] write a file atomically; [`Stage`] fills a folder and publishes it with a manifest
//! of its files' digests, which [`verify`] checks. A [`Growing`] file goes on where its process was killed. A [`Lock`] keeps other processes out of a folder or
//! from its place. [`read_to_string`]
//! and [`read`] read files up to a [`Limit`], so that no input, such as a device or a file of the wrong kind, exhausts
//! memory or never ends; [`caught`] turns a library's panic over a file into an error, and [`tried`] gives up after a
//! time limit. [`random::Key`] gives seeded draws by purpose. Nothing here knows what the files mean. An error says with [`Advice`] whose fault it is and what to do,
//! [`Problems`] are reported together, and a [`Listener`] is what a library reports progress to.
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
mod growing;
mod listener;
mod lock;
mod manifest;
mod output;
mod place;
pub mod random;
mod read;
mod tried;
mod words;

pub use advice::{Advice, Complaint, Fault, Problems, with_causes};
pub use caught::{caught, is_caught};
pub use digest::{hexadecimal, sha256_file, sha256_hex};
pub use error::{Damage, DamagedFile, WriteError, system_words};
pub use folder::{Stage, recover, recover_all, remove_folder};
pub use growing::{FileOrigin, GrowError, Growing, Reached};
pub use listener::{Listener, Meter, Parts, Silent};
pub use lock::{Lock, LockError};
pub use manifest::{MANIFEST, Verified, verify};
pub use output::{Output, write_atomic};
pub use place::{create_folder, one_name};
pub use read::{Limit, limits, long_line, open, open_stream, read, read_to_string};
pub use tried::tried;
pub use words::{nearest, typing_errors};
