//! Limits of bandwidth: `10mbit`, or `in=10mbit,out=1mbit`. Docker has no field for them, so they travel as an
//! annotation.

use proa_networks::Rate;
use proa_protocol::HostConfig;

use crate::{Error, Result};

/// The annotation.
pub(crate) const ANNOTATION: &str = "proa.net-rate";

/// Bits per second of each unit, as tc(8) writes them; a number alone is bits per second.
const UNITS: &[(&str, f64)] = &[
    ("tbit", 1e12),
    ("gbit", 1e9),
    ("mbit", 1e6),
    ("kbit", 1e3),
    ("bit", 1.0),
];

/// What a container was given.
pub(crate) fn of(host: &HostConfig) -> Result<Rate> {
    let wanted = host.annotations.as_ref();
    wanted
        .and_then(|annotations| annotations.get(ANNOTATION))
        .map_or_else(|| Ok(Rate::default()), |text| parse(text))
}

fn parse(text: &str) -> Result<Rate> {
    let wrong = || {
        Error::bad(format!(
            "invalid network rate {text:?}: expected 10mbit, or in=10mbit,out=1mbit"
        ))
    };
    if !text.contains('=') {
        let both = bits(text).ok_or_else(wrong)?;
        return Ok(Rate {
            ingress: Some(both),
            egress: Some(both),
        });
    }
    let mut rate = Rate::default();
    for part in text.split(',') {
        let (way, value) = part.split_once('=').ok_or_else(wrong)?;
        let value = Some(bits(value).ok_or_else(wrong)?);
        match way {
            "in" => rate.ingress = value,
            "out" => rate.egress = value,
            _ => return Err(wrong()),
        }
    }
    Ok(rate)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be between 8 and 1e15"
)]
fn bits(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let (number, factor) = UNITS
        .iter()
        .find_map(|(unit, factor)| Some((lower.strip_suffix(unit)?, *factor)))
        .unwrap_or((&lower, 1.0));
    let rate = number.parse::<f64>().ok()? * factor;
    (8.0..1e15).contains(&rate).then_some(rate as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(Option<u64>, Option<u64>)>) {
        let read = parse(text).ok().map(|rate| (rate.ingress, rate.egress));
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn a_rate_is_one_number_or_one_for_each_way() {
        check("10mbit", Some((Some(10_000_000), Some(10_000_000))));
        check("in=1.5mbit", Some((Some(1_500_000), None)));
        check(
            "in=1gbit,out=64kbit",
            Some((Some(1_000_000_000), Some(64_000))),
        );
        check("800", Some((Some(800), Some(800))));
        for wrong in ["", "fast", "-1mbit", "in=", "up=1mbit", "0", "nan"] {
            check(wrong, None);
        }
    }
}
