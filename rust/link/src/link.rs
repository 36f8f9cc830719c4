//! Devices.

use kpx_netlink::{Message, Writer};

pub(crate) const RTM_NEWLINK: u16 = 16;
pub(crate) const RTM_DELLINK: u16 = 17;
pub(crate) const RTM_GETLINK: u16 = 18;

const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
/// `IFF_UP` (`uapi/linux/if.h`).
const IFF_UP: u32 = 1;
/// The length of `struct ifinfomsg`.
const HEADER_LENGTH: usize = 16;
/// The kind of devices without a wire.
const DUMMY: &str = "dummy";

/// A device as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The number by which addresses name it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether it is of the kind `dummy`.
    pub is_dummy: bool,
    /// Whether it is up.
    pub is_up: bool,
}

impl Link {
    /// Reads a device; `None` if it makes no sense.
    pub(crate) fn read(message: &Message<'_>) -> Option<Self> {
        let number = |start: usize| {
            let bytes = message.payload.get(start..start + 4)?;
            Some(u32::from_ne_bytes(bytes.try_into().ok()?))
        };
        let attributes = message.attributes(HEADER_LENGTH);
        let info = attributes.get(IFLA_LINKINFO);
        let kind = info.and_then(|info| info.nested().get(IFLA_INFO_KIND)?.as_str());
        Some(Self {
            index: number(4)?,
            name: attributes.get(IFLA_IFNAME)?.as_str()?.to_owned(),
            is_dummy: kind == Some(DUMMY),
            is_up: number(8)? & IFF_UP != 0,
        })
    }
}

/// Appends `struct ifinfomsg`; `up` says whether the device is to be up, where that is to change.
fn put_header(writer: &mut Writer, index: u32, up: Option<bool>) {
    let (flags, change) = up.map_or((0, 0), |up| (u32::from(up) * IFF_UP, IFF_UP));
    writer.put_raw(&[0; 4]);
    writer.put_raw(&index.to_ne_bytes());
    writer.put_raw(&flags.to_ne_bytes());
    writer.put_raw(&change.to_ne_bytes());
}

/// Writes a request for a new dummy device that is up, or for an old one to be up.
pub(crate) fn write_dummy(writer: &mut Writer, name: &str) {
    put_header(writer, 0, Some(true));
    writer.put_string(IFLA_IFNAME, name);
    let info = writer.open(IFLA_LINKINFO);
    writer.put_string(IFLA_INFO_KIND, DUMMY);
    writer.close(info);
}

/// Writes what names one device, or all.
pub(crate) fn write_name(writer: &mut Writer, name: Option<&str>) {
    put_header(writer, 0, None);
    if let Some(name) = name {
        writer.put_string(IFLA_IFNAME, name);
    }
}
