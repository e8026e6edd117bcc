//! The systemd units, as text.

use std::path::Path;

/// The service's name.
pub(crate) const SERVICE: &str = "proa.service";
/// The socket's name.
pub(crate) const SOCKET: &str = "proa.socket";

/// What the units depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The binary.
    pub program: &'a Path,
    /// Where images, containers and volumes live.
    pub root: &'a Path,
    /// Where what ends with a boot lives.
    pub run: &'a Path,
    /// The group that may use the socket.
    pub group: &'a str,
}

/// The service: containers live on when it stops, and their cgroups are its own business.
///
/// `DelegateSubgroup` (systemd 254) keeps the service's own processes out of the way of controllers; older versions skip
/// it and the engine uses the top of the tree instead.
pub(super) fn service(place: Place<'_>) -> String {
    let Place {
        program, root, run, ..
    } = place;
    format!(
        "[Unit]\n\
         Description=Proa container engine\n\
         After=network-online.target nss-lookup.target time-set.target {SOCKET}\n\
         Wants=network-online.target\n\
         Requires={SOCKET}\n\
         StartLimitIntervalSec=60\n\
         StartLimitBurst=3\n\
         \n\
         [Service]\n\
         Type=exec\n\
         ExecStart={program} serve --socket fd:// --root {root} --run {run}\n\
         Restart=always\n\
         RestartSec=2\n\
         KillMode=process\n\
         Delegate=yes\n\
         DelegateSubgroup=keeper\n\
         OOMPolicy=continue\n\
         OOMScoreAdjust=-500\n\
         LimitNOFILE=1048576\n\
         LimitNPROC=infinity\n\
         LimitCORE=infinity\n\
         TasksMax=infinity\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        program = program.display(),
        root = root.display(),
        run = run.display(),
    )
}

/// The socket: clients can connect before the engine has started.
pub(super) fn socket(place: Place<'_>) -> String {
    format!(
        "[Unit]\n\
         Description=Proa container engine's API\n\
         \n\
         [Socket]\n\
         ListenStream={}/proa.sock\n\
         SocketMode=0660\n\
         SocketUser=root\n\
         SocketGroup={}\n\
         \n\
         [Install]\n\
         WantedBy=sockets.target\n",
        place.run.display(),
        place.group,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_outlive_the_service_and_own_their_cgroups() {
        let place = Place {
            program: Path::new("/usr/local/bin/proa-agent"),
            root: Path::new("/var/lib/proa"),
            run: Path::new("/run/proa"),
            group: "docker",
        };
        let service = service(place);
        for line in ["KillMode=process", "Delegate=yes", "Restart=always"] {
            assert!(service.lines().any(|found| found == line), "{line}");
        }
        assert!(service.contains(
            "ExecStart=/usr/local/bin/proa-agent serve --socket fd:// --root /var/lib/proa"
        ));
        let socket = socket(place);
        assert!(
            socket.contains("ListenStream=/run/proa/proa.sock\n")
                && socket.contains("SocketGroup=docker\n")
        );
    }
}
