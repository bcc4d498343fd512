# SPDX-License-Identifier: Apache-2.0
"""Who needs which address and route: what several Child SAs share stays until the last one goes."""

from dataclasses import dataclass
from typing import TypeAlias

from ikeway.client.plan import Step


@dataclass(frozen=True, slots=True)
class Apply:
    """Put a step into force, instead of one with the same key."""

    step: Step


@dataclass(frozen=True, slots=True)
class Revert:
    """Undo a step."""

    step: Step


Change: TypeAlias = Apply | Revert


class Ledger:
    """The steps of each Child SA, by inbound SPI. Of those with the same key the newest holds."""

    def __init__(self) -> None:
        self._steps: dict[int, tuple[Step, ...]] = {}
        self._holders: dict[object, dict[int, Step]] = {}

    @property
    def steps(self) -> tuple[Step, ...]:
        """All that is in force."""
        held = (_newest(holders) for holders in self._holders.values())
        return tuple(step for step in held if step is not None)

    def add(self, spi: int, steps: tuple[Step, ...]) -> tuple[Change, ...]:
        """Note a Child SA and return what is to be done for it."""
        before = self.remove(spi)
        self._steps[spi] = steps
        after = []
        for step in steps:
            holders = self._holders.setdefault(step.key, {})
            if _newest(holders) != step:
                after.append(Apply(step))
            holders[spi] = step
        return (*before, *after)

    def remove(self, spi: int) -> tuple[Change, ...]:
        """Forget a Child SA and return what is to be done without it."""
        steps = reversed(self._steps.pop(spi, ()))
        return tuple(change for step in steps for change in self._release(spi, step))

    def clear(self) -> None:
        """Forget all of them."""
        self._steps.clear()
        self._holders.clear()

    def _release(self, spi: int, step: Step) -> tuple[Change, ...]:
        holders = self._holders[step.key]
        held = _newest(holders)
        del holders[spi]
        if not holders:
            del self._holders[step.key]
            return (Revert(step),)
        left = _newest(holders)
        return () if left is None or left == held else (Apply(left),)


def _newest(holders: dict[int, Step]) -> Step | None:
    return next(reversed(holders.values()), None)
