# SPDX-License-Identifier: Apache-2.0
"""A private key that stays in a token, as RFC 7512 names it: `pkcs11:token=...;object=...`."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_to_bytes

from ikeway.model.errors import ConfigError
from ikeway.model.secret import Secret

SCHEME = "pkcs11:"


@dataclass(frozen=True, slots=True)
class TokenKey:
    """Which key of which token, behind which module. What is None need not be known to find it."""

    module: str
    token: str | None = None
    serial: str | None = None
    label: str | None = None
    id: bytes | None = None
    pin: Secret | None = None

    @classmethod
    def parse(cls, uri: str, pin: Secret | None) -> "TokenKey":
        """Return the key that a URI names.

        Raises:
            ConfigError: it names none, or no module, or has the PIN in it.
        """
        path, _, query = uri.removeprefix(SCHEME).partition("?")
        about = dict(parse_qsl(query))
        if "pin-value" in about or "pin-source" in about:
            raise ConfigError("the PIN does not belong in the URI; set key_password")
        module = about.get("module-path")
        if not module:
            raise ConfigError("no module; add ?module-path=/path/of/its/library.so")
        named = _attributes(path)
        if not named.keys() & {"object", "id"}:
            raise ConfigError("no key; add object=LABEL or id=%01, as the token has it")
        return cls(
            module=module,
            token=_text(named.get("token")),
            serial=_text(named.get("serial")),
            label=_text(named.get("object")),
            id=named.get("id"),
            pin=pin,
        )


def _attributes(path: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in filter(None, path.split(";")):
        name, equals, value = part.partition("=")
        if name not in {"token", "serial", "object", "id", "type", "manufacturer", "model"}:
            raise ConfigError(f"{name!r} is no attribute of a PKCS#11 URI (RFC 7512)")
        if not equals or (name == "type" and value != "private"):
            raise ConfigError(f"{part!r} does not name a private key")
        found[name] = unquote_to_bytes(value)
    return found


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")
