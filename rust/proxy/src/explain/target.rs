//! What is asked about.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use smol_str::SmolStr;
use thiserror::Error;

use crate::{NamespacedName, Protocol};

/// The word that stands for the node's own addresses.
const NODE: &str = "node";
/// The namespace of a name without one.
const DEFAULT_NAMESPACE: &str = "default";

/// What is asked about; parsed from the forms that [`Target::FORMS`] lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A port of an address: a Service's, or one of the node's.
    Address {
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
        /// The protocol; all of them if `None`.
        protocol: Option<Protocol>,
    },
    /// A port of the node's own addresses, whichever they are.
    NodePort {
        /// The port.
        port: u16,
        /// The protocol; all of them if `None`.
        protocol: Option<Protocol>,
    },
    /// A Service.
    Service {
        /// Its name.
        name: NamespacedName,
        /// The name or the number of one of its ports; all of them if `None`.
        port: Option<SmolStr>,
        /// The protocol; all of them if `None`.
        protocol: Option<Protocol>,
    },
}

/// Text that is no target.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetError {
    /// An address, but no port.
    #[error("`{0}` is an address without a port")]
    NoPort(IpAddr),
    /// Not the number of a port.
    #[error("`{0}` is not a port between 1 and 65535")]
    Port(SmolStr),
    /// Not a protocol.
    #[error("`{0}` is none of `tcp`, `udp` and `sctp`")]
    Protocol(SmolStr),
    /// Neither an address nor a name.
    #[error("`{0}` is neither an address and a port nor the name of a Service")]
    Form(SmolStr),
}

impl Target {
    /// The forms of a target.
    pub const FORMS: &'static str = "`VIP:port[/protocol]`, `[v6]:port[/protocol]`, \
        `node:port[/protocol]` or `[namespace/]service[:port[/protocol]]`";
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if let Ok(address) = text.parse() {
            return Err(TargetError::NoPort(address));
        }
        let (place, port, protocol) = split(text)?;
        let place_of_port = match (place, port) {
            (NODE, Some(port)) => {
                return Ok(Self::NodePort {
                    port: port_number(port)?,
                    protocol,
                });
            }
            (place, Some(port)) => address(place).map(|address| (address, port)),
            (_, None) => None,
        };
        if let Some((address, port)) = place_of_port {
            return Ok(Self::Address {
                address,
                port: port_number(port)?,
                protocol,
            });
        }
        let (namespace, name) = place.split_once('/').unwrap_or((DEFAULT_NAMESPACE, place));
        let is_name = |name: &str| {
            let is_allowed =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            !name.is_empty() && name.bytes().all(is_allowed)
        };
        if !is_name(namespace) || !is_name(name) || port.is_some_and(|port| !is_name(port)) {
            return Err(TargetError::Form(text.into()));
        }
        Ok(Self::Service {
            name: NamespacedName {
                namespace: namespace.into(),
                name: name.into(),
            },
            port: port.map(SmolStr::new),
            protocol,
        })
    }
}

/// Splits off the port and the protocol. A `/` before the port belongs to a name.
fn split(text: &str) -> Result<(&str, Option<&str>, Option<Protocol>), TargetError> {
    let Some((place, port)) = text.rsplit_once(':') else {
        return Ok((text, None, None));
    };
    match port.split_once('/') {
        None => Ok((place, Some(port), None)),
        Some((port, protocol)) => Ok((place, Some(port), Some(parse_protocol(protocol)?))),
    }
}

/// An address as it stands before a port: one of IPv6 in brackets.
fn address(place: &str) -> Option<IpAddr> {
    let address: SocketAddr = format!("{place}:0").parse().ok()?;
    Some(address.ip().to_canonical())
}

fn port_number(text: &str) -> Result<u16, TargetError> {
    match text.parse() {
        Ok(port @ 1..) => Ok(port),
        _ => Err(TargetError::Port(text.into())),
    }
}

fn parse_protocol(text: &str) -> Result<Protocol, TargetError> {
    [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
        .into_iter()
        .find(|protocol| protocol.to_string().eq_ignore_ascii_case(text))
        .ok_or_else(|| TargetError::Protocol(text.into()))
}
