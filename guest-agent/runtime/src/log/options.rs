//! From a driver's name and its options, as a user writes them, to a [`LogSink`].
//!
//! Names, defaults and the words of refusals are Docker's, since clients and scripts match on them.

mod address;
mod chosen;
mod tag;
mod texts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::sink::{
    Driver, Endpoint, FileLog, Fluentd, Gelf, GelfCompression, Journald, LogSink, Mode, Syslog,
    SyslogFormat,
};
use address::{Address, Place};
use texts::{Texts, flag, size};

/// What of a container may go along with its log.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its name, without a slash.
    pub name: &'a str,
    /// The image's id, `sha256:` in front.
    pub image_id: &'a str,
    /// The image as it was asked for.
    pub image_name: &'a str,
    /// The command line.
    pub command: &'a str,
    /// When it was created, RFC 3339.
    pub created: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// Its environment, `NAME=value`.
    pub env: &'a [String],
    /// The machine's host name.
    pub hostname: &'a str,
}

/// A log configuration that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLogOption {
    /// No driver has that name.
    #[error("logger: no log driver named '{0}' is registered")]
    Driver(String),
    /// The driver does not know the option.
    #[error("unknown log opt '{option}' for {driver} log driver")]
    Unknown {
        /// The option's name.
        option: String,
        /// The driver's.
        driver: String,
    },
    /// A value the option cannot have.
    #[error("{0}")]
    Value(String),
}

impl BadLogOption {
    fn value(text: impl Into<String>) -> BadLogOption {
        BadLogOption::Value(text.into())
    }
}

/// The drivers there are.
pub const DRIVERS: [&str; 7] = [
    "json-file",
    "local",
    "none",
    "journald",
    "syslog",
    "fluentd",
    "gelf",
];

/// Options of every driver.
const OF_ALL: &[&str] = &[
    "mode",
    "max-buffer-size",
    "cache-disabled",
    "cache-max-size",
    "cache-max-file",
    "cache-compress",
];
/// Options that choose what goes along with each entry.
const OF_ENTRIES: &[&str] = &["labels", "labels-regex", "env", "env-regex", "tag"];
const OF_FILES: &[&str] = &["max-size", "max-file", "compress"];
const OF_SYSLOG: &[&str] = &[
    "syslog-address",
    "syslog-facility",
    "syslog-format",
    "syslog-tls-ca-cert",
    "syslog-tls-cert",
    "syslog-tls-key",
    "syslog-tls-skip-verify",
];
const OF_FLUENTD: &[&str] = &[
    "fluentd-address",
    "fluentd-async",
    "fluentd-async-reconnect-interval",
    "fluentd-buffer-limit",
    "fluentd-max-retries",
    "fluentd-request-ack",
    "fluentd-retry-wait",
    "fluentd-sub-second-precision",
    "fluentd-write-timeout",
];
const OF_GELF: &[&str] = &[
    "gelf-address",
    "gelf-compression-level",
    "gelf-compression-type",
    "gelf-tcp-max-reconnect",
    "gelf-tcp-reconnect-delay",
];

/// Refuses drivers, options and values there are not. Resolves no names and opens nothing.
pub fn check(driver: &str, options: &BTreeMap<String, String>) -> Result<(), BadLogOption> {
    let own: &[&[&str]] = match driver {
        "none" => return Ok(()),
        "json-file" => &[OF_FILES, OF_ENTRIES],
        "local" => &[OF_FILES],
        "journald" => &[OF_ENTRIES],
        "syslog" => &[OF_SYSLOG, OF_ENTRIES],
        "fluentd" => &[OF_FLUENTD, OF_ENTRIES],
        "gelf" => &[OF_GELF, OF_ENTRIES],
        other => return Err(BadLogOption::Driver(other.to_owned())),
    };
    for option in options.keys().map(String::as_str) {
        if !OF_ALL.contains(&option) && !own.iter().any(|list| list.contains(&option)) {
            return Err(BadLogOption::Unknown {
                option: option.into(),
                driver: driver.into(),
            });
        }
    }
    let about = About {
        id: "000000000000",
        name: "",
        image_id: "",
        image_name: "",
        command: "",
        created: "",
        labels: &BTreeMap::new(),
        env: &[],
        hostname: "",
    };
    build(
        driver,
        options,
        &about,
        Path::new("/"),
        &|address: &Address| address.placeholder(),
    )
    .map(drop)
}

/// Where a container's output is recorded. `dir` is the container's own folder. Names of servers are resolved, which may
/// take as long as the resolver does.
pub fn sink(
    driver: &str,
    options: &BTreeMap<String, String>,
    about: &About<'_>,
    dir: &Path,
) -> Result<LogSink, BadLogOption> {
    check(driver, options)?;
    build(driver, options, about, dir, &Address::resolve)
}

