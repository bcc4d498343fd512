# SPDX-License-Identifier: Apache-2.0
"""Journals as JSON lines: the seed first, then one line for each input."""

import json
import math
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any, Final

from ikeway.auth.eap.progress import Failure, Outcome, Progress, Success
from ikeway.crypto.certificate import Certificate
from ikeway.ike.admission import Welcome
from ikeway.ike.children import Wish
from ikeway.ike.io import (
    AddChild,
    AddressesChanged,
    Answered,
    CheckLiveness,
    CloseChild,
    Command,
    Datagram,
    Disconnect,
    Initiate,
    PeerSeen,
    Rekey,
    SendAway,
    Spent,
    Synchronize,
    TimerFired,
)
from ikeway.ike.journal import Entry, Event, Journal, SaInput, Told
from ikeway.ike.questions import (
    Answer,
    Installed,
    Leased,
    Measured,
    Paths,
    Refused,
    Signed,
    Solved,
    Ticket,
    Trusted,
)
from ikeway.model.address import Endpoint, Path
from ikeway.model.errors import UsageError
from ikeway.model.esp import Usage
from ikeway.model.secret import Secret
from ikeway.model.selectors import TrafficSelector, Trigger
from ikeway.policy.connection import Connection, PeerAddress

Plain = dict[str, Any]


# Writing ------------------------------------------------------------------------------------------


def seed_line(seed: Secret) -> str:
    """Return the first line of a journal."""
    return json.dumps({"seed": seed.octets.hex()})


def entry_line(entry: Entry) -> str:
    """Return the line of an input."""
    return json.dumps({"at": entry.at} | _event(entry.event))


def _event(event: Event) -> Plain:
    match event:
        case Initiate(connection, local, peer, wish):
            ends = {"local": _end(local), "peer": _end(peer)}
            return {"initiate": connection.name} | ends | _wish(wish)
        case Datagram(local, peer, octets):
            return {"datagram": octets.hex(), "local": _end(local), "peer": _end(peer)}
        case AddressesChanged(addresses):
            return {"addresses": [str(one) for one in addresses]}
        case Told(spi, told):
            return {"sa": spi.hex()} | _input(told)


_BARE: Final[dict[type[CheckLiveness | Synchronize], str]] = {
    CheckLiveness: "check_liveness",
    Synchronize: "synchronize",
}
"""Commands that say nothing but their name."""


def _input(event: SaInput) -> Plain:
    match event:
        case TimerFired():
            return {"timer": True}
        case PeerSeen(spi_in, peer):
            return {"seen": spi_in, "peer": _end(peer)}
        case Answered(ticket, answer):
            asked = [ticket.sa.hex(), ticket.branch.hex(), ticket.purpose]
            return {"ticket": asked} | _answer(answer)
        case _:
            return _command(event)


def _command(event: Command) -> Plain:
    match event:
        case CheckLiveness() | Synchronize():
            return {_BARE[type(event)]: True}
        case Disconnect(reason):
            return {"disconnect": reason}
        case Rekey(spi_in):
            return {"rekey": spi_in}
        case Spent(spi_in, is_over):
            return {"spent": spi_in, "is_over": is_over}
        case SendAway(gateway, grace):
            return {"send_away": None if gateway is None else str(gateway), "grace": grace}
        case AddChild() | CloseChild():
            return _of_child(event)


def _of_child(event: AddChild | CloseChild) -> Plain:
    match event:
        case AddChild(wish):
            return {"add_child": True} | _wish(wish)
        case CloseChild(spi_in, with_last):
            return {"close_child": spi_in, "with_last": with_last}


def _answer(answer: Answer) -> Plain:
    match answer:
        case Trusted(certificate, again_after, fetched):
            more: Plain = {} if again_after == math.inf else {"again_after": again_after}
            more |= {"fetched": [der.hex() for der in fetched]} if fetched else {}
            return {"trusted": certificate.der.hex()} | more
        case Leased(addresses, dns, domains):
            texts = [str(one) for one in addresses], [str(one) for one in dns]
            return {"leased": texts[0], "dns": texts[1], "domains": list(domains)}
        case Measured(usage):
            numbers = usage.packets_in, usage.octets_in, usage.packets_out, usage.octets_out
            return {"measured": numbers}
        case Progress(reply, outcome):
            return {"eap": None if reply is None else reply.hex()} | _outcome(outcome)
        case _:
            return _brief(answer)


def _outcome(outcome: Outcome | None) -> Plain:
    match outcome:
        case Success(identity, msk, method, chain, groups, addresses):
            return {
                "proven": identity.hex(),
                "msk": None if msk is None else msk.octets.hex(),
                "method": method,
                "chain": [one.hex() for one in chain],
                "groups": list(groups),
                "addresses": [str(one) for one in addresses],
            }
        case Failure(reason, is_said):
            return {"failed": reason, "is_said": is_said}
        case None:
            return {}


def _brief(answer: Signed | Solved | Paths | Installed | Welcome | Refused) -> Plain:
    match answer:
        case Signed(signature, ocsp):
            more: Plain = {"ocsp": [each.hex() for each in ocsp]} if ocsp else {}
            return {"signed": signature.hex()} | more
        case Solved(solution):
            return {"solved": solution.hex()}
        case Paths(found):
            return {"paths": [[str(path.local), str(path.peer)] for path in found]}
        case Installed():
            return {"installed": True}
        case Welcome():
            return {"welcome": True}
        case Refused(reason):
            return {"refused": reason}


