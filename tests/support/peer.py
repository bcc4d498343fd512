# SPDX-License-Identifier: Apache-2.0
"""What a test may want of any real peer; the daemons of the lab differ in how it is said."""

from abc import abstractmethod
from typing import Protocol

from support.strongswan import PeerSa, wait_until


class Peer(Protocol):
    """One daemon of another implementation. `options` are those of the lab's tool for it."""

    @abstractmethod
    def up(self, **options: str) -> None:
        """Start the daemon with this configuration."""

    @abstractmethod
    def initiate(self) -> str | None:
        """Set up the IKE SA and the Child SA; return why it failed, or None."""

    @abstractmethod
    def terminate(self) -> None:
        """Delete the IKE SA."""

    @abstractmethod
    def sas(self) -> list[PeerSa]:
        """Return every IKE SA."""

    @abstractmethod
    def log(self) -> str:
        """Return the log so far."""

    @abstractmethod
    def down(self) -> None:
        """End the daemon in good order."""

    def wait_for_log(self, words: str, patience: float = 5.0) -> None:
        """Wait until the log has these words."""
        wait_until(lambda: words in self.log(), patience, f"{words!r} in the peer's log")
