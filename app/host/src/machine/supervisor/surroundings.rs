//! What the machine is told about the computer around it, in words for its kernel: words of the form `NAME=VALUE` become
//! the environment of its first process (`Documentation/admin-guide/kernel-parameters.rst`).

/// The computer as the machine's network knows it (QEMU's user network).
const HOST: &str = "10.0.2.2";
/// Programs know proxies by these names.
const PROXIES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

/// All words.
pub(super) fn words() -> Vec<String> {
    let said = |name: &str| {
        let value = std::env::var(name).or_else(|_| std::env::var(name.to_lowercase()));
        value.ok().filter(|value| !value.is_empty())
    };
    proxies(said)
}

/// A proxy of this computer's own is the machine's host.
fn proxies(said: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let word = |name: &&str| {
        let value = said(name)?;
        // Such a word cannot be said to a kernel.
        if value.contains(|c: char| c.is_whitespace() || c == '"') {
            return None;
        }
        let value = match *name {
            "NO_PROXY" => value,
            _ => seen_from_inside(&value),
        };
        Some(format!("{name}={value}"))
    };
    PROXIES.iter().filter_map(word).collect()
}

fn seen_from_inside(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (credentials, host) = match authority.rsplit_once('@') {
        Some((credentials, host)) => (format!("{credentials}@"), host),
        None => (String::new(), authority),
    };
    let own = ["localhost", "127.0.0.1", "[::1]"];
    let host = own
        .iter()
        .find_map(|own| host.strip_prefix(own))
        .filter(|rest| rest.is_empty() || rest.starts_with(':'))
        .map_or_else(|| host.to_owned(), |port| format!("{HOST}{port}"));
    format!("{scheme}://{credentials}{host}/{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_of_this_computer_is_the_machines_host() {
        for (outside, inside) in [
            ("http://localhost:3128", "http://10.0.2.2:3128/"),
            ("http://me:x@127.0.0.1:1/", "http://me:x@10.0.2.2:1/"),
            ("proxy:80", "http://proxy:80/"),
            ("https://localhost.example/p", "https://localhost.example/p"),
        ] {
            assert_eq!(seen_from_inside(outside), inside);
        }
    }

    #[test]
    fn what_a_kernel_cannot_be_told_is_left_out() {
        let said = |name: &str| match name {
            "HTTP_PROXY" => Some("http://a b".to_owned()),
            "NO_PROXY" => Some("localhost,.example".to_owned()),
            _ => None,
        };
        assert_eq!(proxies(said), ["NO_PROXY=localhost,.example"]);
    }
}
