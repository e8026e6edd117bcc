//! Sizes for people: `1.23MB` (thousands) and `4.5MiB` (1,024s), as Docker writes them.

const THOUSANDS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const BINARY: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// With four significant digits and units of a thousand: disk usage.
pub(crate) fn decimal(bytes: u64) -> String {
    scaled(bytes as f64, 1000.0, &THOUSANDS, 4)
}

/// With three significant digits and units of a thousand: image sizes.
pub(crate) fn short(bytes: u64) -> String {
    scaled(bytes as f64, 1000.0, &THOUSANDS, 3)
}

/// With four significant digits and units of 1,024: memory.
pub(crate) fn binary(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &BINARY, 4)
}

fn scaled(mut size: f64, base: f64, units: &[&str], digits: usize) -> String {
    let mut unit = 0;
    while size >= base && unit + 1 < units.len() {
        size /= base;
        unit += 1;
    }
    format!("{}{}", significant(size, digits), units[unit])
}

/// `%.{digits}g`: so many significant digits, no trailing zeros.
fn significant(value: f64, digits: usize) -> String {
    let whole = if value < 1.0 {
        1
    } else {
        value.log10().floor() as usize + 1
    };
    let text = format!("{value:.*}", digits.saturating_sub(whole));
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_dockers() {
        let cases = [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1_234_567, "1.23MB"),
            (2_000_000_000, "2GB"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(short(bytes), expected);
        }
        assert_eq!(decimal(1_983_500), "1.984MB");
        assert_eq!(short(4_263_000), "4.26MB");
        assert_eq!(short(116_740_000), "117MB");
        assert_eq!(binary(0), "0B");
        assert_eq!(binary(1536), "1.5KiB");
        assert_eq!(binary(24_631_050_240), "22.94GiB");
    }
}
