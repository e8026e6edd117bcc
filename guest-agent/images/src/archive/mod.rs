//! Images as one file: loading, saving, importing.

mod import;
mod load;
mod save;

pub(crate) use save::Hashing;
