# SPDX-License-Identifier: Apache-2.0
"""EAP-AKA with a USIM of software, and what AKA' does otherwise (RFC 4187, RFC 9048)."""

from dataclasses import dataclass
from hmac import compare_digest
from struct import Struct
from typing import Final

from ikeway.auth.eap import aka_attributes as at
from ikeway.auth.eap.aka_attributes import AkaMessage, fixed, message
from ikeway.auth.eap.means import Means
from ikeway.auth.eap.method import Move, Proven, Say
from ikeway.auth.eap.packet import Code, EapType, Packet
from ikeway.crypto import aka
from ikeway.crypto.aka import AkaKeys
from ikeway.crypto.milenage import SQN_OCTETS, Usim
from ikeway.model.errors import AuthenticationError, MalformedError

BLOCK: Final = 16
RES_OCTETS: Final = 8
AUTS_OCTETS: Final = 14
AMF: Final = b"\x80\x00"
"""Its first bit says that keys are bound to the network, as AKA' has to (TS 33.402)."""
PLAIN_AMF: Final = b"\x00\x00"
RESYNC_AMF: Final = b"\x00\x00"
SQN_STEP: Final = 32
"""The lowest five bits are an index, which we do not use (TS 33.102 annex C)."""
NETWORK: Final = b"WLAN"
KDF: Final = 1
_HEADER: Final = Struct(">BBHB")


@dataclass(frozen=True, slots=True)
class Variant:
    """AKA, or AKA', whose keys are bound to the name of a network."""

    type: EapType
    is_prime: bool

    @property
    def amf(self) -> bytes:
        """The management field of our challenges."""
        return AMF if self.is_prime else PLAIN_AMF

    def keys(
        self, identity: bytes, usim: Usim, rand: bytes, autn: bytes, network: bytes
    ) -> AkaKeys:
        """Return the keys that follow from a challenge."""
        ck, ik = usim.keys(rand)
        if not self.is_prime:
            return aka.aka_keys(identity, ck, ik)
        bound = aka.bound_to_network(ck, ik, network, autn[:SQN_OCTETS])
        return aka.aka_prime_keys(identity, *bound)


def sealed(keys: AkaKeys, variant: Variant, code: Code, identifier: int, data: bytes) -> bytes:
    """Return data with AT_MAC at its end; it covers the whole packet (RFC 4187 §10.15)."""
    plain = data + fixed(at.AT_MAC, bytes(aka.MAC_OCTETS))
    return data + fixed(at.AT_MAC, keys.mac(_packet(variant, code, identifier, plain)))


def check_mac(keys: AkaKeys, variant: Variant, packet: Packet, seen: AkaMessage) -> None:
    """Check AT_MAC of a packet.

    Raises:
        AuthenticationError: it is wrong.
    """
    whole = _packet(variant, packet.code, packet.identifier, seen.without_mac())
    keys.check(whole, seen.value(at.AT_MAC, aka.MAC_OCTETS))


def _packet(variant: Variant, code: Code, identifier: int, data: bytes) -> bytes:
    return _HEADER.pack(code, identifier, _HEADER.size + len(data), variant.type) + data


def _xor(one: bytes, two: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, two, strict=True))


