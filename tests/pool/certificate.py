"""Certificates that nobody else has signed, made by openssl."""

import subprocess
from pathlib import Path

from remote.servers import need


def make(folder: Path, *addresses: str) -> Path:
    """Return a file with a new key and its certificate, for these IP addresses."""
    need("openssl")
    key, certificate, both = (folder / name for name in ("key.pem", "ca.pem", "server.pem"))
    names = ",".join(f"IP:{address}" for address in addresses)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "30", "-subj", "/CN=pool", "-addext", f"subjectAltName={names}",
         "-keyout", str(key), "-out", str(certificate)],
        stdin=subprocess.DEVNULL, capture_output=True, check=True,
    )  # fmt: skip
    both.write_text(key.read_text() + certificate.read_text())
    return both
