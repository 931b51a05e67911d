//! The endpoint as one of its networks sees it: an endpoint in several networks has an address in each, and a machine reaches
//! the one that it talks to.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use formwork_core::params::Found;
use formwork_model::Machine;
use formwork_store::Snapshot;
use serde_json::Value as Json;

use super::scene::Site;
use crate::endpoint::Endpoint;

/// Returns the endpoint as a client sees it that talks to `local`: with the configured address where there is one, else with
/// `local`.
pub(crate) fn facing(endpoint: &Arc<Endpoint>, local: IpAddr) -> Arc<dyn Site> {
    let own = Arc::clone(endpoint);
    match endpoint.address_facing(local) {
        address if address == IpAddr::V4(endpoint.address) => own,
        _ => Arc::new(Facing { endpoint: own, local }),
    }
}

struct Facing {
    endpoint: Arc<Endpoint>,
    local: IpAddr,
}

impl Site for Facing {
    fn address(&self) -> IpAddr {
        self.endpoint.address_facing(self.local)
    }

    fn file_url(&self) -> String {
        self.endpoint.file_url_facing(self.local)
    }

    fn api_url(&self) -> String {
        self.endpoint.api_url_facing(self.local)
    }

    fn file_root(&self) -> PathBuf {
        self.endpoint.file_root()
    }

    fn info(&self) -> Json {
        let mut info = self.endpoint.info();
        if let Some(members) = info.as_object_mut() {
            members.insert(String::from("Address"), Json::from(self.address().to_string()));
        }
        info
    }

    fn used(&self, objects: &Snapshot, name: &str, found: Found) -> Option<Json> {
        self.endpoint.used(objects, name, found)
    }

    fn unknown_token(&self, objects: &Snapshot) -> String {
        self.endpoint.unknown_token(objects)
    }

    fn machine_token(&self, objects: &Snapshot, machine: &Machine, forever: bool) -> String {
        self.endpoint.machine_token(objects, machine, forever)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::testing::{Site as Place, Wishes};

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1));
    const LOCAL_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1));

    #[test]
    fn each_network_is_told_the_address_in_it() {
        let place = Place::new(Wishes::default());
        let site = facing(&place.endpoint, LOCAL);
        assert_eq!(site.address(), LOCAL);
        assert_eq!(site.info()["Address"], "10.9.0.1");
        assert!(site.file_url().starts_with("http://10.9.0.1:"), "{}", site.file_url());
        assert!(site.api_url().starts_with("https://10.9.0.1:"), "{}", site.api_url());
        assert_eq!(place.endpoint.file_url_facing(LOCAL), site.file_url());
        let nowhere = facing(&place.endpoint, Ipv4Addr::UNSPECIFIED.into());
        assert_eq!(nowhere.address(), IpAddr::V4(place.endpoint.address));
    }

    #[test]
    fn client_of_ipv6_is_told_urls_of_ipv6() {
        let mut place = Place::new(Wishes::default());
        let (files, api) = (place.endpoint.options.static_port, place.endpoint.options.api_port);
        // The configured address is of IPv4 and leads nowhere from there.
        Arc::get_mut(&mut place.endpoint).unwrap().options.static_ip = Some([192, 0, 2, 1].into());
        let site = facing(&place.endpoint, LOCAL_6);
        assert_eq!(site.file_url(), format!("http://[fd77::1]:{files}"));
        assert_eq!(site.api_url(), format!("https://[fd77::1]:{api}"));
        assert_eq!(site.info()["Address"], "fd77::1");
        let link_local = facing(&place.endpoint, "fe80::1".parse().unwrap());
        assert_eq!(link_local.address(), IpAddr::V4(place.endpoint.address));
    }

    #[test]
    fn address_that_the_operator_configured_is_told_everywhere() {
        let mut place = Place::new(Wishes::default());
        let endpoint = Arc::get_mut(&mut place.endpoint).unwrap();
        (endpoint.address, endpoint.options.static_ip) = ([192, 0, 2, 1].into(), Some([192, 0, 2, 1].into()));
        assert_eq!(facing(&place.endpoint, LOCAL).address(), IpAddr::V4([192, 0, 2, 1].into()));
    }
}
