//! The kernel as a dataplane, connected to when it is first needed.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use kpx_ipvs::{Command, ConnectError, ObservedDestination, Refusal, ServiceKey, SubmitError};
use kpx_link::{AddressChange, LinkAddress};
use kpx_netlink::Socket;
use kpx_netlink::socket::{NETLINK_GENERIC, NETLINK_NETFILTER, NETLINK_ROUTE};
use kpx_nftables::{Batch, Client, CommitError, Operation, Ruleset, TransactionError};
use kpx_proxy::names::{DEVICE, KUBE_PROXY_DEVICE, TABLE};
use kpx_proxy::virtual_servers::{ObservedAddresses, ObservedServer, ObservedServers};
use kpx_proxy::{CommitFailure, Dataplane};

/// Is there if IPVS is loaded. Asking over netlink would load it.
const IPVS_LOADED: &str = "/proc/thread-self/net/ip_vs";

/// Connects to nftables in the network namespace of the calling thread.
pub(crate) fn connect() -> io::Result<Client<Socket>> {
    Ok(Client::new(Socket::open(NETLINK_NETFILTER)?))
}

/// Connects to IPVS in the network namespace of the calling thread.
pub(crate) fn connect_ipvs() -> Result<kpx_ipvs::Client<Socket>, ReadError> {
    let socket = Socket::open(NETLINK_GENERIC).map_err(kpx_ipvs::ObserveError::Io)?;
    Ok(kpx_ipvs::Client::connect(socket)?)
}

/// Connects to the devices of the network namespace of the calling thread.
pub(crate) fn connect_links() -> Result<kpx_link::Client<Socket>, kpx_link::Error> {
    Ok(kpx_link::Client::new(Socket::open(NETLINK_ROUTE)?))
}

/// Whether the kernel has loaded IPVS.
pub(crate) fn is_ipvs_loaded() -> bool {
    Path::new(IPVS_LOADED).exists()
}

/// Why the kernel could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    Nftables(kpx_nftables::ObserveError),
    Connect(ConnectError),
    Ipvs(kpx_ipvs::ObserveError),
    Links(kpx_link::Error),
}

/// Why the kernel could not be written.
#[derive(Debug)]
pub(crate) enum WriteError {
    Nftables(CommitError),
    Connect(ReadError),
    Ipvs(SubmitError),
    Links(kpx_link::Error),
    Address(kpx_link::Refusal),
}

/// A failure of one of several kinds, shown as the failure itself.
macro_rules! one_of {
    ($error:ident, $($variant:ident($source:ty)),+) => {
        impl fmt::Display for $error {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant(error) => error.fmt(formatter)),+
                }
            }
        }

        impl std::error::Error for $error {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                match self {
                    $(Self::$variant(error) => error.source()),+
                }
            }
        }

        $(impl From<$source> for $error {
            fn from(error: $source) -> Self {
                Self::$variant(error)
            }
        })+
    };
}

one_of!(
    ReadError,
    Nftables(kpx_nftables::ObserveError),
    Connect(ConnectError),
    Ipvs(kpx_ipvs::ObserveError),
    Links(kpx_link::Error)
);
one_of!(
    WriteError,
    Nftables(CommitError),
    Connect(ReadError),
    Ipvs(SubmitError),
    Links(kpx_link::Error),
    Address(kpx_link::Refusal)
);

impl ReadError {
    /// What the operator can do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Nftables(error) => error.hint(),
            Self::Connect(error) => error.hint(),
            Self::Ipvs(error) => error.hint(),
            Self::Links(error) => error.hint(),
        }
    }
}

impl WriteError {
    /// What the operator can do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Nftables(error) => error.hint(),
            Self::Connect(error) => error.hint(),
            Self::Links(error) => error.hint(),
            Self::Ipvs(_) | Self::Address(_) => None,
        }
    }

    fn of_nftables(&self) -> Option<&CommitError> {
        match self {
            Self::Nftables(error) => Some(error),
            _ => None,
        }
    }
}

impl CommitFailure for WriteError {
    fn position(&self) -> Option<(usize, Option<usize>)> {
        self.of_nftables().and_then(CommitFailure::position)
    }

    fn is_refusal(&self) -> bool {
        self.of_nftables().is_some_and(CommitFailure::is_refusal)
    }

    fn is_too_large(&self) -> bool {
        self.of_nftables().is_some_and(CommitFailure::is_too_large)
    }

    fn is_uncertain(&self) -> bool {
        self.of_nftables().is_some_and(CommitFailure::is_uncertain)
    }

    fn is_busy(&self) -> bool {
        self.of_nftables().is_some_and(CommitFailure::is_busy)
    }
}

