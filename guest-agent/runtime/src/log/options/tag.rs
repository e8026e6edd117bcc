//! The tag: a template with a container's names in it.

use super::chosen::short;
use super::texts::Texts;
use super::{About, BadLogOption};

/// The tag of a driver that always has one.
pub(super) fn tag(options: &Texts, about: &About<'_>) -> Result<String, BadLogOption> {
    let template = options.get("tag").filter(|tag| !tag.is_empty());
    expand(template.map_or("{{.ID}}", String::as_str), about)
}

/// Fills a template in.
pub(super) fn expand(template: &str, about: &About<'_>) -> Result<String, BadLogOption> {
    let bad = |what: &str| BadLogOption::value(format!("template: log-tag: {what}"));
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let (action, after) = after
            .split_once("}}")
            .ok_or_else(|| bad("unclosed action"))?;
        let field = action.trim_matches(|c: char| c == '-' || c.is_whitespace());
        out.push_str(
            &value(field, about).ok_or_else(|| bad(&format!("can't evaluate field {field}")))?,
        );
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn value(field: &str, about: &About<'_>) -> Option<String> {
    let image_id = about.image_id.trim_start_matches("sha256:");
    Some(match field {
        ".ID" => short(about.id).to_owned(),
        ".FullID" | ".ContainerID" => about.id.to_owned(),
        ".Name" => about.name.to_owned(),
        ".FullName" | ".ContainerName" => format!("/{}", about.name),
        ".ImageID" => short(image_id).to_owned(),
        ".ImageFullID" | ".ContainerImageID" => about.image_id.to_owned(),
        ".ImageName" | ".ImageFullName" | ".ContainerImageName" => about.image_name.to_owned(),
        ".Command" => about.command.to_owned(),
        ".Hostname" => about.hostname.to_owned(),
        ".DaemonName" => "docker".to_owned(),
        _ => return None,
    })
}
