# SPDX-License-Identifier: Apache-2.0
"""Libreswan's pluto in a guest, asked by `ipsec whack`."""

import re
from typing import ClassVar, Final

from typing_extensions import override

from support.inguest import InGuest

_STATE: Final = re.compile(r'#(\d+): "lab"\S* (STATE_V2\w+|ESTABLISHED\w+|\w+)')
_CHILD: Final = re.compile(r'#(\d+): "lab"\S* \w*ESTABLISHED_CHILD_SA')


class Libreswan(InGuest):
    """Pluto 4.10, or 5.2 if `newer`."""

    KIND: ClassVar = "libreswan"
    IKE: ClassVar = "aes256gcm16-prfsha256-x25519"
    ESP: ClassVar = "aes256gcm16-x25519"
    LOG: ClassVar = "pluto.log"

    @override
    def initiate(self) -> str | None:
        said = self.run("timeout 20 ipsec whack --name lab --initiate")
        return None if "established Child SA" in said else said

    @override
    def terminate(self) -> None:
        self.run("ipsec whack --name lab --terminate")

    def suspend(self) -> None:
        """Drop all SAs without a word, keeping the ticket (RFC 5723)."""
        self.run("ipsec whack --name lab --suspend")

    def terminate_child(self) -> None:
        """Delete the Child SA alone."""
        for number in _CHILD.findall(self.run(self.states())):
            self.run(f"ipsec whack --deletestate {number}")

    def rekey(self, what: str) -> None:
        """Rekey `ike` or `child`."""
        child = "child" if self.newer else "ipsec"
        self.run(f"ipsec whack --name lab --rekey-{'ike' if what == 'ike' else child}")

    @override
    def states(self) -> str:
        return "ipsec whack --showstates"

    @override
    def read_states(self, said: str) -> list[str]:
        states = [state for _, state in _STATE.findall(said)]
        return [
            "ESTABLISHED" if "ESTABLISHED_IKE" in state else state
            for state in states
            if "CHILD" not in state and "V2_REKEY_CHILD" not in state
        ]
