"""A host's certificate is believed only whole; `test_by_hand` compares the rest with `ssh`."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.remote.ssh.host_certificates import Certificate, certificate_of
from tests.rig.host import run

PLAIN = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)
"""A public key; any will do."""


@pytest.fixture(scope="module")
def blob(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A certificate for the host gpu1, by an authority with a key of type ECDSA."""
    place = tmp_path_factory.mktemp("certificate")
    for name, kind in (("host", "ed25519"), ("ca", "ecdsa")):
        run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", place / name])
    run(["ssh-keygen", "-q", "-s", place / "ca", "-I", "x", "-h", "-n", "gpu1", place / "host.pub"])
    return base64.b64decode(Path(place / "host-cert.pub").read_text().split()[1])


def read(blob: bytes) -> Certificate:
    from paramiko import Ed25519Key
    from paramiko.pkey import PublicBlob

    key = Ed25519Key(data=PLAIN)
    key.public_blob = PublicBlob("ssh-ed25519-cert-v01@openssh.com", blob)
    certificate = certificate_of(key)
    assert certificate is not None
    return certificate


def test_a_whole_certificate_holds_for_its_host_alone(blob: bytes) -> None:
    assert read(blob).problem("gpu1", None) is None
    assert read(blob).problem("gpu2", None) == "names gpu1, not gpu2"
    refused = read(blob).problem("gpu1", ("ssh-ed25519",))
    assert refused == "is signed with ecdsa-sha2-nistp256, which CASignatureAlgorithms leaves out"


@given(data=st.data())
def test_a_certificate_with_another_byte_or_a_cut_end_does_not_hold(
    blob: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(read(blob).signed) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda x: x != blob[at]))
    for changed in (blob[:at] + bytes([byte]) + blob[at + 1 :], blob[:at]):
        assert read(changed).problem("gpu1", None)
