# The machines guests run on. Each has a libvirtd of its own, with its own files, behind a mount
# namespace; in a distributed cloud also its own name and its own network. So no host of this cloud
# can touch another one's guests, nor those of a libvirtd that the machine itself runs.
# shellcheck shell=bash

host_directory() {
    echo "$CLOUD_DIR/hosts/$1"
}

# host_address INDEX: on the management network; .1 is the machine itself.
host_address() {
    echo "$MANAGEMENT.$((10 + $1))"
}

network_namespace() {
    echo "cloud$SUFFIX-$1"
}

open_virtualization() {
    # libvirtd tries out QEMU anew before each start of a guest when QEMU's user cannot open the device.
    if [ -e /dev/kvm ]; then
        chgrp kvm /dev/kvm
        chmod 660 /dev/kvm
    fi
}

start_hosts() {
    local index
    open_virtualization
    [ "$MODE" = embedded ] || write_names
    for index in "${!HOSTS[@]}"; do start_host "${HOSTS[$index]}" $((index + 1)); done
}

# Hosts know each other by name, as those of a real cloud do: libvirtd waits for a resolver that does not answer at
# both ends of a migration. Written in place, because hosts that run have this very file mounted.
write_names() {
    local index
    {
        echo "127.0.0.1 localhost"
        for index in "${!HOSTS[@]}"; do echo "$(host_address $((index + 1))) ${HOSTS[$index]}"; done
    } >"$CLOUD_DIR/names"
}

wait_for_hosts() {
    local name
    for name in "${HOSTS[@]}"; do wait_for_libvirt "$name"; done
}

start_host() {
    local name=$1 index=$2
    prepare_host_files "$name" "$index"
    if [ "$MODE" = embedded ]; then
        start_process "$name" unshare --mount --propagation slave "$ROOT/tools/cloud/hold_host.sh" "$(host_directory "$name")"
    else
        connect_host "$name" "$index"
        start_process "$name" ip netns exec "$(network_namespace "$name")" \
            unshare --mount --uts --propagation slave "$ROOT/tools/cloud/hold_host.sh" "$(host_directory "$name")" "$name" \
            "$CLOUD_DIR/names" "$([ "$NEUTRON" = 0 ] || echo neutron)"
    fi
    wait_until 10 "the namespaces of $name" test -e "$(host_directory "$name")/run/ready"
    start_chassis "$name" "$index"
    start_libvirt "$name"
}

# The number of a host, from 1; fails for what is no host.
host_index() {
    local index
    for index in "${!HOSTS[@]}"; do
        [ "${HOSTS[$index]}" != "$1" ] || { echo $((index + 1)); return 0; }
    done
    return 1
}

# The power cut of a whole host: its daemons and its guests. What is on its disks stays.
kill_host() {
    local holder namespace process
    holder=$(process_id "$1") || return 0
    namespace=$(host_namespace "$holder")
    # The holder last: while it lives, the namespace can be told.
    end_processes_in_host "$1"
    kill -KILL "$holder" 2>/dev/null || true
    # What was begun while the others died.
    for process in $(processes_in "$namespace"); do kill -KILL "$process" 2>/dev/null || true; done
    wait_until 10 "$1 to die" is_gone "$1"
    rm -f "$(host_directory "$1")/run/ready"
}

# What is left of a host but for its holder: agents start programs of their own.
end_processes_in_host() {
    local holder process
    holder=$(process_id "$1") || return 0
    for process in $(processes_in "$(host_namespace "$holder")" | grep -vx "$holder"); do
        kill -KILL "$process" 2>/dev/null || true
    done
}

# The namespace that tells a host's processes from all others. What runs in another network there has a mount namespace of
# its own, but the host's name; the embedded cloud's host has the machine's.
host_namespace() {
    local kind=uts
    [ "$MODE" != embedded ] || kind=mnt
    readlink "/proc/$1/ns/$kind"
}

processes_in() {
    local process
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/ns/${1%%:*}" 2>/dev/null)" != "$1" ] || echo "${process#/proc/}"
    done
}

# After kill_host: the host with its libvirtd and its nova-compute.
restart_host() {
    start_host "$1" "$(host_index "$1")"
    wait_for_libvirt "$1"
    [ "$NEUTRON" = 0 ] || start_neutron_part "$1-metadata-agent"
    if [ "$MODE" = embedded ]; then start_daemon nova-all; else start_daemon "nova-compute@$1"; fi
}

start_libvirt() {
    local listen=()
    # Hosts reach each other for live migration; a host that is alone listens to nobody.
    [ "$MODE" = embedded ] || listen=(--listen)
    start_process "$1-virtlogd" "${ENTER_HOST[@]}" "$1" /usr/sbin/virtlogd --pid-file /run/libvirt/virtlogd.pid
    start_process "$1-libvirtd" "${ENTER_HOST[@]}" "$1" /usr/sbin/libvirtd --pid-file /run/libvirt/libvirtd.pid "${listen[@]}"
}

# The front of a command line that runs the rest inside a host: in_host NAME COMMAND...
ENTER_HOST=("$ROOT/tools/cloud/enter_host.sh")

in_host() {
    "${ENTER_HOST[@]}" "$@"
}

