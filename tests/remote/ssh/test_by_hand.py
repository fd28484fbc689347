"""What `ssh` accepts with a configuration is accepted here, and what it refuses is refused with a
reason. `ssh` itself is the judge, at real servers."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cosmos_pipelines.errors import (
    CosmosError,
    HostKeyChanged,
    HostKeyUnknown,
    LoginRefused,
    NotAllowed,
)
from cosmos_pipelines.remote.ssh.connection import Connection, Target
from tests.rig.host import run
from tests.support.sshd import PROGRAM, Sshd, running_sshd
from tests.support.waiting import LONG_S

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="no sshd")

PASSWORDS = """\
PasswordAuthentication yes
PermitRootLogin yes
"""
Files = dict[str, Path]


def keygen(*words: str | Path) -> None:
    run(["ssh-keygen", "-q", *map(str, words)])


def new_key(file: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    bits = ("-b", "2048") if kind == "rsa" else ()
    keygen("-t", kind, *bits, "-N", passphrase, "-C", file.name, "-f", file)
    return file


@pytest.fixture(scope="module")
def cas(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Authorities: one for hosts, one for users, and one that nobody knows."""
    place = tmp_path_factory.mktemp("cas")
    kinds = {"hosts": "ed25519", "users": "rsa", "others": "ecdsa"}
    return {name: new_key(place / name, kind) for name, kind in kinds.items()}


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[..., Sshd]]:
    """Starts servers, each once for all tests."""
    with ExitStack() as stack:
        started: dict[str, Sshd] = {}

        def start(name: str, more: Callable[[Path], str]) -> Sshd:
            if name not in started:
                started[name] = stack.enter_context(running_sshd(more))
            return started[name]

        yield start


def certified_host(cas: Files, *words: str, by: str = "hosts") -> Callable[[Path], str]:
    def more(base: Path) -> str:
        keygen("-s", cas[by], "-I", "host", "-h", *words, base / "host_key.pub")
        users = f"TrustedUserCAKeys {cas['users']}.pub\n"
        return f"HostCertificate {base}/host_key-cert.pub\n{users}"

    return more


@pytest.fixture
def host(start: Callable[..., Sshd], cas: Files) -> Sshd:
    """A server with a certificate for its address, which trusts the authority of users."""
    return start("host", certified_host(cas, "-n", "gpu.example,127.0.0.1"))


@pytest.fixture
def client(tmp_path: Path) -> Callable[..., Path]:
    """Writes a configuration: the lines of `sshd`'s own client, with these before them."""

    def client(sshd: Sshd, lines: str = "", known: str | None = None) -> Path:
        own = sshd.config.read_text().split("\n", 1)[1]
        file = tmp_path / "config"
        if known is not None:
            (tmp_path / "known_hosts").write_text(known)
            lines = f"{lines}\nUserKnownHostsFile {tmp_path}/known_hosts"
        file.write_text(f"Host loop\nGlobalKnownHostsFile none\n{lines}\n{own}")
        return file

    return client


def ours(config: Path) -> CosmosError | None:
    try:
        with Connection(Target("loop", config_file=config)) as connection:
            assert connection.run(["true"], timeout_s=LONG_S).exit_code == 0
    except CosmosError as e:
        return e
    return None


def by_hand(config: Path) -> str | None:
    done = subprocess.run(["ssh", "-F", config, "loop", "true"], capture_output=True, check=False)
    return done.stderr.decode() if done.returncode else None


def accepted(config: Path) -> bool:
    """Whether `ssh` and we are let in; they must agree."""
    refused, error = by_hand(config), ours(config)
    assert (refused is None) == (error is None), (refused, error)
    return error is None


def refused(config: Path, kind: type[CosmosError], why: str) -> str:
    said = by_hand(config)
    assert said is not None, "ssh accepts it"
    error = ours(config)
    assert isinstance(error, kind), error
    assert re.search(why, str(error)), error
    return str(error)


def public(file: Path) -> str:
    return " ".join(Path(f"{file}.pub").read_text().split()[:2])


# Host certificates ----------------------------------------------------------------------------


