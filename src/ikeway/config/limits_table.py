# SPDX-License-Identifier: Apache-2.0
"""The keys of what strangers may make the gateway do (RFC 7296 §2.6, RFC 8019)."""

from pydantic import Field

from ikeway.config.parsed import written
from ikeway.config.terms import Table, Wait


class LimitsTable(Table):
    """How much strangers may make the gateway do (RFC 7296 §2.6, RFC 8019).

    An IKE SA is half open until its initiator has proven itself. A source is an IPv4 address or an
    IPv6 /64; its network is a /24 or a /48.
    """

    half_open: int = Field(default=10_000, ge=1, le=1_000_000)
    """How many IKE SAs may be half open; more are turned away."""

    fragment_octets: int = Field(default=16 << 20, ge=1 << 20)
    """How much of unfinished messages is stored for all half-open IKE SAs together (RFC 7383 §5).
    Beyond it, those that wait longest are forgotten."""

    cookies_from: int = Field(default=128, ge=0)
    """From how many half-open IKE SAs on everybody has to return a cookie; 0 is always."""

    puzzles_from: int = Field(default=2048, ge=0)
    """From how many on everybody has to solve a puzzle as well. Peers that cannot are served by
    lot."""

    source_cookies_from: int = Field(default=32, ge=0)
    """From how many of one source on that source has to return a cookie."""

    source_half_open: int = Field(default=128, ge=1)
    """From how many of one source on that source has to solve a puzzle."""

    network_half_open: int = Field(default=512, ge=1)
    """From how many of one network on that network has to solve a puzzle."""

    source_rate: int = Field(default=200, ge=1)
    """How many IKE_SA_INIT requests a second a source may send before it has to return a cookie. An
    attempt that came to nothing counts for 20."""

    total_rate: int = Field(default=1000, ge=1)
    """How many IKE_SA_INIT requests a second may come in all before everybody has to return a
    cookie."""

    puzzle_bits: int = Field(default=18, ge=9, le=32)
    """How hard our puzzles are at most: each bit doubles the work, and 18 take about a second."""

    eap_rounds: int = Field(default=50, ge=10, le=200)
    """How many requests an EAP conversation may take, on either side."""

    user_guesses: int = Field(default=10, ge=1, le=10_000)
    """How many wrong passwords for one user are looked at in a `guess_window`. A source from which
    the user has come in before has a count of its own, so that strangers lock nobody out of there.
    """

    source_guesses: int = Field(default=100, ge=1, le=100_000)
    """How many wrong passwords of one source, for whatever user, in a `guess_window`."""

    guess_window: Wait = written("10m")
    """The time for these numbers. Each worker counts for itself."""

    solve_bits: int = Field(default=22, ge=0, le=32)
    """Up to how many bits we solve puzzles of others; to harder ones we return the cookie only."""
