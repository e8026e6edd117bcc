"""What carries bytes: attach, exec, logs, and files in and out."""

import io
import tarfile
import time

from ground import Steps, refused

STEPS = step = Steps()

TALK = ["sh", "-c", "echo out; echo err >&2"]


def tar_of(name, content):
    """An archive with one file in it."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mtime = len(content), 1_700_000_000
        archive.addfile(entry, io.BytesIO(content))
    return raw.getvalue()


def names_in(pieces):
    """The names in an archive that came in pieces."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        return sorted(archive.getnames())


@step
def logs_in_every_way(ground):
    made = ground.start("logged", TALK)
    made.wait()
    logs = made.logs
    return (
        b"out" in logs(), logs(stderr=False), logs(stdout=False), logs(tail=0), len(logs(timestamps=True).splitlines()),
        logs(stderr=False, since=1), logs(stderr=False, until=1), b"".join(logs(stream=True, stderr=False)),
        b"".join(logs(stream=True, follow=True, stdout=False)), refused(lambda: logs(stdout=False, stderr=False)),
        refused(lambda: logs(tail="x")),
    )


@step
def attach_gives_what_comes(ground):
    made = ground.client.containers.create(ground.image, TALK, network_mode="none")
    output = made.attach(stream=True, logs=True, demux=True)
    made.start()
    made.wait()
    return sorted(output, key=str)


@step
def attach_socket_carries_both_ways(ground):
    made = ground.client.containers.create(ground.image, "cat", stdin_open=True, tty=False, network_mode="none")
    socket = made.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    made.start()
    socket._sock.sendall(b"there and back\n")
    time.sleep(0.1)
    frame = socket.read(8 + len(b"there and back\n"))
    socket._sock.shutdown(1)
    socket.close()
    return frame, made.wait()


@step
def a_web_socket_carries_both_ways(ground):
    """As docker-py's `ws=True` does, which needs a package of its own; the handshake and one frame suffice."""
    made = ground.client.containers.create(ground.image, ["sh", "-c", "read line; echo got $line"], stdin_open=True, network_mode="none")
    import base64
    import socket

    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(60)
    raw.connect(ground.url.removeprefix("unix://"))
    key = base64.b64encode(b"0123456789abcdef").decode()
    path = f"/v1.45/containers/{made.id}/attach/ws?stdin=1&stdout=1&stream=1"
    raw.sendall((f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://x\r\n"
                 f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n").encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += raw.recv(1)
    made.start()
    mask, text = b"\1\2\3\4", b"hello\n"
    raw.sendall(bytes([0x82, 0x80 | len(text)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text)))
    payload = b""
    while b"\n" not in payload:
        kind, length = raw.recv(2)
        payload += raw.recv(length) if kind & 15 in (1, 2) else b""
    accept = [line for line in head.decode().splitlines() if line.lower().startswith("sec-websocket-accept")]
    return head.split(b"\r\n")[0], accept[0].split(": ")[1], payload


@step
def exec_in_every_way(ground):
    made = ground.start("execs")
    run = made.exec_run
    return (
        tuple(run("echo hi")), tuple(run(["sh", "-c", "exit 4"])), tuple(run(TALK, demux=True)),
        list(run("seq 2", stream=True).output), tuple(run("id -un", user="daemon")), tuple(run("pwd", workdir="/tmp")),
        tuple(run(["sh", "-c", "echo $E"], environment={"E": "5"})), tuple(run("tty", tty=True)),
        run("sleep 1", detach=True), tuple(run("id", privileged=True))[0], b"no-such-program" in run("no-such-program").output,
        b"/nowhere" in run("pwd", workdir="/nowhere").output,
    )


@step
def exec_socket(ground):
    made = ground.start("exec-socket")
    socket = made.exec_run("cat", stdin=True, socket=True).output
    socket._sock.sendall(b"line\n")
    frame = socket.read(8 + 5)
    socket.close()
    return frame


@step
def exec_step_by_step(ground):
    api, made = ground.client.api, ground.start("exec-steps")
    made_id = api.exec_create(made.id, "sh -c 'exit 6'")["Id"]
    before = api.exec_inspect(made_id)
    api.exec_start(made_id)
    after = api.exec_inspect(made_id)
    shown = ("Running", "ExitCode", "OpenStdin", "OpenStdout", "OpenStderr", "DetachKeys")
    return [before[key] for key in shown], [after[key] for key in shown], after["ProcessConfig"], \
        refused(lambda: api.exec_inspect("nope")), \
        refused(lambda: api.exec_resize(made_id, 10, 10))


@step
def resize_a_terminal(ground):
    made = ground.start("sized", tty=True)
    made.resize(20, 60)
    return refused(lambda: made.resize("x", 1))


@step
def files_in_and_out(ground):
    made = ground.start("files")
    put = made.put_archive("/tmp", tar_of("given", b"content"))
    pieces, stat = made.get_archive("/tmp/given")
    taken = names_in(pieces)
    return put, taken, stat["name"], stat["size"], stat["mode"], stat["linkTarget"], tuple(made.exec_run("cat /tmp/given")), \
        refused(lambda: made.get_archive("/nowhere")), refused(lambda: made.put_archive("/nowhere", tar_of("x", b""))), \
        refused(lambda: made.put_archive("/etc/passwd", tar_of("x", b"")))


@step
def export_and_commit(ground):
    made = ground.start("kept", ["sh", "-c", "echo kept >/kept; sleep 1000"])
    made.exec_run("true")
    names = names_in(made.export())
    image = made.commit("localhost/committed", "1", message="m", author="a", changes=["CMD cat /kept"], conf={"Labels": {"x": "y"}})
    output = ground.client.containers.run(image, remove=True, network_mode="none")
    attrs = image.attrs
    image.remove(force=True)
    return [name for name in names if name in ("kept", "bin/sh", "dev", "proc")], output, attrs["Author"], attrs["Comment"], \
        attrs["Config"]["Cmd"], attrs["Config"]["Labels"]