/// The file that a container's log is read back from, with the driver's format; `None` when there is none.
pub fn readable(
    driver: &str,
    options: &BTreeMap<String, String>,
    id: &str,
    dir: &Path,
) -> Option<(PathBuf, super::read::Format)> {
    use super::read::Format;
    match driver {
        "none" => None,
        "json-file" => Some((json_path(dir, id), Format::Json)),
        "local" => Some((local_path(dir), Format::Local)),
        _ => {
            let disabled = flag(options, "cache-disabled").is_ok_and(|set| set == Some(true));
            (!disabled).then(|| (cache_path(dir), Format::Local))
        }
    }
}

fn json_path(dir: &Path, id: &str) -> PathBuf {
    dir.join(format!("{id}-json.log"))
}

fn local_path(dir: &Path) -> PathBuf {
    dir.join("local-logs/container.log")
}

fn cache_path(dir: &Path) -> PathBuf {
    dir.join("container-cached.log")
}

/// How a server's address becomes one that can be connected to.
type Resolve<'a> = &'a dyn Fn(&Address) -> Result<Endpoint, BadLogOption>;

fn build(
    driver: &str,
    options: &BTreeMap<String, String>,
    about: &About<'_>,
    dir: &Path,
    resolve: Resolve<'_>,
) -> Result<LogSink, BadLogOption> {
    let mode = mode(options)?;
    let driver = match driver {
        "none" => return Ok(LogSink::NONE),
        "json-file" => Driver::JsonFile(FileLog {
            attributes: chosen::attributes(options, about)?,
            ..files(options, "", json_path(dir, about.id), &JSON)?
        }),
        "local" => Driver::Local(files(options, "", local_path(dir), &LOCAL)?),
        "journald" => Driver::Journald(journald(options, about)?),
        "syslog" => Driver::Syslog(syslog(options, about, resolve)?),
        "fluentd" => Driver::Fluentd(fluentd(options, about, resolve)?),
        "gelf" => Driver::Gelf(gelf(options, about, resolve)?),
        other => return Err(BadLogOption::Driver(other.to_owned())),
    };
    let readable = matches!(driver, Driver::JsonFile(_) | Driver::Local(_));
    let disabled = flag(options, "cache-disabled")? == Some(true);
    let cache = files(options, "cache-", cache_path(dir), &LOCAL)?;
    Ok(LogSink {
        driver,
        mode,
        cache: (!readable && !disabled).then_some(cache),
    })
}

fn mode(options: &Texts) -> Result<Mode, BadLogOption> {
    let limit = options
        .get("max-buffer-size")
        .map(|text| size("max-buffer-size", text))
        .transpose()?;
    match options.get("mode").map(String::as_str) {
        None | Some("" | "blocking") if limit.is_some() => Err(BadLogOption::value(
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        )),
        None | Some("" | "blocking") => Ok(Mode::Blocking),
        Some("non-blocking") => Ok(Mode::NonBlocking(limit.unwrap_or(1_000_000))),
        Some(other) => Err(BadLogOption::value(format!(
            "logger: logging mode not supported: {other}"
        ))),
    }
}

/// What a file log is without options.
struct FileDefaults {
    compress: bool,
    /// Files kept where only the size is given.
    files: u32,
}

const JSON: FileDefaults = FileDefaults {
    compress: false,
    files: 1,
};
const LOCAL: FileDefaults = FileDefaults {
    compress: true,
    files: 5,
};

fn files(
    options: &Texts,
    prefix: &str,
    path: PathBuf,
    defaults: &FileDefaults,
) -> Result<FileLog, BadLogOption> {
    let text = |name: &str| options.get(&format!("{prefix}{name}")).map(String::as_str);
    let mut log = FileLog {
        compress: defaults.compress,
        ..FileLog::capped(path)
    };
    match text("max-size") {
        None => {}
        Some("-1") => log.max_size = None,
        Some(size_text) => {
            log.max_size = Some(size("max-size", size_text)?);
            log.max_files = defaults.files;
        }
    }
    if let Some(number) = text("max-file") {
        let invalid = || BadLogOption::value(format!("invalid value for max-file: {number}"));
        log.max_files = u32::try_from(number.parse::<i64>().map_err(|_| invalid())?.max(0))
            .map_err(|_| invalid())?;
        if log.max_files < 1 {
            return Err(BadLogOption::value("max-file cannot be less than 1"));
        }
    }
    if let Some(compress) = flag(options, &format!("{prefix}compress"))? {
        log.compress = compress;
        if compress && (log.max_files == 1 || log.max_size.is_none()) {
            return Err(BadLogOption::value(
                "compress cannot be true when max-file is less than 2 or max-size is not set",
            ));
        }
    }
    log.compress &= log.max_files > 1;
    Ok(log)
}

fn journald(options: &Texts, about: &About<'_>) -> Result<Journald, BadLogOption> {
    let tag = tag::tag(options, about)?;
    let own = [
        ("CONTAINER_ID", chosen::short(about.id)),
        ("CONTAINER_ID_FULL", about.id),
        ("CONTAINER_NAME", about.name),
        ("CONTAINER_TAG", &tag),
        ("IMAGE_NAME", about.image_name),
        ("SYSLOG_IDENTIFIER", &tag),
    ];
    let mut fields: Vec<_> = own
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let extra = chosen::extra(options, about)?.into_iter();
    fields.extend(extra.filter_map(|(name, value)| Some((chosen::journal_name(&name)?, value))));
    Ok(Journald {
        socket: "/run/systemd/journal/socket".into(),
        fields,
    })
}

