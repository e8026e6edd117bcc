//! The verbs about networks of Docker's command line and of ours, against our engine.

use crate::support::{Agent, Image, Network};

/// What a command line prints; no word of it has a space inside.
fn said(agent: &Agent, line: &str) -> String {
    let words: Vec<_> = line.split_whitespace().collect();
    match words.split_first() {
        Some((&"docker", words)) => agent.docker(words).ok(),
        Some((&"proa", words)) => agent.proa(words).ok(),
        other => panic!("no command line: {other:?}"),
    }
}

#[test]
fn the_command_line_s_network_verbs_work() {
    let network = Network::new();
    let agent = Agent::start_in(&network);
    let image = agent.load(&Image::busybox());
    let docker = |line: &str| said(&agent, &format!("docker {}", line.replace("IMAGE", &image)));
    docker("network create --subnet 10.77.0.0/24 --label a=b net");
    docker(
        "run -d --name web --network net --ip 10.77.0.9 --network-alias www -p 8080:80 IMAGE httpd -f",
    );
    assert_eq!(
        docker("port web"),
        "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n"
    );
    let listed = docker("ps --format {{.Ports}}");
    assert_eq!(listed, "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp\n");
    assert_eq!(said(&agent, "proa ps --format {{.Ports}}"), listed);
    let pinged = docker("run --rm --network net IMAGE ping -c1 www");
    assert!(pinged.contains("10.77.0.9"), "{pinged}");
    docker("run -d --name other IMAGE sleep 1000");
    docker("network connect --alias second net other");
    docker("exec web ping -c1 -W3 second");
    let inside = docker("network inspect -f {{range.Containers}}{{.Name}},{{end}} net");
    assert!(
        inside.contains("web") && inside.contains("other"),
        "{inside}"
    );
    docker("network disconnect net other");
    let refused = agent.docker(&["network", "rm", "net"]).failed(1);
    assert!(refused.contains("has active endpoints"), "{refused}");
    docker("rm -f web other");
    let labelled = docker("network ls -q --filter label=a=b");
    assert_eq!(labelled.lines().count(), 1);
    assert_eq!(docker("network prune -f"), "Deleted Networks:\nnet\n\n");
    assert_eq!(
        docker("network ls --format {{.Name}}"),
        "bridge\nhost\nnone\n"
    );
    agent.assert_nothing_left();
}

#[test]
fn our_command_line_s_network_verbs_work() {
    let network = Network::new();
    let agent = Agent::start_in(&network);
    let image = agent.load(&Image::busybox());
    let proa = |line: &str| said(&agent, &format!("proa {}", line.replace("IMAGE", &image)));
    proa("network create --subnet 10.78.0.0/24 net");
    proa(
        "run -d --name web --network name=net,alias=www,ip=10.78.0.9 -p 8081:80 \
         --net-rate in=100mbit,out=50mbit IMAGE httpd -f",
    );
    assert_eq!(proa("port web 80"), "0.0.0.0:8081\n[::]:8081\n");
    proa("run --rm --network net IMAGE ping -c1 www");
    proa("run -d --name other IMAGE sleep 1000");
    proa("network connect net other");
    proa("exec other ping -c1 web");
    proa("network disconnect net other");
    proa("rm -f web other");
    assert_eq!(proa("network rm net"), "net\n");
    agent.assert_nothing_left();
}
