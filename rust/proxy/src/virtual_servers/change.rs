//! The changes that make IPVS hold what it should.

use std::net::IpAddr;

use kpx_ipvs::{Command, Destination, DestinationKey, ServiceKey};
use kpx_nftables::Name;

use super::{ProgrammedServers, VirtualServer};
use crate::plan::Action;

/// A change to a virtual server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerChange {
    /// Which one.
    pub key: ServiceKey,
    /// Whose it is, as `namespace/name:port`; empty where nobody knows any more.
    pub owner: Name,
    /// What the kernel holds; `None` for a new one.
    pub before: Option<VirtualServer>,
    /// What it will hold; `None` for one that goes.
    pub after: Option<VirtualServer>,
}

impl ServerChange {
    /// What happens to the virtual server.
    pub fn action(&self) -> Action {
        match (&self.before, &self.after) {
            (None, _) => Action::Add,
            (Some(_), Some(_)) => Action::Change,
            (Some(_), None) => Action::Delete,
        }
    }

    /// The Service it belongs to, as `namespace/name`.
    pub fn service(&self) -> &str {
        self.owner
            .rsplit_once(':')
            .map_or(self.owner.as_str(), |(service, _)| service)
    }

    /// The commands that make it and say how it balances. A new one refuses connections: it sends them
    /// nowhere yet.
    fn definition(&self, commands: &mut Vec<Command>) {
        match (&self.before, &self.after) {
            (None, Some(after)) => commands.push(Command::AddService(after.service.clone())),
            (Some(before), Some(after)) if before.service != after.service => {
                commands.push(Command::ChangeService(after.service.clone()));
            }
            _ => {}
        }
    }

    /// The commands that let it take more.
    fn additions(&self, commands: &mut Vec<Command>) {
        let Some(after) = &self.after else {
            return;
        };
        for (key, weight) in &after.destinations {
            let destination = Destination::new(*key, *weight);
            match self.weight_before(key) {
                None => commands.push(Command::AddDestination(self.key, destination)),
                Some(before) if before != *weight && *weight > 0 => {
                    commands.push(Command::ChangeDestination(self.key, destination));
                }
                Some(_) => {}
            }
        }
    }

    /// The commands that let it take less.
    fn deletions(&self, commands: &mut Vec<Command>) {
        let Some(before) = &self.before else {
            return;
        };
        let Some(after) = &self.after else {
            commands.push(Command::DeleteService(self.key));
            return;
        };
        for (key, weight) in &before.destinations {
            match after.destinations.get(key) {
                None => commands.push(Command::DeleteDestination(self.key, *key)),
                Some(0) if *weight > 0 => {
                    let destination = Destination::new(*key, 0);
                    commands.push(Command::ChangeDestination(self.key, destination));
                }
                Some(_) => {}
            }
        }
    }

    fn weight_before(&self, key: &DestinationKey) -> Option<u32> {
        self.before.as_ref()?.destinations.get(key).copied()
    }
}

/// An address that the device of virtual servers gets or loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressChange {
    /// The address.
    pub address: IpAddr,
    /// Whether the device will have it.
    pub present: bool,
}

/// What has to change of virtual servers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VirtualServerPlan {
    /// Changes to virtual servers, each once.
    pub servers: Vec<ServerChange>,
    /// Changes to the addresses of their device.
    pub addresses: Vec<AddressChange>,
    /// Whether the device is to be made (`true`) or deleted (`false`) with its addresses.
    pub device: Option<bool>,
}

/// Commands, and for each the index of the change it is part of.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Commands {
    pub(crate) commands: Vec<Command>,
    pub(crate) changes: Vec<usize>,
}

impl VirtualServerPlan {
    /// The number of changes.
    pub fn len(&self) -> usize {
        self.servers.len() + self.addresses.len() + usize::from(self.device.is_some())
    }

    /// Whether nothing is to change.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What happens, change by change.
    pub fn actions(&self) -> impl Iterator<Item = Action> {
        let action = |present| if present { Action::Add } else { Action::Delete };
        let servers = self.servers.iter().map(ServerChange::action);
        let addresses = self
            .addresses
            .iter()
            .map(move |change| action(change.present));
        servers
            .chain(addresses)
            .chain(self.device.into_iter().map(action))
    }

    /// The commands that come before the transaction of nftables.
    ///
    /// Rules masquerade what endpoints elsewhere are to answer through this node, so no virtual server
    /// sends anything to an endpoint before the rules are there: a connection that began without them
    /// would never be answered. Where the rules of the other backend translate until they are replaced
    /// (`is_translated`), virtual servers have to be complete before.
    pub(crate) fn first_commands(&self, is_translated: bool) -> Commands {
        self.commands(|change, commands| {
            change.definition(commands);
            if is_translated {
                change.additions(commands);
            }
        })
    }

    /// The commands that come after it: all others.
    pub(crate) fn last_commands(&self, is_translated: bool) -> Commands {
        self.commands(|change, commands| {
            if !is_translated {
                change.additions(commands);
            }
            change.deletions(commands);
        })
    }

    fn commands(&self, of: impl Fn(&ServerChange, &mut Vec<Command>)) -> Commands {
        let mut all = Commands::default();
        for (index, change) in self.servers.iter().enumerate() {
            of(change, &mut all.commands);
            all.changes.resize(all.commands.len(), index);
        }
        all
    }

    /// The addresses that come, or those that go.
    pub(crate) fn addresses(&self, present: bool) -> Vec<IpAddr> {
        let changes = self.addresses.iter();
        changes
            .filter(|change| change.present == present)
            .map(|change| change.address)
            .collect()
    }

    /// Notes in `programmed` what the kernel holds after all changes.
    pub(crate) fn confirm(&self, programmed: &mut ProgrammedServers) {
        for change in &self.servers {
            programmed.set(change.key, change.after.clone());
        }
        for AddressChange { address, present } in &self.addresses {
            if *present {
                programmed.addresses.insert(*address);
            } else {
                programmed.addresses.remove(address);
            }
        }
        match self.device {
            Some(true) => programmed.has_device = true,
            Some(false) => {
                programmed.has_device = false;
                programmed.addresses.clear();
            }
            None => {}
        }
    }
}
