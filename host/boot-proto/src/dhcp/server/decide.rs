//! Request in, verdict out (RFC 2131 section 4.3).

use std::fmt;
use std::net::Ipv4Addr;

use super::address::Grant;
use super::book::{Book, Link};
use super::config::{Mode, Picker, Reservation, Subnet};
use super::destination::{Arrival, Destination};
use super::lease::{Lease, LeaseChange, LeaseState};
use crate::boot::BootOffer;
use crate::dhcp::{Encoded, HardwareAddress, MessageType, Op, Packet};

/// What a decision is made from.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The subnet of the client's link; `None` where there is none.
    pub subnet: Option<&'a Subnet>,
    /// The client's reservation, if it has one ([`Book::reservation_of`]).
    pub reservation: Option<&'a Reservation>,
    /// What the operator configured to be sent, laid over all the rest by code: the options of the subnet, and then
    /// those of the reservation. An empty value takes the option out. Option 67 replaces what is chosen to boot; 51,
    /// 52, 53, 54, 61 and 82 are the server's own and ignored here.
    pub options: &'a [(u8, Vec<u8>)],
    /// This server's address that faces the client.
    pub server_id: Ipv4Addr,
    /// All addresses of this server: none of them is given to a client, and all are known as this server.
    pub own: &'a [Ipv4Addr],
    /// Where the request came in.
    pub link: Link,
    /// The client belongs to a machine of the inventory, so that no limit for strangers holds for it.
    pub is_known: bool,
    /// Leases, offers and reservations, with lapsed offers taken out ([`Book::lapse`]).
    pub book: &'a Book,
    /// What the client boots, unless the operator's options say otherwise; `None` for who boots nothing.
    pub boot: &'a BootOffer,
}

/// What to do about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the lease change has to be durable before the reply leaves"]
pub struct Verdict {
    /// What to send; `None` for silence.
    pub reply: Option<Reply>,
    /// What to write first; `None` when the table stays as it is.
    pub lease: Option<LeaseChange>,
    /// The address that the reply offers is new to its client: ask first whether somebody uses it already. If somebody
    /// does, write [`Lease::benched`] for it and decide again.
    pub probe: Option<Ipv4Addr>,
    /// Why, for logs and for the operator.
    pub reason: Reason,
}

/// A reply and its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The message.
    pub packet: Packet,
    /// Where it goes.
    pub destination: Destination,
    /// The largest UDP payload that the client accepts, in bytes.
    pub limit: usize,
}

impl Reply {
    /// Writes the message within the client's limit.
    #[must_use]
    pub fn encode(&self) -> Encoded {
        self.packet.encode(self.limit)
    }
}

/// Why a verdict is as it is; its text form is a phrase for logs and for the message of a NAK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the text form of each says what it means")]
#[non_exhaustive]
pub enum Reason {
    Reservation,
    OwnLease,
    Picked(Picker),
    Informed,
    ProxyAnswered,
    Declined,
    Released,
    NotARequest,
    NoHardwareAddress,
    OtherServer,
    NoSubnet,
    SubnetDisabled,
    WrongNetwork,
    OutOfRange,
    NoAddressAskedFor,
    NoLease,
    NotYours,
    ReservedElsewhere,
    ReservedForAnother,
    ReservationInUse,
    HintTaken,
    NewClientsRefused,
    TooManyOffers,
    AddressesInUse,
    NoAddressLeft,
    NothingToBoot,
    NoReservation,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Reservation => "the address is reserved for this client",
            Self::OwnLease => "the client has a lease of this address",
            Self::Picked(Picker::Hint) => "the client asked for this address and it is free",
            Self::Picked(Picker::NextFree) => "the next free address of the range",
            Self::Picked(Picker::MostExpired) => "the address whose lease expired first",
            Self::Picked(Picker::None) | Self::NewClientsRefused => "the subnet takes no new clients",
            Self::Informed => "the client has an address and asked for options",
            Self::ProxyAnswered => "boot options only, beside another server",
            Self::Declined => "the client declined the address; nobody gets it for ten minutes",
            Self::Released => "the client released the address",
            Self::NotARequest => "not a message from a client",
            Self::NoHardwareAddress => "the hardware address names no client",
            Self::OtherServer => "the message is for another server",
            Self::NoSubnet => "no subnet covers this network",
            Self::SubnetDisabled => "the subnet is disabled",
            Self::WrongNetwork => "the address is not of this network",
            Self::OutOfRange => "the address is not in the active range",
            Self::NoAddressAskedFor => "the request names no address",
            Self::NoLease => "no lease of this address for this client",
            Self::NotYours => "the address is not leased to the sender",
            Self::ReservedElsewhere => "another address is reserved for this client",
            Self::ReservedForAnother => "the address is reserved for another client",
            Self::ReservationInUse => "the reserved address is still leased to another client",
            Self::HintTaken => "the address asked for is taken",
            Self::TooManyOffers => "too many offers are open on this link or in this range",
            Self::AddressesInUse => "one address after the other is in use by somebody without a lease",
            Self::NoAddressLeft => "no address of the range is left",
            Self::NothingToBoot => "there is nothing to boot for this client",
            Self::NoReservation => "bootp clients need a reservation",
        })
    }
}

