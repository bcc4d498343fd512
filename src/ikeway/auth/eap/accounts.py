# SPDX-License-Identifier: Apache-2.0
"""Users whose passwords the configuration holds."""

from collections.abc import Iterable
from hmac import compare_digest

from ikeway.auth.eap.identity import without_domain
from ikeway.crypto import mschap
from ikeway.crypto.milenage import Usim
from ikeway.model.secret import Secret
from ikeway.policy.credentials import Account


class Accounts:
    r"""Names have no case. `DOMAIN\user` is `user` where nobody is called so in full."""

    def __init__(self, accounts: Iterable[Account] = ()) -> None:
        self._by_name = {one.name.encode().lower(): one for one in accounts}

    def name(self, identity: bytes) -> bytes:
        """Return the name of the account that an identity means; itself where there is none."""
        found = self._find(identity)
        return identity if found is None else found.name.encode()

    def clear(self, identity: bytes) -> Secret | None:
        """Return the password itself, in UTF-8."""
        found = self._find(identity)
        return None if found is None or found.usim else found.password

    def nt_hash(self, identity: bytes) -> Secret | None:
        """Return the NT hash of the password."""
        found = self._find(identity)
        return None if found is None or found.usim else mschap.nt_hash(found.password)

    def usim(self, identity: bytes) -> Usim | None:
        """Return the USIM, ours or the home network's knowledge of it."""
        found = self._find(identity)
        return None if found is None else found.usim

    def accepts(self, identity: bytes, password: Secret) -> bool:
        """Whether this is the password."""
        found = self._find(identity)
        return (
            found is not None
            and found.usim is None
            and compare_digest(found.password.octets, password.octets)
        )

    def failed(self, identity: bytes) -> None:
        """Do nothing: whoever counts guesses stands before us."""

    def groups(self, _identity: bytes) -> tuple[str, ...]:
        """Return none: the configuration knows no groups."""
        return ()

    def knows(self, identity: bytes) -> bool:
        """Whether somebody is called so."""
        return self._find(identity) is not None

    def _find(self, identity: bytes) -> Account | None:
        whole = identity.lower()
        return self._by_name.get(whole) or self._by_name.get(without_domain(whole))
