//! Flags in, document out.

use std::io;

use clap::{Args, Command, FromArgMatches};
use serde_json::{Value, json};

use super::*;

fn parse(line: &str) -> Result<Value, Failure> {
    let command = CreateFlags::augment_args(
        Command::new("run")
            .no_binary_name(true)
            .disable_help_flag(true),
    );
    let words = line.split_whitespace().map(|word| word.replace('~', " "));
    let matches = command
        .try_get_matches_from(words)
        .expect("flags are known");
    let flags = CreateFlags::from_arg_matches(&matches).expect("flags have values");
    let read = |path: &str| match path {
        "env" => Ok("# remark\nFROM_FILE=1\nHERE\nGONE_TOO\n".to_owned()),
        "seccomp.json" => Ok("{ \"defaultAction\": \"SCMP_ACT_ALLOW\" }\n".to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let variable = |name: &str| (name == "HERE").then(|| "now".to_owned());
    let around = Surroundings {
        folder: "/here".into(),
        variable: &variable,
        read: &read,
        terminal: None,
    };
    let attached = Attached::of(&flags, false)?;
    document(&flags, attached, &around)
}

/// Checks one field, named as a JSON pointer.
fn check(line: &str, pointer: &str, expected: &Value) {
    let document = parse(line).unwrap_or_else(|failure| panic!("{line}: {failure}"));
    assert_eq!(
        document.pointer(pointer).unwrap_or(&Value::Null),
        expected,
        "{line}: {document}"
    );
}

fn refused(line: &str, words: &str) {
    let failure = parse(line).expect_err(line).to_string();
    assert!(failure.contains(words), "{line}: {failure}");
}

#[test]
fn a_bare_image_says_little() {
    let expected = json!({
        "Image": "busybox", "AttachStdout": true, "AttachStderr": true, "Cmd": ["echo", "-n", "--rm"],
        "HostConfig": {"NetworkMode": "default", "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}},
    });
    assert_eq!(parse("busybox echo -n --rm").ok(), Some(expected));
}

#[test]
fn standard_input_is_attached_when_it_is_kept_open() {
    check("-i x", "/AttachStdin", &json!(true));
    check("-i x", "/StdinOnce", &json!(true));
    check("-it x", "/Tty", &json!(true));
    check("-i -a stdout x", "/AttachStdin", &Value::Null);
    check("-i -a stdout x", "/StdinOnce", &Value::Null);
    refused("-a foo x", "invalid --attach \"foo\"");
}

#[test]
fn the_environment_is_files_then_flags() {
    check(
        "--env-file env -e A=1 -e HERE -e GONE x",
        "/Env",
        &json!(["FROM_FILE=1", "HERE=now", "A=1", "HERE=now", "GONE"]),
    );
    refused("--env-file nowhere x", "read nowhere");
}

#[test]
fn an_empty_entrypoint_is_said() {
    check("--entrypoint= x", "/Entrypoint", &json!([""]));
    check("--entrypoint sh x -c true", "/Cmd", &json!(["-c", "true"]));
}

#[test]
fn resources_are_numbers() {
    check("-m 256m x", "/HostConfig/Memory", &json!(256 << 20));
    check("--memory-swap -1 x", "/HostConfig/MemorySwap", &json!(-1));
    check("--memory-swap=-1 x", "/HostConfig/MemorySwap", &json!(-1));
    check("--cpus .5 x", "/HostConfig/NanoCpus", &json!(500_000_000));
    check("--pids-limit -1 x", "/HostConfig/PidsLimit", &json!(-1));
    check(
        "--oom-score-adj -500 x",
        "/HostConfig/OomScoreAdj",
        &json!(-500),
    );
    check(
        "--memory-swappiness 0 x",
        "/HostConfig/MemorySwappiness",
        &json!(0),
    );
    check(
        "--device-read-bps /dev/sda:1mb x",
        "/HostConfig/BlkioDeviceReadBps",
        &json!([{"Path": "/dev/sda", "Rate": 1 << 20}]),
    );
    check(
        "--ulimit nofile=1:2 x",
        "/HostConfig/Ulimits",
        &json!([{"Name": "nofile", "Hard": 2, "Soft": 1}]),
    );
    refused("--memory-swappiness 101 x", "--memory-swappiness");
}

#[test]
fn volumes_go_where_they_belong() {
    check("-v /d x", "/Volumes", &json!({"/d": {}}));
    check(
        "-v ./a:/d:ro -v n:/e x",
        "/HostConfig/Binds",
        &json!(["/here/a:/d:ro", "n:/e"]),
    );
    check(
        "--tmpfs /t:size=1m x",
        "/HostConfig/Tmpfs",
        &json!({"/t": "size=1m"}),
    );
}

#[test]
fn security_options_may_be_files() {
    let expected = json!([
        "seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}",
        "no-new-privileges"
    ]);
    check(
        "--security-opt seccomp=seccomp.json --security-opt no-new-privileges x",
        "/HostConfig/SecurityOpt",
        &expected,
    );
    check(
        "--security-opt systempaths=unconfined x",
        "/HostConfig/MaskedPaths",
        &json!([]),
    );
    check(
        "--security-opt apparmor:x x",
        "/HostConfig/SecurityOpt",
        &json!(["apparmor=x"]),
    );
    refused("--security-opt seccomp=gone x", "read gone");
}

#[test]
fn capabilities_are_spelled_in_full_and_adding_wins() {
    check(
        "--cap-add net_admin --cap-drop all --cap-add CAP_KILL x",
        "/HostConfig/CapAdd",
        &json!(["CAP_KILL", "CAP_NET_ADMIN"]),
    );
    check(
        "--cap-add kill --cap-drop kill x",
        "/HostConfig/CapDrop",
        &Value::Null,
    );
    check(
        "--cap-add all --cap-add kill x",
        "/HostConfig/CapAdd",
        &json!(["ALL"]),
    );
}

#[test]
fn networks_are_modes_or_endpoints() {
    check(
        "--network none x",
        "/HostConfig/NetworkMode",
        &json!("none"),
    );
    check("--network none x", "/NetworkingConfig", &Value::Null);
    check(
        "--net n --ip 10.0.0.2 x",
        "/NetworkingConfig/EndpointsConfig/n/IPAMConfig/IPv4Address",
        &json!("10.0.0.2"),
    );
    check(
        "--add-host a=1.2.3.4 --add-host b:::1 x",
        "/HostConfig/ExtraHosts",
        &json!(["a:1.2.3.4", "b:::1"]),
    );
    check(
        "-p 8080:80 x",
        "/HostConfig/PortBindings",
        &json!({"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}),
    );
    check("-p 8080:80 x", "/ExposedPorts", &json!({"80/tcp": {}}));
    check(
        "--net-rate in=1mbit x",
        "/HostConfig/Annotations",
        &json!({"proa.net-rate": "in=1mbit"}),
    );
    refused("--dns x x", "not an IP address");
}

#[test]
fn health_checks_are_commands_or_none() {
    check(
        "--health-cmd true --health-interval 1m x",
        "/Healthcheck",
        &json!({"Test": ["CMD-SHELL", "true"], "Interval": 60_000_000_000_i64}),
    );
    check(
        "--no-healthcheck x",
        "/Healthcheck",
        &json!({"Test": ["NONE"]}),
    );
    refused("--no-healthcheck --health-cmd true x", "conflicts");
}

#[test]
fn restart_policies_are_dockers() {
    check(
        "--restart on-failure:3 x",
        "/HostConfig/RestartPolicy",
        &json!({"Name": "on-failure", "MaximumRetryCount": 3}),
    );
    refused("--restart sometimes x", "invalid --restart");
    refused("--restart always:2 x", "only on-failure");
    refused("--restart always --rm x", "conflicting options");
}
