# SPDX-License-Identifier: Apache-2.0
"""OpenIKED in a guest, asked by `ikectl`. On Linux it speaks PF_KEY: no AEAD for ESP, no ESN."""

import re
from typing import ClassVar, Final

from typing_extensions import override

from support.inguest import InGuest
from support.strongswan import wait_until

_SA: Final = re.compile(r"^iked_sas: .*\] (\w+) [ir] ", re.MULTILINE)
PATIENCE: Final = 12.0


class OpenIked(InGuest):
    """iked 7.2, or 7.4 if `newer`. It rekeys by lifetimes alone, not at a word of command."""

    KIND: ClassVar = "openiked"
    IKE: ClassVar = "aes256gcm16-prfsha256-x25519"
    ESP: ClassVar = "aes256-sha384"
    LOG: ClassVar = "iked.log"

    @override
    def up(self, **options: str) -> None:
        """Start it without the certificates of an earlier test, which it would take for its own."""
        self.run("rm -f /etc/iked/certs/*")
        super().up(**options)

    @override
    def initiate(self) -> str | None:
        """An active policy of iked begins by itself; wait for how that ends."""
        try:
            wait_until(lambda: "ESTABLISHED" in self._states(), PATIENCE)
        except AssertionError:
            return f"it is in {self._states()}"
        return None

    @override
    def terminate(self) -> None:
        self.run("ikectl reset sa")

    @override
    def states(self) -> str:
        return "ikectl show sa"

    @override
    def read_states(self, said: str) -> list[str]:
        return _SA.findall(said)

    def _states(self) -> list[str]:
        return self.read_states(self.run(self.states()))
