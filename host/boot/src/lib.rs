//! Sockets around boot-proto.
