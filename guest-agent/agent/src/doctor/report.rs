//! What was found, for people and for programs.

use std::fmt::Write;

use super::finding::{Finding, Verdict};

/// A line each, what to do beneath, and a sum at the end.
pub(super) fn text(findings: &[Finding]) -> String {
    let width = findings
        .iter()
        .map(|finding| finding.name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for Finding {
        name,
        verdict,
        found,
        advice,
    } in findings
    {
        let mark = match verdict {
            Verdict::Good => "ok     ",
            Verdict::Less => "less   ",
            Verdict::Missing => "MISSING",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{mark}  {name:width$}  {found}");
        if let Some(advice) = advice {
            let _ = writeln!(text, "{:9}{:width$}  → {advice}", "", "");
        }
    }
    let count = |wanted| {
        findings
            .iter()
            .filter(|finding| finding.verdict == wanted)
            .count()
    };
    let (less, missing) = (count(Verdict::Less), count(Verdict::Missing));
    let sum = match (less, missing) {
        (0, 0) => "Everything is there.".to_owned(),
        (less, 0) => {
            format!("Containers run here; {less} of their features do not work or are limited.")
        }
        (_, missing) => format!("Containers do not run here: {missing} thing(s) to mend."),
    };
    let _ = writeln!(text, "\n{sum}");
    text
}

/// One document: whether containers run, and every finding.
pub(super) fn json(findings: &[Finding]) -> String {
    let document = serde_json::json!({
        "healthy": !findings.iter().any(Finding::is_fatal),
        "findings": findings,
    });
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::good("kernel", "6.12"),
            Finding::less("swap", "not counted", "boot with swapaccount=1"),
        ]
    }

    #[test]
    fn people_read_what_to_do_beneath() {
        let expected = "ok       kernel  6.12\nless     swap    not counted\n                 → boot with swapaccount=1\n\n\
                        Containers run here; 1 of their features do not work or are limited.\n";
        assert_eq!(text(&findings()), expected);
        let broken = [Finding::missing("overlay", "none", "load it")];
        assert!(text(&broken).ends_with("Containers do not run here: 1 thing(s) to mend.\n"));
    }

    #[test]
    fn programs_read_a_document() {
        let document: serde_json::Value = serde_json::from_str(&json(&findings())).unwrap();
        assert_eq!(document["healthy"], true);
        assert_eq!(document["findings"][1]["verdict"], "less");
        assert_eq!(document["findings"][0].get("advice"), None);
    }
}
