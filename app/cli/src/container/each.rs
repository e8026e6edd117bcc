//! Doing the same to several containers: each is named when it is done, and one that fails does not stop the others.

use std::future::Future;

use crate::failure::{Exit, Failure};
use crate::output;

/// Does `act` to each name, side by side, and prints the names in order.
pub(crate) async fn name<F>(names: &[String], act: impl Fn(String) -> F) -> Result<Exit, Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let results = futures_util::future::join_all(names.iter().map(|name| act(name.clone()))).await;
    let mut failed = false;
    for (name, result) in names.iter().zip(results) {
        match result {
            Ok(()) => output::line(name)?,
            Err(failure) => {
                failure.report();
                failed = true;
            }
        }
    }
    if failed {
        Err(Failure::Reported)
    } else {
        Ok(Exit::OK)
    }
}
