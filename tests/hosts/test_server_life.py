"""The processes: who starts whom, who outlives whom, how it ends. With a toy site and with a real one."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.hosts.running import ROOT, Server, answer, everything, status_of, toy

SERVE = """
import sys
from chalicelib.hosts.server import serve
from chalicelib.settings import Settings
sys.exit(serve(Settings.read()))
"""
PID = b"GET /pid HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def pid_of(server: Server) -> int:
    return int(server.ask(PID).rpartition(b"\r\n\r\n")[2])


def workers_of(server: Server) -> set[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(server.process.pid)], capture_output=True)
    return {int(pid) for pid in listed.stdout.split()}


def gone(pid: int, seconds: float = 3) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def is_free(port: int, seconds: float = 3) -> bool:
    """Whether the port can be had again: the last thread of a killed process takes a moment to go."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                again.bind(("127.0.0.1", port))
                again.listen()
                return True
        time.sleep(0.02)
    return False


def test_workers_share_the_port(tmp_path):
    with toy(tmp_path, "2") as server:
        seen = {pid_of(server) for _ in range(200)}

        assert seen == workers_of(server)
        assert len(seen) == 2


def test_a_worker_that_dies_is_replaced_and_the_other_goes_on(tmp_path):
    with toy(tmp_path, "2") as server:
        before = workers_of(server)
        victim = pid_of(server)
        os.kill(victim, signal.SIGKILL)
        server.wait_for_event("worker_died", 5)

        assert all(status_of(server.ask(PID)) == 200 for _ in range(20))
        deadline = time.monotonic() + 10
        while len(workers_of(server)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(workers_of(server) - before) == 1


def test_workers_do_not_outlive_a_killed_main_process(tmp_path):
    with toy(tmp_path, "2") as server:
        workers = workers_of(server)
        server.process.kill()
        server.process.wait()

        assert workers
        assert all(gone(pid) for pid in workers)
        assert is_free(server.port)


def test_a_failed_disk_in_a_worker_stops_the_server(tmp_path):
    with toy(tmp_path, "2") as server:
        with pytest.raises((AssertionError, ConnectionResetError)):
            status_of(server.get(b"/disk"))

        assert server.process.wait(15) == 70


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_requests_under_way_end(tmp_path, number):
    with toy(tmp_path, "1") as server, server.connect() as busy, server.connect() as idle:
        idle.sendall(b"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
        answer(idle)
        busy.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.3)
        server.process.send_signal(number)

        assert everything(idle) == b""  # told to go at once
        said = everything(busy)
        assert said.endswith(b"slow")
        assert b"\r\nConnection: close\r\n" in said
        assert server.process.wait(10) == 0
        assert server.events("toy_closed")
        assert server.events("stopped")


def test_the_port_is_refused_while_the_last_requests_end(tmp_path):
    with toy(tmp_path, "1") as server, server.connect() as busy:
        busy.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.3)
        server.process.terminate()
        server.wait_for_event("stopping", 5)
        time.sleep(0.3)

        with pytest.raises(ConnectionRefusedError):
            server.connect()
        assert everything(busy).endswith(b"slow")


def test_a_taken_port_is_an_error_at_once(tmp_path):
    with toy(tmp_path, "1") as server:
        command = [sys.executable, "-m", "tests.hosts.toy", str(server.port)]
        second = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=20)

    assert second.returncode == 1
    assert b"Address already in use" in second.stderr


def test_many_clients_at_once(tmp_path):
    with toy(tmp_path, "2") as server:
        good: list[int] = []

        def client() -> None:
            with server.connect() as line:
                for n in range(20):
                    line.sendall(b"PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n%02d" % n)
                    good.append(answer(line)[2] == b"%02d" % n)

        threads = [threading.Thread(target=client) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    assert len(good) == 1000
    assert all(good)


# ------------------------------------------------------------------------------- TLS


def certificate(directory) -> tuple[str, str]:
    """Files of a fresh certificate for localhost and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
    signed = builder.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "cert.pem").write_bytes(signed.public_bytes(pem))
    (directory / "key.pem").write_bytes(plain)
    return str(directory / "cert.pem"), str(directory / "key.pem")


def test_tls(tmp_path):
    cert, key = certificate(tmp_path)
    context = ssl.create_default_context(cafile=cert)
    with toy(tmp_path, "1", cert, key) as server:
        with context.wrap_socket(server.connect(), server_hostname="localhost") as client:
            client.sendall(
                b"PUT /read HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n" + bytes(8 << 20)
            )
            assert answer(client)[2].split()[0] == b"8388608"
            client.sendall(b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n")
            assert len(answer(client)[2]) == 8 << 20
            client.sendall(b"GET /fail HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b""
            with pytest.raises((ssl.SSLError, ConnectionResetError, EOFError)):
                while piece := client.recv(4096):
                    received += piece
                raise EOFError
            assert received.endswith(b"x" * 300)
        with server.connect() as clear:
            clear.sendall(PID)
            with suppress(ConnectionResetError):
                assert b"200 OK" not in clear.recv(1000)
        with context.wrap_socket(server.connect(), server_hostname="localhost") as client:
            client.sendall(PID)
            assert b"200 OK" in client.recv(1000)


# ----------------------------------------------------------------------- a real site


def start(tmp_path) -> Server:
    environment = {
        "CAUSEWAY_SITE": "here",
        "CAUSEWAY_DATA": str(tmp_path / "data"),
        "CAUSEWAY_PORT": "0",
    }
    (tmp_path / "log").unlink(missing_ok=True)
    return Server(["-c", SERVE], tmp_path / "log", environment)


def client_of(server: Server, tmp_path):
    keys = json.loads((tmp_path / "data" / "admin.json").read_text())
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{server.port}",
        aws_access_key_id=keys["access_key"],
        aws_secret_access_key=keys["secret_key"],
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def test_what_was_acknowledged_is_there_after_kill_9_and_a_quick_start(tmp_path):
    server = start(tmp_path)
    try:
        s3 = client_of(server, tmp_path)
        s3.create_bucket(Bucket="kept")
        large = os.urandom(9 << 20)
        s3.put_object(Bucket="kept", Key="small", Body=b"small")
        s3.put_object(Bucket="kept", Key="large", Body=large)
    finally:
        server.process.kill()
        server.process.wait()
    before = time.monotonic()
    server = start(tmp_path)
    took_s = time.monotonic() - before
    try:
        s3 = client_of(server, tmp_path)
        assert s3.get_object(Bucket="kept", Key="small")["Body"].read() == b"small"
        assert s3.get_object(Bucket="kept", Key="large")["Body"].read() == large
    finally:
        assert server.stop() == 0
    assert took_s < 4  # 2 s on a machine that does nothing else


def test_a_second_server_is_refused_the_directory(tmp_path):
    server = start(tmp_path)
    try:
        with pytest.raises(AssertionError, match="in use by the server with process id"):
            Server(
                ["-c", SERVE],
                tmp_path / "log2",
                {"CAUSEWAY_SITE": "here", "CAUSEWAY_DATA": str(tmp_path / "data"), "CAUSEWAY_PORT": "0"},
            )
    finally:
        assert server.stop() == 0
