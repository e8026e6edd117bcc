//! Folders of this host in containers.

use std::path::Path;

use crate::kit::User;
use crate::support::short_folder;

#[test]
fn a_shared_folder_is_bound_and_another_is_refused_with_the_way_out() {
    let user = User::started();
    let shared = short_folder(Path::new("/tmp"), "shared é,-");
    std::fs::write(shared.join("file"), "from the host\n").expect("it is ours");
    let bind = format!("{}:/data", shared.display());
    let said = user.docker(&["run", "--rm", "-v", &bind, &user.image, "cat", "/data/file"]);
    assert_eq!(said.ok(), "from the host\n");

    let other = short_folder(Path::new("/var/tmp"), "other-");
    let bind = format!("{}:/data", other.display());
    let refused = user.docker(&["run", "--rm", "-v", &bind, &user.image, "true"]);
    let refused = refused.failed(125);
    let way_out = format!("proa machine share {}", other.display());
    assert!(refused.contains(&way_out), "{refused}");
    let mount = format!("type=bind,source={},target=/data", other.display());
    let refused = user.docker(&["run", "--rm", "--mount", &mount, &user.image, "true"]);
    assert!(refused.failed(125).contains(&way_out));
    for folder in [shared, other] {
        std::fs::remove_dir_all(folder).expect("it is ours");
    }
}

#[test]
fn the_sockets_of_this_host_mean_the_engines_own() {
    let user = User::started();
    let ours = user.docker_socket().display().to_string();
    for socket in ["/var/run/docker.sock", &ours] {
        let bind = format!("{socket}:/engine.sock");
        let kind = [
            "run",
            "--rm",
            "-v",
            &bind,
            &user.image,
            "test",
            "-S",
            "/engine.sock",
        ];
        user.docker(&kind).ok();
    }
}
