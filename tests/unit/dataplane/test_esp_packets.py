# SPDX-License-Identifier: Apache-2.0
"""The engine's packets, one at a time, against a second ESP made with pyca (RFC 4303)."""

import pytest

from ikeway._engine import EspSa, RefusedError
from support.esp import Peer, ipv4_packet, ipv6_packet
from support.suites import BY_NAME, SUITES, Suite

SPI = 0x01020304
GCM = BY_NAME["aes256gcm16"]
MAX = 0xFFFFFFFF

every_suite = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
both_widths = pytest.mark.parametrize("esn", [False, True], ids=["no esn", "esn"])


@pytest.mark.conformance("CF-U02", "CF-U04", "CF-U11", "CF-U14", "CF-U19")
@every_suite
@both_widths
def test_a_sealed_packet_is_what_the_rfc_says(suite: Suite, esn: bool) -> None:
    sa, peer = ends(suite, esn)
    for number, payload in enumerate((0, 1, 2, 3, 4, 5, 15, 16, 17, 1400), start=1):
        for offset, inner in enumerate((ipv4_packet(payload), ipv6_packet(payload))):
            sequence = 2 * number - 1 + offset
            packet = sa.seal(inner)
            assert packet[:8] == SPI.to_bytes(4) + sequence.to_bytes(4)
            plaintext = peer.open(sequence, packet)
            padding, next_header = plaintext[-2:]
            assert plaintext == inner + bytes(range(1, padding + 1)) + plaintext[-2:]
            assert len(plaintext) % 4 == 0
            assert next_header == (4, 41)[offset]


@pytest.mark.conformance("CF-U04", "CF-U10", "CF-U19")
@every_suite
@both_widths
def test_a_packet_of_another_implementation_opens(suite: Suite, esn: bool) -> None:
    sa, peer = ends(suite, esn)
    for sequence, inner in enumerate((ipv4_packet(0), ipv6_packet(1), ipv4_packet(1401)), start=1):
        assert sa.open(peer.seal(sequence, inner)) == inner


@pytest.mark.conformance("CF-U10")
@every_suite
def test_no_octet_of_a_packet_can_change(suite: Suite) -> None:
    sa, peer = ends(suite, esn=True)
    packet = peer.seal(1, ipv4_packet(7))
    for place in range(len(packet)):
        changed = bytearray(packet)
        changed[place] ^= 0x80
        expected = "unknown_spi" if place < 4 else r"integrity_failed|replayed"
        with pytest.raises(RefusedError, match=expected):
            sa.open(bytes(changed))
    assert sa.open(packet) == ipv4_packet(7)


@pytest.mark.conformance("CF-U03")
@every_suite
def test_the_last_sequence_number_is_used_once(suite: Suite) -> None:
    """RFC 4303 §3.3.3: the counter must not cycle."""
    for esn, last in ((False, MAX), (True, MAX << 32 | MAX)):
        sa, peer = ends(suite, esn, after=last - 1)
        packet = sa.seal(ipv4_packet(1))
        assert peer.open(last, packet)[:21] == ipv4_packet(1)
        with pytest.raises(RefusedError, match="sequence_exhausted"):
            sa.seal(ipv4_packet(1))


@pytest.mark.conformance("CF-U05")
def test_a_packet_is_taken_once_and_only_within_the_window() -> None:
    sa, peer = ends(GCM, esn=False)
    inner = ipv4_packet(1)
    packets = {number: peer.seal(number, inner) for number in (0, 1, 36, 37, 100)}
    with pytest.raises(RefusedError, match="replayed"):
        sa.open(packets[0])
    for number in (1, 100, 37):
        assert sa.open(packets[number]) == inner
    for number in (1, 36, 37, 100):
        with pytest.raises(RefusedError, match="replayed"):
            sa.open(packets[number])


@pytest.mark.conformance("CF-U05")
@every_suite
def test_only_a_verified_packet_moves_the_window(suite: Suite) -> None:
    sa, peer = ends(suite, esn=False)
    forged = bytearray(peer.seal(1_000_000, ipv4_packet(1)))
    forged[-1] ^= 1
    with pytest.raises(RefusedError, match="integrity_failed"):
        sa.open(bytes(forged))
    assert sa.open(peer.seal(1, ipv4_packet(1))) == ipv4_packet(1)


@pytest.mark.conformance("CF-U06")
def test_windows_from_32_to_65536_and_none() -> None:
    for width in (32, 64, 1024, 65_536):
        sa, peer = ends(GCM, esn=False, window=width)
        assert sa.open(peer.seal(width + 1, ipv4_packet(1)))
        assert sa.open(peer.seal(2, ipv4_packet(1)))
        with pytest.raises(RefusedError, match="replayed"):
            sa.open(peer.seal(1, ipv4_packet(1)))
    sa, peer = ends(GCM, esn=False, window=0)
    assert sa.open(peer.seal(5, ipv4_packet(1))) == sa.open(peer.seal(5, ipv4_packet(1)))
    for width in (1, 31, 65_537):
        with pytest.raises(ValueError, match="replay window"):
            ends(GCM, esn=False, window=width)


