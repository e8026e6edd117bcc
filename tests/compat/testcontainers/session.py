"""A test's session with Testcontainers: a database in a container, used, and left to the reaper."""

import os
import socket

from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

database = DockerContainer("localhost/services:1").with_exposed_ports(6379).with_name("left-behind")
database.with_command("redis-server --bind 0.0.0.0 --protected-mode no")
database.waiting_for(LogMessageWaitStrategy("Ready to accept connections").with_startup_timeout(120))
database.start()
address = (database.get_container_host_ip(), int(database.get_exposed_port(6379)))
with socket.create_connection(address, 60) as connection:
    connection.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")
    answer = b""
    while not answer.endswith(b"value\r\n"):
        answer += connection.recv(100)
print(answer.split(), database.exec("redis-cli get k").output, flush=True)
# As a test that crashes: what it started is the reaper's to take away.
os._exit(0)
