#!/bin/busybox sh
# The first process of the discovery system: brings up the network and keeps the agent running.
#
# Kernel arguments:
#   BOOTIF=01-aa-bb-cc-dd-ee-ff         the interface that booted, as iPXE and pxelinux pass it
#   formwork.endpoint=https://HOST:PORT where the agent reports to (else port 8092 of the DHCP server)
#   formwork.token=TOKEN                what it shows there
export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts 2>/dev/null
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
[ -d /sys/firmware/efi/efivars ] && mount -t efivarfs efivarfs /sys/firmware/efi/efivars 2>/dev/null
exec </dev/console >/dev/console 2>&1

say() {
  read -r uptime _ </proc/uptime
  echo "formwork-init: [$uptime] $*"
}

BOOTIF= ENDPOINT= TOKEN=
read -r line </proc/cmdline
for argument in $line; do
  case $argument in
    BOOTIF=*) BOOTIF=${argument#BOOTIF=} ;;
    formwork.endpoint=*) ENDPOINT=${argument#formwork.endpoint=} ;;
    formwork.token=*) TOKEN=${argument#formwork.token=} ;;
  esac
done
say "started, kernel $(uname -r)"

# Loads the drivers of the hardware that is there. Another round follows as long as drivers show more of it:
# a PCI card can be a bus of its own.
load_drivers() {
  seen=
  while :; do
    found=$(sort -u /sys/bus/*/devices/*/modalias 2>/dev/null)
    [ "$found" != "$seen" ] || return
    seen=$found
    modprobe -a -q $found 2>/dev/null
  done
}
load_drivers

# Prints the wanted interface: the one that booted, else the first ethernet with a link, else (with "any") the first.
choose() {
  for folder in /sys/class/net/*; do
    [ "$(cat "$folder/type" 2>/dev/null)" = 1 ] || continue
    name=${folder##*/}
    if [ -n "$BOOTIF" ]; then
      address=$(tr : - <"$folder/address")
      [ "01-$address" = "$(echo "$BOOTIF" | tr A-Z: a-z-)" ] || continue
    elif [ "$1" != any ]; then
      ip link set "$name" up
      [ "$(cat "$folder/carrier" 2>/dev/null)" = 1 ] || continue
    fi
    echo "$name"
    return
  done
}

ip link set lo up
NIC= tries=0
while [ -z "$NIC" ]; do
  tries=$((tries + 1))
  NIC=$(choose)
  # A card may need seconds for its link; after ten, one without a link is better than none.
  [ -z "$NIC" ] && [ $tries -ge 100 ] && [ -z "$BOOTIF" ] && NIC=$(choose any)
  [ -z "$NIC" ] && [ $((tries % 100)) = 0 ] && say "no network interface ${BOOTIF:-at all} yet"
  [ -n "$NIC" ] || { sleep 0.1; load_drivers; }
done
ip link set "$NIC" up
say "network card $NIC $(cat "/sys/class/net/$NIC/address")"

# Without -q it stays and renews the lease.
until udhcpc -i "$NIC" -s /etc/udhcpc.script -n -t 8 -T 1 -V formwork-discovery >/run/udhcpc.log 2>&1; do
  say "no answer from a DHCP server on $NIC: $(tail -n 1 /run/udhcpc.log)"
done
. /run/lease
say "network up $LEASE_IP $NIC"

: "${ENDPOINT:=https://$LEASE_SERVER:8092}"
export RS_ENDPOINT="$ENDPOINT"
[ -n "$TOKEN" ] && export RS_TOKEN="$TOKEN"

pause=1
while :; do
  say "agent starts, endpoint $RS_ENDPOINT"
  read -r before _ </proc/uptime
  /bin/formwork agent
  status=$?
  read -r after _ </proc/uptime
  # The agent reboots and powers off by itself; an exit with 0 is a workflow's "stop".
  if [ $status = 0 ]; then
    say "agent stopped"
    break
  fi
  [ $((${after%.*} - ${before%.*})) -ge 60 ] && pause=1
  say "agent ended with status $status, again in $pause s"
  sleep $pause
  [ $pause -lt 30 ] && pause=$((pause * 2))
done

# Nothing is left to do but to hold the machine as the workflow left it; the console has a shell.
while :; do
  sh
  sleep 1
done
