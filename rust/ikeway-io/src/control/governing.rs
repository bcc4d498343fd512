// SPDX-License-Identifier: Apache-2.0
//! Policies in messages (RFC 4301 §4.4.1).

use ikeway_esp::Verdict;
use serde::Deserialize;

use super::messages::TrafficSelector;

/// A policy, as `ikeway.model.policies.TrafficPolicy`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Governing {
    pub(super) action: Action,
    pub(super) local_ts: Vec<TrafficSelector>,
    pub(super) peer_ts: Vec<TrafficSelector>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    Bypass,
    Discard,
    Protect,
}

impl From<Action> for Verdict {
    fn from(action: Action) -> Self {
        match action {
            Action::Bypass => Self::Bypass,
            Action::Discard => Self::Discard,
            Action::Protect => Self::Protect,
        }
    }
}
