#!/bin/busybox sh
# What udhcpc calls when its lease changes: sets the address, the route and the resolver, and leaves the lease in /run.
export PATH=/bin
case $1 in
  deconfig)
    ip -4 addr flush dev "$interface"
    ;;
  bound | renew)
    if [ "$1" = bound ] || [ "$ip" != "$(. /run/lease && echo "$LEASE_IP")" ]; then
      ip -4 addr flush dev "$interface"
      ip addr add "$ip/$mask" dev "$interface"
    fi
    for address in $router; do
      ip route replace default via "$address" dev "$interface" && break
    done
    {
      [ -z "$domain" ] || echo "search $domain"
      for address in $dns; do echo "nameserver $address"; done
    } >/etc/resolv.conf
    [ -z "$hostname" ] || hostname "$hostname"
    { echo "LEASE_IP=$ip"; echo "LEASE_SERVER=${siaddr:-$serverid}"; } >/run/lease.new
    mv /run/lease.new /run/lease
    ;;
esac
