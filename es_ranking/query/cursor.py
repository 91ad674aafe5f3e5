"""The cursor: where a reader stands in one unchanging sequence. Opaque, signed, versioned, expiring.

It carries the concrete index, segment, variant, as-of time and a hash of the specification, so that neither the user's
own impressions nor a publish in between can repeat or lose an item. The key comes from ES_RANKING_CURSOR_KEY. Without
it every process signs with a key of its own: a cursor is then only good in the process that gave it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import secrets
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from segments.errors import UsageError

VERSION = 5
KEY_VARIABLE = "ES_RANKING_CURSOR_KEY"
LONGEST = 4096
_EPHEMERAL = secrets.token_bytes(32)


@dataclass(frozen=True)
class Cursor:
    """What the next page needs to know.

    Args:
        alias: the name queries use.
        index: concrete index of the generation.
        generation, segment, variant: whose ranks.
        as_of: recent actions before this time count, ms since 1970.
        space: whose item vectors.
        spec: hash of everything else that decides the order.
        position: hits shown so far.
        without: flags of the stores the first page had to do without; so do the next ones, or items would move.
        expires: seconds since 1970.
        policy: version of the policy; 0: none.
        forced: the variant was chosen by hand.
        bucket: fields of the experiment's bucket; empty: no experiment chose the variant.
        versus: segment and variant whose list is interleaved; empty: none is.
    """

    alias: str
    index: str
    generation: str
    segment: str
    variant: str
    space: str
    as_of: int
    spec: str
    position: int
    without: tuple[str, ...]
    expires: int
    policy: int = 0
    forced: bool = False
    bucket: tuple[Any, ...] = ()
    versus: tuple[str, ...] = ()

    def seal(self, key: bytes | None = None) -> str:
        """The opaque text a caller hands back."""
        payload = json.dumps([VERSION, *vars(self).values()], separators=(",", ":"), ensure_ascii=False).encode()
        return f"{_encoded(payload)}.{_encoded(_signature(payload, key))}"

    @classmethod
    def open(cls, text: str, *, spec: str, now: float, key: bytes | None = None) -> Cursor:
        """Checks and reads a cursor.

        Args:
            spec: hash of the specification of this request.
            now: seconds since 1970.

        Raises:
            UsageError: forged or damaged, expired, or of another query.
        """
        payload = _checked(text, key)
        if payload[0] != VERSION or len(payload) != 1 + len(cls.__dataclass_fields__):
            raise UsageError("the cursor is of another version of es-ranking", hint=AGAIN)
        read = cls(*payload[1:])
        cursor = replace(read, without=tuple(read.without), bucket=tuple(read.bucket), versus=tuple(read.versus))
        if cursor.expires < now:
            raise UsageError("the cursor has expired", hint=AGAIN)
        if not hmac.compare_digest(cursor.spec, spec):
            raise UsageError(
                "the cursor belongs to another query",
                hint="repeat the same query, user, surface and switches; only size and what is shown may change",
            )
        return cursor


AGAIN = "ask for the first page again"


def spec_hash(spec: Any) -> str:
    """A short hash of everything that decides the order.

    Raises:
        UsageError: it is nested deeper than anybody reads.
    """
    try:
        text = json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    except RecursionError as error:
        raise UsageError("the query body is nested too deep", where="query body") from error
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def has_lasting_key() -> bool:
    """Whether cursors of this process are good in another one."""
    return bool(os.environ.get(KEY_VARIABLE))


def _key() -> bytes:
    text = os.environ.get(KEY_VARIABLE)
    if not text:
        return _EPHEMERAL
    if len(text) < 16:
        raise UsageError("the cursor key is too short", where=KEY_VARIABLE, hint="16 characters at least")
    return text.encode()


def _signature(payload: bytes, key: bytes | None) -> bytes:
    return hmac.new(key or _key(), b"es-ranking cursor\x00" + payload, sha256).digest()


def _checked(text: str, key: bytes | None) -> list[Any]:
    forged = UsageError("not a cursor of ours, or changed, or signed with another key", where="cursor", hint=AGAIN)
    if not isinstance(text, str) or len(text) > LONGEST or text.count(".") != 1:
        raise forged
    try:
        payload, signature = (_decoded(part) for part in text.split("."))
    except (ValueError, binascii.Error):
        raise forged from None
    # nothing of the payload is looked at before its signature is known to be ours
    if not hmac.compare_digest(signature, _signature(payload, key)):
        raise forged
    read = json.loads(payload)
    return read if isinstance(read, list) else [0]


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decoded(text: str) -> bytes:
    data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _encoded(data) != text:
        raise ValueError("not canonical")
    return data
