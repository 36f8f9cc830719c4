//! A kernel in memory, as a [`Transport`]: it answers requests by the rules of `ip_vs_ctl.c`.
//!
//! `tests/kernel.rs` gives it and the real kernel the same commands, and compares.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use kpx_netlink::message::{NLM_F_ACK, NLM_F_DUMP, NLM_F_MULTI, NLMSG_DONE, NLMSG_ERROR};
use kpx_netlink::{Attributes, Header, Message, Messages, Transport, Writer, generic};

use crate::message::{
    FAMILY, IPVS_CMD_ATTR_DEST, IPVS_CMD_ATTR_SERVICE, IPVS_CMD_ATTR_TIMEOUT_TCP,
    IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, IPVS_CMD_ATTR_TIMEOUT_UDP, IPVS_CMD_DEL_DEST,
    IPVS_CMD_DEL_SERVICE, IPVS_CMD_GET_CONFIG, IPVS_CMD_GET_DEST, IPVS_CMD_GET_SERVICE,
    IPVS_CMD_NEW_DEST, IPVS_CMD_NEW_SERVICE, IPVS_CMD_SET_CONFIG, IPVS_CMD_SET_DEST,
    IPVS_CMD_SET_SERVICE, IPVS_DEST_ATTR_ACTIVE_CONNS, IPVS_DEST_ATTR_INACT_CONNS,
    IPVS_DEST_ATTR_PERSIST_CONNS, IPVS_DEST_ATTR_STATS64, IPVS_SVC_ATTR_STATS64, VERSION,
};
use crate::{Destination, DestinationKey, Scheduler, Service, ServiceKey, Timeouts};

/// The number the fake gives to the family.
const NUMBER: u16 = 0x1f;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
/// `FAMILY`'s requests go to this number (`GENL_ID_CTRL`).
const GENL_ID_CTRL: u16 = 0x10;
const GREATEST_WEIGHT: u32 = i32::MAX.cast_unsigned();

/// Services with their destinations, and timeouts.
#[derive(Clone, Debug)]
pub struct FakeKernel {
    /// The services.
    pub services: BTreeMap<ServiceKey, (Service, BTreeMap<DestinationKey, Destination>)>,
    /// The timeouts.
    pub timeouts: Timeouts,
    /// How many datagrams were sent.
    pub sends: usize,
    answers: VecDeque<Vec<u8>>,
}

impl Default for FakeKernel {
    /// A kernel that has just loaded IPVS (`tcp_timeouts`, `udp_timeouts`,
    /// `net/netfilter/ipvs/ip_vs_proto_tcp.c`, `ip_vs_proto_udp.c`).
    fn default() -> Self {
        Self {
            services: BTreeMap::new(),
            timeouts: Timeouts {
                tcp: Some(900),
                tcp_fin: Some(120),
                udp: Some(300),
            },
            sends: 0,
            answers: VecDeque::new(),
        }
    }
}

impl Transport for FakeKernel {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sends += 1;
        for message in Messages::new(bytes) {
            self.handle(&message);
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        *buffer = self.answers.pop_front().ok_or(io::ErrorKind::TimedOut)?;
        Ok(())
    }
}

impl FakeKernel {
    fn handle(&mut self, message: &Message<'_>) {
        let attributes = generic::attributes(message);
        let outcome = if message.header.kind == GENL_ID_CTRL {
            self.answer(message, 0, |writer| {
                writer.put_u16(CTRL_ATTR_FAMILY_ID, NUMBER);
                writer.put_string(2, FAMILY);
            });
            Ok(())
        } else if message.header.flags & NLM_F_DUMP == NLM_F_DUMP {
            self.dump(message, &attributes);
            return;
        } else {
            self.command(message, &attributes)
        };
        let wants_answer = message.header.flags & NLM_F_ACK != 0;
        if wants_answer || outcome.is_err() {
            let errno = outcome.err().unwrap_or(0);
            self.control(message, NLMSG_ERROR, 0, -errno);
        }
    }

    fn command(&mut self, message: &Message<'_>, attributes: &Attributes<'_>) -> Result<(), i32> {
        let command = message.payload.first().copied().unwrap_or_default();
        match command {
            IPVS_CMD_SET_CONFIG => {
                self.set_timeouts(attributes);
                return Ok(());
            }
            IPVS_CMD_GET_CONFIG => {
                let timeouts = self.timeouts;
                self.answer(message, 0, |writer| write_timeouts(writer, timeouts));
                return Ok(());
            }
            _ => {}
        }
        let nested = attributes
            .get(IPVS_CMD_ATTR_SERVICE)
            .ok_or(libc::EINVAL)?
            .nested();
        let key = ServiceKey::read(&nested).ok_or(libc::EINVAL)?;
        if command == IPVS_CMD_NEW_SERVICE || command == IPVS_CMD_SET_SERVICE {
            let service = Service::read(&nested).ok_or(libc::EINVAL)?;
            return self.write_service(service, command == IPVS_CMD_NEW_SERVICE);
        }
        if command == IPVS_CMD_DEL_SERVICE {
            return self.services.remove(&key).map(drop).ok_or(libc::ESRCH);
        }
        let (_, destinations) = self.services.get_mut(&key).ok_or(libc::ESRCH)?;
        let nested = attributes
            .get(IPVS_CMD_ATTR_DEST)
            .ok_or(libc::EINVAL)?
            .nested();
        let key = DestinationKey::read(&nested).ok_or(libc::EINVAL)?;
        let is_there = destinations.contains_key(&key);
        match command {
            IPVS_CMD_DEL_DEST => {
                return destinations.remove(&key).map(drop).ok_or(libc::ENOENT);
            }
            IPVS_CMD_NEW_DEST | IPVS_CMD_SET_DEST => {}
            _ => return Err(libc::EINVAL),
        }
        let destination = Destination::read(&nested).ok_or(libc::EINVAL)?;
        if destination.weight > GREATEST_WEIGHT
            || destination.thresholds.lower > destination.thresholds.upper
        {
            return Err(libc::ERANGE);
        }
        match (command, is_there) {
            (IPVS_CMD_NEW_DEST, true) => return Err(libc::EEXIST),
            (IPVS_CMD_SET_DEST, false) => return Err(libc::ENOENT),
            _ => {}
        }
        destinations.insert(key, destination);
        Ok(())
    }

