//! What the boot services have counted since the start: packets that are none, among others.

use std::sync::{Arc, OnceLock};

use formwork_api::Stat;
use formwork_boot::{DhcpCounters, HttpCounters, TftpCounters};

/// The counters of the services that run.
#[derive(Debug, Default)]
pub(crate) struct BootCounts {
    dhcp: OnceLock<Arc<DhcpCounters>>,
    tftp: OnceLock<Arc<TftpCounters>>,
    http: OnceLock<Arc<HttpCounters>>,
}

impl BootCounts {
    /// Takes in the counters of the DHCP service, and returns them.
    pub(super) fn of_dhcp(&self, counters: Arc<DhcpCounters>) -> Arc<DhcpCounters> {
        Arc::clone(self.dhcp.get_or_init(|| counters))
    }

    /// Takes in the counters of the TFTP service, and returns them.
    pub(super) fn of_tftp(&self, counters: Arc<TftpCounters>) -> Arc<TftpCounters> {
        Arc::clone(self.tftp.get_or_init(|| counters))
    }

    /// Takes in the counters of what sends real files over HTTP in the clear.
    pub(super) fn of_http(&self, counters: Arc<HttpCounters>) {
        let _ = self.http.set(counters);
    }

    /// Returns what was counted as `GET /info` tells it; nothing of a service that does not run.
    pub(crate) fn stats(&self) -> Vec<Stat> {
        let dhcp = self.dhcp.get().map(|dhcp| dhcp.snapshot());
        let tftp = self.tftp.get().map(|tftp| tftp.snapshot());
        let dhcp = dhcp.map(|dhcp| {
            [
                ("dhcp.received", dhcp.received),
                ("dhcp.malformed", dhcp.malformed),
                ("dhcp.dropped", dhcp.dropped),
                ("dhcp.answered", dhcp.answered),
            ]
        });
        let tftp = tftp.map(|tftp| {
            [
                ("tftp.received", tftp.received),
                ("tftp.malformed", tftp.malformed),
                ("tftp.dropped", tftp.dropped),
                ("tftp.completed", tftp.completed),
            ]
        });
        let http = self.http.get().map(|http| http.snapshot());
        let http = http.map(|http| [("http.files", http.answered), ("http.bytes", http.bytes)]);
        let all = dhcp.into_iter().chain(tftp).flatten().chain(http.into_iter().flatten());
        all.map(|(name, count)| Stat { name: name.to_owned(), count }).collect()
    }
}
