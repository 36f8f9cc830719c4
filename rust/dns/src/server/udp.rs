//! Questions over UDP, many to a system call.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Instant;

use nix::cmsg_space;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg,
    sendmmsg, sendmsg, setsockopt,
};

use super::query_log::Origin;
use super::{Responder, STOP_INTERVAL};
use crate::wire::Limits;

/// The largest answer over UDP, whatever the client takes (DNS flag day 2020).
const UDP_SIZE: u16 = 1232;
/// How many questions are taken at a time, if so many are there.
const BATCH: usize = 32;
/// The largest question that is read whole.
const QUESTION: usize = 4096;

/// A UDP port, on one address or on all.
#[derive(Debug)]
pub(super) struct UdpPort {
    socket: UdpSocket,
    /// Whether it has to be said from which address an answer goes: the one that was asked. The
    /// kernel would choose by the route back.
    is_wildcard: bool,
}

/// The address of ours that a question came to.
#[derive(Clone, Copy)]
enum Asked {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

/// Whom an answer goes to, and from where.
#[derive(Clone, Copy)]
struct Return {
    client: SockaddrStorage,
    asked: Option<Asked>,
}

impl UdpPort {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(STOP_INTERVAL))?;
        let is_wildcard = address.ip().is_unspecified();
        if is_wildcard && address.is_ipv4() {
            setsockopt(&socket, Ipv4PacketInfo, &true)?;
        } else if is_wildcard {
            // IPv4 clients of a socket for both families are told in this form too.
            setsockopt(&socket, Ipv6RecvPacketInfo, &true)?;
        }
        Ok(Self {
            socket,
            is_wildcard,
        })
    }

    /// Answers until the responder is stopped. Several threads may do so; a question is given to one
    /// of them, so that one client alone can keep all of them busy.
    pub(super) fn answer(self: &Arc<Self>, responder: &Arc<Responder>) {
        let mut buffers = vec![[0_u8; QUESTION]; BATCH];
        let control = self
            .is_wildcard
            .then(|| cmsg_space!(in_pktinfo, in6_pktinfo));
        let mut received = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, control);
        let mut sent = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
        let mut start = 0_usize;
        let mut answers: Vec<(Vec<u8>, Return)> = Vec::with_capacity(BATCH);
        while !responder.is_stopped() {
            let mut slices: Vec<_> = buffers
                .iter_mut()
                .map(|one| [IoSliceMut::new(one)])
                .collect();
            let (socket, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_WAITFORONE);
            // A receive that fails is over; the next one may not.
            let Ok(messages) = recvmmsg(socket, &mut received, slices.iter_mut(), flags, None)
            else {
                continue;
            };
            for message in messages {
                let (Some(client), Some(request)) = (message.address, message.iovs().next()) else {
                    continue;
                };
                let asked = message
                    .cmsgs()
                    .ok()
                    .and_then(|mut all| all.find_map(|one| asked(&one)));
                let back = Return { client, asked };
                let Some(address) = socket_address(&client) else {
                    continue;
                };
                start = start.wrapping_add(1);
                let origin = Origin {
                    client: address,
                    protocol: "udp",
                    size: request.len(),
                    received: Instant::now(),
                };
                responder.answer(
                    request,
                    Limits::Udp(UDP_SIZE),
                    start,
                    origin,
                    |answer| answers.push((answer, back)),
                    || {
                        let port = Arc::clone(self);
                        move |answer: Vec<u8>| port.send(&answer, back)
                    },
                );
            }
            self.send_all(&answers, &mut sent);
            answers.clear();
        }
    }

    /// Sends answers; a client asks again if one is lost.
    fn send_all(&self, answers: &[(Vec<u8>, Return)], headers: &mut MultiHeaders<SockaddrStorage>) {
        if self.is_wildcard {
            for (answer, back) in answers {
                self.send(answer, *back);
            }
            return;
        }
        let slices: Vec<_> = answers
            .iter()
            .map(|(answer, _)| [IoSlice::new(answer)])
            .collect();
        let clients: Vec<_> = answers.iter().map(|(_, back)| Some(back.client)).collect();
        let mut done = 0;
        while done < answers.len() {
            let (socket, flags) = (self.socket.as_raw_fd(), MsgFlags::empty());
            let (slices, clients) = (&slices[done..], &clients[done..]);
            let sent = sendmmsg(socket, headers, slices, clients, [], flags);
            // What stopped it is the first that was not sent.
            done += sent.map_or(1, |sent| sent.count().max(1));
        }
    }

    fn send(&self, answer: &[u8], back: Return) {
        let (slices, client) = ([IoSlice::new(answer)], Some(&back.client));
        let (socket, flags) = (self.socket.as_raw_fd(), MsgFlags::empty());
        // The client asks again if the answer is lost.
        let _ = match &back.asked {
            None => sendmsg(socket, &slices, &[], flags, client),
            Some(Asked::V4(info)) => {
                let control = [ControlMessage::Ipv4PacketInfo(info)];
                sendmsg(socket, &slices, &control, flags, client)
            }
            Some(Asked::V6(info)) => {
                let control = [ControlMessage::Ipv6PacketInfo(info)];
                sendmsg(socket, &slices, &control, flags, client)
            }
        };
    }
}

fn asked(message: &ControlMessageOwned) -> Option<Asked> {
    match *message {
        ControlMessageOwned::Ipv4PacketInfo(mut info) => {
            // Any interface may lead back.
            info.ipi_ifindex = 0;
            Some(Asked::V4(info))
        }
        ControlMessageOwned::Ipv6PacketInfo(mut info) => {
            let is_link_local = info.ipi6_addr.s6_addr[..2] == [0xfe, 0x80];
            if !is_link_local {
                info.ipi6_ifindex = 0;
            }
            Some(Asked::V6(info))
        }
        _ => None,
    }
}

fn socket_address(client: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = client
        .as_sockaddr_in()
        .map(|one| SocketAddr::V4((*one).into()));
    v4.or_else(|| {
        client
            .as_sockaddr_in6()
            .map(|one| SocketAddr::V6((*one).into()))
    })
}