fn syslog(
    options: &Texts,
    about: &About<'_>,
    resolve: Resolve<'_>,
) -> Result<Syslog, BadLogOption> {
    let endpoint = match options
        .get("syslog-address")
        .filter(|text| !text.is_empty())
    {
        None => Endpoint::UnixDatagram("/dev/log".into()),
        Some(text) => {
            let address = Address::parse(text, 514)?;
            if address.scheme == "tcp+tls" {
                return Err(BadLogOption::value(
                    "syslog-address: tcp+tls is not supported",
                ));
            }
            address.allow(&["udp", "tcp", "unix", "unixgram"])?;
            resolve(&address)?
        }
    };
    let facility = options
        .get("syslog-facility")
        .map_or("daemon", String::as_str);
    let format = match options.get("syslog-format").map_or("", String::as_str) {
        "" => SyslogFormat::Unix,
        "rfc3164" => SyslogFormat::Rfc3164,
        "rfc5424" => SyslogFormat::Rfc5424,
        "rfc5424micro" => SyslogFormat::Rfc5424Micro,
        _ => return Err(BadLogOption::value("Invalid syslog format")),
    };
    Ok(Syslog {
        endpoint,
        facility: texts::facility(facility)?,
        format,
        tag: tag::tag(options, about)?,
        hostname: about.hostname.to_owned(),
    })
}

fn fluentd(
    options: &Texts,
    about: &About<'_>,
    resolve: Resolve<'_>,
) -> Result<Fluentd, BadLogOption> {
    let text = options
        .get("fluentd-address")
        .map_or("127.0.0.1:24224", String::as_str);
    let text = if text.contains("://") {
        text.to_owned()
    } else {
        format!("tcp://{text}")
    };
    let address = Address::parse(&text, 24224)?;
    address.allow(&["tcp", "unix"])?;
    let buffer = options
        .get("fluentd-buffer-limit")
        .map(|text| size("fluentd-buffer-limit", text));
    let mut fields = vec![
        ("container_id".to_owned(), about.id.to_owned()),
        ("container_name".to_owned(), format!("/{}", about.name)),
    ];
    fields.extend(chosen::extra(options, about)?);
    Ok(Fluentd {
        endpoint: resolve(&address)?,
        tag: tag::tag(options, about)?,
        fields,
        buffer: buffer.transpose()?.unwrap_or(1024 * 1024),
        sub_second: flag(options, "fluentd-sub-second-precision")?.unwrap_or(false),
        lazy: flag(options, "fluentd-async")?.unwrap_or(false),
    })
}

fn gelf(options: &Texts, about: &About<'_>, resolve: Resolve<'_>) -> Result<Gelf, BadLogOption> {
    let Some(text) = options.get("gelf-address") else {
        return Err(BadLogOption::value("gelf-address is a required parameter"));
    };
    let address = Address::parse(text, 12201)?;
    address.allow(&["udp", "tcp"])?;
    if !matches!(address.place, Place::Host(..)) || !text.contains(':') {
        return Err(BadLogOption::value(
            "gelf-address should be in form proto://address:port",
        ));
    }
    let tag = tag::tag(options, about)?;
    let own = [
        ("container_id", about.id),
        ("container_name", about.name),
        ("image_id", about.image_id),
        ("image_name", about.image_name),
        ("command", about.command),
        ("tag", &tag),
        ("created", about.created),
    ];
    let mut fields: Vec<_> = own
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    fields.extend(chosen::extra(options, about)?);
    Ok(Gelf {
        endpoint: resolve(&address)?,
        compression: gelf_compression(options, address.scheme == "tcp")?,
        hostname: about.hostname.to_owned(),
        fields,
    })
}

fn gelf_compression(options: &Texts, stream: bool) -> Result<GelfCompression, BadLogOption> {
    let kind = options.get("gelf-compression-type").map(String::as_str);
    let level = options.get("gelf-compression-level").map(String::as_str);
    if stream && (kind.is_some() || level.is_some()) {
        return Err(BadLogOption::value("compression is only supported on UDP"));
    }
    let level = match level {
        None | Some("-1") => 1,
        Some(text) => text.parse().ok().filter(|level| *level <= 9).ok_or_else(|| {
            BadLogOption::value(format!("unknown value \"{text}\" for log opt \"gelf-compression-level\" for gelf log driver"))
        })?,
    };
    match kind.unwrap_or("gzip") {
        "gzip" => Ok(GelfCompression::Gzip(level)),
        "zlib" => Ok(GelfCompression::Zlib(level)),
        "none" => Ok(GelfCompression::None),
        other => Err(BadLogOption::value(format!(
            "unknown value \"{other}\" for log opt \"gelf-compression-type\" for gelf log driver"
        ))),
    }
}

#[cfg(test)]
mod tests;
