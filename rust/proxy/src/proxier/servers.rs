//! Carries out the changes of a plan to virtual servers, and drains destinations.

use std::collections::BTreeSet;
use std::net::IpAddr;

use kpx_ipvs::{DestinationKey, ServiceKey};
use kpx_nftables::{Family, Name};
use smol_str::{SmolStr, format_smolstr};

use super::{ApplyError, Proxier};
use crate::dataplane::Dataplane;
use crate::plan::Plan;
use crate::rejection::Rejection;
use crate::virtual_servers::{Commands, ProgrammedServers, VirtualServerPlan, frontends_of_server};
use crate::{NamespacedName, error_chain};

/// For how long, in seconds, a destination that takes nothing new keeps the connections it has.
/// IPVS itself forgets a TCP connection that is silent for 15 minutes.
const DRAIN_SECONDS: f64 = 900.0;

/// How many times it is asked whether somebody else changed IPVS for each time all of it is read: with
/// 10,000 virtual servers that takes a few tenths of a second.
const AUDITS_PER_LISTING: u32 = 60;

/// Why a virtual server is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRefusal {
    /// Whose it is, as `namespace/name:port`; empty where nobody knows any more.
    pub owner: Name,
    /// What the kernel said.
    pub reason: String,
    /// What the operator can do about it.
    pub hint: Option<String>,
    /// What it comes to.
    pub kind: RefusalKind,
}

/// What a refusal comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The Service asks for what the kernel cannot do.
    Refused,
    /// kpx may not do it, whatever the Service.
    Denied,
    /// IPVS does not hold what we thought: it has to be read again.
    Stale,
}

pub(super) fn refusal_text(refusals: &[ServerRefusal]) -> String {
    let Some(first) = refusals
        .iter()
        .find(|refusal| refusal.kind != RefusalKind::Stale)
    else {
        return "somebody else keeps changing virtual servers".to_owned();
    };
    let owner = match first.owner.as_str() {
        "" => String::new(),
        owner => format!(" of Service `{owner}`"),
    };
    format!(
        "the kernel refused a virtual server{owner}: {}",
        first.reason
    )
}

/// How many kernel objects were written or deleted.
type ApplyResult<D> = Result<usize, ApplyError<<D as Dataplane>::CommitError>>;

impl<D: Dataplane> Proxier<D> {
    /// Prepares virtual servers, before the rules lead to them.
    pub(super) fn begin_servers(&mut self, plan: &Plan) -> ApplyResult<D> {
        let changes = &plan.virtual_servers;
        if changes.is_empty() {
            return Ok(0);
        }
        // Until all is done it is not certain what the kernel holds.
        let servers = self.servers.take();
        let commands = changes.first_commands(plan.replaces_translation());
        let sent = self.submit(changes, &commands)?;
        let failed = |source| ApplyError::Commit {
            service: None,
            source,
        };
        if changes.device == Some(true) {
            self.dataplane.set_device(true).map_err(failed)?;
        }
        let added = changes.addresses(true);
        if !added.is_empty() {
            self.dataplane.set_addresses(&added, true).map_err(failed)?;
        }
        self.servers = servers;
        Ok(sent + added.len() + usize::from(changes.device == Some(true)))
    }

    /// Lets virtual servers send to the endpoints that are new, and no longer to those that go.
    pub(super) fn finish_servers(&mut self, plan: &Plan) -> ApplyResult<D> {
        let changes = &plan.virtual_servers;
        if changes.is_empty() {
            return Ok(0);
        }
        let servers = self.servers.take();
        let commands = changes.last_commands(plan.replaces_translation());
        let sent = self.submit(changes, &commands)?;
        let failed = |source| ApplyError::Commit {
            service: None,
            source,
        };
        if changes.device == Some(false) {
            self.dataplane.set_device(false).map_err(failed)?;
        }
        let gone = changes.addresses(false);
        if !gone.is_empty() {
            self.dataplane.set_addresses(&gone, false).map_err(failed)?;
        }
        self.servers = servers;
        if let Some(servers) = &mut self.servers {
            changes.confirm(servers);
        }
        Ok(sent + gone.len() + usize::from(changes.device == Some(false)))
    }

    fn submit(&mut self, plan: &VirtualServerPlan, commands: &Commands) -> ApplyResult<D> {
        if commands.commands.is_empty() {
            return Ok(0);
        }
        let refusals = self.dataplane.submit(&commands.commands);
        let refusals = refusals.map_err(|source| ApplyError::Commit {
            service: None,
            source,
        })?;
        let refused = refusals.iter().filter_map(|refusal| {
            let command = commands.commands.get(refusal.index)?;
            let change = plan.servers.get(*commands.changes.get(refusal.index)?)?;
            let kind = if refusal.source.is_permission() {
                RefusalKind::Denied
            } else if command.is_outdated(&refusal.source) {
                RefusalKind::Stale
            } else {
                RefusalKind::Refused
            };
            // What is to go and is gone needs no second look.
            let is_done = kind == RefusalKind::Stale && command.is_deletion();
            (!is_done).then(|| ServerRefusal {
                owner: change.owner.clone(),
                reason: error_chain(refusal),
                hint: refusal.hint(),
                kind,
            })
        });
        let refused: Vec<ServerRefusal> = refused.collect();
        if refused.is_empty() {
            return Ok(commands.commands.len());
        }
        Err(ApplyError::Servers(refused))
    }

