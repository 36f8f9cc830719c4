//! What changed, what waits and what is not served here, in numbers.

use kpx_nftables::Family;

use super::Proxier;
use crate::frontend::FrontendKind;
use crate::hash::HashSet;
use crate::programmed::Refusal;
use crate::state::ChangeTally;

/// What changed, what waits and what is not served here, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// What changed, and what of it is not planned yet.
    pub changes: ChangeTally,
    /// Ports of Services that drop connections because of a `Local` policy: there are endpoints, but
    /// none on this node. By family, as [`Family::ALL`].
    pub no_local_endpoints: [NoLocalEndpoints; 2],
}

/// Ports of Services without an endpoint on this node, by the policy that asks for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoLocalEndpoints {
    /// `internalTrafficPolicy`.
    pub internal: usize,
    /// `externalTrafficPolicy`.
    pub external: usize,
}

impl<D> Proxier<D> {
    /// What changed, what waits and what is not served here. Of what is not planned yet, the last is
    /// as it was.
    pub fn tally(&self) -> Tally {
        Tally {
            changes: self.state.tally(),
            no_local_endpoints: Family::ALL.map(|family| self.no_local_endpoints(family)),
        }
    }

    fn no_local_endpoints(&self, family: Family) -> NoLocalEndpoints {
        let [mut internal, mut external] = [HashSet::default(), HashSet::default()];
        let keys = self.desired.frontends();
        for key in keys.filter(|key| key.family() == family) {
            let Some(spec) = self.desired.frontend(key) else {
                continue;
            };
            if spec.refusal() == Some(Refusal::Drop) {
                let owners = if spec.kind == FrontendKind::ClusterIp {
                    &mut internal
                } else {
                    &mut external
                };
                owners.insert(&spec.owner);
            }
        }
        NoLocalEndpoints {
            internal: internal.len(),
            external: external.len(),
        }
    }
}
