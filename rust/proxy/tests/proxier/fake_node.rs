//! A node's IPVS and its addresses, in memory.

use std::collections::BTreeSet;
use std::net::IpAddr;

use kpx_ipvs::{
    Client, Command, DestinationKey, FakeKernel, ObservedDestination, Refusal, ServiceKey,
};
use kpx_proxy::virtual_servers::{ObservedAddresses, ObservedServer, ObservedServers};

/// A node's IPVS and its addresses.
#[derive(Debug)]
pub(crate) struct FakeNode {
    client: Client<FakeKernel>,
    /// The addresses of the device of virtual servers, if that is there.
    pub(crate) device: Option<BTreeSet<IpAddr>>,
    /// The addresses of all other devices.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// The destinations that have connections.
    pub(crate) busy: BTreeSet<(ServiceKey, DestinationKey)>,
    /// What was submitted since this was last taken.
    pub(crate) commands: Vec<Command>,
    /// To how many endpoints virtual servers sent connections at each commit of rules.
    pub(crate) at_commits: Vec<usize>,
    /// How many lists were asked for since this was last set to 0.
    pub(crate) lists: usize,
    /// The schedulers the kernel has no module of.
    pub(crate) missing_schedulers: Vec<String>,
}

impl Default for FakeNode {
    fn default() -> Self {
        Self {
            client: Client::connect(FakeKernel::default()).unwrap(),
            device: None,
            addresses: BTreeSet::new(),
            busy: BTreeSet::new(),
            commands: Vec::new(),
            at_commits: Vec::new(),
            lists: 0,
            missing_schedulers: Vec::new(),
        }
    }
}

impl FakeNode {
    /// What IPVS holds.
    pub(crate) fn ipvs(&mut self) -> &mut FakeKernel {
        self.client.transport()
    }

    /// Notes that rules are committed.
    pub(crate) fn note_commit(&mut self) {
        let servers = self.ipvs().services.values();
        let destinations = servers.flat_map(|(_, destinations)| destinations.values());
        let reached = destinations.filter(|destination| destination.weight > 0);
        let reached = reached.count();
        self.at_commits.push(reached);
    }

    pub(crate) fn observe(&mut self) -> ObservedServers {
        let services = self.client.services().unwrap();
        let servers = services.into_iter().map(|found| ObservedServer {
            destinations: if found.service.owned {
                self.destinations(&found.service.key)
            } else {
                Vec::new()
            },
            service: found.service,
        });
        let servers = servers.collect();
        self.lists += 1;
        ObservedServers {
            servers,
            addresses: self.observe_addresses(),
        }
    }

    pub(crate) fn observe_addresses(&self) -> ObservedAddresses {
        let device = self.device.as_ref();
        ObservedAddresses {
            device: device.map(|addresses| addresses.iter().copied().collect()),
            node: self.addresses.iter().copied().collect(),
        }
    }

    pub(crate) fn destinations(&mut self, key: &ServiceKey) -> Vec<ObservedDestination> {
        self.lists += 1;
        let mut found = self.client.destinations(key).unwrap();
        for destination in &mut found {
            let is_busy = self.busy.contains(&(*key, destination.destination.key));
            destination.active_connections = u32::from(is_busy);
        }
        found
    }

    pub(crate) fn submit(&mut self, commands: &[Command]) -> Vec<Refusal> {
        self.commands.extend_from_slice(commands);
        let mut refusals = Vec::new();
        for (index, command) in commands.iter().enumerate() {
            let is_missing = match command {
                Command::AddService(service) | Command::ChangeService(service) => {
                    let name = service.scheduler.name();
                    self.missing_schedulers
                        .iter()
                        .any(|missing| missing == name)
                }
                _ => false,
            };
            if is_missing {
                refusals.push(refusal(index, command));
                continue;
            }
            let refused = self.client.submit(std::slice::from_ref(command)).unwrap();
            refusals.extend(
                refused
                    .into_iter()
                    .map(|refusal| Refusal { index, ..refusal }),
            );
        }
        refusals
    }

    pub(crate) fn set_addresses(&mut self, addresses: &[IpAddr], present: bool) {
        let device = self.device.get_or_insert_default();
        for address in addresses {
            if present {
                device.insert(*address);
            } else {
                device.remove(address);
            }
        }
    }
}

/// The kernel's answer to a scheduler it does not have.
fn refusal(index: usize, command: &Command) -> Refusal {
    Refusal {
        index,
        command: command.to_string(),
        scheduler: Some("missing".to_owned()),
        source: kpx_netlink::Error {
            errno: 2,
            message: None,
            offset: None,
            sequence: 0,
        },
    }
}