@pytest.mark.conformance("CF-U07")
def test_the_high_half_is_inferred_as_appendix_a2_says() -> None:
    """With W = 64 the top T is moved to each case's place; then packets around the edges come."""
    w = 64
    case_a, case_b = (3 << 32) + 1000, (3 << 32) + 10
    bottom_a, bottom_b = case_a - w + 1, case_b - w + 1
    for top, sequence in (
        (case_a, bottom_a),
        (case_a, case_a + 1),
        (case_a, (3 << 32) + MAX),
        (case_a, 4 << 32),
        (case_a, (4 << 32) + (bottom_a & MAX) - 1),
        (case_b, bottom_b),
        (case_b, (2 << 32) + MAX),
        (case_b, 3 << 32),
        (case_b, case_b + 1),
        (case_b, (3 << 32) + (bottom_b & MAX) - 1),
    ):
        sa, peer = ends(GCM, esn=True)
        climb(sa, peer, top)
        assert sa.open(peer.seal(sequence, ipv4_packet(1))) == ipv4_packet(1), hex(sequence)
    for top, sequence, reason in (
        (case_a, case_a, "replayed"),
        (case_b, case_b, "replayed"),
        (case_a, bottom_a - 1, "integrity_failed"),
        (case_b, bottom_b - 1, "integrity_failed"),
        (1, MAX, "replayed"),
    ):
        sa, peer = ends(GCM, esn=True)
        climb(sa, peer, top)
        with pytest.raises(RefusedError, match=reason):
            sa.open(peer.seal(sequence, ipv4_packet(1)))


@pytest.mark.conformance("CF-U11")
@every_suite
def test_padding_must_count(suite: Suite) -> None:
    sa, peer = ends(suite, esn=False)
    good = ipv4_packet(9) + b"\1" + b"\1\4"
    bad = ipv4_packet(9) + b"\2" + b"\1\4"
    assert sa.open(peer.seal_plaintext(1, good)) == ipv4_packet(9)
    with pytest.raises(RefusedError, match="bad_padding"):
        sa.open(peer.seal_plaintext(2, bad))
    with pytest.raises(RefusedError, match="bad_padding"):
        sa.open(peer.seal_plaintext(3, bytes(30) + b"\xff\4"))


@pytest.mark.conformance("CF-U12", "CF-U13")
@every_suite
def test_dummies_are_dropped_and_tfc_padding_is_cut(suite: Suite) -> None:
    sa, peer = ends(suite, esn=False)
    with pytest.raises(RefusedError, match="dummy"):
        sa.open(peer.seal(1, ipv4_packet(5), next_header=59))
    for sequence, inner in enumerate((ipv4_packet(5), ipv6_packet(5)), start=2):
        padded = inner + bytes(100)
        next_header = 4 if inner[0] >> 4 == 4 else 41
        assert sa.open(peer.seal(sequence, padded, next_header)) == inner


@pytest.mark.conformance("CF-U01")
@pytest.mark.parametrize("spi", [0, 1, 255])
def test_reserved_spis_are_refused(spi: int) -> None:
    with pytest.raises(ValueError, match="below 256"):
        EspSa(spi, encr=20, key_bits=128, integ=0, encr_key=bytes(20), integ_key=b"")


@pytest.mark.conformance("CF-U14")
def test_no_suite_goes_without_integrity() -> None:
    for encr, key_bits in ((11, 0), (12, 128), (3, 0)):
        with pytest.raises(ValueError, match="no ESP suite"):
            EspSa(SPI, encr=encr, key_bits=key_bits, integ=0, encr_key=bytes(16), integ_key=b"")


@pytest.mark.conformance("CF-U18")
@pytest.mark.parametrize(
    "suite", [suite for suite in SUITES if suite.iv_octets], ids=lambda suite: suite.name
)
def test_no_iv_is_used_twice(suite: Suite) -> None:
    sa, _ = ends(suite, esn=True, after=MAX - 50)
    ivs = {sa.seal(ipv4_packet(1))[8 : 8 + suite.iv_octets] for _ in range(100)}
    assert len(ivs) == 100


def test_short_packets_are_malformed() -> None:
    for suite in SUITES:
        sa, peer = ends(suite, esn=False)
        packet = peer.seal(1, ipv4_packet(0))
        for length in range(4, len(packet)):
            with pytest.raises(RefusedError, match=r"malformed|integrity_failed|replayed"):
                sa.open(packet[:length])


def ends(suite: Suite, esn: bool, window: int = 64, after: int = 0) -> tuple[EspSa, Peer]:
    """Return the engine's SA and pyca's, with the same keys."""
    encr_key = bytes(range(suite.encr_octets))
    integ_key = bytes(range(100, 100 + suite.integ_octets))
    sa = EspSa(
        SPI,
        encr=suite.encr,
        key_bits=suite.key_bits,
        integ=suite.integ,
        encr_key=encr_key,
        integ_key=integ_key,
        esn=esn,
        replay_window=window,
        after=after,
        iv_seed=bytes(range(16)),
    )
    return sa, Peer(SPI, suite, encr_key, integ_key, esn)


def climb(sa: EspSa, peer: Peer, top: int) -> None:
    """Bring the window's top to `top`, in steps that the inference can follow."""
    for sequence in [*range(1 << 30, top, 1 << 31), top]:
        sa.open(peer.seal(sequence, ipv4_packet(0)))