/// The kernel. Making one opens nothing.
#[derive(Default)]
pub(crate) struct Kernel {
    client: Option<Client<Socket>>,
    ipvs: Option<kpx_ipvs::Client<Socket>>,
    links: Option<kpx_link::Client<Socket>>,
}

impl Kernel {
    /// The connection with nftables, opened now if it is not yet.
    pub(crate) fn client(&mut self) -> io::Result<&mut Client<Socket>> {
        match &mut self.client {
            Some(client) => Ok(client),
            client => Ok(client.insert(connect()?)),
        }
    }

    fn ipvs(&mut self) -> Result<&mut kpx_ipvs::Client<Socket>, ReadError> {
        match &mut self.ipvs {
            Some(client) => Ok(client),
            client => Ok(client.insert(connect_ipvs()?)),
        }
    }

    fn links(&mut self) -> Result<&mut kpx_link::Client<Socket>, kpx_link::Error> {
        match &mut self.links {
            Some(client) => Ok(client),
            client => Ok(client.insert(connect_links()?)),
        }
    }
}

impl Dataplane for Kernel {
    type ObserveError = ReadError;
    type CommitError = WriteError;

    fn observe(&mut self) -> Result<Ruleset, ReadError> {
        let client = self.client().map_err(kpx_nftables::ObserveError::Io)?;
        Ok(client.dump(TABLE)?)
    }

    fn generation(&mut self) -> Result<u32, ReadError> {
        let client = self.client().map_err(kpx_nftables::ObserveError::Io)?;
        Ok(client.generation()?)
    }

    fn commit(
        &mut self,
        operations: impl Iterator<Item = Result<Operation, TransactionError>>,
        generation: Option<u32>,
    ) -> Result<u32, WriteError> {
        let client = self.client().map_err(CommitError::Io)?;
        let batch = Batch::encode(operations, generation).map_err(CommitError::Invalid)?;
        Ok(client.submit(&batch)?)
    }

    fn observe_servers(&mut self, needed: bool) -> Result<ObservedServers, ReadError> {
        let mut observed = ObservedServers::default();
        if needed || is_ipvs_loaded() {
            let client = self.ipvs()?;
            for found in client.services()? {
                let service = found.service;
                let destinations = if service.owned {
                    client.destinations(&service.key)?
                } else {
                    Vec::new()
                };
                observed.servers.push(ObservedServer {
                    service,
                    destinations,
                });
            }
        }
        observed.addresses = self.observe_addresses()?;
        Ok(observed)
    }

    fn observe_addresses(&mut self) -> Result<ObservedAddresses, ReadError> {
        let links = self.links()?;
        let device = links.link(DEVICE)?.filter(|link| link.is_dummy);
        let index = device.as_ref().map(|device| device.index);
        // Those of Services, too: they are no more the node's than our own, and may go any time.
        let other = links.link(KUBE_PROXY_DEVICE)?.map(|device| device.index);
        let mut observed = ObservedAddresses {
            device: device.as_ref().map(|_| Vec::new()),
            node: Vec::new(),
        };
        for found in links.addresses()? {
            match &mut observed.device {
                Some(own) if index == Some(found.index) => own.push(found.address),
                _ if other == Some(found.index) => {}
                _ => observed.node.push(found.address),
            }
        }
        Ok(observed)
    }

    fn observe_destinations(
        &mut self,
        server: &ServiceKey,
    ) -> Result<Vec<ObservedDestination>, ReadError> {
        Ok(self.ipvs()?.destinations(server)?)
    }

    fn submit(&mut self, commands: &[Command]) -> Result<Vec<Refusal>, WriteError> {
        Ok(self.ipvs()?.submit(commands)?)
    }

    fn set_device(&mut self, present: bool) -> Result<(), WriteError> {
        let links = self.links()?;
        if present {
            links.ensure_dummy(DEVICE)?;
        } else {
            links.delete_dummy(DEVICE)?;
        }
        Ok(())
    }

    fn set_addresses(&mut self, addresses: &[IpAddr], present: bool) -> Result<(), WriteError> {
        let links = self.links()?;
        let index = links.ensure_dummy(DEVICE)?.index;
        let change = |address: &IpAddr| {
            let address = LinkAddress {
                index,
                address: *address,
            };
            if present {
                AddressChange::Add(address)
            } else {
                AddressChange::Delete(address)
            }
        };
        let changes: Vec<AddressChange> = addresses.iter().map(change).collect();
        let refusals = links.submit(&changes)?;
        let refused = refusals.into_iter().find(|refusal| !refusal.is_done());
        refused.map_or(Ok(()), |refusal| Err(refusal.into()))
    }
}
