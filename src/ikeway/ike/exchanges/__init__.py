# SPDX-License-Identifier: Apache-2.0
"""The exchanges, one file each and role: shapes, and what asks, answers and concludes them."""

from typing import Final

from ikeway.ike.exchanges import (
    address_update,
    another_auth_initiator,
    another_auth_responder,
    child_sa,
    child_sa_requester,
    child_sa_responder,
    create_child_sa,
    eap_initiator,
    eap_responder,
    followup_ke,
    ike_auth,
    ike_auth_initiator,
    ike_auth_last_response,
    ike_auth_responder,
    ike_intermediate,
    ike_intermediate_initiator,
    ike_intermediate_responder,
    ike_sa_init,
    ike_sa_init_initiator,
    ike_sa_init_responder,
    ike_session_resume,
    ike_session_resume_initiator,
    ike_session_resume_responder,
    informational,
    rekey_ike,
    rekey_ike_requester,
    rekey_ike_responder,
)

EXCHANGES: Final = (
    ike_sa_init,
    ike_session_resume,
    ike_intermediate,
    ike_auth,
    create_child_sa,
    followup_ke,
    informational,
)
ROLES: Final = (
    ike_sa_init_initiator,
    ike_sa_init_responder,
    ike_session_resume_initiator,
    ike_session_resume_responder,
    ike_intermediate_initiator,
    ike_intermediate_responder,
    ike_auth_initiator,
    ike_auth_last_response,
    ike_auth_responder,
    eap_initiator,
    eap_responder,
    another_auth_initiator,
    another_auth_responder,
)
MOVES: Final = (address_update,)
"""What INFORMATIONAL is used for with MOBIKE."""
USES: Final = (
    child_sa,
    child_sa_requester,
    child_sa_responder,
    rekey_ike,
    rekey_ike_requester,
    rekey_ike_responder,
)
"""What CREATE_CHILD_SA is used for, and what its uses share."""
