//! The real [`Transport`]: a netlink socket. The only unsafe code of the workspace.
#![expect(unsafe_code, reason = "the socket calls of libc are unsafe")]

use std::ffi::c_int;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::Transport;

/// The netlink protocol of netfilter: nftables and conntrack.
pub const NETLINK_NETFILTER: c_int = libc::NETLINK_NETFILTER;
/// The netlink protocol of generic families such as IPVS.
pub const NETLINK_GENERIC: c_int = libc::NETLINK_GENERIC;
/// The netlink protocol of links, addresses and routes.
pub const NETLINK_ROUTE: c_int = libc::NETLINK_ROUTE;

/// The room for one datagram. The kernel fills datagrams of a dump up to 32 KiB
/// (`netlink_recvmsg`, `net/netlink/af_netlink.c`); a single message is at most an attribute
/// longer.
const DATAGRAM: usize = 128 * 1024;

/// The bound of answers that wait. Errors may come for each message of a large transaction, at
/// about 1 KiB each; the kernel takes the memory only when it is needed.
const RECEIVE_BUFFER: usize = 64 * 1024 * 1024;

/// How much longer than the datagram the send buffer has to be (`netlink_sendmsg` wants 32).
const SEND_HEADROOM: usize = 64;

/// The kernel answers before a send returns, so that nothing is ever waited for; the limit only
/// turns a broken promise into an error.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A netlink socket connected with the kernel, with extended acknowledgements.
#[derive(Debug)]
pub struct Socket {
    descriptor: OwnedFd,
    send_buffer: usize,
}

impl Socket {
    /// Opens a socket for a netlink protocol such as [`NETLINK_NETFILTER`], in the network
    /// namespace of the calling thread, where it stays.
    ///
    /// # Errors
    ///
    /// `EPROTONOSUPPORT` if the kernel lacks the protocol.
    pub fn open(protocol: c_int) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: takes no pointers.
        let descriptor = check(unsafe { libc::socket(libc::AF_NETLINK, kind, protocol) })?;
        // SAFETY: the descriptor is open and nothing else owns it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let mut socket = Self {
            descriptor,
            send_buffer: 0,
        };
        socket.bind_and_connect()?;
        socket.set_option(libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, &1)?;
        // Without this an error repeats the whole request.
        socket.set_option(libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, &1)?;
        socket.grow(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, RECEIVE_BUFFER)?;
        socket.set_receive_timeout(RECEIVE_TIMEOUT)?;
        socket.send_buffer = socket.send_buffer_size()?;
        Ok(socket)
    }

    /// Binds to a port that the kernel chooses, and connects with the kernel, so that nobody
    /// else's messages are received.
    fn bind_and_connect(&self) -> io::Result<()> {
        // SAFETY: `sockaddr_nl` is plain data, for which zeroes are valid.
        let mut kernel: libc::sockaddr_nl = unsafe { mem::zeroed() };
        kernel.nl_family = libc::sa_family_t::try_from(libc::AF_NETLINK).unwrap_or_default();
        let address = (&raw const kernel).cast();
        let length = length_of::<libc::sockaddr_nl>();
        // SAFETY: `address` points to `length` initialised bytes that outlive the call.
        check(unsafe { libc::bind(self.descriptor.as_raw_fd(), address, length) })?;
        // SAFETY: as above.
        check(unsafe { libc::connect(self.descriptor.as_raw_fd(), address, length) })?;
        Ok(())
    }

    fn set_receive_timeout(&self, timeout: Duration) -> io::Result<()> {
        let timeout = libc::timeval {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_usec: timeout.subsec_micros().into(),
        };
        self.set_option(libc::SOL_SOCKET, libc::SO_RCVTIMEO, &timeout)
    }

    /// Sets a buffer's size by the privileged option, or by the other up to the system's limit
    /// (`net.core.wmem_max`, `net.core.rmem_max`).
    fn grow(&self, forced: c_int, limited: c_int, size: usize) -> io::Result<()> {
        // The kernel doubles what it is given, to count its own overhead.
        let size = c_int::try_from(size / 2).unwrap_or(c_int::MAX / 2);
        match self.set_option(libc::SOL_SOCKET, forced, &size) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.set_option(libc::SOL_SOCKET, limited, &size)
            }
            result => result,
        }
    }

    fn send_buffer_size(&self) -> io::Result<usize> {
        let mut size: c_int = 0;
        let mut length = length_of::<c_int>();
        // SAFETY: both pointers are to values that outlive the call, and `length` is the size of
        // the first.
        check(unsafe {
            libc::getsockopt(
                self.descriptor.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_SNDBUF,
                (&raw mut size).cast(),
                &raw mut length,
            )
        })?;
        Ok(usize::try_from(size).unwrap_or_default())
    }

    fn set_option<V>(&self, level: c_int, name: c_int, value: &V) -> io::Result<()> {
        // SAFETY: `value` is valid for reads of its size during the call.
        check(unsafe {
            libc::setsockopt(
                self.descriptor.as_raw_fd(),
                level,
                name,
                std::ptr::from_ref(value).cast(),
                length_of::<V>(),
            )
        })?;
        Ok(())
    }
}

impl Transport for Socket {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() + SEND_HEADROOM > self.send_buffer {
            let size = (bytes.len() + SEND_HEADROOM).next_multiple_of(2);
            self.grow(libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, size)?;
            self.send_buffer = self.send_buffer_size()?;
        }
        retry_interrupted(|| {
            let descriptor = self.descriptor.as_raw_fd();
            // SAFETY: `bytes` is valid for reads of its length during the call.
            unsafe { libc::send(descriptor, bytes.as_ptr().cast(), bytes.len(), 0) }
        })?;
        Ok(())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.clear();
        buffer.reserve(DATAGRAM);
        let received = retry_interrupted(|| {
            let room = buffer.spare_capacity_mut();
            let descriptor = self.descriptor.as_raw_fd();
            // SAFETY: `room` is valid for writes of its length during the call.
            unsafe {
                libc::recv(
                    descriptor,
                    room.as_mut_ptr().cast(),
                    room.len(),
                    libc::MSG_TRUNC,
                )
            }
        });
        let length = received.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer within {} s", RECEIVE_TIMEOUT.as_secs()),
            ),
            _ => error,
        })?;
        if length > buffer.capacity() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("netlink datagram of {length} bytes is longer than any expected"),
            ));
        }
        // SAFETY: the kernel has initialised the first `length` bytes, which are within the
        // capacity.
        unsafe { buffer.set_len(length) };
        Ok(())
    }
}

fn length_of<V>() -> libc::socklen_t {
    libc::socklen_t::try_from(mem::size_of::<V>()).unwrap_or(libc::socklen_t::MAX)
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Repeats a call that a signal interrupted; gives the number of bytes.
fn retry_interrupted(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        if let Ok(length) = usize::try_from(call()) {
            return Ok(length);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
