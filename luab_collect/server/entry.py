"""How annotators come in: own links, Prolific's parameters or signed links, another platform's parameters."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from jwt import PyJWKClient, PyJWKSet

from luab_collect.platforms import PROLIFIC, URL
from luab_collect.project import Project
from luab_collect.store.refusals import Refusal
from luab_data.errors import SourceError

PERSON, STUDY, VISIT = "PROLIFIC_PID", "STUDY_ID", "SESSION_ID"
ALGORITHMS = ["RS256", "ES256"]  # with public keys only: a key set's key must not serve as a shared secret
MAX_AGE = 300.0  # s of a webhook
KEYS_SECONDS = 24 * 3600
RETURNED = ("RETURNED", "TIMED-OUT", "TIMED_OUT")  # states of a submission that give its pages back


@dataclass(frozen=True)
class Visitor:
    """Who comes from a platform; both ids are the platform's."""

    platform: str
    outside_id: str
    visit: str  # its submission, or the same again: one assignment each


class Entrance:
    """Checks who comes in, by the project's settings."""

    def __init__(self, project: Project):
        """Reads the key set.

        Raises:
            SourceError: Prolific's settings do not fit together, or the key set cannot be read.
        """
        self._prolific = project.platforms.prolific
        self._url = project.platforms.url
        self._client: PyJWKClient | None = None
        self._keys: PyJWKSet | None = None
        settings = self._prolific
        if settings is None:
            return
        if (settings.jwks is None) != (settings.audience is None) or (
            settings.signed_only and not settings.jwks
        ):
            raise SourceError(
                "platforms.prolific: jwks (the key set) and audience (the study's address) go together, "
                "and signed_only needs both."
            )
        if settings.jwks is None:
            return
        if settings.jwks.startswith("https://"):
            self._client = PyJWKClient(settings.jwks, cache_jwk_set=True, lifespan=KEYS_SECONDS, timeout=10)
        else:
            self._keys = _key_set(project.folder / settings.jwks)

    def visitor(self, platform: str, token: str | None, parameters: Mapping[str, str]) -> Visitor:
        """Who comes from a platform.

        Args:
            platform: `prolific` or `url`.
            token: A signed entry link's.
            parameters: Of the address.

        Raises:
            Refusal: `platform`, `signature`, `request`.
        """
        if platform == PROLIFIC:
            return self._from_prolific(token, parameters)
        names = self._url
        if names is None:
            raise Refusal("platform", "this study has no entry by parameters of an address")
        person = _given(parameters, names.annotator)
        return Visitor(URL, person, _given(parameters, names.session) if names.session else person)

    def completion(self, platform: str, code: str) -> dict[str, str | None]:
        """The `code` and `url` of who has done a whole assignment."""
        settings = {PROLIFIC: self._prolific, URL: self._url}.get(platform)
        address = settings.completion_url if settings is not None else None
        return {"code": code, "url": address.replace("{code}", code) if address else None}

    def webhook(self, body: bytes, timestamp: str, signature: str, now: float) -> str:
        """The digest of a webhook of Prolific, by which a replay is known; raises Refusal."""
        secret = self._prolific.webhook_secret if self._prolific is not None else None
        if secret is None:
            raise Refusal("platform", "this study takes no webhooks")
        signed = timestamp.encode("utf-8", "backslashreplace") + body
        expected = b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest())
        if not hmac.compare_digest(expected, signature.encode("utf-8", "backslashreplace")):
            raise Refusal("signature", "the signature does not fit the webhook")
        if not timestamp.isascii() or not timestamp.isdecimal() or abs(now - float(timestamp[:20])) > MAX_AGE:
            raise Refusal("signature", f"the webhook is older than {MAX_AGE:g} s")
        return hashlib.sha256(signed).hexdigest()

    def _from_prolific(self, token: str | None, parameters: Mapping[str, str]) -> Visitor:
        if self._prolific is None:
            raise Refusal("platform", "this study has no entry from Prolific")
        if token is not None:
            signed = self._claims(token)
            for name in (PERSON, STUDY, VISIT):
                if parameters.get(name, signed.get(name)) != signed.get(name):
                    raise Refusal("signature", "the address and its signed token name different people")
            parameters = signed
        elif self._prolific.signed_only:
            raise Refusal("signature", "this study is entered by Prolific's signed links only")
        return Visitor(PROLIFIC, _given(parameters, PERSON), _given(parameters, VISIT))

    def _claims(self, token: str) -> dict[str, str]:
        assert self._prolific is not None
        if self._client is None and self._keys is None:
            raise Refusal("signature", "this study has no key set for signed links")
        try:
            claims = jwt.decode(
                token,
                self._key(token),
                algorithms=ALGORITHMS,
                audience=self._prolific.audience,
                options={"require": ["exp", "aud"]},
            )
        except jwt.PyJWKClientConnectionError as error:
            raise Refusal("unavailable", "Prolific's keys cannot be fetched: please try again") from error
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:  # KeyError: another key set's
            raise Refusal("signature", "the signed link is not, or no longer, valid") from error
        signed = claims.get("prolific")
        return signed if isinstance(signed, dict) else {}

    def _key(self, token: str) -> Any:
        if self._client is not None:
            return self._client.get_signing_key_from_jwt(token).key
        assert self._keys is not None
        return self._keys[jwt.get_unverified_header(token).get("kid", "")].key


def _key_set(path: Path) -> PyJWKSet:
    try:
        return PyJWKSet.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, jwt.PyJWTError) as error:
        raise SourceError(
            f"platforms.prolific.jwks is {str(path)!r}, which is no key set (JSON): {error}. Allowed are a "
            "file and an address that begins with https://."
        ) from error


def _given(parameters: Mapping[str, Any], name: str) -> str:
    value = parameters.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= 255 or not value.isprintable():
        raise Refusal("request", f"the address has no {name}, or one that is no id: open the platform's link")
    return value
