//! Talks to the kernel about devices and addresses.

use kpx_netlink::message::{NLM_F_CREATE, NLM_F_REQUEST};
use kpx_netlink::{Header, Message, Transport, Writer, list, pipeline};

use crate::address::{HEADER_LENGTH, RTM_GETADDR};
use crate::link::{RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK, write_dummy, write_name};
use crate::{AddressChange, Error, Link, LinkAddress, Refusal};

/// A connection about the devices of one network namespace.
#[derive(Debug)]
pub struct Client<T> {
    transport: T,
    sequence: u32,
}

impl<T: Transport> Client<T> {
    /// A client on a transport of the protocol
    /// [`NETLINK_ROUTE`](kpx_netlink::socket::NETLINK_ROUTE).
    pub const fn new(transport: T) -> Self {
        Self {
            transport,
            sequence: 1,
        }
    }

    /// The device of a name, if there is one.
    pub fn link(&mut self, name: &str) -> Result<Option<Link>, Error> {
        let links = self.list(
            RTM_GETLINK,
            "network devices",
            |writer| write_name(writer, None),
            Link::read,
        )?;
        Ok(links.into_iter().find(|link| link.name == name))
    }

    /// Makes sure that a dummy device is there and up.
    ///
    /// # Errors
    ///
    /// [`Error::Foreign`] if the name is that of another device, which stays as it is.
    pub fn ensure_dummy(&mut self, name: &str) -> Result<Link, Error> {
        match self.link(name)? {
            Some(link) if link.is_dummy && link.is_up => return Ok(link),
            Some(link) if !link.is_dummy => return Err(Error::Foreign { name: link.name }),
            _ => {}
        }
        let act = format!("make the dummy device `{name}`");
        self.change(RTM_NEWLINK, NLM_F_CREATE, act, |writer| {
            write_dummy(writer, name);
        })?;
        self.link(name)?.ok_or(Error::Malformed {
            what: "network devices",
        })
    }

    /// Deletes a dummy device and its addresses; `false` if there is none of the name.
    ///
    /// # Errors
    ///
    /// [`Error::Foreign`] if the name is that of another device, which stays as it is.
    pub fn delete_dummy(&mut self, name: &str) -> Result<bool, Error> {
        match self.link(name)? {
            None => return Ok(false),
            Some(link) if !link.is_dummy => return Err(Error::Foreign { name: link.name }),
            Some(_) => {}
        }
        let act = format!("delete the dummy device `{name}`");
        self.change(RTM_DELLINK, 0, act, |writer| write_name(writer, Some(name)))?;
        Ok(true)
    }

    /// The addresses of all devices, of both families, in a stable order.
    pub fn addresses(&mut self) -> Result<Vec<LinkAddress>, Error> {
        let all = |writer: &mut Writer| writer.put_raw(&[0; HEADER_LENGTH]);
        let mut addresses = self.list(RTM_GETADDR, "addresses", all, LinkAddress::read)?;
        addresses.sort_unstable();
        Ok(addresses)
    }

    /// Carries out changes in their order, many to a datagram. Each succeeds or fails on its own;
    /// those that failed are given, in order.
    pub fn submit(&mut self, changes: &[AddressChange]) -> Result<Vec<Refusal>, Error> {
        let mut refusals = Vec::new();
        pipeline::submit(
            &mut self.transport,
            &mut self.sequence,
            changes.len(),
            |writer, index, flags, sequence| {
                if let Some(change) = changes.get(index) {
                    change.write(writer, flags, sequence);
                }
            },
            |index, source| {
                let change = changes.get(index).copied();
                refusals.extend(change.map(|change| Refusal { change, source }));
            },
        )?;
        Ok(refusals)
    }

    /// Sends one change and receives its answer.
    fn change(
        &mut self,
        kind: u16,
        own_flags: u16,
        act: String,
        fill: impl Fn(&mut Writer),
    ) -> Result<(), Error> {
        let mut refused = None;
        pipeline::submit(
            &mut self.transport,
            &mut self.sequence,
            1,
            |writer, _, flags, sequence| {
                let start = writer.begin_message(Header {
                    kind,
                    flags: NLM_F_REQUEST | own_flags | flags,
                    sequence,
                });
                fill(writer);
                writer.end_message(start);
            },
            |_, source| refused = Some(source),
        )?;
        refused.map_or(Ok(()), |source| Err(Error::Refused { act, source }))
    }

    /// Asks for a list until it comes unchanged.
    fn list<E>(
        &mut self,
        kind: u16,
        what: &'static str,
        fill: impl Fn(&mut Writer),
        read: impl Fn(&Message<'_>) -> Option<E>,
    ) -> Result<Vec<E>, Error> {
        let write = |writer: &mut Writer, flags, sequence| {
            let start = writer.begin_message(Header {
                kind,
                flags: NLM_F_REQUEST | flags,
                sequence,
            });
            fill(writer);
            writer.end_message(start);
        };
        list::list(&mut self.transport, &mut self.sequence, write, read)
            .map_err(|error| Error::from_list(what, error))
    }
}