def test_a_certificate_of_a_known_authority_is_enough(
    host: Sshd, cas: Files, client: Callable[..., Path]
) -> None:
    for names in ("*", "127.0.0.1", f"[127.0.0.1]:{host.port}", "*.example,127.0.0.?"):
        known = f"@cert-authority {names} {public(cas['hosts'])}\n"
        assert accepted(client(host, known=known)), names


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_certificates_of_all_types_are_read(
    start: Callable[..., Sshd], cas: Files, client: Callable[..., Path], kind: str
) -> None:
    def more(base: Path) -> str:
        new_key(base / "other", kind)
        keygen("-s", cas["others"], "-I", "h", "-h", "-n", "127.0.0.1", base / "other.pub")
        return f"HostKey {base}/other\nHostCertificate {base}/other-cert.pub\n"

    sshd = start(kind, more)
    assert accepted(client(sshd, known=f"@cert-authority * {public(cas['others'])}\n"))


def test_an_authority_that_is_not_the_hosts_is_refused(
    host: Sshd, cas: Files, client: Callable[..., Path]
) -> None:
    known = f"@cert-authority * {public(cas['others'])}\n"
    error = refused(client(host, known=known), HostKeyUnknown, "of an unknown authority, SHA256:")
    assert "ssh-keyscan" in error
    elsewhere = f"@cert-authority *.example {public(cas['hosts'])}\n"
    refused(client(host, known=elsewhere), HostKeyUnknown, "is not known")


def test_a_revoked_authority_is_refused(
    host: Sshd, cas: Files, client: Callable[..., Path]
) -> None:
    key = public(cas["hosts"])
    known = f"@cert-authority * {key}\n@revoked * {key}\n"
    refused(client(host, known=known), HostKeyChanged, "authority that is revoked")
    known += (host.base / "known_hosts").read_text()
    assert not accepted(client(host, known=known))


def test_a_certificate_is_refused_with_its_reason_and_the_known_key_still_holds(
    start: Callable[..., Sshd], cas: Files, client: Callable[..., Path]
) -> None:
    cases = {
        "expired on 2001-01-01": ("-n", "127.0.0.1", "-V", "20000101:20010101"),
        "is valid from 21": ("-n", "127.0.0.1", "-V", "21000101:21010101"),
        "names gpu.example, not 127.0.0.1": ("-n", "gpu.example"),
    }
    for why, words in cases.items():
        sshd = start(why, certified_host(cas, *words))
        authority = f"@cert-authority * {public(cas['hosts'])}\n"
        refused(client(sshd, known=authority), HostKeyUnknown, why)
        assert accepted(client(sshd, known=authority + (sshd.base / "known_hosts").read_text()))
        alias = "HostKeyAlias gpu.example"
        assert accepted(client(sshd, alias, authority)) == ("gpu.example" in why)


# Known hosts ----------------------------------------------------------------------------------


def test_the_hint_for_an_alias_adds_the_key_under_the_alias(
    host: Sshd, client: Callable[..., Path]
) -> None:
    config = client(host, "HostKeyAlias the-gpu", "")
    error = refused(config, HostKeyUnknown, "is not known")
    command = error[error.index("ssh-keyscan") :]
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    assert accepted(config)


def test_a_key_of_the_host_without_its_port_is_known(
    sshd: Sshd, client: Callable[..., Path]
) -> None:
    key, other = public(sshd.base / "host_key"), public(sshd.base / "key")
    assert accepted(client(sshd, known=f"127.0.0.1 {key}\n"))
    assert not accepted(client(sshd, known=f"[127.0.0.1]:{sshd.port} {other}\n127.0.0.1 {key}\n"))
    assert not accepted(client(sshd, known=f"127.0.0.1 {other}\n"))
    assert not accepted(client(sshd, known=f"127.0.0.1 {key}\n@revoked * {key}\n"))


@pytest.mark.parametrize(("strict", "new", "changed"),
                         [("yes", False, False), ("ask", False, False),
                          ("accept-new", True, False), ("no", True, True)])  # fmt: skip
