# SPDX-License-Identifier: Apache-2.0
"""Ends what an operator wants to be down, so that it stays down."""

from collections.abc import Iterable

from ikeway.daemon.starter import Starter
from ikeway.daemon.status import child_spis, connection_of
from ikeway.ike.io import CloseChild, Disconnect
from ikeway.ike.sa import IkeSa
from ikeway.ike.states import Deleting, Replaced
from ikeway.model.errors import UsageError
from ikeway.runtime.driver import Driver


def disconnect(driver: Driver, starter: Starter, target: str) -> list[str]:
    """Delete the IKE SAs of a connection, or the one with that id, or a Child SA; return their ids.

    Raises:
        UsageError: there is none.
    """
    sas = driver.endpoint.sas
    whole = [sa for sa in sas if target in {sa.spi.hex(), connection_of(sa.state)}]
    children = [] if whole else [(sa, spi) for sa in sas for spi in child_spis(sa, target)]
    was_kept = starter.rest({target} | _ended(sas, whole))
    names = {target, *(connection_of(sa.state) or "" for sa in whole)}
    for sa in whole:
        driver.command(sa.spi, Disconnect("asked to disconnect"))
    for sa, spi in children:
        driver.command(sa.spi, CloseChild(spi))
    # Whoever ends a connection wants no way back to it, even where it is down (RFC 5723 §6.2).
    for name in names:
        driver.endpoint.forget_ticket(name)
    if not whole and not children and not was_kept:
        raise UsageError(f"no SA is called {target!r}; `ikeway status` shows them")
    return [sa.spi.hex() for sa in whole] + [f"{spi:08x}" for _, spi in children]


def _ended(sas: Iterable[IkeSa], going: Iterable[IkeSa]) -> set[str]:
    """Return the connections of which nothing is left once these IKE SAs are gone."""
    gone = {sa.spi for sa in going}
    others = (sa.state for sa in sas if sa.spi not in gone)
    left = {connection_of(state) for state in others if not isinstance(state, Deleting | Replaced)}
    return {name for sa in going if (name := connection_of(sa.state))} - left
