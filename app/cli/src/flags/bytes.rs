//! Amounts of memory: `512m`, `1.5g`, `64KiB`, `-1`.

/// Reads an amount; units are of 1,024, with or without `b` or `ib`.
pub(crate) fn amount(text: &str) -> Result<i64, String> {
    let bad = || format!("invalid size: {text:?}");
    let trimmed = text.trim();
    let digits = trimmed
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'))
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let power = match unit
        .strip_suffix("ib")
        .or(unit.strip_suffix('b'))
        .unwrap_or(&unit)
    {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(bad()),
    };
    let number: f64 = number.parse().map_err(|_| bad())?;
    Ok((number * 1024_f64.powi(power)) as i64)
}

/// Memory plus swap: an amount, or -1 for no limit.
pub(crate) fn swap(text: &str) -> Result<i64, String> {
    if text.trim() == "-1" {
        Ok(-1)
    } else {
        positive(text)
    }
}

/// An amount that is not negative.
pub(crate) fn positive(text: &str) -> Result<i64, String> {
    amount(text).and_then(|amount| {
        if amount < 0 {
            Err(format!("invalid size: {text:?}"))
        } else {
            Ok(amount)
        }
    })
}

/// CPUs as a decimal, in billionths.
pub(crate) fn nano_cpus(text: &str) -> Result<i64, String> {
    let bad = || format!("failed to parse {text:?} as a number of CPUs");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 {
        return Err(format!(
            "{text:?} is too precise: a CPU has a billion parts"
        ));
    }
    let whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| bad())?
    };
    let fraction: i64 = format!("{fraction:0<9}").parse().map_err(|_| bad())?;
    whole
        .checked_mul(1_000_000_000)
        .and_then(|nanos| nanos.checked_add(fraction))
        .filter(|nanos| *nanos >= 0)
        .ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_of_1024() {
        for (text, expected) in [
            ("0", 0),
            ("7", 7),
            ("1k", 1024),
            ("1.5KB", 1536),
            ("2GiB", 2 << 30),
            ("256m", 256 << 20),
        ] {
            assert_eq!(amount(text), Ok(expected), "{text}");
        }
        assert!(
            positive("-1").is_err()
                && swap("-1") == Ok(-1)
                && amount("x").is_err()
                && amount("1z").is_err()
        );
    }

    #[test]
    fn cpus_are_exact() {
        for (text, expected) in [
            ("0.5", 500_000_000),
            ("2", 2_000_000_000),
            (".1", 100_000_000),
            ("1.000000001", 1_000_000_001),
        ] {
            assert_eq!(nano_cpus(text), Ok(expected), "{text}");
        }
        assert!(
            nano_cpus("x").is_err()
                && nano_cpus("0.0000000001").is_err()
                && nano_cpus("-1").is_err()
        );
    }
}