def test_new_and_changed_keys_are_taken_where_the_configuration_says_so(
    sshd: Sshd, client: Callable[..., Path], strict: str, new: bool, changed: bool, tmp_path: Path
) -> None:
    hashed = "yes" if strict == "no" else "no"
    lines = f"StrictHostKeyChecking {strict}\nHashKnownHosts {hashed}"
    assert (by_hand(client(sshd, lines, "")) is None) == new
    theirs = (tmp_path / "known_hosts").read_text()
    assert (ours(client(sshd, lines, "")) is None) == new
    text = (tmp_path / "known_hosts").read_text()
    assert len(text.splitlines()) == len(theirs.splitlines()) == new
    assert ("127.0.0.1" in text) == ("127.0.0.1" in theirs) == (new and hashed == "no")
    if new:
        assert accepted(client(sshd, "StrictHostKeyChecking yes", text))
    other = f"[127.0.0.1]:{sshd.port} {public(sshd.base / 'key')}\n"
    assert accepted(client(sshd, lines, other)) == changed
    nowhere = client(sshd, f"{lines}\nUserKnownHostsFile /dev/null")
    assert accepted(nowhere) == new


@pytest.mark.parametrize(("lines", "let_in"), [
    ("UserKnownHostsFile {place}/none {place}/keys", True),
    ("UserKnownHostsFile none\nGlobalKnownHostsFile {place}/none {place}/keys", True),
    ("UserKnownHostsFile none", False),
    ("UserKnownHostsFile none\nNoHostAuthenticationForLocalhost yes", True),
    ("UserKnownHostsFile none\nNoHostAuthenticationForLocalhost yes\nHostKeyAlias x", False),
    ("Include {place}/more", True),
    ('Match originalhost loop exec "test -e {place}/keys"\nUserKnownHostsFile {place}/keys', True),
    ("User %u-who-does-not-exist", False),
    ("AddKeysToAgent yes\nConnectTimeout 5\nHashKnownHosts yes", True),
])  # fmt: skip
def test_all_else_in_a_configuration_is_read_as_by_ssh(
    sshd: Sshd, client: Callable[..., Path], tmp_path: Path, lines: str, let_in: bool
) -> None:
    key = public(sshd.base / "host_key")
    (tmp_path / "keys").write_text(f"[127.0.0.1]:{sshd.port} {key}\n")
    (tmp_path / "more").write_text(f"UserKnownHostsFile {tmp_path}/keys\n")
    config = client(sshd, "XX")
    text = config.read_text().replace("GlobalKnownHostsFile none\n", "")
    text = text.replace("XX", lines.format(place=tmp_path) + "\nGlobalKnownHostsFile none")
    config.write_text(text)
    assert accepted(config) == let_in


def test_a_list_of_revoked_keys_refuses_a_key_its_certificate_and_their_authority(
    host: Sshd, cas: Files, client: Callable[..., Path], tmp_path: Path
) -> None:
    known = f"@cert-authority * {public(cas['hosts'])}\n{(host.base / 'known_hosts').read_text()}"
    listed = {"key": f"{host.base}/host_key.pub", "authority": f"{cas['hosts']}.pub"}
    for name, file in listed.items():
        revoked = tmp_path / name
        config = client(host, f"RevokedHostKeys {revoked}", known)
        refused(config, HostKeyChanged, f"cannot be looked up in {revoked}")
        keygen("-k", "-f", revoked, file)
        refused(config, HostKeyChanged, f"is revoked in {revoked}")
    keygen("-k", "-f", tmp_path / "key", f"{cas['others']}.pub")
    assert accepted(client(host, f"RevokedHostKeys {tmp_path}/key", known))


