//! Flows and their tuples, as the kernel lists them (`uapi/linux/netfilter/nfnetlink_conntrack.h`).
//!
//! ```text
//! CTA_TUPLE_ORIG or CTA_TUPLE_REPLY
//! ├ CTA_TUPLE_IP      addresses of one family
//! ├ CTA_TUPLE_PROTO   the protocol's number; for those that have them, ports
//! └ CTA_TUPLE_ZONE    where the zone is of this direction alone
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use kpx_netlink::{Attribute, Attributes, Message, Writer};

/// The protocol number of UDP.
pub const UDP: u8 = 17;

/// `enum ctattr_type`, as the other three.
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
/// `enum ctattr_tuple`, as the other two.
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_TUPLE_ZONE: u16 = 3;
/// `enum ctattr_ip`, as the other three.
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;
/// `enum ctattr_l4proto`, as the other two.
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;

/// The length of `struct nfgenmsg`.
const NFGENMSG_LENGTH: usize = 4;

/// How the packets of one direction look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// From where they come.
    pub source: SocketAddr,
    /// Where they go.
    pub destination: SocketAddr,
    /// The IP protocol's number.
    pub protocol: u8,
    /// The zone of this direction, where it has one of its own.
    pub zone: Option<u16>,
}

/// One tracked flow of a protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The packets as the client sends them, before any translation.
    pub original: Tuple,
    /// The answers as they come back, before they are translated: an endpoint's are from it.
    pub reply: Tuple,
    /// The zone of both directions; `None` for the default one.
    pub zone: Option<u16>,
    /// What tells this flow from a later one with the same tuples.
    pub id: Option<u32>,
}

impl Flow {
    /// Reads an entry of a list; `None` for a protocol without ports, or what is no flow.
    pub fn parse(message: &Message<'_>) -> Option<Self> {
        let attributes = message.attributes(NFGENMSG_LENGTH);
        Some(Self {
            original: Tuple::parse(&attributes.get(CTA_TUPLE_ORIG)?.nested())?,
            reply: Tuple::parse(&attributes.get(CTA_TUPLE_REPLY)?.nested())?,
            zone: attributes.get(CTA_ZONE).and_then(Attribute::as_be16),
            id: attributes.get(CTA_ID).and_then(Attribute::as_be32),
        })
    }

    /// Writes what identifies the flow in a request: its original tuple, zone and id.
    pub fn write_identity(&self, writer: &mut Writer) {
        let tuple = writer.open(CTA_TUPLE_ORIG);
        self.original.write(writer);
        writer.close(tuple);
        if let Some(zone) = self.zone {
            writer.put_be16(CTA_ZONE, zone);
        }
        if let Some(id) = self.id {
            writer.put_be32(CTA_ID, id);
        }
    }

    /// Whether the destination was translated.
    pub fn is_translated(&self) -> bool {
        self.original.destination != self.reply.source
    }
}

impl Tuple {
    fn parse(attributes: &Attributes<'_>) -> Option<Self> {
        let addresses = attributes.get(CTA_TUPLE_IP)?.nested();
        let protocol = attributes.get(CTA_TUPLE_PROTO)?.nested();
        let address = |v4, v6| match addresses.get(v4) {
            Some(address) => v4_address(address),
            None => v6_address(addresses.get(v6)?),
        };
        let port = |kind| protocol.get(kind)?.as_be16();
        let source = address(CTA_IP_V4_SRC, CTA_IP_V6_SRC)?;
        let destination = address(CTA_IP_V4_DST, CTA_IP_V6_DST)?;
        if source.is_ipv4() != destination.is_ipv4() {
            return None;
        }
        Some(Self {
            source: SocketAddr::new(source, port(CTA_PROTO_SRC_PORT)?),
            destination: SocketAddr::new(destination, port(CTA_PROTO_DST_PORT)?),
            protocol: protocol.get(CTA_PROTO_NUM)?.as_u8()?,
            zone: attributes.get(CTA_TUPLE_ZONE).and_then(Attribute::as_be16),
        })
    }

    fn write(&self, writer: &mut Writer) {
        let addresses = writer.open(CTA_TUPLE_IP);
        write_address(writer, (CTA_IP_V4_SRC, CTA_IP_V6_SRC), self.source.ip());
        write_address(
            writer,
            (CTA_IP_V4_DST, CTA_IP_V6_DST),
            self.destination.ip(),
        );
        writer.close(addresses);
        let protocol = writer.open(CTA_TUPLE_PROTO);
        writer.put_u8(CTA_PROTO_NUM, self.protocol);
        writer.put_be16(CTA_PROTO_SRC_PORT, self.source.port());
        writer.put_be16(CTA_PROTO_DST_PORT, self.destination.port());
        writer.close(protocol);
        if let Some(zone) = self.zone {
            writer.put_be16(CTA_TUPLE_ZONE, zone);
        }
    }
}

