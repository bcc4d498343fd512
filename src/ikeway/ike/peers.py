# SPDX-License-Identifier: Apache-2.0
"""Which IKE SAs are established between which identities, for INITIAL_CONTACT (RFC 7296 §2.4)."""

from collections.abc import Mapping
from typing import Final

from ikeway.ike.sa import IkeSa
from ikeway.ike.states import Established
from ikeway.model.identity import Identity, IdType
from ikeway.policy.connection import Connection

_NAMES: Final = frozenset({IdType.FQDN, IdType.RFC822_ADDR})
_Key = tuple[Identity, Identity]


class Peers:
    """An index by our identity and the peer's. An entry goes when its IKE SA is up no more."""

    __slots__ = ("_key", "_spis")

    def __init__(self) -> None:
        self._key: dict[bytes, _Key] = {}
        self._spis: dict[Identity, dict[Identity, set[bytes]]] = {}

    def note(self, sa: IkeSa) -> None:
        """Look at what an IKE SA has become."""
        state, known = sa.state, self._key.get(sa.spi)
        if isinstance(state, Established):
            if known is None:
                self._add(sa.spi, (_folded(state.local_id), _folded(state.peer_id)))
        elif known is not None:
            self._drop(sa.spi, known)

    def _add(self, spi: bytes, key: _Key) -> None:
        self._key[spi] = key
        local, peer = key
        self._spis.setdefault(local, {}).setdefault(peer, set()).add(spi)

    def _drop(self, spi: bytes, key: _Key) -> None:
        del self._key[spi]
        local, peer = key
        of_local = self._spis[local]
        of_local[peer].discard(spi)
        if not of_local[peer]:
            del of_local[peer]
        if not of_local:
            del self._spis[local]

    def between(self, local: Identity, peer: Identity) -> tuple[bytes, ...]:
        """Return our SPIs of the IKE SAs between two identities."""
        return tuple(self._spis.get(_folded(local), {}).get(_folded(peer), ()))

    def dismissed(self, sa: IkeSa, sas: Mapping[bytes, IkeSa]) -> tuple[str, ...]:
        """Return the Child SAs that somebody here closed on other IKE SAs of a connection.

        It counts where the peer starts another one; whoever starts one here wants what it has.
        """
        new = sa.state
        if not isinstance(new, Established) or new.session.link.is_initiator:
            return ()
        others = (sas[spi].state for spi in self.between(new.local_id, new.peer_id))
        found = (
            name
            for other in others
            if isinstance(other, Established) and other.connection.name == new.connection.name
            for name in other.wanted.dismissed
        )
        return tuple(dict.fromkeys(found))

    def contradict(self, connection: Connection) -> bool:
        """Whether a connection wants to say INITIAL_CONTACT and may not.

        It "asserts that this IKE SA is the only IKE SA currently active" (§2.4). That is to be
        looked at as late as can be: the peer may have been faster.
        """
        return connection.initial_contact and self.is_up(connection)

    def is_up(self, connection: Connection) -> bool:
        """Whether an IKE SA is established with a peer that the connection is for."""
        of_local = self._spis.get(_folded(connection.local_id), {})
        wanted = connection.peer_id.exact
        if wanted is not None and _folded(wanted) in of_local:
            return True
        # Only names with wildcards, and distinguished ones, may be equal and not the same.
        is_plain = wanted is not None and wanted.type is not IdType.DER_ASN1_DN
        return not is_plain and any(map(connection.peer_id.matches, of_local))


def _folded(identity: Identity) -> Identity:
    """Return what is alike for the same name in capitals and small letters."""
    return Identity(identity.type, identity.data.lower()) if identity.type in _NAMES else identity
