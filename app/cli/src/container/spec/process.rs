//! The process: environment, entrypoint, user, labels.

use std::collections::BTreeMap;

use super::Surroundings;
use crate::container::flags::CreateFlags;
use crate::failure::Failure;
use crate::flags::document::Document;
use crate::flags::pairs;

/// Fills in what the container's configuration says about its process.
pub(super) fn fill(
    document: &mut Document,
    flags: &CreateFlags,
    around: &Surroundings<'_>,
) -> Result<(), Failure> {
    let process = &flags.process;
    document
        .put("User", &process.user)
        .put("WorkingDir", &process.workdir)
        .put("StopSignal", &process.stop_signal)
        .put(
            "Env",
            variables(&flags.process.env_file, &flags.process.env, around)?,
        )
        .put("Labels", labels(flags, around)?);
    if let Some(entrypoint) = &process.entrypoint {
        // An empty one is said too: it takes the image's away.
        document.always("Entrypoint", [entrypoint]);
    }
    if let Some(seconds) = process.stop_timeout {
        document.always("StopTimeout", seconds);
    }
    Ok(())
}

/// The variables of files, then those of flags, as `run` and `exec` take them.
pub(crate) fn variables(
    files: &[String],
    flags: &[String],
    around: &Surroundings<'_>,
) -> Result<Vec<String>, Failure> {
    let mut list = Vec::new();
    for file in files {
        let text = around.file(file)?;
        for line in pairs::lines(&text) {
            let name = line.split('=').next().unwrap_or_default();
            if name.trim().is_empty() || name.contains(char::is_whitespace) {
                return Err(Failure::usage(format!(
                    "invalid env file {file}: variable {name:?} contains whitespaces, or has no name"
                )));
            }
            // Unlike a flag, a file does not take the image's variable away.
            if line.contains('=') || (around.variable)(name).is_some() {
                list.push(line.to_owned());
            }
        }
    }
    list.extend(flags.iter().cloned());
    pairs::environment(list, around.variable)
}

fn labels(
    flags: &CreateFlags,
    around: &Surroundings<'_>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut labels = Vec::new();
    for file in &flags.life.label_file {
        labels.extend(pairs::lines(&around.file(file)?).map(str::to_owned));
    }
    labels.extend(flags.life.label.iter().cloned());
    Ok(pairs::map(&labels))
}
