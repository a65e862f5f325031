"""The proxy of the guide, as it stands there: TLS, and an end for clients that never end."""

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from tests.common import ROOT
from tests.deploy.common import encoded, frame
from tests.reliability.common import PNG, Running, head
from tests.servers import free_port

GUIDE = ROOT / "docs" / "guides" / "deployment.md"
SECONDS = 2
"""The time-outs of the guide, shortened."""
NAME = "sonda.example.org"
WORLD = """
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nginx")


@pytest.fixture(scope="module")
def proxy(plain: Running, folder: Path) -> Iterator[int]:
    """The port of nginx in front of the service."""
    for program in ("nginx", "openssl"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed: apt install {program}")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    [site] = re.findall(r"```nginx\n(.*?)```", GUIDE.read_text(), re.S)
    port = free_port()
    for before, after in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        (f"/etc/letsencrypt/live/{NAME}/fullchain.pem", str(certificate)),
        (f"/etc/letsencrypt/live/{NAME}/privkey.pem", str(key)),
        ("http://127.0.0.1:3000", plain.address),
        ("client_header_timeout 10s", f"client_header_timeout {SECONDS}s"),
        ("client_body_timeout 10s", f"client_body_timeout {SECONDS}s"),
    ):
        assert site.count(before) == 1, before
        site = site.replace(before, after)
    config = folder / "nginx.conf"
    config.write_text(WORLD.format(folder=folder, site=site))
    process = subprocess.Popen(["nginx", "-c", str(config), "-g", "daemon off;"])
    try:
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < end, "nginx did not start"
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def connected(port: int, folder: Path, content: bytes) -> ssl.SSLSocket:
    """A TLS connection to the proxy on which `content` was sent."""
    context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    plain_socket = socket.create_connection(("127.0.0.1", port), timeout=30)
    client = context.wrap_socket(plain_socket, server_hostname=NAME)
    client.sendall(content)
    return client


def ends(client: ssl.SSLSocket) -> float:
    """Seconds until the proxy closes the connection."""
    started = time.monotonic()
    while client.recv(4096):
        pass
    return time.monotonic() - started


def test_answers_come_through_tls_and_images_touch_no_disk(proxy: int, folder: Path) -> None:
    address, trust = f"https://127.0.0.1:{proxy}", str(folder / "cert.pem")
    ready = requests.get(f"{address}/readyz", verify=trust)
    assert ready.ok
    assert "max-age" in ready.headers["Strict-Transport-Security"]
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2500, 3), np.uint8)
    large = encoded(Image.fromarray(noise), compress_level=0)
    for image in (encoded(frame(0, 3)), large):
        response = requests.post(f"{address}/predict", data=image, headers=PNG, verify=trust)
        assert response.status_code == 200, response.text
        assert response.headers["X-Request-ID"]
    too_large = requests.post(f"{address}/predict", data=b"\0" * 21 * 2**20, verify=trust)
    assert too_large.status_code == 413
    assert "temporary file" not in (folder / "error.log").read_text()
    assert not any(path.is_file() for path in (folder / "body").rglob("*"))


def test_headers_that_never_end_are_ended(proxy: int, folder: Path) -> None:
    client = connected(proxy, folder, b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ")
    began = time.monotonic()
    client.settimeout(SECONDS * 5)
    for _ in range(SECONDS * 2):  # a byte now and then does not count as an end
        time.sleep(0.4)
        client.sendall(b"a")
    ends(client)
    assert time.monotonic() - began < SECONDS * 3
    client.close()


def test_a_body_that_never_ends_does_not_reach_the_service(
    proxy: int, plain: Running, folder: Path
) -> None:
    mine = b"X-Request-ID: never-ends\r\n"
    start = head(1000).replace(b"\r\n\r\n", b"\r\n" + mine + b"\r\n")
    client = connected(proxy, folder, start + b"a")
    assert SECONDS / 2 < ends(client) < SECONDS * 3
    client.close()
    assert "never-ends" not in plain.log.read_text()


def test_an_address_has_only_so_many_connections(proxy: int, folder: Path) -> None:
    clients = [connected(proxy, folder, head(1000) + b"a") for _ in range(32)]
    try:
        address, trust = f"https://127.0.0.1:{proxy}", str(folder / "cert.pem")
        assert requests.get(f"{address}/readyz", verify=trust).status_code == 429
    finally:
        for client in clients:
            client.close()