    fn write_service(&mut self, service: Service, is_new: bool) -> Result<(), i32> {
        match (self.services.get_mut(&service.key), is_new) {
            (Some(_), true) => return Err(libc::EEXIST),
            (None, false) => return Err(libc::ESRCH),
            _ => {}
        }
        if matches!(service.scheduler, Scheduler::Other(_)) {
            return Err(libc::ENOENT);
        }
        self.services
            .entry(service.key)
            .and_modify(|(known, _)| *known = service.clone())
            .or_insert_with(|| (service, BTreeMap::new()));
        Ok(())
    }

    fn set_timeouts(&mut self, attributes: &Attributes<'_>) {
        let given = |kind| {
            attributes
                .get(kind)?
                .as_u32()
                .filter(|seconds| *seconds != 0)
        };
        let Timeouts { tcp, tcp_fin, udp } = &mut self.timeouts;
        *tcp = given(IPVS_CMD_ATTR_TIMEOUT_TCP).or(*tcp);
        *tcp_fin = given(IPVS_CMD_ATTR_TIMEOUT_TCP_FIN).or(*tcp_fin);
        *udp = given(IPVS_CMD_ATTR_TIMEOUT_UDP).or(*udp);
    }

    fn dump(&mut self, message: &Message<'_>, attributes: &Attributes<'_>) {
        let command = message.payload.first().copied().unwrap_or_default();
        let services = self.services.clone();
        if command == IPVS_CMD_GET_SERVICE {
            for (service, _) in services.values() {
                self.answer(message, NLM_F_MULTI, |writer| {
                    let nest = writer.open(IPVS_CMD_ATTR_SERVICE);
                    service.write(writer);
                    write_no_statistics(writer, IPVS_SVC_ATTR_STATS64);
                    writer.close(nest);
                });
            }
        }
        // A service that is not there has no destinations (`ip_vs_genl_dump_dests`).
        let key = attributes.get(IPVS_CMD_ATTR_SERVICE);
        let key = key.and_then(|service| ServiceKey::read(&service.nested()));
        let found = key.and_then(|key| services.get(&key));
        if let Some((_, destinations)) = found.filter(|_| command == IPVS_CMD_GET_DEST) {
            for destination in destinations.values() {
                self.answer(message, NLM_F_MULTI, |writer| {
                    let nest = writer.open(IPVS_CMD_ATTR_DEST);
                    destination.write(writer);
                    writer.put_u32(IPVS_DEST_ATTR_ACTIVE_CONNS, 0);
                    writer.put_u32(IPVS_DEST_ATTR_INACT_CONNS, 0);
                    writer.put_u32(IPVS_DEST_ATTR_PERSIST_CONNS, 0);
                    write_no_statistics(writer, IPVS_DEST_ATTR_STATS64);
                    writer.close(nest);
                });
            }
        }
        self.control(message, NLMSG_DONE, NLM_F_MULTI, 0);
    }

    fn answer(&mut self, request: &Message<'_>, flags: u16, fill: impl FnOnce(&mut Writer)) {
        let mut writer = Writer::new();
        let header = Header {
            kind: request.header.kind,
            flags,
            sequence: request.header.sequence,
        };
        let command = request.payload.first().copied().unwrap_or_default();
        let start = generic::begin(&mut writer, header, command, VERSION);
        fill(&mut writer);
        writer.end_message(start);
        self.answers.push_back(writer.into_bytes());
    }

    /// Answers with a control message: the error number, then for an error the request's header.
    fn control(&mut self, request: &Message<'_>, kind: u16, flags: u16, error: i32) {
        let mut writer = Writer::new();
        let header = Header {
            kind,
            flags,
            sequence: request.header.sequence,
        };
        let start = writer.begin_message(header);
        writer.put_raw(&error.to_ne_bytes());
        writer.put_raw(&[0; kpx_netlink::message::HEADER_LENGTH]);
        writer.end_message(start);
        self.answers.push_back(writer.into_bytes());
    }
}

fn write_timeouts(writer: &mut Writer, timeouts: Timeouts) {
    let given = [
        (IPVS_CMD_ATTR_TIMEOUT_TCP, timeouts.tcp),
        (IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, timeouts.tcp_fin),
        (IPVS_CMD_ATTR_TIMEOUT_UDP, timeouts.udp),
    ];
    for (kind, seconds) in given {
        writer.put_u32(kind, seconds.unwrap_or_default());
    }
}

fn write_no_statistics(writer: &mut Writer, kind: u16) {
    let nest = writer.open(kind);
    for kind in 1..=5 {
        writer.put(kind, &0_u64.to_ne_bytes());
    }
    writer.close(nest);
}
