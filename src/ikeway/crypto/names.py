# SPDX-License-Identifier: Apache-2.0
"""Distinguished names: text, DER and comparison (RFC 5280 §4.1.2.4, §7.1; RFC 4514, RFC 4518).

The text has the order of the certificate, as OpenSSL and most IPsec programs print it; RFC 4514
would turn it round. `C=CH, O=Example, CN=gateway`; a backslash makes the next character plain.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, TypeAlias

from ikeway.crypto.der import OBJECT_IDENTIFIER, SEQUENCE, SET, Element, decode, encode
from ikeway.crypto.der import oid as dotted
from ikeway.model.identity import Identity, IdType

_UTF8: Final = 0x0C
_PRINTABLE: Final = 0x13
_IA5: Final = 0x16
_ENCODINGS: Final = {
    _UTF8: "utf-8",
    _PRINTABLE: "ascii",
    0x14: "latin-1",  # TeletexString, as everybody reads it
    _IA5: "ascii",
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}
_ATTRIBUTES: Final = {
    "CN": "550403",
    "SN": "550404",
    "serialNumber": "550405",
    "C": "550406",
    "L": "550407",
    "ST": "550408",
    "STREET": "550409",
    "O": "55040a",
    "OU": "55040b",
    "T": "55040c",
    "GN": "55042a",
    "DC": "0992268993f22c640119",
    "UID": "0992268993f22c640101",
    "E": "2a864886f70d010901",
}
_MAIL: Final = bytes.fromhex(_ATTRIBUTES["E"])
_OTHER_WORDS: Final = {"EMAIL": "E", "EMAILADDRESS": "E", "S": "ST", "USERID": "UID"}
_STRING_TAGS: Final = {"C": _PRINTABLE, "serialNumber": _PRINTABLE, "DC": _IA5, "E": _IA5}
_NAMES: Final = {bytes.fromhex(code): word for word, code in _ATTRIBUTES.items()}
_WORDS: Final = {word.upper(): word for word in _ATTRIBUTES} | _OTHER_WORDS

_Attribute: TypeAlias = tuple[Element, Element]
_Canonical: TypeAlias = tuple[frozenset[tuple[bytes, str | bytes]], ...]


def distinguished_name(text: str) -> Identity:
    """Return the ID_DER_ASN1_DN that an operator means by `text`.

    Raises:
        ValueError: not `ATTRIBUTE=value` parts between commas, or an unknown attribute.
    """
    parts = re.findall(r"(?:\\.|[^,\\])+", text, re.DOTALL)
    if not parts:
        raise ValueError("a distinguished name cannot be empty")
    return Identity(IdType.DER_ASN1_DN, encode(SEQUENCE, *map(_encode_part, parts)))


def name_text(der: bytes) -> str:
    """Return the text of a DER Name, for people; its octets in hex if it is none."""
    try:
        rdns = [" + ".join(map(_text, _attributes(rdn))) for rdn in _rdns(der)]
    except ValueError:
        return f"DN:{der.hex()}"
    return ", ".join(rdns)


def mailboxes(der: bytes) -> tuple[str, ...]:
    """Return the mail addresses in a DER Name; none if it is no Name."""
    try:
        parts = [pair for rdn in _rdns(der) for pair in _attributes(rdn)]
        found = [_decode_string(value) for kind, value in parts if kind.contents == _MAIL]
    except ValueError:
        return ()
    return tuple(text for text in found if text and text.isascii())


def names_equal(one: bytes, two: bytes) -> bool:
    """Whether two DER Names are the same: string types, case and white space do not count."""
    if one == two:
        return True
    try:
        return canonical_name(one) == canonical_name(two)
    except ValueError:
        return False


@lru_cache(maxsize=256)
def canonical_name(der: bytes) -> _Canonical:
    """Return a form of the Name that is equal for equal names (RFC 5280 §7.1).

    Raises:
        ValueError: it is no Name.
    """
    return tuple(
        frozenset((kind.contents, _prepare(value)) for kind, value in _attributes(rdn))
        for rdn in _rdns(der)
    )


def _rdns(der: bytes) -> tuple[Element, ...]:
    return decode(der).children()


def _attributes(rdn: Element) -> Iterator[_Attribute]:
    for pair in rdn.children(SET):
        parts = pair.children()
        if len(parts) != 2 or parts[0].tag != OBJECT_IDENTIFIER:
            raise ValueError("an attribute that is no pair of type and value")
        yield parts[0], parts[1]


def _prepare(value: Element) -> str | bytes:
    """RFC 4518 as far as names need it: normal form, no case, single spaces."""
    text = _decode_string(value)
    if text is None:
        return value.whole
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _decode_string(value: Element) -> str | None:
    encoding = _ENCODINGS.get(value.tag)
    return None if encoding is None else value.contents.decode(encoding)


def _text(attribute: _Attribute) -> str:
    kind, value = attribute
    word = _NAMES.get(kind.contents) or dotted(kind.contents)
    text = _decode_string(value)
    if text is None:
        return f"{word}=#{value.whole.hex()}"
    printable = "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text
    )
    return f"{word}=" + re.sub(r"[,\\]", r"\\\g<0>", printable)


def _encode_part(part: str) -> bytes:
    word, equals, value = part.partition("=")
    known = _WORDS.get(word.strip().upper())
    if not equals or known is None:
        raise ValueError(f"{part.strip()!r} is not ATTRIBUTE=value with one of {list(_ATTRIBUTES)}")
    plain = re.sub(r"\\(.)", r"\1", value.strip(), flags=re.DOTALL)
    tag = _STRING_TAGS.get(known, _UTF8)
    kind = encode(OBJECT_IDENTIFIER, bytes.fromhex(_ATTRIBUTES[known]))
    return encode(SET, encode(SEQUENCE, kind, encode(tag, plain.encode(_ENCODINGS[tag]))))
