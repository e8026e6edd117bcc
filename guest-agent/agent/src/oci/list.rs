//! `list`.

use std::fmt::Write as _;

use super::arguments::{Globals, ListArguments, TableFormat};
use super::error::OciError;
use super::report;
use super::state::Document;
use super::store::Folder;

/// Lists the containers of `--root`.
pub(super) fn show(globals: &Globals, arguments: &ListArguments) -> Result<(), OciError> {
    let ids = Folder::ids(globals);
    if arguments.quiet {
        return report::print(&ids.iter().fold(String::new(), |text, id| text + id + "\n"));
    }
    let records = ids
        .iter()
        .filter_map(|id| Folder::open(globals, id).ok()?.record(id).ok());
    let documents: Vec<Document> = records.map(Document::of).collect();
    if arguments.format == TableFormat::Json {
        return report::print_json(&documents);
    }
    let mut table = format!(
        "{:<40} {:>8} {:<8} {:<40} {}\n",
        "ID", "PID", "STATUS", "BUNDLE", "CREATED"
    );
    for one in &documents {
        let bundle = one.bundle.display().to_string();
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "{:<40} {:>8} {:<8} {bundle:<40} {}",
            one.id, one.pid, one.status, one.created
        );
    }
    report::print(&table)
}
