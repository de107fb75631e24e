"""Certificates for the people's devices, made when they start: a good one and the usual bad ones.

Made by the openssl program; where there is none, the devices have no TLS and say so.
"""

import shutil
import ssl
import subprocess
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Certificate = Literal["good", "expired", "self_signed", "wrong_host", "old_version"]
CERTIFICATES: tuple[Certificate, ...] = get_args(Certificate)
OPENSSL = shutil.which("openssl")
_VALID = ("20200101000000Z", "20491231000000Z")
_EXPIRED = ("20200101000000Z", "20200201000000Z")
_OURS, _OTHERS = "IP:127.0.0.1,DNS:localhost", "DNS:elsewhere.example"
_CONFIGURATION = """\
[ca]
default_ca = chaos
[chaos]
database = index.txt
rand_serial = yes
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""


@dataclass(frozen=True, slots=True)
class Certificates:
    """ca_file: PEM of the authority behind all of them but the self-signed one. contexts: for servers."""

    ca_file: Path
    contexts: Mapping[Certificate, ssl.SSLContext]


def make_certificates(directory: Path) -> Certificates | None:
    """Make an authority and the servers' certificates in a directory; None without openssl."""
    if OPENSSL is None:
        return None
    directory.mkdir(parents=True, exist_ok=True)
    directory.joinpath("ca.cnf").write_text(_CONFIGURATION)
    directory.joinpath("index.txt").write_text("")
    _self_signed(directory, "ca", "basicConstraints=critical,CA:TRUE")
    _self_signed(directory, "self_signed", f"subjectAltName={_OURS}")
    _signed(directory, "good", _VALID, _OURS)
    _signed(directory, "expired", _EXPIRED, _OURS)
    _signed(directory, "wrong_host", _VALID, _OTHERS)
    contexts: dict[Certificate, ssl.SSLContext] = {name: _context(directory, name) for name in CERTIFICATES}
    return Certificates(directory / "ca.pem", contexts)


def _self_signed(directory: Path, name: str, extension: str) -> None:
    _openssl(directory, "req", "-x509", *_new_key(name), "-out", f"{name}.pem", "-days", "3650", "-addext", extension)


def _signed(directory: Path, name: str, validity: tuple[str, str], hosts: str) -> None:
    directory.joinpath(f"{name}.ext").write_text(f"subjectAltName={hosts}\n")
    _openssl(directory, "req", *_new_key(name), "-out", f"{name}.csr")
    authority = ("-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-extfile", f"{name}.ext")
    dates = ("-startdate", validity[0], "-enddate", validity[1])
    _openssl(directory, "ca", "-batch", "-notext", *authority, *dates, "-in", f"{name}.csr", "-out", f"{name}.pem")


def _new_key(name: str) -> tuple[str, ...]:
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    return (*kind, "-keyout", f"{name}.key", "-subj", f"/CN=chaos {name}")


def _openssl(directory: Path, *arguments: str) -> None:
    assert OPENSSL is not None
    subprocess.run([OPENSSL, *arguments], cwd=directory, check=True, capture_output=True, timeout=30)


def _context(directory: Path, name: Certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if name == "old_version":
        with warnings.catch_warnings():
            # Python warns of what we want: a server that speaks nothing newer than TLS 1.1.
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
    file = "good" if name == "old_version" else name
    context.load_cert_chain(directory / f"{file}.pem", directory / f"{file}.key")
    return context
