# SPDX-License-Identifier: Apache-2.0
"""Which identities a pattern means, and which key is for whom."""

import pytest

from ikeway.crypto.certificate import distinguished_name
from ikeway.model.errors import ConfigError
from ikeway.model.identity import Identity, IdType
from ikeway.model.secret import Secret
from ikeway.policy.credentials import (
    Credentials,
    IdPattern,
    PreSharedKey,
    identities_equal,
    parse_identity,
)

LEFT, RIGHT = Identity.parse("left.example"), Identity.parse("right.example")


@pytest.mark.parametrize(
    ("pattern", "identity", "matches"),
    [
        ("*", "anybody.example", True),
        ("*", "192.0.2.1", True),
        ("*", "@#00", True),
        ("gw.example", "gw.example", True),
        ("gw.example", "GW.Example", True),
        ("gw.example", "gw.example.com", False),
        ("gw.example", "user@gw.example", False),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "A.EXAMPLE.COM", True),
        ("*.example.com", "a.example.com.evil.net", False),
        ("*.secure.example", "a.\u017fecure.example", False),
        ("*@example.com", "user@example.com", True),
        ("*@example.com", "user@evil.com", False),
        ("*@example.com", "example.com", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8:0::1", True),
        ("@#0aff", "@#0AFF", True),
    ],
)
def test_a_pattern_matches_names_without_regard_to_case(
    pattern: str, identity: str, matches: bool
) -> None:
    assert IdPattern(pattern).matches(Identity.parse(identity)) == matches


@pytest.mark.parametrize("pattern", ["*.example.com", "*@example.com", "a[bc].*"])
def test_a_wildcard_means_names_and_nothing_else(pattern: str) -> None:
    for kind in (IdType.KEY_ID, IdType.DER_ASN1_DN, IdType.IPV4_ADDR, IdType.NULL):
        assert not IdPattern(pattern).matches(Identity(kind, b"x.example.com"))


def test_brackets_and_question_marks_are_no_wildcards() -> None:
    assert not IdPattern("*[ab].example").matches(Identity.parse("xa.example"))
    assert not IdPattern("*?.example").matches(Identity.parse("xy.example"))
    assert IdPattern("*?.example").matches(Identity.parse("x?.example"))


def test_an_exact_pattern_is_one_identity() -> None:
    assert IdPattern("gw.example").exact == Identity.parse("gw.example")
    assert IdPattern("*.example").exact is None
    assert str(IdPattern("*.example")) == "*.example"


@pytest.mark.conformance("CF-I18")
def test_distinguished_names_are_compared_by_x500_rules() -> None:
    """RFC 7296 §3.5, RFC 4945 §3.1.5."""
    pattern = IdPattern("C=CH, O=Example Corp, CN=gw")
    assert pattern.matches(distinguished_name("C=ch, O=EXAMPLE  corp, CN=GW"))
    assert not pattern.matches(distinguished_name("C=CH, O=Example Corp, CN=other"))
    assert not pattern.matches(Identity.parse("gw"))


@pytest.mark.conformance("CF-I18")
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("192.0.2.1", IdType.IPV4_ADDR),
        ("2001:db8::1", IdType.IPV6_ADDR),
        ("gw.example", IdType.FQDN),
        ("user@example", IdType.RFC822_ADDR),
        ("@#00ff", IdType.KEY_ID),
        ("C=CH, CN=gw", IdType.DER_ASN1_DN),
    ],
)
def test_an_operators_text_is_an_identity_of_the_type_that_it_looks_like(
    text: str, kind: IdType
) -> None:
    assert parse_identity(text).type is kind


@pytest.mark.parametrize("text", ["", "@#xyz", "@#0", "C=, =", "=x"])
def test_a_text_that_is_no_identity_is_an_error_of_the_operator(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_identity(text)


def test_identities_of_different_types_are_never_equal() -> None:
    assert not identities_equal(Identity(IdType.FQDN, b"a"), Identity(IdType.KEY_ID, b"a"))
    assert not identities_equal(Identity(IdType.KEY_ID, b"a"), Identity(IdType.KEY_ID, b"A"))


def psk(peer: str, secret: str, local: str = "*") -> PreSharedKey:
    return PreSharedKey(IdPattern(peer), Secret(secret.encode()), IdPattern(local))


def test_the_most_exact_key_wins() -> None:
    keys = Credentials(
        secrets=(
            psk("*", "anybody"),
            psk("*.example", "a family"),
            psk("right.example", "one of us"),
            psk("right.example", "this pair", "left.example"),
        )
    )
    assert keys.psk(LEFT, RIGHT) == Secret(b"this pair")
    assert keys.psk(Identity.parse("other.example"), RIGHT) == Secret(b"one of us")


def test_a_longer_pattern_is_more_exact_than_a_shorter_one() -> None:
    keys = Credentials(secrets=(psk("*", "anybody"), psk("*.example", "a family")))
    assert keys.psk(LEFT, RIGHT) == Secret(b"a family")
    assert keys.psk(LEFT, Identity.parse("elsewhere.net")) == Secret(b"anybody")


@pytest.mark.conformance("CF-A06")
def test_a_key_for_others_is_no_key() -> None:
    """RFC 7296 §1.2: the key belongs to the identity."""
    assert Credentials(secrets=(psk("boss.example", "x"),)).psk(LEFT, RIGHT) is None
    assert Credentials(secrets=(psk("*", "x", "boss.example"),)).psk(LEFT, RIGHT) is None
    assert Credentials().psk(LEFT, RIGHT) is None


def test_keys_show_nothing() -> None:
    assert "hunter2" not in repr(psk("*", "hunter2"))
