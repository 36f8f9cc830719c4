//! Services and destinations as text: the lines of `ipvsadm -Sn`, which `ipvsadm -R` takes.

use std::fmt;
use std::net::IpAddr;

use crate::{
    Command, Destination, DestinationKey, Family, Flags, Forwarding, Protocol, Scheduler, Service,
    ServiceKey,
};

impl fmt::Display for DestinationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_endpoint(formatter, self.address, self.port)
    }
}

/// The words that name the service, such as `-t 10.96.0.10:80`.
impl fmt::Display for ServiceKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address {
                protocol,
                address,
                port,
            } => {
                formatter.write_str(match protocol {
                    Protocol::Tcp => "-t ",
                    Protocol::Udp => "-u ",
                    Protocol::Sctp => "--sctp-service ",
                })?;
                write_endpoint(formatter, *address, *port)
            }
            Self::Mark { family, mark } => {
                write!(formatter, "-f {mark}")?;
                match family {
                    Family::Ipv4 => Ok(()),
                    Family::Ipv6 => formatter.write_str(" -6"),
                }
            }
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} -s {}", self.key, self.scheduler.name())?;
        if let Some(persistence) = self.persistence {
            write!(formatter, " -p {}", persistence.seconds)?;
            if persistence.prefix != self.key.family().bits() {
                write_mask(formatter, self.key.family(), persistence.prefix)?;
            }
        }
        if self.one_packet {
            formatter.write_str(" -o")?;
        }
        let flags = self.scheduler.flags();
        let name = match &self.scheduler {
            Scheduler::SourceHashing { .. } => "sh",
            _ => "mh",
        };
        match (
            flags.contains(Flags::SCHEDULER_1),
            flags.contains(Flags::SCHEDULER_2),
        ) {
            (false, false) => Ok(()),
            (true, false) => write!(formatter, " -b {name}-fallback"),
            (false, true) => write!(formatter, " -b {name}-port"),
            (true, true) => write!(formatter, " -b {name}-fallback,{name}-port"),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forwarding = match self.forwarding {
            Forwarding::Masquerade | Forwarding::Local => "-m",
            Forwarding::Tunnel => "-i",
            Forwarding::Route => "-g",
        };
        write!(formatter, "-r {} {forwarding} -w {}", self.key, self.weight)?;
        if self.thresholds.upper != 0 {
            write!(formatter, " -x {}", self.thresholds.upper)?;
        }
        if self.thresholds.lower != 0 {
            write!(formatter, " -y {}", self.thresholds.lower)?;
        }
        Ok(())
    }
}

/// The command as a line of options to `ipvsadm`.
impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddService(service) => write!(formatter, "-A {service}"),
            Self::ChangeService(service) => write!(formatter, "-E {service}"),
            Self::DeleteService(key) => write!(formatter, "-D {key}"),
            Self::AddDestination(key, destination) => {
                write!(formatter, "-a {key} {destination}")
            }
            Self::ChangeDestination(key, destination) => {
                write!(formatter, "-e {key} {destination}")
            }
            Self::DeleteDestination(key, destination) => {
                write!(formatter, "-d {key} -r {destination}")
            }
            Self::SetTimeouts(timeouts) => {
                let seconds = |seconds: Option<u32>| seconds.unwrap_or(0);
                write!(
                    formatter,
                    "--set {} {} {}",
                    seconds(timeouts.tcp),
                    seconds(timeouts.tcp_fin),
                    seconds(timeouts.udp)
                )
            }
        }
    }
}

fn write_endpoint(formatter: &mut fmt::Formatter<'_>, address: IpAddr, port: u16) -> fmt::Result {
    match address {
        IpAddr::V4(address) => write!(formatter, "{address}:{port}"),
        IpAddr::V6(address) => write!(formatter, "[{address}]:{port}"),
    }
}

fn write_mask(formatter: &mut fmt::Formatter<'_>, family: Family, prefix: u8) -> fmt::Result {
    match family {
        Family::Ipv4 => {
            let mask = u32::MAX
                .checked_shl(32 - u32::from(prefix.min(32)))
                .unwrap_or(0);
            write!(formatter, " -M {}", std::net::Ipv4Addr::from(mask))
        }
        Family::Ipv6 => write!(formatter, " -M {prefix}"),
    }
}
