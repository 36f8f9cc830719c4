//! A server that is stopped while questions wait for replies of other servers.

use std::error::Error;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kpx_dns::{Server, ServerConfig, Store, ZoneConfig};

const QUESTION: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03org\x00\x00\x01\x00\x01";
const PATIENCE: Duration = Duration::from_secs(30);

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Whether the thread that asks other servers is there.
fn is_forwarding() -> Result<bool, Box<dyn Error>> {
    for task in std::fs::read_dir("/proc/self/task")? {
        // A thread may end meanwhile.
        let name = std::fs::read_to_string(task?.path().join("comm")).unwrap_or_default();
        if name.trim_end() == "dns-forward" {
            return Ok(true);
        }
    }
    Ok(false)
}

#[test]
fn nothing_is_left_of_a_server_that_stops() -> Result<(), Box<dyn Error>> {
    std::panic::set_hook(Box::new(|_| {
        PANICS.fetch_add(1, Ordering::Relaxed);
    }));
    let silent = UdpSocket::bind("127.0.0.1:0")?;
    silent.set_read_timeout(Some(PATIENCE))?;
    let config = ZoneConfig::from_json(r#"{"zone": "cluster.local", "ttl": 5}"#)?;
    let store = Arc::new(Store::new(config));
    let config = ServerConfig {
        address: "127.0.0.1:0".parse()?,
        threads: 1,
        transfer_to: Vec::new(),
        upstream: vec![silent.local_addr()?],
        log_queries: false,
    };
    let server = Server::start(&store, config)?;
    let client = UdpSocket::bind("127.0.0.1:0")?;
    client.send_to(QUESTION, server.address())?;
    silent.recv_from(&mut [0; 512])?;
    assert!(is_forwarding()?);
    drop(server);

    let stopped = Instant::now();
    while Arc::strong_count(&store) > 1 || is_forwarding()? {
        assert!(stopped.elapsed() < PATIENCE, "something goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
    Ok(())
}
