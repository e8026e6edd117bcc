//! Options as users write them.

use super::*;

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn told(driver: &str, pairs: &[(&str, &str)]) -> String {
    check(driver, &texts(pairs)).map_or_else(|error| error.to_string(), |()| "fine".to_owned())
}

fn sunk(driver: &str, pairs: &[(&str, &str)]) -> LogSink {
    let labels = texts(&[("tier", "web"), ("team", "blue")]);
    let about = About {
        id: "0123456789abcdef",
        name: "happy",
        image_id: "sha256:fedcba9876543210",
        image_name: "alpine",
        command: "sh -c true",
        created: "2026-01-01T00:00:00Z",
        labels: &labels,
        env: &["HOME=/root".to_owned(), "MODE=fast".to_owned()],
        hostname: "box",
    };
    sink(driver, &texts(pairs), &about, Path::new("/c")).unwrap()
}

#[test]
fn drivers_options_and_values_are_checked() {
    for driver in DRIVERS.iter().filter(|driver| **driver != "gelf") {
        assert_eq!(told(driver, &[]), "fine", "{driver}");
    }
    assert_eq!(
        told("pigeon", &[]),
        "logger: no log driver named 'pigeon' is registered"
    );
    assert_eq!(told("gelf", &[]), "gelf-address is a required parameter");
    assert_eq!(
        told("json-file", &[("colour", "x")]),
        "unknown log opt 'colour' for json-file log driver"
    );
    assert_eq!(
        told("syslog", &[("max-size", "1m")]),
        "unknown log opt 'max-size' for syslog log driver"
    );
    assert_eq!(
        told("json-file", &[("max-size", "x")]),
        "invalid suffix: 'x'"
    );
    assert_eq!(
        told("json-file", &[("max-size", "0")]),
        "max-size must be a positive number"
    );
    assert_eq!(
        told("json-file", &[("max-file", "0")]),
        "max-file cannot be less than 1"
    );
    let alone = [("compress", "true"), ("max-size", "1m")];
    let reason = "compress cannot be true when max-file is less than 2 or max-size is not set";
    assert_eq!(told("json-file", &alone), reason);
    assert_eq!(
        told("syslog", &[("syslog-address", "pigeon://x")]),
        "unsupported scheme: 'pigeon'"
    );
    assert_eq!(
        told("syslog", &[("syslog-facility", "x")]),
        "invalid syslog facility"
    );
    assert_eq!(
        told("json-file", &[("mode", "x")]),
        "logger: logging mode not supported: x"
    );
    assert!(told("json-file", &[("tag", "{{.Nope}}")]).contains("can't evaluate field .Nope"));
}

#[test]
fn file_logs_are_capped_unless_told_otherwise() {
    let file = |driver, pairs: &[(&str, &str)]| match sunk(driver, pairs).driver {
        Driver::JsonFile(file) | Driver::Local(file) => file,
        other => panic!("{other:?}"),
    };
    let json = file("json-file", &[]);
    assert_eq!(
        (json.max_size, json.max_files, json.compress),
        (Some(20_000_000), 5, false)
    );
    assert_eq!(json.path, Path::new("/c/0123456789abcdef-json.log"));
    let json = file("json-file", &[("max-size", "10k")]);
    assert_eq!((json.max_size, json.max_files), (Some(10_000), 1));
    let json = file(
        "json-file",
        &[("max-size", "1m"), ("max-file", "3"), ("compress", "true")],
    );
    assert_eq!((json.max_files, json.compress), (3, true));
    let local = file("local", &[("max-size", "-1")]);
    assert_eq!(
        (local.max_size, local.max_files, local.compress),
        (None, 5, true)
    );
}

#[test]
fn labels_variables_and_tags_go_along() {
    let Driver::JsonFile(file) = sunk(
        "json-file",
        &[
            ("labels", "tier,no"),
            ("env-regex", "^MO"),
            ("tag", "{{.Name}}/{{.ID}}"),
        ],
    )
    .driver
    else {
        panic!("no file");
    };
    let expected = [
        ("MODE", "fast"),
        ("tag", "happy/0123456789ab"),
        ("tier", "web"),
    ];
    assert_eq!(
        file.attributes,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

#[test]
fn servers_are_resolved() {
    let endpoint = |driver, pairs: &[(&str, &str)]| match sunk(driver, pairs).driver {
        Driver::Syslog(Syslog { endpoint, .. })
        | Driver::Fluentd(Fluentd { endpoint, .. })
        | Driver::Gelf(Gelf { endpoint, .. }) => endpoint.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(endpoint("syslog", &[]), "unixgram:///dev/log");
    assert_eq!(
        endpoint("syslog", &[("syslog-address", "udp://127.0.0.1")]),
        "udp://127.0.0.1:514"
    );
    assert_eq!(
        endpoint("syslog", &[("syslog-address", "tcp://[::1]:99")]),
        "tcp://[::1]:99"
    );
    assert_eq!(endpoint("fluentd", &[]), "tcp://127.0.0.1:24224");
    assert_eq!(
        endpoint("fluentd", &[("fluentd-address", "unix:///run/f")]),
        "unix:///run/f"
    );
    assert_eq!(
        endpoint("gelf", &[("gelf-address", "udp://127.0.0.1:5")]),
        "udp://127.0.0.1:5"
    );
}

#[test]
fn what_cannot_be_read_back_is_cached() {
    let cache = sunk("syslog", &[("cache-max-size", "1m")]).cache.unwrap();
    assert_eq!(cache.max_size, Some(1_000_000));
    assert_eq!(sunk("syslog", &[("cache-disabled", "true")]).cache, None);
    assert_eq!(sunk("local", &[]).cache, None);
    let (path, _) = readable("syslog", &texts(&[]), "x", Path::new("/c")).unwrap();
    assert_eq!(path, cache.path);
    assert_eq!(readable("none", &texts(&[]), "x", Path::new("/c")), None);
}

#[test]
fn the_journal_gets_names_it_takes() {
    let Driver::Journald(journald) = sunk("journald", &[("labels", "tier"), ("tag", "t")]).driver
    else {
        panic!("no journal");
    };
    let value = |name: &str| {
        journald
            .fields
            .iter()
            .find(|field| field.0 == name)
            .map(|field| field.1.as_str())
    };
    assert_eq!(value("TIER"), Some("web"));
    assert_eq!(value("CONTAINER_ID"), Some("0123456789ab"));
    assert_eq!(value("SYSLOG_IDENTIFIER"), Some("t"));
    assert_eq!(chosen::journal_name("_a.b-c"), Some("A_B_C".to_owned()));
}