    /// Notes the Services whose virtual servers the kernel refused. Gives whether there are any: if
    /// not, somebody else changed IPVS.
    pub(super) fn fail_servers(&mut self, refusals: &[ServerRefusal]) -> bool {
        let mut is_any = false;
        let of_services = refusals
            .iter()
            .filter(|refusal| refusal.kind == RefusalKind::Refused && !refusal.owner.is_empty());
        for refusal in of_services {
            let service = refusal.owner.rsplit_once(':');
            let service = service.map_or(&*refusal.owner, |(service, _)| service);
            let service = NamespacedName::parse(service);
            if !self.failed.contains_key(&service) {
                let hint = refusal.hint.as_ref();
                let hint = hint.map_or_else(String::new, |hint| format!(" ({hint})"));
                self.fail_because(service, format!("{}{hint}", refusal.reason));
                is_any = true;
            }
        }
        is_any
    }

    /// How many destinations take nothing new and wait for their connections to end.
    pub fn draining(&self) -> usize {
        let servers = self.servers.iter();
        servers
            .flat_map(|servers| servers.draining().map(|(_, count)| count))
            .sum()
    }

    /// Looks at the destinations that take nothing new: those that are idle, and those that have had
    /// their time, go with the next plan. `now` is in seconds, by any clock that only goes forward.
    /// Gives how many more go.
    ///
    /// Costs one message for each virtual server that has such a destination, and none if there are
    /// none.
    pub fn drain(&mut self, now: f64) -> Result<usize, D::ObserveError> {
        let Some(servers) = &mut self.servers else {
            return Ok(0);
        };
        let draining: Vec<ServiceKey> = servers.draining().map(|(key, _)| *key).collect();
        let mut count = 0;
        for key in draining {
            let found = self.dataplane.observe_destinations(&key)?;
            let is_idle = |destination: &DestinationKey| {
                let mut found = found.iter();
                let found = found.find(|found| found.destination.key == *destination);
                found.is_none_or(kpx_ipvs::ObservedDestination::is_idle)
            };
            count += servers.finish(&key, is_idle, now, DRAIN_SECONDS);
        }
        if count > 0 {
            self.revision += 1;
        }
        Ok(count)
    }

    /// The frontends that do not work because somebody else has a virtual server there, which is never
    /// touched.
    pub(super) fn foreign_servers(&self) -> Vec<Rejection> {
        let Some(servers) = self.servers.as_ref().filter(|_| self.ipvs.is_some()) else {
            return Vec::new();
        };
        let mut keys: Vec<&ServiceKey> = servers.foreign.iter().collect();
        keys.sort_unstable();
        let rejection = |key: &ServiceKey| {
            let mut frontends = frontends_of_server(key);
            let spec = frontends.find_map(|key| self.desired.frontend(&key))?;
            Some(Rejection {
                kind: SmolStr::new_static("Service"),
                name: format_smolstr!("{}", spec.service()),
                reason: format!("the virtual server `{key}` belongs to another program"),
                whole: false,
            })
        };
        keys.into_iter().filter_map(rejection).collect()
    }

    /// Whether somebody else changed the node's addresses, or virtual servers if it is time to look.
    pub(super) fn servers_drifted(&mut self) -> Result<bool, D::ObserveError> {
        let (Some(node), Some(known)) = (&self.ipvs, &self.servers) else {
            return Ok(false);
        };
        self.audits = self.audits.wrapping_add(1);
        if self.audits.is_multiple_of(AUDITS_PER_LISTING) {
            let observed = self.dataplane.observe_servers(true)?;
            let found = ProgrammedServers::adopt(observed);
            if known.has_other_servers(&found) {
                return Ok(true);
            }
        }
        let observed = self.dataplane.observe_addresses()?;
        let addresses: BTreeSet<IpAddr> = observed.node.iter().copied().collect();
        Ok(node.addresses != addresses || known.has_other_addresses(&observed))
    }

    /// Notes the addresses of the node's devices. If they are others than before, all that follows from
    /// them is derived anew.
    pub(super) fn note_node_addresses(&mut self, addresses: &[IpAddr]) {
        let Some(node) = &mut self.ipvs else {
            return;
        };
        let addresses = addresses.iter().copied().collect();
        if node.addresses != addresses {
            node.addresses = addresses;
            self.node_changed = true;
        }
    }

    pub(super) fn derive_node_port_addresses(&mut self) {
        let Some(node) = &self.ipvs else {
            return;
        };
        let addresses = Family::ALL.map(|family| {
            let chosen = self.config.nodeport_addresses(family, self.state.node());
            node.node_port_addresses(family, &chosen)
        });
        if addresses != self.node_port_addresses {
            self.node_port_addresses = addresses;
            self.compare_all();
        }
    }
}