fn v4_address(attribute: Attribute<'_>) -> Option<IpAddr> {
    let octets: [u8; 4] = attribute.payload.try_into().ok()?;
    Some(Ipv4Addr::from(octets).into())
}

fn v6_address(attribute: Attribute<'_>) -> Option<IpAddr> {
    let octets: [u8; 16] = attribute.payload.try_into().ok()?;
    Some(Ipv6Addr::from(octets).into())
}

fn write_address(writer: &mut Writer, (v4, v6): (u16, u16), address: IpAddr) {
    match address {
        IpAddr::V4(address) => writer.put(v4, &address.octets()),
        IpAddr::V6(address) => writer.put(v6, &address.octets()),
    }
}

#[cfg(test)]
mod tests {
    use kpx_netlink::{Header, Messages};

    use super::*;

    /// What Linux 6.18 lists (`IPCTNL_MSG_CT_GET` with `NLM_F_DUMP`, read from a raw socket) after a
    /// datagram from 127.0.0.1:40000 to 10.96.0.10:53 that a rule `dnat to 127.0.0.1:5353` met;
    /// `conntrack -L -o id` showed `src=127.0.0.1 dst=10.96.0.10 sport=40000 dport=53 [UNREPLIED]
    /// src=127.0.0.1 dst=127.0.0.1 sport=5353 dport=40000 id=2278777464`.
    #[cfg(target_endian = "little")]
    const LISTED: &str = "a4000000000122000700000085790000020000003400018014000180080001007f000001\
        080002000a60000a1c0002800500010011000000060002009c40000006000300003500003400028014000180\
        080001007f000001080002007f0000011c00028005000100110000000600020014e90000060003009c400000\
        08000300000001a8080008000000000008000c0087d3627808000b0000000001080007000000001d";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<char> = hex.chars().collect();
        let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
        pairs
            .map(|pair| u8::from_str_radix(&pair, 16).unwrap())
            .collect()
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn what_the_kernel_lists_is_read() {
        let datagram = bytes(LISTED);

        let flow = Flow::parse(&Messages::new(&datagram).next().unwrap()).unwrap();

        let tuple = |source: &str, destination: &str| Tuple {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol: UDP,
            zone: None,
        };
        assert_eq!(
            flow,
            Flow {
                original: tuple("127.0.0.1:40000", "10.96.0.10:53"),
                reply: tuple("127.0.0.1:5353", "127.0.0.1:40000"),
                zone: None,
                id: Some(2_278_777_464),
            }
        );
        assert!(flow.is_translated());
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_flow_is_named_by_the_bytes_the_kernel_listed() {
        let datagram = bytes(LISTED);
        let message = Messages::new(&datagram).next().unwrap();
        let mut writer = Writer::new();

        Flow::parse(&message).unwrap().write_identity(&mut writer);

        // `CTA_TUPLE_ORIG` comes first in the list, and is 0x34 bytes long.
        let (tuple, id) = writer.as_bytes().split_at(0x34);
        assert_eq!(tuple, &datagram[20..20 + 0x34]);
        assert_eq!(id, bytes("08000c0087d36278"));
    }

    #[test]
    fn zones_and_ipv6_survive_a_round_trip() {
        let tuple = Tuple {
            source: "[fd00::1]:4000".parse().unwrap(),
            destination: "[fd00:96::a]:53".parse().unwrap(),
            protocol: UDP,
            zone: Some(7),
        };
        let flow = Flow {
            original: tuple,
            reply: tuple,
            zone: Some(9),
            id: Some(1),
        };
        let mut writer = Writer::new();
        let header = Header {
            kind: 0x100,
            flags: 0,
            sequence: 1,
        };
        let start = writer.begin_message(header);
        writer.put_raw(&[10, 0, 0, 0]);
        flow.write_identity(&mut writer);
        let reply = writer.open(CTA_TUPLE_REPLY);
        tuple.write(&mut writer);
        writer.close(reply);
        writer.end_message(start);

        let message = Messages::new(writer.as_bytes()).next().unwrap();

        assert_eq!(Flow::parse(&message), Some(flow));
    }
}
