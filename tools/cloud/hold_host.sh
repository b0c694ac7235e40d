#!/bin/bash
# Makes the mount namespace it was started in look like a host of its own, and keeps it open.
# Usage (inside fresh namespaces): hold_host.sh DIRECTORY [HOSTNAME HOSTS_FILE [neutron]]
set -euo pipefail

directory=$1
if [ -n "${2:-}" ]; then
    hostname "$2"
    mount --bind "$3" /etc/hosts
fi

place() {
    mkdir -p "$2"
    mount --bind "$1" "$2"
}

place "$directory/etc" /etc/libvirt
place "$directory/lib" /var/lib/libvirt
place "$directory/log" /var/log/libvirt
place "$directory/cache" /var/cache/libvirt
place "$directory/nova" /var/lib/nova
# Open vSwitch and OVN look for each other in these places, and Neutron's agent makes namespaces of networks.
if [ "${4:-}" = neutron ]; then
    place "$directory/openvswitch" /var/lib/openvswitch
    place "$directory/neutron" /var/lib/neutron
    for own in /run/openvswitch /run/ovn /run/netns; do
        mkdir -p "$own"
        mount -t tmpfs -o mode=755 host "$own"
    done
fi
mkdir -p /run/libvirt
mount -t tmpfs -o mode=755 host /run/libvirt
# The machine's own service manager, bus and control groups know nothing of this host's guests.
for outside in /run/dbus /run/systemd /sys/fs/cgroup; do
    [ -d "$outside" ] && mount -t tmpfs -o mode=755 host "$outside"
done
touch "$directory/run/ready"
exec sleep infinity
