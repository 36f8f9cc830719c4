//! A [`Transport`] that fails on purpose.

use std::collections::VecDeque;
use std::io;
use std::thread;
use std::time::Duration;

use crate::Transport;

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
    /// The call passes after this time.
    Delay(Duration),
}

/// Wraps a transport and applies scripted faults, one a call; after the script all calls pass.
#[derive(Debug)]
pub struct FaultyTransport<T> {
    transport: T,
    sends: VecDeque<Fault>,
    receives: VecDeque<Fault>,
}

impl<T: Transport> FaultyTransport<T> {
    /// Wraps a transport, without any fault.
    pub fn new(transport: T) -> Self {
        Self {
            transport,
            sends: VecDeque::new(),
            receives: VecDeque::new(),
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
            Fault::Pass => {}
        }
        self.transport.receive(buffer)
    }
}