# The user's keys and certificates -------------------------------------------------------------


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A key that no host knows."""
    return new_key(tmp_path / "mine")


def certify(cas: Files, host: Sshd, key: Path, *words: str, by: str = "users") -> Path:
    keygen("-s", cas[by], "-I", "me", "-n", host.user, *words, f"{key}.pub")
    return Path(f"{key}-cert.pub")


def test_a_users_certificate_lets_in_beside_its_key_or_by_name(
    host: Sshd, cas: Files, client: Callable[..., Path], key: Path, tmp_path: Path
) -> None:
    config = client(host, f"IdentityFile {key}")
    config.write_text(config.read_text().replace(f"IdentityFile {host.base}/key\n", ""))
    error = refused(config, LoginRefused, f"Tried: {key}")
    assert "ssh-copy-id" not in error
    beside = certify(cas, host, key)
    assert accepted(config)
    named = beside.rename(tmp_path / "a certificate")
    assert not accepted(config)
    text = config.read_text()
    config.write_text(text.replace("Host loop\n", f'Host loop\nCertificateFile "{named}"\n'))
    assert accepted(config)
    config.write_text(text.replace("Host loop\n", f"Host loop\nCertificateFile {tmp_path}/none\n"))
    assert not accepted(config)


@pytest.mark.parametrize(("words", "by"), [(("-V", "20000101:20010101"), "users"), ((), "others")])
def test_a_certificate_that_does_not_hold_is_no_obstacle_to_its_key(
    host: Sshd, cas: Files, client: Callable[..., Path], tmp_path: Path, words: tuple[str], by: str
) -> None:
    key = tmp_path / "valid"
    for end in ("", ".pub"):
        shutil.copy2(f"{host.base}/key{end}", f"{key}{end}")
    beside = certify(cas, host, key, *words, by=by)
    config = client(host)
    config.write_text(config.read_text().replace(f"{host.base}/key\n", f"{key}\n"))
    assert accepted(config)
    assert accepted(client(host, f"CertificateFile {beside}\nIdentityFile {key}"))


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """An agent without keys."""
    place = tmp_path / "agent"
    child = subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    yield place
    child.terminate()
    child.wait()


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_a_certificate_whose_key_is_in_the_agent_lets_in(
    host: Sshd, cas: Files, client: Callable[..., Path], tmp_path: Path, agent: Path, kind: str
) -> None:
    key = new_key(tmp_path / "away", kind)
    certify(cas, host, key)
    config = client(host, f"IdentityAgent {agent}\nIdentityFile {key}")
    config.write_text(config.read_text().replace(f"IdentityFile {host.base}/key\n", ""))
    subprocess.run(["ssh-add", "-q", key], env={"SSH_AUTH_SOCK": str(agent)}, check=True)
    key.unlink()
    assert accepted(config)  # by the certificate in the agent
    named = Path(f"{key}-cert.pub").rename(tmp_path / "named")
    subprocess.run(["ssh-add", "-q", "-D"], env={"SSH_AUTH_SOCK": str(agent)}, check=True)
    assert not accepted(config)
    text = config.read_text().replace("Host loop\n", f"Host loop\nCertificateFile {named}\n")
    config.write_text(text)
    assert not accepted(config)


def test_the_public_half_of_a_key_chooses_it_in_the_agent(
    host: Sshd, client: Callable[..., Path], tmp_path: Path, agent: Path, key: Path
) -> None:
    half = tmp_path / "half.pub"
    shutil.copy2(host.base / "key.pub", half)
    config = client(host, f"IdentityAgent {agent}\nIdentityFile {half}")
    config.write_text(config.read_text().replace(f"IdentityFile {host.base}/key\n", ""))
    refused(config, LoginRefused, "is a public key, whose private key is not in the agent")
    for file in (key, host.base / "key"):
        subprocess.run(["ssh-add", "-q", file], env={"SSH_AUTH_SOCK": str(agent)}, check=True)
    assert accepted(config)


def test_a_key_with_a_passphrase_needs_no_public_file_to_be_found_in_the_agent(
    host: Sshd, client: Callable[..., Path], tmp_path: Path, agent: Path
) -> None:
    locked = tmp_path / "locked"
    shutil.copy2(host.base / "key", locked)
    keygen("-p", "-N", "geheim", "-f", locked)
    config = client(host, f"IdentityAgent {agent}\nIdentityFile {locked}")
    config.write_text(config.read_text().replace(f"IdentityFile {host.base}/key\n", ""))
    error = refused(config, LoginRefused, "has a passphrase")
    assert f"`ssh-add {locked}`" in error
    assert "ssh-copy-id" not in error and "authorized_keys" not in error
    subprocess.run(["ssh-add", "-q", host.base / "key"], env={"SSH_AUTH_SOCK": str(agent)},
                   check=True)  # fmt: skip
    assert accepted(config)


def test_a_key_that_others_may_read_is_refused_as_by_ssh(
    host: Sshd, client: Callable[..., Path], tmp_path: Path
) -> None:
    key = tmp_path / "open"
    shutil.copy2(host.base / "key", key)
    key.chmod(0o644)
    config = client(host)
    config.write_text(config.read_text().replace(f"{host.base}/key\n", f"{key}\n"))
    refused(config, LoginRefused, f"chmod 600 {key}")


def test_many_keys_of_an_agent_are_too_many_unless_only_the_listed_ones_are_offered(
    host: Sshd, client: Callable[..., Path], tmp_path: Path, agent: Path
) -> None:
    for number in range(6):
        key = new_key(tmp_path / f"wrong{number}")
        subprocess.run(["ssh-add", "-q", key], env={"SSH_AUTH_SOCK": str(agent)}, check=True)
    assert accepted(client(host, f"IdentityAgent {agent}"))
    many = client(host, f"IdentitiesOnly no\nIdentityAgent {agent}")
    refused(many, LoginRefused, "the host ended the connection")


# Servers --------------------------------------------------------------------------------------


def test_a_server_that_asks_questions_is_told_and_gets_no_hint_that_cannot_help(
    start: Callable[..., Sshd], client: Callable[..., Path], key: Path
) -> None:
    both = start("both", lambda _: f"{PASSWORDS}AuthenticationMethods publickey,password\n")
    error = refused(client(both), LoginRefused, "takes .*key of .* but wants password as well")
    assert "ssh-copy-id" not in error
    only = start("only", lambda _: f"{PASSWORDS}PubkeyAuthentication no\n")
    error = refused(client(only), LoginRefused, "accepts no keys from .*, only: password")
    assert "ssh-copy-id" not in error
    either = start("either", lambda _: PASSWORDS)
    config = client(either)
    config.write_text(config.read_text().replace(f"{either.base}/key\n", f"{key}\n"))
    assert f"ssh-copy-id -i {key}.pub" in refused(config, LoginRefused, "does not let")


def test_the_login_is_asked_for_once_however_many_keys_are_offered(
    start: Callable[..., Sshd], client: Callable[..., Path], key: Path
) -> None:
    sshd = start("debug", lambda _: "LogLevel DEBUG3\n")
    assert ours(client(sshd, f"IdentityFile {key}")) is None
    log = (sshd.base / "log").read_text()
    requests = re.findall(r"receive packet: type (\d+) \[preauth\]", log)
    assert requests.count("5") == 1  # SSH_MSG_SERVICE_REQUEST; servers in Go hang up at a second
    assert requests.count("50") == 3  # without a key, with the wrong one, with the right one


RESTRICTED = """\
KexAlgorithms curve25519-sha256
Ciphers aes256-gcm@openssh.com,aes256-ctr
MACs hmac-sha2-512
PubkeyAcceptedAlgorithms ssh-ed25519
"""


@pytest.mark.parametrize(("lines", "let_in"), [
    ("", True),
    ("KexAlgorithms curve25519-sha256", True),
    ("KexAlgorithms ecdh-sha2-nistp256", False),
    ("Ciphers aes256-ctr\nMACs hmac-sha2-512", True),
    ("Ciphers aes256-ctr\nMACs hmac-sha2-256", False),
    ("Ciphers aes128-ctr", False),
    ("HostKeyAlgorithms ssh-ed25519", True),
    ("HostKeyAlgorithms rsa-sha2-512", False),
    ("PubkeyAcceptedAlgorithms ssh-ed25519", True),
    ("PubkeyAcceptedAlgorithms -ssh-ed25519", False),
])  # fmt: skip
def test_the_algorithms_of_the_configuration_are_those_of_the_connection(
    start: Callable[..., Sshd], client: Callable[..., Path], lines: str, let_in: bool
) -> None:
    sshd = start("restricted", lambda _: RESTRICTED)
    if let_in:
        assert accepted(client(sshd, lines))
        return
    option, named = lines.splitlines()[-1].split()
    if option.startswith("Pubkey"):
        refused(client(sshd, lines), LoginRefused, f"{option} leaves ssh-ed25519 out")
        return
    error = refused(client(sshd, lines), NotAllowed, f"share no .*here are {named}")
    assert "leaves out" in error and f"to {option} for loop" in error


@pytest.mark.parametrize("lines", [
    "Ciphers chacha20-poly1305@openssh.com\n",
    "KexAlgorithms sntrup761x25519-sha512@openssh.com\n",
])  # fmt: skip
def test_a_server_with_algorithms_that_are_not_here_is_told_with_both_lists(
    start: Callable[..., Sshd], client: Callable[..., Path], lines: str
) -> None:
    sshd = start(lines, lambda _: lines)
    assert by_hand(client(sshd)) is None  # here `ssh` can more
    error = ours(client(sshd))
    assert isinstance(error, NotAllowed)
    option, theirs = lines.split()
    assert f"the host has {theirs}" in str(error) and "; here are " in str(error)
    assert f"Allow one of ours on the host: {option} in its sshd_config." in str(error)
