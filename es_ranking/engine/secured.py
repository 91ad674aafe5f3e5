"""Security for the embedded node: TLS with a certificate of its own, and a password for the user `elastic`.

For trying roles, API keys and certificates on this machine before a real cluster sees them. Certificate and password
are made anew at every start; what one needs to get in stands in a file that only its owner can read.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from es_ranking.engine.launch import Launch, environment
from es_ranking.engine.transport import EngineConfig
from segments.errors import RankingError

USER = "elastic"
FILE = "access.env"
CERTIFICATES = "certificates.pem"
_STORE = "http.p12"
_PASSWORD = "ES_RANKING_STORE_PASSWORD"


def secure(launch: Launch, password: str, *, keystore_tool: Sequence[str]) -> dict[str, object]:
    """Makes certificate and keystore in the node's `config`; returns the settings that use them.

    Args:
        password: of `elastic`, and of the files that hold secrets.
        keystore_tool: the command line of the server's own `elasticsearch-keystore`.

    Raises:
        RankingError: a tool of the JDK or of the server failed.
    """
    config = launch.data / "config"
    for name in (_STORE, CERTIFICATES, "elasticsearch.keystore"):
        (config / name).unlink(missing_ok=True)
    keytool = str(launch.java / "bin" / "keytool")
    entry = ["-alias", "http", "-keystore", str(config / _STORE), "-storetype", "PKCS12", "-storepass:env", _PASSWORD]
    # Self-signed: the certificate is its own authority, and the only one that anybody is told to trust.
    names = ["-dname", "CN=es-ranking embedded node", "-ext", "san=ip:127.0.0.1,dns:localhost", "-validity", "3650"]
    secret = {_PASSWORD: password}
    _run([keytool, "-genkeypair", *entry, "-keyalg", "EC", "-groupname", "secp256r1", *names], launch, secret=secret)
    _run([keytool, "-exportcert", "-rfc", *entry, "-file", str(config / CERTIFICATES)], launch, secret=secret)
    held = ("bootstrap.password", "xpack.security.http.ssl.keystore.secure_password")
    _run([*keystore_tool, "add", "--force", "--stdin", *held], launch, told=f"{password}\n" * len(held))
    for name in (_STORE, "elasticsearch.keystore"):
        (config / name).chmod(0o600)
    return {
        "xpack.security.enabled": True,
        "xpack.security.http.ssl.enabled": True,
        "xpack.security.http.ssl.keystore.path": _STORE,
    }


def write_access(folder: Path, launch: Launch, url: str) -> None:
    """Leaves what one needs to get in, as a file for a shell to source; nothing for a node without security."""
    file = folder / FILE
    file.unlink(missing_ok=True)
    if launch.password is None:
        return
    values = {
        "ES_URL": url,
        "ES_USERNAME": USER,
        "ES_PASSWORD": launch.password,
        "ES_CA_CERTS": str(launch.data / "config" / CERTIFICATES),
    }
    file.touch(mode=0o600)
    file.write_text("".join(f"export {key}={shlex.quote(value)}\n" for key, value in values.items()), encoding="utf-8")


def read_access(folder: Path) -> EngineConfig | None:
    """How to get into the node of that folder as its administrator; None if it has no security."""
    try:
        words = shlex.split((folder / FILE).read_text(encoding="utf-8"))
    except OSError:
        return None
    values = dict(word.split("=", 1) for word in words if word != "export")
    return EngineConfig(
        values["ES_URL"],
        username=values["ES_USERNAME"],
        password=values["ES_PASSWORD"],
        ca_certs=values["ES_CA_CERTS"],
    )


def _run(command: Sequence[str], launch: Launch, *, secret: Mapping[str, str] | None = None, told: str = "") -> None:
    """A tool that gets its secrets by environment or standard input: command lines are seen by everybody."""
    tool = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            cwd=launch.server,  # where older tools look for their libraries
            env={**environment(launch), **(secret or {})},
            input=told,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise RankingError(f"the node cannot be secured: no {tool} there", where=command[0]) from error
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[:300]
        raise RankingError(f"the node cannot be secured: {tool} said {said}", where=str(launch.data))
