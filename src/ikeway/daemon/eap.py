# SPDX-License-Identifier: Apache-2.0
"""What a daemon needs for EAP: the users, our certificates, and threads to talk in."""

from collections.abc import Callable

from ikeway.auth.eap.accounts import Accounts
from ikeway.auth.eap.means import Means
from ikeway.config.load import Loaded
from ikeway.runtime.eap import Conversations, sequence
from ikeway.runtime.eap_desk import EapDesk
from ikeway.runtime.entropy import SystemRandom
from ikeway.runtime.guesses import Guesses
from ikeway.runtime.pki import Pki
from ikeway.runtime.users import Users


def open_desk(loaded: Loaded, pki: Pki, tell: Callable[[str], None]) -> EapDesk:
    """Return the desk at which users are let in; `tell` hears why some are not."""
    identity = loaded.host.identity
    name = b"ikeway" if identity is None else identity.data
    credentials, random = loaded.credentials, SystemRandom()
    accounts = Accounts(credentials.accounts)
    tls = pki.tls(credentials.certificates)
    means = Means(accounts, random, name, tls, sequence=sequence)
    users = Users(accounts, loaded.store, Guesses(loaded.limits), random)
    return EapDesk(Conversations(means, loaded.limits.eap_rounds, users), users, tell)
