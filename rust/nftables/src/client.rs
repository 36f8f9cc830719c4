//! Talks to the kernel's nftables: reads its ruleset and commits transactions.

use std::io;

use kpx_netlink::message::{NLM_F_DUMP, NLM_F_REQUEST};
use kpx_netlink::{Error as NetlinkError, Message, Messages, Reply, Transport, Writer};

use crate::message::{self, NFPROTO_UNSPEC, NFT_MSG_GETGEN, NFTA_GEN_ID};
use crate::{Batch, CommitError, ObserveError, Transaction};

/// The first sequence number of single requests. Batches number their messages from 0, so that
/// the answers to the two are never confused.
const FIRST_SEQUENCE: u32 = 1 << 31;

/// The generation that follows another: the kernel counts commits, and skips 0
/// (`nf_tables_commit`, `net/netfilter/nf_tables_api.c`).
pub const fn next_generation(generation: u32) -> u32 {
    match generation.wrapping_add(1) {
        0 => 1,
        next => next,
    }
}

/// A connection with the nftables of one network namespace.
#[derive(Debug)]
pub struct Client<T> {
    transport: T,
    sequence: u32,
    request: Writer,
    answer: Vec<u8>,
    /// Whether errors of a batch may still wait to be received.
    is_unsettled: bool,
}

impl<T: Transport> Client<T> {
    /// A client on a transport of the protocol
    /// [`NETLINK_NETFILTER`](kpx_netlink::socket::NETLINK_NETFILTER).
    pub const fn new(transport: T) -> Self {
        Self {
            transport,
            sequence: FIRST_SEQUENCE,
            request: Writer::new(),
            answer: Vec::new(),
            is_unsettled: false,
        }
    }

    /// The number of the ruleset's generation: it changes with every commit by anybody.
    pub fn generation(&mut self) -> Result<u32, ObserveError> {
        self.settle(|_| ())
    }

    /// Encodes and submits a transaction. If a generation is given, the kernel applies the
    /// transaction only while its ruleset still has it.
    ///
    /// Gives the generation of the ruleset that the transaction made: see [`Client::submit`].
    pub fn commit(
        &mut self,
        transaction: &Transaction,
        generation: Option<u32>,
    ) -> Result<u32, CommitError> {
        let operations = transaction.operations().iter().map(Ok::<_, CommitError>);
        self.submit(&Batch::encode(operations, generation)?)
    }

    /// Submits a batch, and gives the generation of the ruleset that it made.
    ///
    /// That is the [`next_generation`] after the batch's own, or the same if the batch changed
    /// nothing, such as one that adds what is there. If the batch is based on no generation, it
    /// is the kernel's after the commit, whoever made it.
    ///
    /// The kernel handles a batch within the send and reports only errors: an acknowledgement of
    /// its end is known since Linux 6.10 alone. So the generation is asked for behind it, whose
    /// answer comes after all errors.
    pub fn submit(&mut self, batch: &Batch) -> Result<u32, CommitError> {
        if self.is_unsettled {
            self.settle(|_| ()).map_err(unknown)?;
        }
        if let Err(error) = self.transport.send(batch.bytes()) {
            return Err(match error.raw_os_error() {
                Some(libc::EMSGSIZE) => CommitError::TooLarge {
                    length: batch.bytes().len(),
                },
                _ => CommitError::Io(error),
            });
        }
        let mut first_error = None;
        let settled = self.settle(|error| {
            first_error.get_or_insert(error);
        });
        if let Some(error) = first_error {
            return Err(batch.rejection(error));
        }
        let now = settled.map_err(unknown)?;
        Ok(match batch.generation() {
            Some(base) if base != now => next_generation(base),
            _ => now,
        })
    }

    /// Asks for the generation, and visits the errors that wait before the answer.
    fn settle(&mut self, mut visit: impl FnMut(NetlinkError)) -> Result<u32, ObserveError> {
        self.is_unsettled = true;
        let sequence = self.request(NFT_MSG_GETGEN, 0, NFPROTO_UNSPEC, |_| ())?;
        loop {
            match self.transport.receive(&mut self.answer) {
                Ok(()) => {}
                // The kernel has dropped errors of a batch for want of room; the first have come.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => continue,
                Err(error) => return Err(ObserveError::Io(error)),
            }
            for message in Messages::new(&self.answer) {
                let is_answer = message.header.sequence == sequence;
                match message.reply() {
                    Reply::Data(message) if is_answer => {
                        self.is_unsettled = false;
                        return message::attributes(&message)
                            .get(NFTA_GEN_ID)
                            .and_then(kpx_netlink::Attribute::as_be32)
                            .ok_or(ObserveError::Malformed { what: "generation" });
                    }
                    Reply::Failed(source) if is_answer => {
                        self.is_unsettled = false;
                        return Err(ObserveError::Refused {
                            what: "generation",
                            source,
                        });
                    }
                    Reply::Failed(error) => visit(error),
                    _ => {}
                }
            }
        }
    }

    /// Asks for a list and visits its entries.
    pub(crate) fn list(
        &mut self,
        kind: u8,
        family: u8,
        what: &'static str,
        filter: impl FnOnce(&mut Writer),
        mut visit: impl FnMut(&Message<'_>) -> Option<()>,
    ) -> Result<Listing, ObserveError> {
        let sequence = self.request(kind, NLM_F_DUMP, family, filter)?;
        let mut is_consistent = true;
        let mut is_readable = true;
        loop {
            self.transport
                .receive(&mut self.answer)
                .map_err(ObserveError::Io)?;
            for message in Messages::new(&self.answer) {
                if message.header.sequence != sequence {
                    continue;
                }
                is_consistent &= !message.is_interrupted();
                match message.reply() {
                    // All is received even if it cannot be read: what is left waiting would be in
                    // the way of the next request.
                    Reply::Data(entry) => is_readable &= visit(&entry).is_some(),
                    Reply::Done if !is_readable => return Err(ObserveError::Malformed { what }),
                    Reply::Done if is_consistent => return Ok(Listing::Consistent),
                    Reply::Done => return Ok(Listing::Interrupted),
                    // The object listed has gone since it was found.
                    Reply::Failed(source)
                        if source.is_not_found() || source.errno == libc::EINTR =>
                    {
                        return Ok(Listing::Interrupted);
                    }
                    Reply::Failed(source) => return Err(ObserveError::Refused { what, source }),
                    Reply::Overrun => is_consistent = false,
                    Reply::Acknowledged | Reply::Noop => {}
                }
            }
        }
    }

    /// Sends a request; gives its sequence number.
    fn request(
        &mut self,
        kind: u8,
        flags: u16,
        family: u8,
        payload: impl FnOnce(&mut Writer),
    ) -> Result<u32, ObserveError> {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1) | FIRST_SEQUENCE;
        self.request.clear();
        let flags = NLM_F_REQUEST | flags;
        let start = message::begin(&mut self.request, kind, flags, family, sequence);
        payload(&mut self.request);
        self.request.end_message(start);
        self.transport
            .send(self.request.as_bytes())
            .map_err(ObserveError::Io)?;
        Ok(sequence)
    }
}

/// Whether a list shows one state of the ruleset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Listing {
    /// All entries are of one generation.
    Consistent,
    /// The ruleset changed meanwhile.
    Interrupted,
}

/// The error of a commit of which nothing is known.
fn unknown(error: ObserveError) -> CommitError {
    match error {
        ObserveError::Io(error) => CommitError::Io(error),
        ObserveError::Refused { source, .. } => CommitError::Refused(source),
        other => CommitError::Io(io::Error::new(io::ErrorKind::InvalidData, other)),
    }
}