prepare_host_files() {
    local directory address uuid
    directory=$(host_directory "$1")
    address=127.0.0.1
    [ "$MODE" = embedded ] || address=$(host_address "$2")
    mkdir -p "$directory"/{etc,lib,log,cache,nova,neutron,openvswitch,run}
    [ -e "$directory/uuid" ] || cat /proc/sys/kernel/random/uuid >"$directory/uuid"
    uuid=$(cat "$directory/uuid")
    cat >"$directory/etc/libvirtd.conf" <<CONF
host_uuid = "$uuid"
auth_unix_ro = "none"
auth_unix_rw = "none"
listen_tls = 0
listen_tcp = 1
auth_tcp = "none"
listen_addr = "$address"
tcp_port = "$((16509 + OFFSET))"
CONF
    cat >"$directory/etc/qemu.conf" <<CONF
# The guests' own walls are QEMU's user and this host's namespaces.
security_driver = "none"
namespaces = []
cgroup_controllers = []
$([ "$MODE" = embedded ] || echo "migration_address = \"$address\"")
CONF
    # Asking QEMU what it can do takes seconds; the answer is the same on every host.
    if [ -d "$CACHE/libvirt" ] && [ ! -e "$directory/cache/qemu" ]; then
        cp -a "$CACHE/libvirt/." "$directory/cache/"
    fi
}

wait_for_libvirt() {
    wait_while_running "$1-libvirtd" 60 "answer virsh list" libvirt_answers "$1"
    (
        flock 9
        [ -d "$CACHE/libvirt" ] || cp -a "$(host_directory "$1")/cache" "$CACHE/libvirt"
    ) 9>"$CACHE/lock"
}

libvirt_answers() {
    in_host "$1" virsh -q list >/dev/null 2>&1
}

# Management joins hosts and control plane; the fabric carries the guests' own traffic between hosts and nova-network.
# The fabric is a switch in a namespace of its own: the machine's connection tracking would take what passes it there
# for what passes it again at the guests' gateway, and translate no address.
make_management_network() {
    ip link show "$MANAGEMENT_BRIDGE" >/dev/null 2>&1 || ip link add "$MANAGEMENT_BRIDGE" type bridge
    ip addr replace "$MANAGEMENT.1/24" dev "$MANAGEMENT_BRIDGE"
    ip link set "$MANAGEMENT_BRIDGE" up
    add_namespace "$FABRIC"
    ip -n "$FABRIC" link show switch >/dev/null 2>&1 || ip -n "$FABRIC" link add switch type bridge
    ip -n "$FABRIC" link set switch up
    ip link show "$FABRIC_INTERFACE" >/dev/null 2>&1 ||
        ip link add "$FABRIC_INTERFACE" type veth peer name machine netns "$FABRIC"
    ip -n "$FABRIC" link set machine master switch up
    ip link set "$FABRIC_INTERFACE" up
    connect_public_network
}

add_namespace() {
    [ -e "/run/netns/$1" ] || ip netns add "$1"
    ip -n "$1" link set lo up
}

connect_host() {
    local namespace management
    namespace=$(network_namespace "$1")
    management=cloud${SUFFIX}h$2
    add_namespace "$namespace"
    ip link show "$management" >/dev/null 2>&1 || ip link add "$management" type veth peer name eth0 netns "$namespace"
    ip link set "$management" master "$MANAGEMENT_BRIDGE" up
    ip -n "$FABRIC" link show "$1" >/dev/null 2>&1 ||
        ip -n "$FABRIC" link add "$1" type veth peer name eth1 netns "$namespace"
    ip -n "$FABRIC" link set "$1" master switch up
    ip -n "$namespace" link set eth0 up
    ip -n "$namespace" link set eth1 up
    ip -n "$namespace" addr replace "$(host_address "$2")/24" dev eth0
    ip -n "$namespace" route replace default via "$MANAGEMENT.1"
    connect_chassis "$namespace" "$2"
}

stop_hosts() {
    local index name
    for index in "${!HOSTS[@]}"; do
        name=${HOSTS[$index]}
        remove_guests "$name"
        stop_process "$name-libvirtd"
        stop_process "$name-virtlogd"
        stop_chassis "$name"
        stop_process "$name" 2
        if [ "$MODE" != embedded ]; then
            ip netns del "$(network_namespace "$name")" 2>/dev/null || true
            # It goes with its namespace, which the kernel takes down in its own time.
            ip link del "cloud${SUFFIX}h$((index + 1))" 2>/dev/null || true
            ip link del "cloud${SUFFIX}t$((index + 1))" 2>/dev/null || true
        fi
    done
    if [ "$MODE" != embedded ]; then
        ip link del "$FABRIC_INTERFACE" 2>/dev/null || true
        nft delete table inet "cloud${SUFFIX}public" 2>/dev/null || true
        ip netns del "$FABRIC" 2>/dev/null || true
        ip link del "$MANAGEMENT_BRIDGE" 2>/dev/null || true
    fi
}

# Guests outlive their libvirtd: one that died is started again, to end them.
remove_guests() {
    local name=$1 guest
    is_running "$name" || return 0
    if ! is_running "$name-libvirtd"; then
        start_libvirt "$name"
        wait_for_libvirt "$name" || return 0
    fi
    for guest in $(in_host "$name" virsh -q list --all --uuid); do
        in_host "$name" virsh -q destroy "$guest" || true
        in_host "$name" virsh -q undefine --nvram --managed-save --snapshots-metadata "$guest" || true
    done
}
