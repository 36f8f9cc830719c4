//! Talks to the kernel's IPVS: reads what it holds and submits commands.

use kpx_netlink::message::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use kpx_netlink::{Header, Message, Messages, Reply, Transport, Writer, generic, pipeline};

use crate::command::put_service;
use crate::message::{
    FAMILY, IPVS_CMD_GET_CONFIG, IPVS_CMD_GET_DEST, IPVS_CMD_GET_SERVICE, VERSION,
};
use crate::{
    Command, ConnectError, ObserveError, ObservedDestination, ObservedService, Refusal, ServiceKey,
    SubmitError, Timeouts,
};

/// How often a list is asked for that changes meanwhile.
const ATTEMPTS: u32 = 5;

/// A connection with the IPVS of one network namespace.
#[derive(Debug)]
pub struct Client<T> {
    transport: T,
    family: u16,
    sequence: u32,
    request: Writer,
    answer: Vec<u8>,
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
            request: Writer::new(),
            answer: Vec::new(),
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
        let sequence = self.request(IPVS_CMD_GET_CONFIG, NLM_F_ACK, |_| ())?;
        let mut timeouts = None;
        loop {
            self.transport.receive(&mut self.answer)?;
            for message in Messages::new(&self.answer) {
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
        for _ in 0..ATTEMPTS {
            let sequence = self.request(command, NLM_F_DUMP, &filter)?;
            if let Some(entries) = self.receive_list(sequence, what, &read)? {
                return Ok(entries);
            }
        }
        Err(ObserveError::Unsteady {
            what,
            attempts: ATTEMPTS,
        })
    }

    /// Receives a list; `None` if it changed meanwhile.
    fn receive_list<E>(
        &mut self,
        sequence: u32,
        what: &'static str,
        read: &impl Fn(&Message<'_>) -> Option<E>,
    ) -> Result<Option<Vec<E>>, ObserveError> {
        let mut entries = Vec::new();
        let (mut is_consistent, mut is_readable) = (true, true);
        loop {
            self.transport.receive(&mut self.answer)?;
            for message in Messages::new(&self.answer) {
                if message.header.sequence != sequence {
                    continue;
                }
                is_consistent &= !message.is_interrupted();
                match message.reply() {
                    // All is received even if it cannot be read: what is left waiting would be in
                    // the way of the next request.
                    Reply::Data(entry) => match read(&entry) {
                        Some(entry) => entries.push(entry),
                        None => is_readable = false,
                    },
                    Reply::Done if !is_readable => return Err(ObserveError::Malformed { what }),
                    Reply::Done => return Ok(is_consistent.then_some(entries)),
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
        command: u8,
        flags: u16,
        fill: impl FnOnce(&mut Writer),
    ) -> Result<u32, ObserveError> {
        let sequence = self.next_sequence();
        let header = Header {
            kind: self.family,
            flags: NLM_F_REQUEST | flags,
            sequence,
        };
        self.request.clear();
        let start = generic::begin(&mut self.request, header, command, VERSION);
        fill(&mut self.request);
        self.request.end_message(start);
        self.transport.send(self.request.as_bytes())?;
        Ok(sequence)
    }

    fn next_sequence(&mut self) -> u32 {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        sequence
    }
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
