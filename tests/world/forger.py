# SPDX-License-Identifier: Apache-2.0
"""The attacker: sees every datagram, sends from any address, and has no key.

What its datagrams may do to a host is in `harmless`.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Final

from ikeway.ike.endpoint import Endpoint as IkeEndpoint
from ikeway.ike.environment import Environment
from ikeway.ike.io import Datagram, Send
from ikeway.ike.states import Established
from ikeway.model.address import Endpoint
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.connection import Connection, Proof
from ikeway.policy.credentials import Credentials, IdPattern, PreSharedKey
from ikeway.policy.proposals import parse_esp, parse_ike
from ikeway.wire.message import NAT_KEEPALIVE, Flags, Header, Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType, PayloadType
from world.harmless import send
from world.host import Host
from world.layout import SUITES
from world.prng import Prng, core_random

MALLORY: Final = Connection(
    name="mallory",
    local_id=Identity.parse("gateway0.example"),
    local_auth=Proof.PSK,
    peer_auth=(Proof.PSK,),
    ike=tuple(parse_ike(suite) for suite in SUITES),
    esp=(parse_esp("aes128gcm16"),),
)


@dataclass
class Forger:
    """What the attacker has seen, per host, and its own chances."""

    seed: int
    prng: Prng
    seen: dict[int, deque[Datagram]] = field(default_factory=dict)
    races: dict[int, tuple[str, int]] = field(default_factory=dict)
    sent: int = 0

    def watch(self, host: Host, datagram: Datagram) -> None:
        """See a datagram that had its effect on a host."""
        self.seen.setdefault(host.number, deque(maxlen=24)).append(datagram)

    def attack(self, host: Host, kind: str) -> None:
        """Send one datagram.

        Raises:
            Broken: it had an effect.
        """
        datagram = self._forge(host, kind)
        if datagram is not None and host.hears:
            self.sent += 1
            send(host, datagram, is_replay=kind == "replay")

    # Forging --------------------------------------------------------------------------------------

    def _forge(self, host: Host, kind: str) -> Datagram | None:
        if kind == "noise":
            octets = self.prng.octets(self.prng.below(300))
            return Datagram(self._ours(host), self._anybody(), octets)
        if kind == "header":
            return self._with_header(host)
        if kind == "notify":
            return self._notify(host)
        seen = self.seen.get(host.number)
        if not seen:
            return None
        return self._changed(self.prng.pick(list(seen)), kind)

    def _changed(self, datagram: Datagram, kind: str) -> Datagram:
        octets = bytearray(datagram.octets)
        source = datagram.peer if self.prng.chance(0.5) else self._anybody()
        if kind == "flip":
            octets[self.prng.below(len(octets))] ^= 1 << self.prng.below(8)
        elif kind == "cut":
            del octets[self.prng.below(len(octets)) :]
        elif kind == "flood":
            octets[:8] = self.prng.octets(8)
            source = self._anybody()
        return replace(datagram, peer=source, octets=bytes(octets))

    def _with_header(self, host: Host) -> Datagram:
        """Return a message with SPIs of a real IKE SA and a sealed part that is not."""
        spis = self._spis(host)
        exchange = self.prng.pick(list(ExchangeType))
        flags = Flags(self.prng.pick((0, 8, 32, 40)))
        body = b"\x29\0" + (4 + 60).to_bytes(2) + self.prng.octets(60)
        length = 28 + len(body)
        number = self.prng.below(4)
        head = Header(*spis, PayloadType.SK, 2, 0, exchange, flags, number, length)
        return Datagram(self._ours(host), self._anybody(), head.encode() + body)

    def _notify(self, host: Host) -> Datagram:
        """Return an error that nothing protects, for a real IKE SA."""
        kind = self.prng.pick(
            (
                NotifyType.INVALID_IKE_SPI,
                NotifyType.INVALID_SPI,
                NotifyType.AUTHENTICATION_FAILED,
                NotifyType.NO_PROPOSAL_CHOSEN,
                NotifyType.INVALID_SYNTAX,
            )
        )
        exchange = self.prng.pick((ExchangeType.INFORMATIONAL, ExchangeType.IKE_AUTH))
        flags = Flags(self.prng.pick((0, 8, 32, 40)))
        spi_i, spi_r = self._spis(host)
        number = self.prng.below(4)
        message = Message.build(spi_i, spi_r, exchange, flags, number, (Notify(kind),))
        return Datagram(self._ours(host), self._anybody(), message.encode())

    def _spis(self, host: Host) -> tuple[bytes, bytes]:
        links = [
            sa.state.session.link for sa in host.endpoint.sas if isinstance(sa.state, Established)
        ]
        if not links:
            return self.prng.octets(8), self.prng.octets(8)
        link = self.prng.pick(links)
        return link.spi_i, link.spi_r

    def _ours(self, host: Host) -> Endpoint:
        return Endpoint(host.place.addresses[0], self.prng.pick((500, 4500)))

    def _anybody(self) -> Endpoint:
        return Endpoint(ip_address(0xCB007200 + self.prng.below(256)), 1 + self.prng.below(65535))

    # Racing the peer's answer ---------------------------------------------------------------------

    def answer(self, host: Host, asked: Send) -> Datagram | None:
        """Return an answer to an IKE_SA_INIT request that a host sends, if one is ordered."""
        kind, left = self.races.get(host.number, ("", 0))
        if not left or asked.octets == NAT_KEEPALIVE:
            return None
        header = Header.decode(asked.octets)
        if header.exchange is not ExchangeType.IKE_SA_INIT or header.is_response:
            return None
        self.races[host.number] = kind, left - 1
        octets = self._answer(kind, header, asked)
        return Datagram(asked.local, asked.peer, octets) if octets else None

    def _answer(self, kind: str, header: Header, asked: Send) -> bytes | None:
        match kind:
            case "no proposal":
                notify = Notify(NotifyType.NO_PROPOSAL_CHOSEN)
            case "invalid ke":
                group = self.prng.pick((14, 19, 31, 4660))
                notify = Notify(NotifyType.INVALID_KE_PAYLOAD, group.to_bytes(2))
            case "cookie":
                notify = Notify(NotifyType.COOKIE, self.prng.octets(1 + self.prng.below(64)))
            case "mallory":
                return self._mallory(asked)
            case _:
                return header.spi_i + self.prng.octets(60)
        exchange = ExchangeType.IKE_SA_INIT
        spi_r = self.prng.pick((bytes(8), self.prng.octets(8)))
        return Message.build(header.spi_i, spi_r, exchange, Flags.RESPONSE, 0, (notify,)).encode()

    def _mallory(self, asked: Send) -> bytes | None:
        """Return the answer of a real responder that has no key of ours."""
        secrets = (PreSharedKey(IdPattern("*"), Secret(b"guessed")),)
        random = core_random(self.prng.word(), "mallory")
        env = Environment(random, (MALLORY,), Credentials(secrets=secrets))
        wanted = Datagram(asked.peer, asked.local, asked.octets)
        said = [act for act in IkeEndpoint(env).receive(wanted, 0.0) if isinstance(act, Send)]
        return said[0].octets if said else None
