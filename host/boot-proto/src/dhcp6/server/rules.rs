//! Which messages are dropped unread (RFC 8415 sections 16 and 18.4).

use super::verdict::Reason;
use crate::dhcp6::{Duid, Message, MessageType, code};

/// Tells why a message is not for this server.
pub(super) fn check(message: &Message, server_id: &Duid) -> Result<(), Reason> {
    let names_server = message.options.contains(code::SERVER_ID);
    let names_us = message.server_id().is_some_and(|id| id == *server_id);
    match message.kind {
        MessageType::Solicit | MessageType::Confirm | MessageType::Rebind => {
            if names_server {
                return Err(Reason::NamesAServer);
            }
        }
        MessageType::Request | MessageType::Renew | MessageType::Release | MessageType::Decline => {
            if !names_server {
                return Err(Reason::NamesNoServer);
            }
            if !names_us {
                return Err(Reason::OtherServer);
            }
        }
        MessageType::InformationRequest => {
            if names_server && !names_us {
                return Err(Reason::OtherServer);
            }
            let associations = [code::IA_NA, code::IA_TA, code::IA_PD];
            if associations.iter().any(|code| message.options.contains(*code)) {
                return Err(Reason::AsksForAddresses);
            }
        }
        MessageType::Advertise | MessageType::Reply | MessageType::Reconfigure => {
            return Err(Reason::NotARequest);
        }
    }
    let may_be_anonymous = message.kind == MessageType::InformationRequest;
    let names_client = message.options.contains(code::CLIENT_ID) || !may_be_anonymous;
    if names_client && message.client_id().is_none() {
        return Err(Reason::NoClientId);
    }
    Ok(())
}

/// Tells whether a client that sends a message by unicast is told not to; else it gets no answer. Nobody is allowed
/// to: that would need the option Unicast, which is not sent.
pub(super) fn is_told_to_use_multicast(kind: MessageType) -> bool {
    matches!(kind, MessageType::Request | MessageType::Renew | MessageType::Release | MessageType::Decline)
}
