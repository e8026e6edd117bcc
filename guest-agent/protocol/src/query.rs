//! What stands behind the `?` of a request, as Docker reads it.

/// The parameters, in their order; a name may come several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

/// A parameter that should be a number.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {name}: strconv.Atoi: parsing {value:?}: invalid syntax")]
pub struct BadQuery {
    /// The parameter.
    pub name: &'static str,
    /// What it was.
    pub value: String,
}

impl Query {
    /// Splits and decodes `a=b&c=d%20e`.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (percent_decode(name, true), percent_decode(value, true))
                })
                .collect(),
        )
    }

    /// The first value of `name`; the empty text where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.opt(name).unwrap_or_default()
    }

    /// The first value of `name`.
    pub fn opt(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(has, _)| has == name)
            .map(|(_, value)| value.as_str())
    }

    /// Every value of `name`.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(has, _)| has == name)
            .map(|(_, value)| value.as_str())
    }

    /// Docker's truth: anything but nothing, `0`, `no`, `false` and `none` in any case.
    pub fn truth(&self, name: &str) -> bool {
        self.truth_or(name, false)
    }

    /// The same, with an answer for an absent parameter.
    pub fn truth_or(&self, name: &str, absent: bool) -> bool {
        self.opt(name).map_or(absent, |value| {
            let value = value.trim().to_ascii_lowercase();
            !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
        })
    }

    /// A number, or `None` where the parameter is absent or empty.
    pub fn number(&self, name: &'static str) -> Result<Option<i64>, BadQuery> {
        match self.opt(name) {
            None | Some("") => Ok(None),
            Some(value) => match value.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(BadQuery {
                    name,
                    value: value.to_owned(),
                }),
            },
        }
    }
}

/// Undoes percent-encoding; bytes that are no text become the replacement character. In a query `+` is a space.
pub fn percent_decode(text: &str, plus_is_space: bool) -> String {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, tail @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                out.push(hex(*high) << 4 | hex(*low));
                rest = tail;
            }
            (b'+', _) if plus_is_space => out.push(b' '),
            (byte, _) => out.push(*byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_may_repeat() {
        let query = Query::parse("a=1&b=x%2Fy+z&a=2&flag");
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(query.text("b"), "x/y z");
        assert_eq!(query.opt("flag"), Some(""));
        assert_eq!(query.opt("none"), None);
        assert_eq!(Query::parse("a=%zz%4").text("a"), "%zz%4");
    }

    #[test]
    fn truth_is_as_docker_sees_it() {
        for (value, truth) in [
            ("1", true),
            ("True", true),
            ("yes", true),
            ("2", true),
            ("0", false),
        ] {
            assert_eq!(
                Query::parse(&format!("t={value}")).truth("t"),
                truth,
                "{value}"
            );
        }
        for value in ["", "no", "FALSE", "none"] {
            assert!(!Query::parse(&format!("t={value}")).truth("t"), "{value}");
        }
        assert!(Query::parse("").truth_or("t", true));
    }

    #[test]
    fn a_bad_number_is_named() {
        assert_eq!(Query::parse("n=").number("n"), Ok(None));
        assert_eq!(Query::parse("n=-1").number("n"), Ok(Some(-1)));
        let error = Query::parse("n=x").number("n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid n: strconv.Atoi: parsing \"x\": invalid syntax"
        );
    }
}
