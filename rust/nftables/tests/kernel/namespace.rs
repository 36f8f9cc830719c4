//! A fresh network namespace for each test, and `nft` as the oracle in it.

use std::io::Write as _;
use std::panic;
use std::process::{Command, Stdio};
use std::thread;

use kpx_netlink::Socket;
use kpx_netlink::socket::NETLINK_NETFILTER;
use kpx_nftables::Client;
use nix::sched::{CloneFlags, unshare};

/// Runs a test on a thread of its own in a network namespace of its own.
pub(crate) fn in_namespace(test: impl FnOnce(Client<Socket>) + Send + 'static) {
    let outcome = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET)
            .expect("kernel tests need root: run them as root or under `unshare -r`");
        test(client());
    })
    .join();
    if let Err(cause) = outcome {
        panic::resume_unwind(cause);
    }
}

/// Another client in the namespace of the calling thread.
pub(crate) fn client() -> Client<Socket> {
    Client::new(Socket::open(NETLINK_NETFILTER).unwrap())
}

/// Runs `nft` in the namespace of the calling thread, and gives what it prints.
#[expect(clippy::disallowed_methods, reason = "`nft` is the tests' oracle")]
pub(crate) fn nft(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("nft")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kernel tests need `nft`");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "nft {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
