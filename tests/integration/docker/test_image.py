"""The image of docker/Dockerfile, run the way docker/compose.serve.yaml runs it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from gateway.sandbox.server import Sandbox

pytestmark = [pytest.mark.container, pytest.mark.timeout(120)]

IMAGE: Final = "localhost/siptg"
UP_S: Final = 30.0
STOP_S: Final = 10

Start = Callable[[], DockerContainer]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A podman of our own for testcontainers: what it calls the host's network is the tests' private one."""
    podman = shutil.which("podman")
    if podman is None:
        pytest.skip("podman is not installed")
    if os.geteuid() != 0:
        pytest.skip("only root's podman puts a container into the tests' private network")
    if subprocess.run([podman, "image", "exists", IMAGE], check=False, capture_output=True).returncode != 0:
        pytest.skip(f"there is no image {IMAGE}; make it: make image DOCKER=podman ARGS='--format docker'")
    address = tmp_path_factory.mktemp("podman") / "socket"
    command = (podman, "--cgroup-manager=cgroupfs", "system", "service", "--time=0", f"unix://{address}")
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as service,
    ):
        patch.setenv("DOCKER_HOST", f"unix://{address}")
        patch.setattr(testcontainers_config, "ryuk_disabled", True)
        try:
            _wait(address.exists, "podman's socket")
            yield
        finally:
            service.terminate()


@pytest.fixture
def volume(engine: None) -> Iterator[str]:
    client = DockerClient().client
    made = client.volumes.create(f"siptg-test-{uuid.uuid4().hex}")
    yield made.name
    made.remove(force=True)
    client.close()


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with Sandbox(tmp_path / "telegram") as sandbox:
        yield sandbox


@pytest.fixture
def start(volume: str, telegram: Sandbox) -> Iterator[Start]:
    """Starts a gateway on the volume; all that were started are gone at the end."""
    started: list[DockerContainer] = []

    def start() -> DockerContainer:
        container = DockerContainer(
            IMAGE,
            env={
                "SIPTG_TELEGRAM__API_ID": "1",
                "SIPTG_TELEGRAM__API_HASH": "0" * 32,
                "SIPTG_TELEGRAM__SERVER": telegram.server,
                "SIPTG_TELEGRAM__KEY_FILE": "/telegram.pem",
            },
            volumes=[(volume, "/var/lib/siptg", "rw"), (str(telegram.key_file), "/telegram.pem", "ro")],
            network_mode="host",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            ulimits=[{"name": name, "soft": 4096, "hard": 4096} for name in ("nofile", "nproc")],
        ).with_tmpfs_mount("/tmp")
        started.append(container)
        return container.start()

    yield start
    for container in started:
        container.stop()


async def test_it_becomes_healthy_and_answers_sip_as_a_user_without_powers(start: Start) -> None:
    container = await asyncio.to_thread(start)
    await asyncio.to_thread(_wait, lambda: _healthy(container), "the health check")
    assert await asyncio.to_thread(_answers_sip)
    identity = container.exec(
        ["sh", "-c", "id -u; grep CapEff /proc/1/status; touch /opt/siptg/x 2>&1"]
    ).output.decode()
    assert identity.split()[:3] == ["1001", "CapEff:", "0" * 16]
    assert "Read-only file system" in identity


async def test_it_stops_when_told_and_keeps_its_state(start: Start) -> None:
    keys = []
    for _ in range(2):
        container = await asyncio.to_thread(start)
        await asyncio.to_thread(_wait, lambda: _healthy(container), "the health check")  # noqa: B023 - awaited here
        keys.append(container.exec(["sha256sum", "/var/lib/siptg/key"]).output)
        inner = container.get_wrapped_container()
        await asyncio.to_thread(inner.stop, timeout=STOP_S)
        inner.reload()
        assert inner.attrs["State"]["ExitCode"] == 0, container.get_logs()
    assert keys[0] == keys[1]


def _healthy(container: DockerContainer) -> bool:
    """Run the image's own health check, since not every engine does so by itself."""
    inner = container.get_wrapped_container()
    inner.reload()
    assert inner.status == "running", container.get_logs()
    check: list[str] = inner.attrs["Config"]["Healthcheck"]["Test"]
    return container.exec(check[1:]).exit_code == 0


def _answers_sip() -> bool:
    """Whether anything at all comes back for a request; RFC 3261 §11 has OPTIONS for the purpose."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.settimeout(5)
        phone.bind(("127.0.0.1", 0))
        here = "{}:{}".format(*phone.getsockname())
        request = (
            f"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKtest\r\nMax-Forwards: 1\r\n"
            f"From: <sip:test@{here}>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: test\r\nCSeq: 1 OPTIONS\r\n"
            "Content-Length: 0\r\n\r\n"
        )
        phone.sendto(request.encode(), ("127.0.0.1", 5060))
        return phone.recv(4096).startswith(b"SIP/2.0 ")


def _wait(done: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + UP_S
    while not done():
        assert time.monotonic() < end, f"{what} did not come within {UP_S:.0f} s"
        time.sleep(0.2)
