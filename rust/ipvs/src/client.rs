//! Talks to the kernel's IPVS: reads what it holds and submits commands.

use kpx_netlink::message::{NLM_F_ACK, NLM_F_REQUEST};
use kpx_netlink::{Header, Message, Messages, Reply, Transport, Writer, generic, list, pipeline};

use crate::command::put_service;
use crate::message::{
    FAMILY, IPVS_CMD_GET_CONFIG, IPVS_CMD_GET_DEST, IPVS_CMD_GET_SERVICE, VERSION,
};
use crate::{
    Command, ConnectError, ObserveError, ObservedDestination, ObservedService, Refusal, ServiceKey,
    SubmitError, Timeouts,
};

/// A connection with the IPVS of one network namespace.
#[derive(Debug)]
pub struct Client<T> {
    transport: T,
    family: u16,
    sequence: u32,
}

impl<T: Transport> Client<T> {
    /// Connects on a transport of the protocol
    /// [`NETLINK_GENERIC`](kpx_netlink::socket::NETLINK_GENERIC).
    pub fn connect(mut transport: T) -> Result<Self, ConnectError> {
        let family = generic::resolve(&mut transport, FAMILY, 1)?;
        Ok(Self {
            transport,
            family,
            sequence: 2,
        })
    }

    /// The transport within.
    pub fn transport(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Every service, by whomever it was made, in the order of the keys.
    pub fn services(&mut self) -> Result<Vec<ObservedService>, ObserveError> {
        let mut services = self.list(
            IPVS_CMD_GET_SERVICE,
            "services",
            |_| (),
            ObservedService::read,
        )?;
        services.sort_unstable_by_key(|observed| observed.service.key);
        Ok(services)
    }

    /// The destinations of a service, in the order of the keys.
    pub fn destinations(
        &mut self,
        service: &ServiceKey,
    ) -> Result<Vec<ObservedDestination>, ObserveError> {
        let filter = |writer: &mut Writer| put_service(writer, |writer| service.write(writer));
        let mut destinations = self.list(
            IPVS_CMD_GET_DEST,
            "destinations",
            filter,
            ObservedDestination::read,
        )?;
        destinations.sort_unstable_by_key(|observed| observed.destination.key);
        Ok(destinations)
    }

    /// The timeouts of the network namespace.
    pub fn timeouts(&mut self) -> Result<Timeouts, ObserveError> {
        let what = "timeouts";
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let (mut request, mut answer) = (Writer::new(), Vec::new());
        let command = IPVS_CMD_GET_CONFIG;
        write_request(
            &mut request,
            self.family,
            command,
            NLM_F_ACK,
            sequence,
            |_| (),
        );
        self.transport.send(request.as_bytes())?;
        let mut timeouts = None;
        loop {
            self.transport.receive(&mut answer)?;
            for message in Messages::new(&answer) {
                if message.header.sequence != sequence {
                    continue;
                }
                match message.reply() {
                    Reply::Data(message) => timeouts = Some(Timeouts::read(&message)),
                    Reply::Acknowledged => {
                        return timeouts.ok_or(ObserveError::Malformed { what });
                    }
                    Reply::Failed(source) => return Err(ObserveError::Refused { what, source }),
                    Reply::Done | Reply::Overrun | Reply::Noop => {}
                }
            }
        }
    }

    /// Carries out commands in their order, many to a datagram (see [`pipeline`]). Each succeeds or
    /// fails on its own; those that failed are given, in order.
    ///
    /// # Errors
    ///
    /// The socket failed: what was carried out is not known.
    pub fn submit(&mut self, commands: &[Command]) -> Result<Vec<Refusal>, SubmitError> {
        let family = self.family;
        let mut refusals = Vec::new();
        pipeline::submit(
            &mut self.transport,
            &mut self.sequence,
            commands.len(),
            |writer, index, flags, sequence| {
                if let Some(command) = commands.get(index) {
                    command.write(writer, family, flags, sequence);
                }
            },
            |index, source| {
                let command = commands.get(index);
                refusals.extend(command.map(|command| refusal(index, command, source)));
            },
        )?;
        Ok(refusals)
    }

    /// Asks for a list until it comes unchanged.
    fn list<E>(
        &mut self,
        command: u8,
        what: &'static str,
        filter: impl Fn(&mut Writer),
        read: impl Fn(&Message<'_>) -> Option<E>,
    ) -> Result<Vec<E>, ObserveError> {
        let family = self.family;
        let write = |writer: &mut Writer, flags, sequence| {
            write_request(writer, family, command, flags, sequence, &filter);
        };
        list::list(&mut self.transport, &mut self.sequence, write, read)
            .map_err(|error| ObserveError::from_list(what, error))
    }
}

/// Writes a request that changes nothing.
fn write_request(
    writer: &mut Writer,
    family: u16,
    command: u8,
    flags: u16,
    sequence: u32,
    fill: impl FnOnce(&mut Writer),
) {
    let header = Header {
        kind: family,
        flags: NLM_F_REQUEST | flags,
        sequence,
    };
    let start = generic::begin(writer, header, command, VERSION);
    fill(writer);
    writer.end_message(start);
}

fn refusal(index: usize, command: &Command, source: kpx_netlink::Error) -> Refusal {
    let scheduler = match command {
        Command::AddService(service) | Command::ChangeService(service) => {
            Some(service.scheduler.name().to_owned())
        }
        _ => None,
    };
    Refusal {
        index,
        command: command.to_string(),
        scheduler,
        source,
    }
}
