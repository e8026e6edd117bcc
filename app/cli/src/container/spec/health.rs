//! The health check.

use crate::container::flags::LifeFlags;
use crate::failure::Failure;
use crate::flags::document::Document;

/// What the `--health-*` flags come to; an empty document when nothing was said.
pub(super) fn check(life: &LifeFlags) -> Result<Document, Failure> {
    let times = [
        life.health_interval,
        life.health_timeout,
        life.health_start_period,
        life.health_start_interval,
    ];
    let anything = life.health_cmd.is_some()
        || life.health_retries.is_some()
        || times.iter().any(Option::is_some);
    let mut check = Document::default();
    if life.no_healthcheck {
        if anything {
            return Err(Failure::usage(
                "--no-healthcheck conflicts with --health-* options",
            ));
        }
        check.always("Test", ["NONE"]);
        return Ok(check);
    }
    if times.iter().flatten().any(|time| *time < 0)
        || life.health_retries.is_some_and(|retries| retries < 0)
    {
        return Err(Failure::usage("the --health-* options cannot be negative"));
    }
    if let Some(command) = life
        .health_cmd
        .as_deref()
        .filter(|command| !command.is_empty())
    {
        check.always("Test", ["CMD-SHELL", command]);
    }
    check
        .put("Interval", life.health_interval)
        .put("Timeout", life.health_timeout)
        .put("StartPeriod", life.health_start_period)
        .put("StartInterval", life.health_start_interval)
        .put("Retries", life.health_retries);
    Ok(check)
}
