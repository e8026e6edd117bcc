//! Go's durations: `1h2m3.5s`, `300ms`.

/// Reads a duration, in nanoseconds.
pub(crate) fn nanoseconds(text: &str) -> Result<i64, String> {
    let bad = || format!("invalid duration {text:?}: expected something like 1m30s or 500ms");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(bad());
    }
    let mut total = 0_f64;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .ok_or_else(bad)?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let factor = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 6e10,
            "h" => 3.6e12,
            _ => return Err(bad()),
        };
        total += number.parse::<f64>().map_err(|_| bad())? * factor;
        rest = after;
    }
    let total = total.round() as i64;
    Ok(if negative { -total } else { total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, expected) in [
            ("0", 0),
            ("1s", 1_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("5ms", 5_000_000),
        ] {
            assert_eq!(nanoseconds(text), Ok(expected), "{text}");
        }
        for text in ["", "5", "s", "1x", "1.s.2"] {
            assert!(nanoseconds(text).is_err(), "{text}");
        }
    }
}
