//! Lists flows and deletes the stale ones.

use kpx_netlink::message::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use kpx_netlink::{Error as NetlinkError, Header, Messages, Reply, Transport, Writer};

use crate::{Filter, Flow, FlushError};

/// The subsystem conntrack (`uapi/linux/netfilter/nfnetlink.h`).
const NFNL_SUBSYS_CTNETLINK: u16 = 1;
/// `enum cntl_msg_types` (`uapi/linux/netfilter/nfnetlink_conntrack.h`), as the other.
const IPCTNL_MSG_CT_GET: u16 = 1;
const IPCTNL_MSG_CT_DELETE: u16 = 2;
/// The families (`uapi/linux/netfilter.h`).
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;

/// A connection with the connection tracking of one network namespace.
#[derive(Debug)]
pub struct Conntrack<T> {
    transport: T,
    sequence: u32,
    request: Writer,
    answer: Vec<u8>,
}

impl<T: Transport> Conntrack<T> {
    /// On a transport of the protocol
    /// [`NETLINK_NETFILTER`](kpx_netlink::socket::NETLINK_NETFILTER).
    pub const fn new(transport: T) -> Self {
        Self {
            transport,
            sequence: 0,
            request: Writer::new(),
            answer: Vec::new(),
        }
    }

    /// Deletes the flows that are stale, and gives how many those were. Costs one list of the
    /// flows of each family that the filter has frontends of.
    pub fn flush(&mut self, filter: &Filter) -> Result<usize, FlushError> {
        let mut deleted = 0;
        for is_ipv6 in [false, true] {
            if !filter.has_family(is_ipv6) {
                continue;
            }
            let mut stale = Vec::new();
            self.list(is_ipv6, |flow| {
                if filter.is_stale(&flow) {
                    stale.push(flow);
                }
            })?;
            for flow in &stale {
                deleted += usize::from(self.delete(flow)?);
            }
        }
        Ok(deleted)
    }

    /// Visits the flows of a family that have ports. A list that was interrupted may lack some:
    /// the table never stands still, so what came is taken as it is.
    pub fn list(&mut self, is_ipv6: bool, mut visit: impl FnMut(Flow)) -> Result<(), FlushError> {
        let act = "list flows";
        let sequence = self.request(IPCTNL_MSG_CT_GET, NLM_F_DUMP, is_ipv6, |_| ())?;
        self.answer(sequence, |reply| match reply {
            Reply::Data(entry) => {
                if let Some(flow) = Flow::parse(&entry) {
                    visit(flow);
                }
                None
            }
            Reply::Done => Some(Ok(())),
            Reply::Failed(source) if source.errno == libc::EINTR => Some(Ok(())),
            Reply::Failed(source) => Some(Err(FlushError::Refused { act, source })),
            Reply::Acknowledged | Reply::Noop | Reply::Overrun => None,
        })
    }

    /// Deletes one flow, and no later one with the same tuples; gives whether it was still there.
    pub fn delete(&mut self, flow: &Flow) -> Result<bool, FlushError> {
        let act = "delete a flow";
        let is_ipv6 = flow.original.destination.is_ipv6();
        let sequence = self.request(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, is_ipv6, |writer| {
            flow.write_identity(writer);
        })?;
        self.answer(sequence, |reply| match reply {
            Reply::Acknowledged => Some(Ok(true)),
            Reply::Failed(source) => Some(gone(source, act)),
            _ => None,
        })
    }

    /// Reads the messages that answer a request, until one of them gives the result.
    fn answer<R>(
        &mut self,
        sequence: u32,
        mut read: impl FnMut(Reply<'_>) -> Option<Result<R, FlushError>>,
    ) -> Result<R, FlushError> {
        loop {
            self.transport
                .receive(&mut self.answer)
                .map_err(FlushError::Io)?;
            let messages = Messages::new(&self.answer);
            let mut answers = messages.filter(|message| message.header.sequence == sequence);
            if let Some(result) = answers.find_map(|message| read(message.reply())) {
                return result;
            }
        }
    }

    /// Sends a request; gives its sequence number.
    fn request(
        &mut self,
        message: u16,
        flags: u16,
        is_ipv6: bool,
        payload: impl FnOnce(&mut Writer),
    ) -> Result<u32, FlushError> {
        self.sequence = self.sequence.wrapping_add(1);
        self.request.clear();
        let start = self.request.begin_message(Header {
            kind: NFNL_SUBSYS_CTNETLINK << 8 | message,
            flags: NLM_F_REQUEST | flags,
            sequence: self.sequence,
        });
        // `struct nfgenmsg`: family, version, resource.
        let family = if is_ipv6 { NFPROTO_IPV6 } else { NFPROTO_IPV4 };
        self.request.put_raw(&[family, 0, 0, 0]);
        payload(&mut self.request);
        self.request.end_message(start);
        self.transport
            .send(self.request.as_bytes())
            .map_err(FlushError::Io)?;
        Ok(self.sequence)
    }
}

fn gone(source: NetlinkError, act: &'static str) -> Result<bool, FlushError> {
    if source.is_not_found() {
        return Ok(false);
    }
    Err(FlushError::Refused { act, source })
}
