//! Logs written by the monitor's side and read back.

use std::path::Path;

use super::*;
use crate::log::record::Recorder;
use crate::log::{Driver, FileLog, LogSink, Mode};

fn sink(path: &Path, format: Format, max_size: u64, compress: bool) -> LogSink {
    let file = FileLog {
        max_size: Some(max_size),
        max_files: 4,
        compress,
        ..FileLog::capped(path.into())
    };
    let driver = match format {
        Format::Json => Driver::JsonFile(file),
        Format::Local => Driver::Local(file),
    };
    LogSink {
        driver,
        mode: Mode::Blocking,
        cache: None,
    }
}

fn write(recorder: &mut Recorder, range: std::ops::Range<u32>) {
    for number in range {
        let stream = if number % 2 == 0 {
            Stream::Stdout
        } else {
            Stream::Stderr
        };
        recorder.record(stream, format!("line {number}\n").as_bytes());
    }
}

fn numbers(reader: &mut Reader) -> Vec<u32> {
    let number = |record: io::Result<Record>| {
        let text = String::from_utf8(record.unwrap().line).unwrap();
        text.trim_end()
            .strip_prefix("line ")
            .unwrap()
            .parse()
            .unwrap()
    };
    reader.map(number).collect()
}

fn check_every_way(format: Format, compress: bool) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut recorder = Recorder::open(sink(&path, format, 2000, compress)).unwrap();
    write(&mut recorder, 0..60);
    recorder.settle();

    let open = |query| Reader::open(&path, format, query).unwrap();
    let all = numbers(&mut open(Query::ALL));
    assert_eq!(all.last(), Some(&59));
    assert!(all.windows(2).all(|pair| pair[1] == pair[0] + 1), "{all:?}");
    assert!(all.len() > 20);
    for count in [0, 1, 5, 19, all.len(), all.len() + 5] {
        let tail = numbers(&mut open(Query {
            tail: Some(count),
            ..Query::ALL
        }));
        assert_eq!(tail, all[all.len().saturating_sub(count)..], "tail {count}");
    }
    let odd = numbers(&mut open(Query {
        stdout: false,
        ..Query::ALL
    }));
    assert!(odd.iter().all(|number| number % 2 == 1) && odd.len() >= all.len() / 2);

    let third = open(Query::ALL).nth(3).unwrap().unwrap();
    let since = numbers(&mut open(Query {
        since: Some(third.time),
        ..Query::ALL
    }));
    assert_eq!(since, all[3..]);
    let mut reader = open(Query {
        until: Some(third.time),
        ..Query::ALL
    });
    assert_eq!(numbers(&mut reader), all[..4]);
    assert!(reader.is_over());
}

#[test]
fn a_log_is_read_from_any_point() {
    check_every_way(Format::Json, false);
    check_every_way(Format::Local, false);
}

#[test]
fn compressed_files_are_read_too() {
    check_every_way(Format::Json, true);
    check_every_way(Format::Local, true);
}

fn check_following(format: Format, compress: bool) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut reader = Reader::open(&path, format, Query::ALL).unwrap();
    assert!(reader.next().is_none());
    let mut recorder = Recorder::open(sink(&path, format, 1500, compress)).unwrap();
    let mut seen = Vec::new();
    for step in 0..40 {
        write(&mut recorder, step * 7..(step + 1) * 7);
        if compress {
            recorder.settle();
        }
        seen.extend(numbers(&mut reader));
    }
    assert_eq!(seen, (0..280).collect::<Vec<_>>());
}

#[test]
fn a_reader_follows_through_rotations() {
    check_following(Format::Json, false);
    check_following(Format::Local, false);
    check_following(Format::Json, true);
    check_following(Format::Local, true);
}

#[test]
fn an_entry_that_is_half_written_waits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let line = br#"{"log":"line 1\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}"#;
    std::fs::write(&path, &line[..20]).unwrap();
    let mut reader = Reader::open(&path, Format::Json, Query::ALL).unwrap();
    assert!(reader.next().is_none());
    std::fs::write(&path, [&line[..], b"\nrubbish\n"].concat()).unwrap();
    assert_eq!(numbers(&mut reader), [1]);
    assert!(reader.next().is_none());
}

#[test]
fn growth_wakes_a_watch() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let watch = watch(&path).unwrap();
    let mut recorder = Recorder::open(sink(&path, Format::Json, 1500, false)).unwrap();
    drain(&watch).unwrap();
    write(&mut recorder, 0..1);
    let mut polled = [rustix::event::PollFd::new(
        &watch,
        rustix::event::PollFlags::IN,
    )];
    assert_eq!(
        rustix::event::poll(
            &mut polled,
            Some(&rustix::time::Timespec {
                tv_sec: 5,
                tv_nsec: 0
            })
        ),
        Ok(1)
    );
    drain(&watch).unwrap();
}

/// Bytes without a plan: no panic, no endless loop.
#[test]
fn rubbish_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = 1_u64;
    for round in 0..300 {
        let mut bytes: Vec<u8> = (0..round * 3)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        if round % 2 == 0 {
            let length = (bytes.len() as u32).to_be_bytes();
            bytes = [&length[..], &bytes, &length].concat();
        }
        for (name, format) in [
            ("a", Format::Json),
            ("b", Format::Local),
            ("c.1.gz", Format::Local),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, &bytes).unwrap();
            let path = dir.path().join(name.trim_end_matches(".1.gz"));
            for tail in [None, Some(2)] {
                let reader = Reader::open(&path, format, Query { tail, ..Query::ALL }).unwrap();
                assert!(reader.take(1000).count() < 1000);
            }
        }
    }
}
