"""The certificate that `llamacy serve` speaks HTTPS with."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, NoReturn

from llamacy.cli.failures import UsageError


class Certificate(NamedTuple):
    """Files with a certificate and its key, which belong together.

    Attributes
    ----------
    chain : Path
        The certificate, followed by those that it was signed with.
    key : Path or None
        Its private key; None if that is in the same file.
    """

    chain: Path
    key: Path | None


def checked_certificate(chain: Path | None, key: Path | None) -> Certificate | None:
    """Return a certificate that can be served with; None if none was given.

    Raises
    ------
    UsageError
        There is a key alone, a file cannot be read, the key is another certificate's,
        or it wants a passphrase.
    """
    if chain is None:
        if key is not None:
            raise UsageError("--tls-key: wanted --tls-cert as well")
        return None
    import ssl  # not for every command

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(chain, key, password=_refuse)
    except OSError as error:  # ssl.SSLError is one
        names = f"--tls-cert {chain}" + ("" if key is None else f", --tls-key {key}")
        raise UsageError(f"{names}: {error.strerror or error}") from None
    return Certificate(chain, key)


def _refuse() -> NoReturn:
    """Refuse a passphrase: OpenSSL would ask for it, and a service has no terminal."""
    raise UsageError("--tls-key: wanted a key without a passphrase")
