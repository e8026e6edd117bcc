//! Pushing: layers the registry lacks are made again from their files and compressed on the way.

use crate::error::Error;
use crate::progress::{Progress, Pushed};
use crate::reference::Reference;
use crate::registry::Credentials;
use crate::store::Store;

impl Store {
    /// Sends an image. Dropping the future stops it.
    pub async fn push(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Pushed, Error> {
        let _ = (reference, credentials, progress);
        Err(Error::Interrupted("not implemented yet".into()))
    }
}
