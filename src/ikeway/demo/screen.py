# SPDX-License-Identifier: Apache-2.0
"""How the demo looks: a line per step with a mark and a time, and the handshake as a ladder."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.text import Text

from ikeway.demo.cable import GATEWAY, LAPTOP, SERVER
from ikeway.demo.handshake import Message

_WIDEST: Final = 96
_LABEL: Final = 14
_INDENT: Final = " " * (_LABEL + 2)


class Step:
    """A step that is being made; `detail` is what it will have shown."""

    def __init__(self) -> None:
        self.detail = ""


class Screen:
    """A console, in the words and colours of the demo. A quiet console makes it silent."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = min(console.width, _WIDEST)

    def open(self) -> None:
        """Say what is going to be seen."""
        line = Text(justify="center")
        line.append("laptop", "bold cyan").append(f"  {LAPTOP}  ", "cyan")
        line.append("━━━━━━━ the wire ━━━━━━━", "yellow")
        line.append(f"  {GATEWAY}  ", "green").append("gateway", "bold green")
        line.append(f"\nbehind the gateway: {SERVER[0]} and {SERVER[1]}", "dim")
        title = "[bold]ikeway demo[/] · two hosts, one tunnel, and a proof from the wire"
        self._console.print(Panel(line, title=title, width=self._width, border_style="dim"))

    @contextmanager
    def step(self, label: str, doing: str) -> Iterator[Step]:
        """Show that something is being done, and then what came of it."""
        step = Step()
        started = time.perf_counter()
        if self._console.is_terminal and not self._console.record:
            with self._console.status(f"[bold]{label}[/] [dim]{doing}[/]", spinner="dots"):
                yield step
        else:
            yield step
        self._done(label, step.detail, time.perf_counter() - started)

    def ladder(self) -> None:
        """Name the sides of the ladder whose rungs follow."""
        gap = " " * (self._width - len("laptop") - len("gateway") - 12)
        line = Text(" " * 12, no_wrap=True, overflow="ellipsis")
        self._console.print(
            line.append("laptop", "bold cyan").append(gap + "gateway", "bold green")
        )

    def message(self, message: Message) -> None:
        """Draw one rung of the ladder."""
        tone = "cyan" if message.is_ours else "green"
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"{message.at * 1000:8.1f} ms ", "dim").append("│", "dim").append(
            "──" if message.is_ours else "◀─", tone
        )
        line.append(f" {message.exchange}", f"bold {tone}").append(f" {message.payloads} ")
        room = self._width - line.cell_len
        size = f" {message.octets} octets "
        end = Text().append(size if len(size) + 4 <= room else f" {message.octets} ", "dim")
        end.append("─▶" if message.is_ours else "──", tone).append("│", "dim")
        line.append("─" * max(1, room - end.cell_len), tone)
        self._console.print(line.append_text(end))

    def note(self, text: str) -> None:
        """Show a detail below a step."""
        self._console.print(f"{_INDENT}[dim]{escape(text)}[/]", highlight=False)

    def close(self, *lines: str) -> None:
        """Say what was shown; the first line is the point of it."""
        text = Text(justify="center").append(lines[0], "bold green")
        for line in lines[1:]:
            text.append(f"\n{line}", "dim")
        self._console.print(Panel(text, width=self._width, border_style="green"))

    def fail(self, reason: str, logs: dict[str, list[str]]) -> None:
        """Say what went wrong, and the last that both sides said."""
        self._console.print(f"[bold red]✗ {escape(reason)}[/]")
        for name, lines in logs.items():
            self._console.print(f"\n[bold]The {name}'s last words:[/]")
            for line in lines:
                self._console.print(f"  {escape(line)}", highlight=False, style="dim")

    def _done(self, label: str, detail: str, took: float) -> None:
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append("✓ ", "bold green").append(f"{label:<{_LABEL}}", "bold").append(detail)
        line.append(f"{took:>{max(6, self._width - line.cell_len - 2)}.2f} s", "dim")
        self._console.print(line)
