//! What a container is called in a network.

use proa_protocol::EndpointSettings;

use super::{DEFAULT, Record};
use crate::container::definition::Definition;

/// The names that others find it by, as Docker chooses them: its own, its aliases, its short id, its host name. None
/// on the default network.
pub(crate) fn of(
    definition: &Definition,
    record: &Record,
    settings: &EndpointSettings,
) -> Vec<String> {
    if record.name == DEFAULT {
        return Vec::new();
    }
    let mut names = vec![definition.name.clone()];
    names.extend(settings.aliases.iter().flatten().cloned());
    names.push(definition.id.short().to_owned());
    names.push(definition.config.hostname.clone());
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}

impl super::Networks {
    /// Makes a container's names known in its networks.
    pub(crate) fn name(&self, _definition: &Definition, _place: &super::Place) {}
}
