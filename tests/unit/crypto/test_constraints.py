# SPDX-License-Identifier: Apache-2.0
"""Name constraints (RFC 5280 §4.2.1.10): whom an authority may vouch for."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from ikeway.crypto import constraints
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.chain import verify_chain
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.model.errors import AuthenticationError
from support.pki import CA, NOW, certificate, private_key, root

P256 = KeyAlgorithm.ECDSA_256
ROOT_KEY, MIDDLE_KEY, LEAF_KEY = (private_key(P256, which) for which in range(3))
ROOT = root("root", ROOT_KEY)
DNS, MAIL, URI = x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier


def ip(text: str) -> x509.IPAddress:
    return x509.IPAddress(ip_network(text) if "/" in text else ip_address(text))


def dn(*parts: tuple[ObjectIdentifier, str]) -> x509.DirectoryName:
    return x509.DirectoryName(x509.Name([x509.NameAttribute(oid, text) for oid, text in parts]))


def leaf(*names: x509.GeneralName, subject: str = "leaf") -> Certificate:
    sans = [(x509.SubjectAlternativeName(names), False)] if names else []
    return certificate(subject, LEAF_KEY, "middle", MIDDLE_KEY, sans)


def middle(
    permitted: Sequence[x509.GeneralName] | None,
    excluded: Sequence[x509.GeneralName] | None = None,
) -> Certificate:
    limits = x509.NameConstraints(permitted, excluded)
    return certificate("middle", MIDDLE_KEY, "root", ROOT_KEY, [(CA, True), (limits, True)])


def holds(end: Certificate, *intermediates: Certificate) -> bool:
    try:
        verify_chain(end, intermediates, [ROOT], NOW, None)
    except AuthenticationError as error:
        return "may vouch" not in error.reason
    return True


ROWS = [
    (DNS("example.com"), DNS("example.com"), True),
    (DNS("example.com"), DNS("VPN.Example.com"), True),
    (DNS("example.com"), DNS("badexample.com"), False),
    (DNS("example.com"), DNS("example.com.evil.test"), False),
    (DNS("vpn.example.com"), DNS("example.com"), False),
    (DNS(".example.com"), DNS("vpn.example.com"), True),
    (DNS(".example.com"), DNS("example.com"), False),
    (DNS(""), DNS("anything.test"), True),
    (MAIL("jo@example.com"), MAIL("jo@EXAMPLE.com"), True),
    (MAIL("jo@example.com"), MAIL("Jo@example.com"), False),
    (MAIL("example.com"), MAIL("any@example.com"), True),
    (MAIL("example.com"), MAIL("any@host.example.com"), False),
    (MAIL(".example.com"), MAIL("any@host.example.com"), True),
    (MAIL(".example.com"), MAIL("any@example.com"), False),
    (ip("192.0.2.0/24"), ip("192.0.2.9"), True),
    (ip("192.0.2.0/24"), ip("192.0.3.9"), False),
    (ip("192.0.2.0/24"), ip("2001:db8::1"), False),
    (ip("2001:db8::/32"), ip("2001:db8::1"), True),
    (URI("example.com"), URI("http://example.com:80/x"), True),
    (URI("example.com"), URI("http://host.example.com/x"), False),
    (URI(".example.com"), URI("http://host.example.com/x"), True),
    (URI("example.com"), URI("urn:nothing"), False),
]
TEXTS = [f"{tree.value}-{name.value}" for tree, name, _ in ROWS]


@pytest.mark.parametrize(("tree", "name", "fits"), ROWS, ids=TEXTS)
def test_a_name_is_within_a_subtree_of_its_kind(
    tree: x509.GeneralName, name: x509.GeneralName, fits: bool
) -> None:
    """Permitted and excluded subtrees are read alike."""
    assert holds(leaf(name), middle([tree])) is fits
    assert holds(leaf(name), middle(None, [tree])) is not fits


def test_names_of_other_kinds_are_not_bound_by_a_constraint() -> None:
    assert holds(leaf(ip("192.0.2.1")), middle([DNS("example.com")]))


def test_one_name_outside_is_enough() -> None:
    assert not holds(leaf(DNS("a.example"), DNS("b.test")), middle([DNS("a.example")]))


def test_what_is_excluded_is_so_even_if_it_is_permitted() -> None:
    """RFC 5280 §4.2.1.10."""
    limits = middle([DNS("example.com")], [DNS("secret.example.com")])
    assert holds(leaf(DNS("vpn.example.com")), limits)
    assert not holds(leaf(DNS("x.secret.example.com")), limits)


def test_the_subject_is_a_name_too() -> None:
    """§6.1.3 (b): else ID_DER_ASN1_DN would be the way round."""
    assert holds(leaf(subject="leaf"), middle([dn((NameOID.COMMON_NAME, "LEAF"))]))
    assert not holds(leaf(subject="boss"), middle([dn((NameOID.COMMON_NAME, "leaf"))]))
    assert not holds(leaf(subject="leaf"), middle(None, [dn((NameOID.COMMON_NAME, "leaf"))]))


@pytest.mark.parametrize(("mailbox", "fits"), [("jo@example.com", True), ("jo@evil.test", False)])
def test_a_mailbox_in_the_subject_counts_where_no_other_is(mailbox: str, fits: bool) -> None:
    """§4.2.1.10: the emailAddress attribute of old certificates."""
    odd = certificate(f"leaf,E={mailbox}", LEAF_KEY, "middle", MIDDLE_KEY)
    assert holds(odd, middle([MAIL("example.com")])) is fits
    assert holds(leaf(MAIL("jo@example.com")), middle([MAIL("example.com")]))


def test_constraints_of_each_authority_count_and_none_widens_another() -> None:
    """§6.1.4 (g): what is permitted is what all permit."""
    low_key = private_key(P256, 3)
    wide = x509.NameConstraints([DNS("test"), DNS("example.com")], None)
    low = certificate("low", low_key, "middle", MIDDLE_KEY, [(CA, True), (wide, True)])
    sans = x509.SubjectAlternativeName([DNS("vpn.test")])
    end = certificate("end", LEAF_KEY, "low", low_key, [(sans, False)])
    assert not holds(end, low, middle([DNS("example.com")]))
    assert holds(end, low, middle([DNS("test")]))


def test_the_constraints_of_the_authority_that_we_believe_count() -> None:
    limits = x509.NameConstraints([DNS("example.com")], None)
    anchor = certificate("root", ROOT_KEY, "root", ROOT_KEY, [(CA, True), (limits, True)])
    for name, fits in (("vpn.example.com", True), ("vpn.test", False)):
        sans = x509.SubjectAlternativeName([DNS(name)])
        end = certificate("end", LEAF_KEY, "root", ROOT_KEY, [(sans, False)])
        if fits:
            assert verify_chain(end, [], [anchor], NOW, None)
        else:
            with pytest.raises(AuthenticationError, match=r"CN=end: its name vpn\.test"):
                verify_chain(end, [], [anchor], NOW, None)


def test_an_authority_that_renews_its_own_key_is_not_bound_itself() -> None:
    """§6.1.3: self-issued certificates within a path are left out, leaves never."""
    new_key = private_key(P256, 4)
    limits = middle([dn((NameOID.COMMON_NAME, "leaf"))])
    renewed = certificate("middle", new_key, "middle", MIDDLE_KEY, [(CA, True)])
    end = certificate("leaf", LEAF_KEY, "middle", new_key)
    assert holds(end, renewed, limits)


def test_a_constraint_on_names_that_we_cannot_compare_refuses_such_names() -> None:
    other = x509.RegisteredID(ObjectIdentifier("1.2.3"))
    assert holds(leaf(DNS("a.test")), middle(None, [other]))
    with pytest.raises(AuthenticationError, match="RegisteredID, unknown to us"):
        verify_chain(leaf(other), [middle(None, [other])], [ROOT], NOW, None)


def test_comparing_names_is_bounded_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """I5: a hundred thousand comparisons for one handshake are too many."""
    monkeypatch.setattr(constraints, "COMPARISONS_MOST", 10)
    names = [DNS(f"h{number}.test") for number in range(6)]
    with pytest.raises(AuthenticationError, match="too many name constraints"):
        verify_chain(leaf(*names), [middle(None, names)], [ROOT], NOW, None)
