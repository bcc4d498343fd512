# SPDX-License-Identifier: Apache-2.0
"""Name constraints: for which names an authority may vouch (RFC 5280 §4.2.1.10, §6.1.3 b, c)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from cryptography import x509

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.names import canonical_name, mailboxes, names_equal
from ikeway.model.errors import AuthenticationError

COMPARISONS_MOST: Final = 1 << 14
"""Names times subtrees: an authority of ours may be careless, and we work for everybody."""
_KNOWN: Final = (
    x509.DNSName,
    x509.RFC822Name,
    x509.IPAddress,
    x509.DirectoryName,
    x509.UniformResourceIdentifier,
)
_Fits: TypeAlias = Callable[[x509.GeneralName, x509.GeneralName], bool]


def check_names(chain: Sequence[Certificate]) -> None:
    """Check that each authority of a chain vouches for names below it that are its to vouch for.

    The chain goes from the leaf to the authority that we believe, whose own constraints count, too.

    Raises:
        AuthenticationError: a name is excluded, not permitted, or of a kind that we cannot compare.
    """
    for height, authority in enumerate(chain[1:], 1):
        constraints = authority.find(x509.NameConstraints)
        if constraints is None:
            continue
        for below in chain[:height]:
            is_self_issued = names_equal(below.subject_der, below.issuer_der)
            if below is chain[0] or not is_self_issued:
                _check(below, authority, constraints)


def _check(below: Certificate, authority: Certificate, constraints: x509.NameConstraints) -> None:
    permitted = tuple(constraints.permitted_subtrees or ())
    excluded = tuple(constraints.excluded_subtrees or ())
    names = tuple(_names(below))
    if len(names) * (len(permitted) + len(excluded)) > COMPARISONS_MOST:
        raise AuthenticationError(f"{authority.subject}: too many name constraints to compare")
    for name in names:
        of_kind = [tree for tree in permitted if type(tree) is type(name)]
        is_excluded = _any_fits(name, [tree for tree in excluded if type(tree) is type(name)])
        if is_excluded or (of_kind and not _any_fits(name, of_kind)):
            raise AuthenticationError(
                f"{below.subject}: its name {_text(name)} is not one for which"
                f" {authority.subject} may vouch"
            )


def _any_fits(name: x509.GeneralName, trees: Iterable[x509.GeneralName]) -> bool:
    """Whether a name is within one of these subtrees, which are of its own kind.

    Raises:
        AuthenticationError: a kind that we cannot compare; passing over it could let it pass.
    """
    for tree in trees:
        fits = _FITS.get(type(name))
        if fits is None:
            raise AuthenticationError(f"a name constraint on {type(name).__name__}, unknown to us")
        if fits(name, tree):
            return True
    return False


def _names(certificate: Certificate) -> Iterator[x509.GeneralName]:
    """Return all names of a certificate; mailboxes in its subject count without others (§6.1.3)."""
    names = certificate.find(x509.SubjectAlternativeName) or ()
    yield from names
    if certificate.handle.subject.rdns:
        yield x509.DirectoryName(certificate.handle.subject)
    if not any(isinstance(name, x509.RFC822Name) for name in names):
        for mailbox in mailboxes(certificate.subject_der):
            yield x509.RFC822Name(mailbox)


def _text(name: x509.GeneralName) -> str:
    if isinstance(name, x509.DirectoryName):
        return name.value.rfc4514_string()
    return str(name.value) if isinstance(name, _KNOWN) else repr(name)


# What is within what -------------------------------------------------------------------------


def _is_below(host: str, tree: str) -> bool:
    """Whether a host name is that of the tree or has more labels on its left.

    A leading dot, which RFC 5280 has for mail and URIs only, asks for at least one more.
    """
    host, tree = host.lower().rstrip("."), tree.lower()
    if tree.startswith("."):
        return host.endswith(tree) and host != tree
    return not tree or host == tree or host.endswith("." + tree)


def _host_fits(name: x509.GeneralName, tree: x509.GeneralName) -> bool:
    return _is_below(str(name.value), str(tree.value))


def _mailbox_fits(name: x509.GeneralName, tree: x509.GeneralName) -> bool:
    """A mailbox, all of a host, or with a leading dot all of a domain's hosts."""
    user, _, host = str(name.value).rpartition("@")
    tree_user, has_user, tree_host = str(tree.value).rpartition("@")
    if has_user:
        return user == tree_user and host.lower() == tree_host.lower()
    if tree_host.startswith("."):
        return _is_below(host, tree_host)
    return host.lower() == tree_host.lower()


def _resource_fits(name: x509.GeneralName, tree: x509.GeneralName) -> bool:
    """The host of a URI, or with a leading dot all of a domain's; without a name for it, never."""
    try:
        host = urlsplit(str(name.value)).hostname or ""
    except ValueError:
        return False
    constraint = str(tree.value)
    if constraint.startswith("."):
        return _is_below(host, constraint)
    return host == constraint.lower()


def _address_fits(name: x509.GeneralName, tree: x509.GeneralName) -> bool:
    address, network = name.value, tree.value
    return isinstance(address, IPv4Address | IPv6Address) and address in ip_network(str(network))


def _subject_fits(name: x509.GeneralName, tree: x509.GeneralName) -> bool:
    """A distinguished name that begins as the tree does."""
    try:
        whole, start = _canonical(name), _canonical(tree)
    except ValueError:
        return False
    return whole[: len(start)] == start


@lru_cache(maxsize=64)
def _canonical(name: x509.GeneralName) -> tuple[object, ...]:
    return canonical_name(name.value.public_bytes())


_FITS: Final[dict[type, _Fits]] = {
    x509.DNSName: _host_fits,
    x509.RFC822Name: _mailbox_fits,
    x509.IPAddress: _address_fits,
    x509.DirectoryName: _subject_fits,
    x509.UniformResourceIdentifier: _resource_fits,
}
