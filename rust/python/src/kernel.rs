//! The kernel as a dataplane, connected to when it is first needed.

use kpx_netlink::Socket;
use kpx_netlink::socket::NETLINK_NETFILTER;
use kpx_nftables::{Client, CommitError, ObserveError, Ruleset, Transaction};
use kpx_proxy::Dataplane;

/// Connects to nftables in the network namespace of the calling thread.
pub(crate) fn connect() -> std::io::Result<Client<Socket>> {
    Ok(Client::new(Socket::open(NETLINK_NETFILTER)?))
}

/// The kernel. Making one opens nothing.
#[derive(Default)]
pub(crate) struct Kernel {
    client: Option<Client<Socket>>,
}

impl Kernel {
    /// The connection, opened now if it is not yet.
    pub(crate) fn client(&mut self) -> std::io::Result<&mut Client<Socket>> {
        match &mut self.client {
            Some(client) => Ok(client),
            client => Ok(client.insert(connect()?)),
        }
    }
}

impl Dataplane for Kernel {
    type ObserveError = ObserveError;
    type CommitError = CommitError;

    fn observe(&mut self) -> Result<Ruleset, ObserveError> {
        self.client().map_err(ObserveError::Io)?.observe()
    }

    fn generation(&mut self) -> Result<u32, ObserveError> {
        self.client().map_err(ObserveError::Io)?.generation()
    }

    fn commit(&mut self, transaction: &Transaction, generation: u32) -> Result<u32, CommitError> {
        let client = self.client().map_err(CommitError::Io)?;
        Dataplane::commit(client, transaction, generation)
    }
}
