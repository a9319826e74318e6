"""Keyed hashes and tokens. Of a token the database holds only the SHA-256."""

import hashlib
import hmac
import secrets

TOKEN_BYTES = 32
PSEUDONYM_DIGITS = 10  # as released


def keyed(secret: bytes, *parts: str, digits: int = 32) -> str:
    """The first hexadecimal digits of HMAC-SHA256 of the parts."""
    text = b"\0".join(part.encode("utf-8", "backslashreplace") for part in parts)
    return hmac.new(secret, text, hashlib.sha256).hexdigest()[:digits]


def new_token() -> str:
    """A random token for an address or a header."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_sha256(token: str) -> str:
    """What the database holds of a token."""
    return hashlib.sha256(token.encode("utf-8", "backslashreplace")).hexdigest()