class AkaServer:
    """Challenges a USIM, once more if it is ahead of us."""

    def __init__(self, means: Means, identity: bytes, variant: Variant) -> None:
        usim = means.passwords.usim(identity)
        if usim is None:
            raise AuthenticationError("EAP-AKA: nobody has that name and a USIM")
        self._usim = usim
        self._means = means
        self._identity = identity
        self._variant = variant
        self._rand = b""
        self._keys: AkaKeys | None = None
        self._is_resynchronised = False

    def begin(self, identifier: int) -> bytes:
        """Return a challenge with a number that was never used before."""
        return self._challenge(self._means.sequence(), identifier)

    def _challenge(self, sequence: int, identifier: int) -> bytes:
        usim, variant = self._usim, self._variant
        self._rand = rand = self._means.random.octets(BLOCK)
        sqn = sequence.to_bytes(SQN_OCTETS)
        mac, _ = usim.macs(rand, sqn, variant.amf)
        autn = _xor(sqn, usim.answer(rand)[1]) + variant.amf + mac
        self._keys = keys = variant.keys(self._identity, usim, rand, autn, NETWORK)
        data = message(at.CHALLENGE, fixed(at.AT_RAND, rand), fixed(at.AT_AUTN, autn))
        if variant.is_prime:
            data += at.counted(at.AT_KDF_INPUT, NETWORK) + at.number(at.AT_KDF, KDF)
        return sealed(keys, variant, Code.REQUEST, identifier, data)

    def handle(self, response: Packet, identifier: int) -> Move:
        """Take the answer, or where the USIM's numbers are.

        Raises:
            AuthenticationError: it is wrong, or the USIM does not believe us.
        """
        seen = AkaMessage.decode(response.data)
        if seen.subtype == at.SYNC_FAILURE and not self._is_resynchronised:
            self._is_resynchronised = True
            return Say(self._challenge(self._after(seen), identifier))
        if seen.subtype != at.CHALLENGE or self._keys is None:
            raise AuthenticationError(f"EAP-AKA: subtype {seen.subtype} in answer to a challenge")
        check_mac(self._keys, self._variant, response, seen)
        bits = seen.attributes.get(at.AT_RES, b"")
        expected = (RES_OCTETS * 8).to_bytes(2) + self._usim.answer(self._rand)[0]
        if not compare_digest(bits, expected):
            raise AuthenticationError("EAP-AKA: the answer is wrong")
        return Proven(self._identity, self._keys.msk)

    def _after(self, seen: AkaMessage) -> int:
        """Return the number after the USIM's own, which it proves (TS 33.102 §6.3.3)."""
        auts = seen.attributes.get(at.AT_AUTS, b"")
        if len(auts) != AUTS_OCTETS:
            raise MalformedError("EAP-AKA: no AT_AUTS")
        sqn = _xor(auts[:SQN_OCTETS], self._usim.resynchronisation(self._rand))
        if not compare_digest(self._usim.macs(self._rand, sqn, RESYNC_AMF)[1], auts[SQN_OCTETS:]):
            raise AuthenticationError("EAP-AKA: AT_AUTS is wrong")
        after = int.from_bytes(sqn) + SQN_STEP
        if after.bit_length() > SQN_OCTETS * 8:
            raise AuthenticationError("EAP-AKA: the USIM is at the end of its numbers")
        return after


class AkaPeer:
    """A USIM: answers a challenge of its home network that it has not seen before."""

    def __init__(self, means: Means, identity: bytes, variant: Variant) -> None:
        usim = means.passwords.usim(identity)
        if usim is None:
            raise AuthenticationError(f"there is no USIM for {identity!r}")
        self._usim = usim
        self._highest = means.highest
        self._identity = identity
        self._variant = variant
        self._refused = ""

    def handle(self, request: Packet) -> Move:
        """Answer a challenge, or say who we are.

        Raises:
            AuthenticationError: it is not of our home network.
        """
        if self._refused:
            raise AuthenticationError(self._refused)
        seen = AkaMessage.decode(request.data)
        if seen.subtype == at.IDENTITY:
            return Say(message(at.IDENTITY, at.counted(at.AT_IDENTITY, self._identity)))
        if seen.subtype != at.CHALLENGE:
            raise AuthenticationError(f"EAP-AKA: the server sends subtype {seen.subtype}")
        return self._answer(request, seen)

    def _answer(self, request: Packet, seen: AkaMessage) -> Move:
        rand, autn = seen.value(at.AT_RAND, BLOCK), seen.value(at.AT_AUTN, BLOCK)
        res, ak = self._usim.answer(rand)
        sqn, amf = _xor(autn[:SQN_OCTETS], ak), autn[SQN_OCTETS:8]
        network = self._network(seen)
        is_ours = compare_digest(self._usim.macs(rand, sqn, amf)[0], autn[8:])
        if not is_ours or network is None or (self._variant.is_prime and not amf[0] & 0x80):
            self._refused = "EAP-AKA: the challenge is not of the USIM's network"
            return Say(message(at.REJECT))
        if int.from_bytes(sqn) <= self._highest.get(self._identity, -1):
            return Say(message(at.SYNC_FAILURE, at.bare(at.AT_AUTS, self._auts(rand))))
        keys = self._variant.keys(self._identity, self._usim, rand, autn, network)
        check_mac(keys, self._variant, request, seen)
        self._highest[self._identity] = int.from_bytes(sqn)
        data = message(at.CHALLENGE, at.counted(at.AT_RES, res, 8))
        told = sealed(keys, self._variant, Code.RESPONSE, request.identifier, data)
        return Proven(self._identity, keys.msk, told)

    def _network(self, seen: AkaMessage) -> bytes | None:
        """Return the network's name; None where AKA' lacks it or wants other keys."""
        if not self._variant.is_prime:
            return b""
        if seen.attributes.get(at.AT_KDF) != KDF.to_bytes(2):
            return None
        return seen.counted(at.AT_KDF_INPUT) or None

    def _auts(self, rand: bytes) -> bytes:
        """Return where our numbers are, hidden and proven."""
        sqn = max(self._highest.get(self._identity, 0), 0).to_bytes(SQN_OCTETS)
        hidden = _xor(sqn, self._usim.resynchronisation(rand))
        return hidden + self._usim.macs(rand, sqn, RESYNC_AMF)[1]
