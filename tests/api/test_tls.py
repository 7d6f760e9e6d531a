"""Nobody gets a request who does not prove whose host this is; a company's authority can be added."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from shplan.api.network import network_transport
from shplan.api.wire import Network, Received, TransportFault
from tests.api.server import Reply, Server

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")


def certificate(directory: Path, names: str) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    paths = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        + ["-subj", "/CN=x", "-addext", f"subjectAltName={names}"]
        + ["-out", str(paths[0]), "-keyout", str(paths[1])],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return paths


def sent(directory: Path, names: str, *, trusted: bool) -> tuple[Received | TransportFault, int]:
    """What comes of a request to a server with this certificate, and how many it has heard."""
    chain, key = certificate(directory, names)

    async def run() -> tuple[Received | TransportFault, int]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        server = Server(lambda _: Reply(204))
        listening = await asyncio.start_server(server.talk, "127.0.0.1", 0, ssl=context)
        port = listening.sockets[0].getsockname()[1]
        sending = network_transport(Network(ca_file=str(chain) if trusted else None))
        try:
            headers = {"Authorization": "Bearer canary-tls-token"}
            url = f"https://127.0.0.1:{port}/x"
            try:
                return await sending.send("GET", url, headers=headers, content=b""), 1
            except TransportFault as fault:
                return fault, len(server.heard)
        finally:
            await sending.close()
            server.close_all()
            listening.close()

    return asyncio.run(run())


def test_a_certificate_that_signs_itself_is_refused(tmp_path: Path) -> None:
    outcome, heard = sent(tmp_path, "IP:127.0.0.1", trusted=False)
    assert isinstance(outcome, TransportFault)
    assert "certificate is not trusted" in str(outcome)
    assert not outcome.left
    assert heard == 0


def test_an_authority_that_a_person_named_is_trusted(tmp_path: Path) -> None:
    outcome, _ = sent(tmp_path, "IP:127.0.0.1", trusted=True)
    assert isinstance(outcome, Received)
    assert outcome.status == 204


def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    outcome, heard = sent(tmp_path, "DNS:elsewhere.test", trusted=True)
    assert isinstance(outcome, TransportFault)
    assert "certificate is not trusted" in str(outcome)
    assert heard == 0