/// Decides what to answer to a request. Reads only; see [`LeaseChange`] on serializing.
pub fn decide(context: &Context<'_>, request: &Packet, arrival: &Arrival, now_ms: u64) -> Verdict {
    let token = request.chaddr;
    if request.op != Op::Request {
        return Verdict::silence(Reason::NotARequest);
    }
    if !token.names_one_client() {
        return Verdict::silence(Reason::NoHardwareAddress);
    }
    let decision = Decision {
        context,
        request,
        arrival,
        now_ms,
        server_id: request.server_id_override().unwrap_or(context.server_id),
    };
    decision.verdict()
}

/// One request with all that bears on it.
pub(super) struct Decision<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) request: &'a Packet,
    pub(super) arrival: &'a Arrival,
    pub(super) now_ms: u64,
    /// The server identifier of the reply, which a relay may have replaced (RFC 5107).
    pub(super) server_id: Ipv4Addr,
}

impl Verdict {
    fn silence(reason: Reason) -> Self {
        Self { reply: None, lease: None, probe: None, reason }
    }
}

impl Decision<'_> {
    pub(super) fn token(&self) -> HardwareAddress {
        self.request.chaddr
    }

    fn verdict(&self) -> Verdict {
        let kind = self.request.message_type();
        let proxy = self.context.subnet.is_some_and(|subnet| subnet.mode == Mode::Proxy);
        match kind {
            _ if self.arrival.binl || proxy => self.proxy(kind, proxy),
            Some(_) if self.is_for_another_server() => self.other_server(),
            Some(MessageType::Discover) => self.discover(),
            Some(MessageType::Request) => self.request(),
            Some(MessageType::Decline) => self.decline(),
            Some(MessageType::Release) => self.release(),
            Some(MessageType::Inform) => self.inform(),
            Some(_) => Verdict::silence(Reason::NotARequest),
            None if self.request.options.contains(crate::dhcp::code::MESSAGE_TYPE) => {
                Verdict::silence(Reason::NotARequest)
            }
            None => self.bootp(),
        }
    }

    fn is_for_another_server(&self) -> bool {
        self.request.server_id().is_some_and(|id| !self.is_own(id))
    }

    /// The client took another server's offer: ours is free again at once.
    fn other_server(&self) -> Verdict {
        let choosing = self.request.message_type() == Some(MessageType::Request);
        let leases = self.context.book.leases_of(self.token(), self.context.subnet);
        let offered = leases.iter().filter(|lease| choosing && lease.state == LeaseState::Offered);
        let withdraw = offered.map(|lease| lease.address).collect::<Vec<_>>();
        let lease = (!withdraw.is_empty()).then(|| LeaseChange { withdraw, ..LeaseChange::default() });
        Verdict { lease, ..Verdict::silence(Reason::OtherServer) }
    }

    fn discover(&self) -> Verdict {
        match self.address_to_offer() {
            Ok(grant) => Verdict {
                reply: Some(self.address_reply(Some(MessageType::Offer), &grant)),
                lease: self.hold(&grant),
                probe: self.must_probe(&grant).then_some(grant.address),
                reason: grant.why,
            },
            Err(reason) => Verdict::silence(reason),
        }
    }

    /// Keeps the offered address for this client. A lease that runs on is left alone, and a reservation keeps itself.
    fn hold(&self, grant: &Grant) -> Option<LeaseChange> {
        if grant.why == Reason::Reservation {
            return None;
        }
        let keep_ms = self.context.book.offer_ms(self.context.link, self.context.subnet);
        let expires_ms = self.now_ms.saturating_add(keep_ms);
        if self
            .own_lease(grant.address)
            .is_some_and(|lease| lease.state == LeaseState::Bound && lease.expires_ms >= expires_ms)
        {
            return None;
        }
        let offered = Lease {
            address: grant.address,
            token: Some(self.token()),
            state: LeaseState::Offered,
            expires_ms,
            duration_secs: grant.lease_secs,
        };
        let is_unproved = self.must_probe(grant);
        Some(LeaseChange { put: Some(offered), is_unproved, ..LeaseChange::default() })
    }

    /// An address is probed when it is given to a client that does not use it yet.
    fn must_probe(&self, grant: &Grant) -> bool {
        let skips = match self.context.reservation {
            Some(reservation) => reservation.skip_probe,
            None => self.context.subnet.is_some_and(|subnet| subnet.skip_probe),
        };
        if skips {
            return false;
        }
        if self.context.book.is_unproved(grant.address) {
            return true;
        }
        // Behind a relay a running client would answer for the address that has just been reserved for it.
        let is_moved = grant.why == Reason::Reservation && !self.request.giaddr.is_unspecified();
        let known = self.context.book.lease_at(grant.address);
        // A client that uses the address of its former lease answers too, and may have it again.
        !is_moved && !known.is_some_and(|lease| lease.belongs_to(self.token()))
    }

    /// RFC 2131 section 4.3.2, and its table 4 for what tells the kinds of request apart.
    fn request(&self) -> Verdict {
        let ciaddr = Some(self.request.ciaddr).filter(|ciaddr| !ciaddr.is_unspecified());
        let selecting = self.request.server_id().is_some();
        let Some(address) = self.request.requested_address().or(ciaddr) else {
            return self.refuse(Reason::NoAddressAskedFor, selecting);
        };
        match self.address_asked_for(address) {
            Ok(grant) => Verdict {
                reply: Some(self.address_reply(Some(MessageType::Ack), &grant)),
                lease: Some(self.bind(&grant)),
                probe: None,
                reason: grant.why,
            },
            Err(reason) => self.refuse(reason, selecting),
        }
    }

    /// Says NAK where this server has authority, else nothing: a NAK for another server's client would be sabotage.
    fn refuse(&self, reason: Reason, selecting: bool) -> Verdict {
        // Whoever asks exactly this host gets an answer, also the health test of the cli (drp-api.md 15.2).
        let asked_us = self.arrival.unicast && self.request.giaddr.is_unspecified();
        let names_nothing = reason == Reason::NoAddressAskedFor;
        let authority = self.context.subnet.is_some() && !names_nothing;
        // A disabled subnet neither renews nor sends anybody away: its leases run out.
        let leave_alone = reason == Reason::SubnetDisabled && !selecting;
        if leave_alone || !(selecting || asked_us || authority) {
            return Verdict::silence(reason);
        }
        Verdict { reply: Some(self.nak_reply(&reason)), ..Verdict::silence(reason) }
    }

    fn bind(&self, grant: &Grant) -> LeaseChange {
        // Without a subnet this is about one reserved address, and says nothing about leases elsewhere.
        let leases =
            self.context.subnet.map(|subnet| self.context.book.leases_of(self.token(), Some(subnet)));
        let leases = leases.unwrap_or_default();
        let former = leases.iter().map(|lease| lease.address).filter(|former| *former != grant.address);
        let millis = u64::from(grant.lease_secs).saturating_mul(1000);
        LeaseChange {
            put: Some(Lease {
                address: grant.address,
                token: Some(self.token()),
                state: LeaseState::Bound,
                expires_ms: self.now_ms.saturating_add(millis),
                duration_secs: grant.lease_secs,
            }),
            remove: former.collect(),
            ..LeaseChange::default()
        }
    }

    fn decline(&self) -> Verdict {
        let lease = self.request.requested_address().and_then(|address| self.own_lease(address));
        let Some(lease) = lease else {
            return Verdict::silence(Reason::NotYours);
        };
        let put = Some(Lease::benched(lease.address, self.now_ms));
        let change = LeaseChange { put, ..LeaseChange::default() };
        self.give_up(&lease, change, Reason::Declined)
    }

    fn release(&self) -> Verdict {
        let Some(lease) = self.own_lease(self.request.ciaddr) else {
            return Verdict::silence(Reason::NotYours);
        };
        let put = Some(Lease { state: LeaseState::Expired, expires_ms: self.now_ms, ..lease });
        let change = LeaseChange { put, ..LeaseChange::default() };
        self.give_up(&lease, change, Reason::Released)
    }

    /// Ends a lease of the client. Of an offer that it never took nothing stays, or strangers could use up a range.
    fn give_up(&self, lease: &Lease, change: LeaseChange, reason: Reason) -> Verdict {
        let change = match lease.state {
            LeaseState::Offered => LeaseChange { withdraw: vec![lease.address], ..LeaseChange::default() },
            _ => change,
        };
        Verdict { lease: Some(change), ..Verdict::silence(reason) }
    }

    fn own_lease(&self, address: Ipv4Addr) -> Option<Lease> {
        let lease = self.context.book.lease_at(address)?;
        Some(lease).filter(|lease| lease.belongs_to(self.token()) && !lease.is_expired(self.now_ms))
    }

    fn inform(&self) -> Verdict {
        let Some(subnet) = self.context.subnet else {
            return Verdict::silence(Reason::NoSubnet);
        };
        if !subnet.enabled {
            return Verdict::silence(Reason::SubnetDisabled);
        }
        if self.request.ciaddr.is_unspecified() {
            return Verdict::silence(Reason::NoAddressAskedFor);
        }
        if !subnet.contains(self.request.ciaddr) {
            return Verdict::silence(Reason::WrongNetwork);
        }
        Verdict { reply: Some(self.inform_reply()), ..Verdict::silence(Reason::Informed) }
    }

    /// Plain BOOTP knows no lease time, so only a reserved address can be given.
    fn bootp(&self) -> Verdict {
        if self.context.reservation.is_none() {
            return Verdict::silence(Reason::NoReservation);
        }
        match self.address_to_offer() {
            Ok(grant) => {
                Verdict { reply: Some(self.address_reply(None, &grant)), ..Verdict::silence(grant.why) }
            }
            Err(reason) => Verdict::silence(reason),
        }
    }

    /// Answers as a proxy on port 67 and as a boot server on 4011: boot options, never an address. The only NAK is for
    /// who asked exactly this host about no address at all, the health test of drp-api.md 15.2.
    fn proxy(&self, kind: Option<MessageType>, proxy_mode: bool) -> Verdict {
        let firmware = self.request.is_pxe_client() || self.request.is_http_client();
        let address = self.request.requested_address().unwrap_or(self.request.ciaddr);
        let answer = match kind {
            Some(MessageType::Discover) if firmware && proxy_mode && !self.arrival.binl => MessageType::Offer,
            Some(MessageType::Request | MessageType::Inform) if firmware && self.arrival.binl => {
                MessageType::Ack
            }
            Some(MessageType::Request) if !firmware && address.is_unspecified() => {
                return self.refuse(Reason::NoAddressAskedFor, false);
            }
            _ => return Verdict::silence(Reason::NothingToBoot),
        };
        if self.context.subnet.is_some_and(|subnet| !subnet.enabled) {
            return Verdict::silence(Reason::SubnetDisabled);
        }
        match self.proxy_reply(answer) {
            Some(reply) => Verdict { reply: Some(reply), ..Verdict::silence(Reason::ProxyAnswered) },
            None => Verdict::silence(Reason::NothingToBoot),
        }
    }
}
