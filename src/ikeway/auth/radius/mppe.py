# SPDX-License-Identifier: Apache-2.0
"""The MSK of an EAP method that ran in the RADIUS server (RFC 2548 §2.4.2, §2.4.3)."""

from typing import Final

from ikeway.auth.radius.packet import Packet
from ikeway.auth.radius.registry import MICROSOFT, MicrosoftType
from ikeway.crypto.md5 import OCTETS, md5
from ikeway.model.errors import MalformedError
from ikeway.model.secret import Secret

MSK_OCTETS: Final = 64
_SALT_OCTETS: Final = 2


def master_session_key(accept: Packet, request: bytes, secret: Secret) -> Secret | None:
    """Return the MSK that an Access-Accept brings, or nothing where the method makes none.

    It is the key that the peer sends with, then the server's (RFC 3748 §7.10), filled up with
    zeros. `request` is the authenticator of the Access-Request, which hides the keys.

    Raises:
        MalformedError: one key without the other, twice, or not hidden as RFC 2548 says.
    """
    hidden = [
        accept.of_vendor(MICROSOFT, kind)
        for kind in (MicrosoftType.MPPE_RECV_KEY, MicrosoftType.MPPE_SEND_KEY)
    ]
    if not any(hidden):
        return None
    if any(len(keys) != 1 for keys in hidden):
        raise MalformedError("MS-MPPE keys that are not exactly one of each kind")
    if hidden[0][0][:_SALT_OCTETS] == hidden[1][0][:_SALT_OCTETS]:
        raise MalformedError("both MS-MPPE keys are hidden with the same salt")
    keys = b"".join(_shown(value, request, secret) for (value,) in hidden)
    return Secret(keys.ljust(MSK_OCTETS, b"\0"))


def _shown(value: bytes, request: bytes, secret: Secret) -> bytes:
    """Return the key in a value: a salt, then blocks that a chain of digests hides."""
    salt, cipher = value[:_SALT_OCTETS], value[_SALT_OCTETS:]
    if not cipher or len(cipher) % OCTETS:
        raise MalformedError(f"an MS-MPPE key of {len(value)} octets")
    plain, before = b"", request + salt
    for at in range(0, len(cipher), OCTETS):
        block = cipher[at : at + OCTETS]
        pad = md5(secret.octets, before)
        plain += bytes(one ^ two for one, two in zip(block, pad, strict=True))
        before = block
    length, key = plain[0], plain[1:]
    if not 0 < length <= min(len(key), MSK_OCTETS // 2):
        raise MalformedError(f"an MS-MPPE key that says it has {length} octets")
    return key[:length]
