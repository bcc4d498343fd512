# SPDX-License-Identifier: Apache-2.0
"""How much strangers may make an endpoint do (RFC 7296 §2.6, §2.21.4; RFC 8019 §6)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """From how much on strangers have to prove more, and how much is too much.

    `half_open` is how many IKE SAs may wait for their initiator's proof at a time. From
    `cookies_from` on everybody has to return a cookie first, from `puzzles_from` on to solve a
    puzzle. A source, which is an IPv4 address or an IPv6 /64, has to return a cookie from
    `source_cookies_from` on, and to solve a puzzle from `source_half_open` on; its network, a /24
    or a /48, from `network_half_open` on. `source_rate` is how many IKE_SA_INIT requests a second
    a source may send before it is asked for more, `total_rate` how many all may send together.

    `fragment_octets` is how much of unfinished messages all those that are half open may store.
    `puzzle_bits` is how hard a puzzle of ours is at most; harder ones than `solve_bits` are left
    unsolved. An EAP conversation has at most `eap_rounds` requests.

    For a user's password there may be `user_guesses` wrong ones in `guess_window` seconds, from all
    sources that have never shown the right one together; from a source `source_guesses`, for all
    users.

    `answers_per_second` and `answers_burst` bound the messages that belong to no IKE SA and still
    get an answer; `tokens_per_second` and `tokens_burst` those that get a crash token (RFC 6290
    §8.1), of which all peers of a gateway that restarted want one at once.
    """

    half_open: int = 10_000
    fragment_octets: int = 16 << 20
    cookies_from: int = 128
    puzzles_from: int = 2048
    source_cookies_from: int = 32
    source_half_open: int = 128
    network_half_open: int = 512
    source_rate: int = 200
    total_rate: int = 1000
    puzzle_bits: int = 18
    solve_bits: int = 22
    eap_rounds: int = 50
    user_guesses: int = 10
    source_guesses: int = 100
    guess_window: float = 600.0
    answers_per_second: float = 10.0
    answers_burst: int = 20
    tokens_per_second: float = 200.0
    tokens_burst: int = 1000
