# SPDX-License-Identifier: Apache-2.0
"""Errors by who must act; a `PeerError` knows what to send back (RFC 7296 §2.21)."""

from enum import Enum
from typing import ClassVar


class Ends(Enum):
    """How much a peer's error ends."""

    EXCHANGE = "exchange"
    CHILD = "child"
    SA = "sa"


class IkewayError(Exception):
    """Anything that ikeway raises on purpose."""


class ConfigError(IkewayError):
    """The operator must act: a setting is wrong. Says where, what was seen and what is allowed."""


class UsageError(IkewayError):
    """Our caller must act: the IKE SA cannot do that now."""


class HostError(IkewayError):
    """This machine must act: kernel, file, socket or database."""


class PeerError(IkewayError):
    """The peer must act. `notify` is the code point of the notify that tells it so; 0 is none.

    `data` is the notification data (RFC 7296 §3.10.1).
    """

    notify: ClassVar[int] = 0
    ends: ClassVar[Ends] = Ends.EXCHANGE

    def __init__(self, reason: str, data: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.data = data


class MalformedError(PeerError):
    """Octets that no rule of the RFC produces. INVALID_SYNTAX."""

    notify = 7
    ends = Ends.SA


class UnsupportedCriticalPayloadError(PeerError):
    """A payload type that we do not know and may not skip (RFC 7296 §2.5)."""

    notify = 1


class NoProposalError(PeerError):
    """No proposal is acceptable. NO_PROPOSAL_CHOSEN."""

    notify = 14


class InvalidKeyExchangeError(PeerError):
    """A Key Exchange payload of another method than the one chosen. INVALID_KE_PAYLOAD."""

    notify = 17


class InvalidPublicValueError(PeerError):
    """A public value that fails the tests of RFC 6989. Never answered during IKE_SA_INIT."""

    notify = 7
    ends = Ends.SA


class AuthenticationError(PeerError):
    """Proof of identity failed, for whatever cause. AUTHENTICATION_FAILED."""

    notify = 24
    ends = Ends.SA


class SinglePairRequiredError(PeerError):
    """Only a single pair of addresses is acceptable. SINGLE_PAIR_REQUIRED."""

    notify = 34
    ends = Ends.CHILD


class NoAdditionalSasError(PeerError):
    """No more Child SAs on this IKE SA. NO_ADDITIONAL_SAS."""

    notify = 35
    ends = Ends.CHILD


class InternalAddressError(PeerError):
    """No address can be assigned. INTERNAL_ADDRESS_FAILURE."""

    notify = 36
    ends = Ends.CHILD


class ConfigurationRequiredError(PeerError):
    """The peer has to ask for an address and did not. FAILED_CP_REQUIRED."""

    notify = 37
    ends = Ends.CHILD


class SelectorsError(PeerError):
    """No traffic selector is left. TS_UNACCEPTABLE."""

    notify = 38
    ends = Ends.CHILD


class ElsewhereError(PeerError):
    """Another gateway serves the peer. REDIRECT (RFC 5685 §3); `data` names it, with the nonce."""

    notify = 16407


class UnacceptableAddressesError(PeerError):
    """The policy does not allow the peer's new address. UNACCEPTABLE_ADDRESSES (RFC 4555)."""

    notify = 40


class UnexpectedNatError(PeerError):
    """Addresses were changed where no NAT may be. UNEXPECTED_NAT_DETECTED (RFC 4555 §3.9)."""

    notify = 41


class QueuesError(PeerError):
    """No more Child SAs for the CPUs that carry the same traffic. TS_MAX_QUEUE (RFC 9611 §5.2)."""

    notify = 48
    ends = Ends.CHILD


class BusyError(PeerError):
    """Not now. TEMPORARY_FAILURE."""

    notify = 43


class ChildNotFoundError(PeerError):
    """The peer names a Child SA that is not there. CHILD_SA_NOT_FOUND; `data` is its SPI."""

    notify = 44


class StateNotFoundError(PeerError):
    """A key exchange that nothing here waits for. STATE_NOT_FOUND (RFC 9370 §2.2.4)."""

    notify = 47


class IntegrityError(PeerError):
    """A message whose integrity check fails. It is dropped in silence (RFC 7296 §3.14)."""
