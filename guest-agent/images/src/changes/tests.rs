//! Instructions and what becomes of a configuration.

use super::*;

fn changed(lines: &[&str]) -> ContainerDefaults {
    let mut config = ContainerDefaults {
        env: vec!["PATH=/bin".to_owned()],
        cmd: Some(vec!["old".to_owned()]),
        working_dir: "/w".to_owned(),
        ..ContainerDefaults::default()
    };
    apply(&mut config, lines.iter().copied()).unwrap();
    config
}

fn refused(line: &str) -> String {
    apply(&mut ContainerDefaults::default(), [line])
        .unwrap_err()
        .to_string()
}

#[test]
fn every_instruction_changes_its_field() {
    let config = changed(&[
        "cmd [\"a\",\"b c\"]",
        "ENTRYPOINT run it",
        "ENV A=1 B=\"2 3\" PATH=/x:$PATH C='$A' D=a\\ b",
        "LABEL x=y \"long name\"=\"${A:-z}\"\nLABEL old form here",
        "EXPOSE 80 53/udp 8000-8001",
        "VOLUME [\"/a\", \"/b\"]\nVOLUME /c /d",
        "USER me:us",
        "WORKDIR sub\nWORKDIR ../other",
        "STOPSIGNAL SIGINT",
        "ONBUILD RUN make",
        "# a comment\nHEALTHCHECK --interval=1m30s \\\n  --retries=3 CMD true || exit 1",
    ]);
    assert_eq!(config.cmd.unwrap(), ["a", "b c"]);
    assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "run it"]);
    let env = ["PATH=/x:/bin", "A=1", "B=2 3", "C=$A", "D=a b"];
    assert_eq!(config.env, env);
    assert_eq!(config.labels["x"], "y");
    assert_eq!(config.labels["long name"], "1");
    assert_eq!(config.labels["old"], "form here");
    let ports: Vec<_> = config.exposed_ports.keys().collect();
    assert_eq!(ports, ["53/udp", "80/tcp", "8000/tcp", "8001/tcp"]);
    let volumes: Vec<_> = config.volumes.keys().collect();
    assert_eq!(volumes, ["/a", "/b", "/c", "/d"]);
    assert_eq!(
        (config.user.as_str(), config.working_dir.as_str()),
        ("me:us", "/w/other")
    );
    assert_eq!(
        (config.stop_signal.as_str(), config.on_build.len()),
        ("SIGINT", 1)
    );
    let check = config.healthcheck.unwrap();
    assert_eq!(check.test, ["CMD-SHELL", "true || exit 1"]);
    assert_eq!((check.interval, check.retries), (90_000_000_000, 3));
}

#[test]
fn an_entrypoint_takes_the_command_before_it_away() {
    assert_eq!(changed(&["ENTRYPOINT [\"e\"]"]).cmd, None);
    let both = changed(&["CMD c", "ENTRYPOINT [\"e\"]"]);
    assert_eq!(both.cmd.unwrap(), ["/bin/sh", "-c", "c"]);
}

#[test]
fn what_cannot_be_is_refused() {
    assert_eq!(refused("RUN x"), "RUN is not a valid change command");
    assert_eq!(refused("EXPOSE 80x"), "invalid containerPort: 80x");
    assert_eq!(refused("USER"), "USER requires exactly one argument");
    assert_eq!(refused("ENV x"), "ENV requires two arguments");
    assert_eq!(refused("ENV =x"), "ENV names can not be blank");
    assert_eq!(
        refused("ONBUILD FROM x"),
        "FROM isn't allowed as an ONBUILD trigger"
    );
    assert_eq!(
        refused("HEALTHCHECK --interval=x CMD y"),
        "time: invalid duration \"x\""
    );
    assert!(refused("HEALTHCHECK maybe").starts_with("Unknown type"));
    assert!(refused("LABEL a=b c").starts_with("Syntax error - can't find = in \"c\""));
}

#[test]
fn odd_text_breaks_nothing() {
    for text in [
        "",
        "\\",
        "ENV a=\"",
        "ENV a=${",
        "ENV a=$",
        "ENV a=${b:",
        "LABEL é=ü",
        "CMD",
    ] {
        let _ = apply(&mut ContainerDefaults::default(), [text]);
    }
}
