//! Execs: their exit codes, their output, their records.

use std::io::Write;

use proa_runtime::client::{Refusal, Request, Stdin, Target, exec_exits, forget_exec};

use crate::Test;
use crate::ground::{Ground, blocking, exec, read_frames};

pub(crate) const TESTS: &[Test] = &[
    (
        "execs_run_side_by_side_and_tell_their_codes",
        execs_run_side_by_side_and_tell_their_codes,
    ),
    (
        "an_exec_gets_input_and_signals",
        an_exec_gets_input_and_signals,
    ),
    (
        "an_exec_that_cannot_start_is_refused",
        an_exec_that_cannot_start_is_refused,
    ),
];

fn sleeper(ground: &Ground) -> crate::ground::Running {
    let mut launch = ground.launch("c", &["/bin/cat"]);
    launch.stdin = Stdin::Open;
    ground.start(&launch)
}

fn execs_run_side_by_side_and_tell_their_codes() {
    let ground = Ground::new();
    let mut running = sleeper(&ground);
    let mut outputs = Vec::new();
    for code in 0..20 {
        let launch = exec(
            &format!("e{code}"),
            &format!("echo number {code}; exit {code}"),
        );
        outputs.push(running.exec(&launch).unwrap().0);
    }
    for (code, output) in outputs.iter_mut().enumerate() {
        assert_eq!(running.exec_exit(&format!("e{code}")).code, code as i32);
        assert_eq!(read_frames(output).0, format!("number {code}\n").as_bytes());
    }
    let run_dir = ground.run_dir("c");
    let mut records = exec_exits(&run_dir).unwrap();
    records.sort_by_key(|(_, exit)| exit.code);
    assert_eq!(records.len(), 20);
    assert!(
        records
            .iter()
            .enumerate()
            .all(|(i, (id, exit))| *id == format!("e{i}") && exit.code == i as i32)
    );
    forget_exec(&run_dir, "e3").unwrap();
    forget_exec(&run_dir, "e3").unwrap();
    assert_eq!(exec_exits(&run_dir).unwrap().len(), 19);
    assert!(ground.log_text("c").is_empty(), "execs are not logged");
    drop(running.stdin.take());
    running.ask(&Request::CloseStdin).0.unwrap();
    assert_eq!(running.exit().code, 0);
}

fn an_exec_gets_input_and_signals() {
    let ground = Ground::new();
    let mut running = sleeper(&ground);
    let mut launch = exec("cat", "exec cat");
    launch.stdin = true;
    let (mut output, stdin) = running.exec(&launch).unwrap();
    let mut stdin = blocking(stdin.unwrap());
    stdin.write_all(b"through").unwrap();
    drop(stdin);
    assert_eq!(running.exec_exit("cat").code, 0);
    assert_eq!(read_frames(&mut output).0, b"through");

    running.exec(&exec("sleep", "exec sleep 100")).unwrap();
    let target = Target::Exec("sleep".into());
    running
        .ask(&Request::Signal { target, signal: 15 })
        .0
        .unwrap();
    let exit = running.exec_exit("sleep");
    assert_eq!((exit.code, exit.signal), (143, Some(15)));

    running
        .ask(&Request::Signal {
            target: Target::Init,
            signal: 9,
        })
        .0
        .unwrap();
    assert_eq!(running.exit().code, 137);
}

fn an_exec_that_cannot_start_is_refused() {
    let ground = Ground::new();
    let mut running = sleeper(&ground);
    let mut launch = exec("e", "");
    launch.plan.process.args = vec!["/no/such".into()];
    match running.exec(&launch) {
        Err(Refusal::Start(error)) => assert_eq!(error.exit_code(), 127),
        other => panic!("{other:?}"),
    }
    let target = Target::Exec("e".into());
    let (reply, _) = running.ask(&Request::Signal { target, signal: 9 });
    assert_eq!(reply, Err(Refusal::NoSuchExec("e".into())));
    running
        .ask(&Request::Signal {
            target: Target::Init,
            signal: 9,
        })
        .0
        .unwrap();
}
