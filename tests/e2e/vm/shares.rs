//! Folders of the host in the guest, seen by containers.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use proa_vm::{Machine, Share};
use serde_json::json;

use crate::support::{ask, folder, spec, up};

/// An ordinary user of the host, who serves the shares.
const USER: u32 = 1000;

/// Devices that run as that user, as they do where nobody is root.
fn by_user() -> Vec<std::ffi::OsString> {
    let user = format!("--reuid={USER}");
    let group = format!("--regid={USER}");
    let words = [
        "setpriv",
        &user,
        &group,
        "--clear-groups",
        env!("CARGO_BIN_EXE_proa"),
    ];
    words.map(Into::into).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_read_and_write_the_hosts_files_as_its_user() {
    let folder = folder();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("it is ours");
    let mut spec = spec(folder.path());
    spec.devices = by_user();
    let theirs = folder.path().join("theirs");
    std::fs::create_dir(&theirs).expect("it is ours");
    std::fs::write(theirs.join("from the host"), "hello").expect("it is ours");
    std::os::unix::fs::chown(&theirs, Some(USER), Some(USER)).expect("we are root");
    let share = |tag: &str, readonly| Share {
        tag: tag.into(),
        path: theirs.clone(),
        readonly,
    };
    spec.shares = vec![share("share0", false), share("share1", true)];
    let machine = up(spec).await;
    let shares = json!({"shares": [
        {"tag": "share0", "path": "/shared/writable", "readonly": false},
        {"tag": "share1", "path": "/shared/readonly", "readonly": true},
    ]});
    ask(
        &machine,
        "PUT",
        "/proa/v1/shares",
        shares.to_string().as_bytes(),
    )
    .await;
    import_busybox(&machine).await;

    let said = run(
        &machine,
        "cat '/w/from the host'; echo made > /w/made && chmod 600 /w/made; echo no > /r/no || echo refused",
    )
    .await;
    assert!(said.contains("hello"), "{said}");
    assert!(said.contains("refused"), "{said}");
    let made = std::fs::metadata(theirs.join("made")).expect("the container made it");
    assert_eq!(
        (made.uid(), made.gid(), made.mode() & 0o777),
        (USER, USER, 0o600)
    );
    assert!(!theirs.join("no").exists());
    machine.kill().await;
}

async fn import_busybox(machine: &Machine) {
    let mut archive = tar::Builder::new(Vec::new());
    let busybox = Path::new("/bin/busybox");
    archive
        .append_path_with_name(busybox, "bin/busybox")
        .expect("busybox-static is installed");
    let archive = archive.into_inner().expect("it is written to memory");
    ask(
        machine,
        "POST",
        "/images/create?fromSrc=-&repo=busybox",
        &archive,
    )
    .await;
}

/// What a shell in a container says, with the shares at `/w` and `/r`.
async fn run(machine: &Machine, script: &str) -> String {
    let config = json!({
        "Image": "busybox",
        "Cmd": ["/bin/busybox", "sh", "-c", format!("PATH=/bin; alias cat='busybox cat' chmod='busybox chmod'; {script}")],
        "HostConfig": {"Binds": ["/shared/writable:/w", "/shared/readonly:/r"], "NetworkMode": "none"},
    });
    let made = ask(
        machine,
        "POST",
        "/containers/create",
        config.to_string().as_bytes(),
    )
    .await;
    let made: serde_json::Value = serde_json::from_slice(&made).expect("a document");
    let id = made["Id"].as_str().expect("it has an id");
    ask(machine, "POST", &format!("/containers/{id}/start"), b"").await;
    ask(machine, "POST", &format!("/containers/{id}/wait"), b"").await;
    let said = ask(
        machine,
        "GET",
        &format!("/containers/{id}/logs?stdout=1&stderr=1"),
        b"",
    )
    .await;
    String::from_utf8_lossy(&said).into_owned()
}