def _wish(wish: Wish) -> Plain:
    trigger = wish.trigger
    if trigger is None:
        return {"child": wish.child} if wish.child else {}
    return {"child": wish.child, "packet": [_selector(trigger.local), _selector(trigger.peer)]}


def _selector(ts: TrafficSelector) -> list[str | int]:
    return [ts.protocol, ts.port_start, ts.port_end, str(ts.start), str(ts.end)]


def _end(endpoint: Endpoint) -> list[str | int]:
    return [str(endpoint.address), endpoint.port]


# Reading ------------------------------------------------------------------------------------------


def read(lines: Iterable[str], connections: Mapping[str, Connection]) -> Journal:
    """Return the journal that the lines hold; `connections` are those of its configuration.

    Raises:
        UsageError: a line is none of a journal, or names a connection that is not there.
    """
    try:
        seed, *entries = [json.loads(line) for line in lines if line.strip()]
        inputs = tuple(Entry(one["at"], _read_event(one, connections)) for one in entries)
        return Journal(Secret(bytes.fromhex(seed["seed"])), inputs)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"not a line of a journal: {error!r}") from error


def _read_event(plain: Plain, connections: Mapping[str, Connection]) -> Event:
    if "sa" in plain:
        return Told(bytes.fromhex(plain["sa"]), _read_input(plain))
    if "addresses" in plain:
        return AddressesChanged(tuple(map(ip_address, plain["addresses"])))
    local, peer = _read_end(plain["local"]), _read_end(plain["peer"])
    if "initiate" in plain:
        return Initiate(connections[plain["initiate"]], local, peer, _read_wish(plain))
    return Datagram(local, peer, bytes.fromhex(plain["datagram"]))


def _read_input(plain: Plain) -> SaInput:
    if "ticket" in plain:
        sa, branch, purpose = plain["ticket"]
        ticket = Ticket(bytes.fromhex(sa), bytes.fromhex(branch), purpose)
        return Answered(ticket, _read_answer(plain))
    if "disconnect" in plain:
        return Disconnect(plain["disconnect"])
    if "rekey" in plain:
        return Rekey(plain["rekey"])
    if "spent" in plain:
        return Spent(plain["spent"], is_over=plain["is_over"])
    return _read_wanted(plain)


def _read_wanted(plain: Plain) -> SaInput:
    if "add_child" in plain:
        return AddChild(_read_wish(plain))
    if "close_child" in plain:
        return CloseChild(plain["close_child"], plain["with_last"])
    if "send_away" in plain:
        to = plain["send_away"]
        gateway = None if to is None else PeerAddress.parse(to).target
        return SendAway(gateway, plain["grace"])
    if "seen" in plain:
        return PeerSeen(plain["seen"], _read_end(plain["peer"]))
    return next((kind() for kind, word in _BARE.items() if word in plain), TimerFired())


def _read_answer(plain: Plain) -> Answer:
    if "trusted" in plain:
        certificate = Certificate.of(bytes.fromhex(plain["trusted"]))
        fetched = tuple(bytes.fromhex(der) for der in plain.get("fetched", ()))
        return Trusted(certificate, plain.get("again_after", math.inf), fetched)
    if "signed" in plain:
        ocsp = tuple(bytes.fromhex(each) for each in plain.get("ocsp", ()))
        return Signed(bytes.fromhex(plain["signed"]), ocsp)
    if "leased" in plain:
        addresses, dns = (tuple(map(ip_address, plain[key])) for key in ("leased", "dns"))
        return Leased(addresses, dns, tuple(plain["domains"]))
    if "paths" in plain:
        ends = (map(ip_address, pair) for pair in plain["paths"])
        return Paths(tuple(Path(local, peer) for local, peer in ends))
    if "measured" in plain:
        return Measured(Usage(*plain["measured"]))
    return _read_eap(plain) if "eap" in plain else _read_brief(plain)


def _read_eap(plain: Plain) -> Progress:
    reply = None if plain["eap"] is None else bytes.fromhex(plain["eap"])
    if "proven" in plain:
        msk = None if plain["msk"] is None else Secret(bytes.fromhex(plain["msk"]))
        chain = tuple(map(bytes.fromhex, plain["chain"]))
        name, more = bytes.fromhex(plain["proven"]), (plain["method"], chain)
        addresses = tuple(map(ip_address, plain["addresses"]))
        return Progress(reply, Success(name, msk, *more, tuple(plain["groups"]), addresses))
    if "failed" in plain:
        return Progress(reply, Failure(plain["failed"], plain["is_said"]))
    return Progress(reply)


def _read_brief(plain: Plain) -> Answer:
    if "solved" in plain:
        return Solved(bytes.fromhex(plain["solved"]))
    if "welcome" in plain:
        return Welcome()
    return Installed() if "installed" in plain else Refused(plain["refused"])


def _read_wish(plain: Plain) -> Wish:
    child = plain.get("child", "")
    if "packet" not in plain:
        return Wish(child)
    local, peer = (
        TrafficSelector(protocol, first, last, ip_address(start), ip_address(end))
        for protocol, first, last, start, end in plain["packet"]
    )
    return Wish(child, Trigger(local, peer))


def _read_end(plain: list[Any]) -> Endpoint:
    address, port = plain
    return Endpoint(ip_address(address), port)
