//! A link that flips bits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::SIZE;
use super::network::{Lab, address};
use super::node::PORT;
use super::proxy::{Proxy, Tap, Way};

/// After the first time, the offset in every further connection: far into the payload, and soon enough to strike
/// whatever is sent again.
const AGAIN_AT: usize = 1 << 20;

/// Somebody before a node who changes what passes.
pub(crate) struct Damage {
    /// What stands for the node's own address.
    pub(crate) address: SocketAddr,
    flips: Arc<AtomicUsize>,
}

impl Damage {
    /// Before the node on `host`: flips one bit in the middle of the file, and if `again` one in every further
    /// connection that carries payload.
    pub(crate) fn before(lab: &Lab, host: usize, again: bool) -> Self {
        let flips = Arc::new(AtomicUsize::new(0));
        // The threads of the proxy are started in the host's namespace, and stay there.
        let address = lab.inside(host, || {
            let proxy = Proxy::on(address(host));
            let listening = proxy.address;
            proxy.run((address(host), PORT).into(), flipper(again, Arc::clone(&flips)));
            listening
        });
        Self { address, flips }
    }

    /// How many bits were flipped so far.
    pub(crate) fn flips(&self) -> usize {
        self.flips.load(Ordering::Relaxed)
    }
}

fn flipper(again: bool, flips: Arc<AtomicUsize>) -> Tap {
    Arc::new(move |_, way, offset, bytes| {
        let first = flips.load(Ordering::Relaxed) == 0;
        let at = if first { Some(SIZE as usize / 2) } else { again.then_some(AGAIN_AT) };
        let Some(at) = at.filter(|_| way == Way::Down) else { return };
        if let Some(byte) = at.checked_sub(offset).and_then(|at| bytes.get_mut(at)) {
            *byte ^= 0x10;
            flips.fetch_add(1, Ordering::Relaxed);
        }
    })
}
