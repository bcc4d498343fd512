# SPDX-License-Identifier: Apache-2.0
"""The keys of one IKE SA at work: sealing and opening of SK payloads (RFC 7296 §2.14, §3.14)."""

from dataclasses import dataclass, replace

from ikeway.crypto.keys import IkeKeys, Replaced, derive_ike_keys, keys_with_ppk
from ikeway.crypto.prf import Prf, prf
from ikeway.crypto.protection import DirectionKeys, Protection
from ikeway.crypto.random import Random
from ikeway.model.errors import IntegrityError, MalformedError, UsageError
from ikeway.model.secret import Secret
from ikeway.policy.proposals import IkeSuite
from ikeway.wire.codec import Body
from ikeway.wire.message import HEADER_OCTETS, Header, Message, decode_chain, encode_chain
from ikeway.wire.registry import PayloadType

SK_HEADER_OCTETS = 4
PAYLOAD_MOST = 0xFFFF


@dataclass(frozen=True, slots=True)
class Keyring:
    """Everything that protects messages of an IKE SA. `sealed` counts what we have sealed.

    The counter is the IV of AEAD ciphers and never repeats under one key (RFC 5282 §3.1).
    """

    suite: IkeSuite
    prf: Prf
    protection: Protection
    keys: IkeKeys
    local: DirectionKeys
    peer: DirectionKeys
    is_initiator: bool
    sealed: int = 0

    @classmethod
    def derive(  # noqa: PLR0913 - the inputs that the RFCs name
        cls,
        suite: IkeSuite,
        shared: Secret,
        nonces: tuple[bytes, bytes],
        spis: tuple[bytes, bytes],
        *,
        is_initiator: bool,
        replaced: Replaced | None = None,
        further: tuple[Secret, ...] = (),
    ) -> "Keyring":
        """Return the keys of an IKE SA from its Diffie-Hellman secret (§2.14).

        `replaced` is of the IKE SA that the new one takes the place of (§2.18), `further` are the
        secrets of the key exchanges that followed the first one (RFC 9370 §2.2.4).
        """
        chosen = prf(suite.prf)
        protection = Protection.of(suite.encr, suite.key_bits, suite.integ)
        keys = derive_ike_keys(chosen, protection, shared, *nonces, *spis, replaced, further)
        local, peer = _directions(keys, is_initiator=is_initiator)
        return cls(suite, chosen, protection, keys, local, peer, is_initiator)

    def mixed(
        self, shared: Secret, nonces: tuple[bytes, bytes], spis: tuple[bytes, bytes]
    ) -> "Keyring":
        """Return the keys after one more key exchange before IKE_AUTH (RFC 9370 §2.2.2).

        `nonces` and `spis` are those of IKE_SA_INIT: the formula is the one of a rekey.
        """
        role = self.is_initiator
        return Keyring.derive(
            self.suite, shared, nonces, spis, is_initiator=role, replaced=self.heritage
        )

    def with_ppk(self, ppk: Secret) -> "Keyring":
        """Return the keys with a PPK in SK_d, SK_pi and SK_pr (RFC 8784 §3)."""

        def mixed(key: Secret) -> Secret:
            return Secret(self.prf.prf_plus(ppk.octets, key.octets, len(key)))

        keys = self.keys
        three = {"sk_d": mixed(keys.sk_d), "sk_pi": mixed(keys.sk_pi), "sk_pr": mixed(keys.sk_pr)}
        return replace(self, keys=replace(keys, **three))

    def with_ppk_in_all(self, ppk: Secret, seed: bytes) -> "Keyring":
        """Return new keys, all of them made with a PPK (RFC 9867 §3.2); see `crypto.keys`."""
        keys = keys_with_ppk(self.prf, self.protection, ppk, self.keys.sk_d, seed)
        local, peer = _directions(keys, is_initiator=self.is_initiator)
        return replace(self, keys=keys, local=local, peer=peer, sealed=0)

    @property
    def heritage(self) -> Replaced:
        """What a successor's keys are made from (§2.18)."""
        return Replaced(self.prf, self.keys.sk_d)

    @property
    def sk_p_local(self) -> bytes:
        """Our SK_p, which enters our AUTH (§2.15)."""
        return (self.keys.sk_pi if self.is_initiator else self.keys.sk_pr).octets

    @property
    def sk_p_peer(self) -> bytes:
        """The peer's SK_p."""
        return (self.keys.sk_pr if self.is_initiator else self.keys.sk_pi).octets

    def seal(
        self, header: Header, payloads: tuple[Body, ...], random: Random
    ) -> tuple["Keyring", bytes]:
        """Return the message with its payloads in an SK payload, and the keys for the next one."""
        return self.seal_octets(header, *encode_chain(payloads), random)

    def seal_octets(
        self,
        header: Header,
        first: PayloadType,
        plaintext: bytes,
        random: Random,
        numbers: bytes = b"",
    ) -> tuple["Keyring", bytes]:
        """Return a message with these octets inside, and the keys for the next one.

        `first` is the type of the first payload. `numbers` are those of a fragment, whose payload
        is SKF instead of SK (RFC 7383 §2.5).

        Raises:
            UsageError: a payload has at most 65,535 octets (RFC 7296 §3.2).
        """
        kind = PayloadType.SKF if numbers else PayloadType.SK
        sk_octets = SK_HEADER_OCTETS + len(numbers) + self.protection.body_octets(len(plaintext))
        if sk_octets > PAYLOAD_MOST:
            raise UsageError(
                f"{len(plaintext)} octets to seal: a payload has {PAYLOAD_MOST} at most"
            )
        whole = header.before(kind, HEADER_OCTETS + sk_octets)
        prefix = whole + bytes([first, 0]) + sk_octets.to_bytes(2) + numbers
        if self.protection.iv_is_counter:
            iv = (self.sealed + 1).to_bytes(self.protection.iv_octets)
        else:
            iv = random.octets(self.protection.iv_octets)
        body = self.protection.seal(self.local, iv, prefix, plaintext)
        return replace(self, sealed=self.sealed + 1), prefix + body

    def open(self, header: Header, octets: bytes) -> Message:
        """Return the message with the payloads that stood in its SK payload.

        Only an SK payload as the first and only payload is looked at: nothing outside it is
        protected from change in a way that anybody needs.

        Raises:
            IntegrityError: there is no SK payload, or it does not verify. Nothing may change.
            MalformedError: it verifies, but its content cannot be read.
        """
        plaintext = self.open_octets(header, octets, PayloadType.SK)
        return read(header, PayloadType(octets[HEADER_OCTETS]), plaintext)

    def open_octets(
        self, header: Header, octets: bytes, kind: PayloadType, numbers_octets: int = 0
    ) -> bytes:
        """Return what stood in the SK or SKF payload of a message.

        Raises:
            IntegrityError: there is no such payload, or it does not verify. Nothing may change.
        """
        start = HEADER_OCTETS + SK_HEADER_OCTETS
        if header.next_payload is not kind or len(octets) < start + numbers_octets:
            raise IntegrityError(f"no {kind.name} payload")
        if int.from_bytes(octets[start - 2 : start]) != len(octets) - HEADER_OCTETS:
            raise IntegrityError(f"the {kind.name} payload does not end with the message")
        cut = start + numbers_octets
        return self.protection.open(self.peer, octets[:cut], octets[cut:])


def _directions(keys: IkeKeys, *, is_initiator: bool) -> tuple[DirectionKeys, DirectionKeys]:
    """Return the keys of what we send, and of what we get."""
    ours, theirs = keys.initiator, keys.responder
    return (ours, theirs) if is_initiator else (theirs, ours)


def read(header: Header, first: PayloadType, plaintext: bytes) -> Message:
    """Return the message with the payloads that stood in its SK payload or its fragments.

    Raises:
        MalformedError: these are no payloads.
    """
    if first in {PayloadType.SK, PayloadType.SKF}:
        raise MalformedError("an SK payload inside an SK payload")
    return Message(header, decode_chain(first, plaintext))
