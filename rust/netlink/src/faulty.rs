//! A [`Transport`] that fails on purpose.

use std::collections::VecDeque;
use std::io;
use std::thread;
use std::time::Duration;

use crate::message::NLMSG_ERROR;
use crate::{Header, Messages, Transport, Writer};

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: the call passes.
    Pass,
    /// The call fails with this error number and never reaches the transport.
    Fail(i32),
    /// The datagram is lost: a send reports success, a receive takes it and reports
    /// that nothing came.
    Lose,
    /// The kernel refuses each message with this error number. Receives know no messages: there
    /// it is a [`Self::Pass`].
    Refuse(i32),
    /// The call passes after this time.
    Delay(Duration),
}

/// Wraps a transport and applies scripted faults, one a call; after the script all calls pass.
#[derive(Debug)]
pub struct FaultyTransport<T> {
    transport: T,
    sends: VecDeque<Fault>,
    receives: VecDeque<Fault>,
    refusals: VecDeque<Vec<u8>>,
}

impl<T: Transport> FaultyTransport<T> {
    /// Wraps a transport, without any fault.
    pub fn new(transport: T) -> Self {
        Self {
            transport,
            sends: VecDeque::new(),
            receives: VecDeque::new(),
            refusals: VecDeque::new(),
        }
    }

    /// Appends to the script of sends.
    #[must_use]
    pub fn on_send(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.sends.extend(faults);
        self
    }

    /// Appends to the script of receives.
    #[must_use]
    pub fn on_receive(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.receives.extend(faults);
        self
    }

    /// The transport within.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.transport
    }
}

impl<T: Transport> Transport for FaultyTransport<T> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.sends.pop_front().unwrap_or(Fault::Pass) {
            Fault::Fail(errno) => return Err(io::Error::from_raw_os_error(errno)),
            Fault::Lose => return Ok(()),
            Fault::Refuse(errno) => {
                self.refusals.push_back(refusals(bytes, errno));
                return Ok(());
            }
            Fault::Delay(time) => thread::sleep(time),
            Fault::Pass => {}
        }
        self.transport.send(bytes)
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        match self.receives.pop_front().unwrap_or(Fault::Pass) {
            Fault::Fail(errno) => return Err(io::Error::from_raw_os_error(errno)),
            Fault::Lose => {
                self.transport.receive(buffer)?;
                buffer.clear();
                return Err(io::ErrorKind::TimedOut.into());
            }
            Fault::Delay(time) => thread::sleep(time),
            Fault::Pass | Fault::Refuse(_) => {}
        }
        if let Some(refusals) = self.refusals.pop_front() {
            *buffer = refusals;
            return Ok(());
        }
        self.transport.receive(buffer)
    }
}

/// An error for each message of a datagram (`struct nlmsgerr`).
fn refusals(datagram: &[u8], errno: i32) -> Vec<u8> {
    let mut writer = Writer::new();
    for message in Messages::new(datagram) {
        let start = writer.begin_message(Header {
            kind: NLMSG_ERROR,
            flags: 0,
            sequence: message.header.sequence,
        });
        writer.put_raw(&(-errno).to_ne_bytes());
        writer.end_message(start);
    }
    writer.into_bytes()
}
