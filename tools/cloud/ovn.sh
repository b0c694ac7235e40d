# Open Virtual Network, where Neutron takes the place of nova-network: its databases and its northd beside the control
# plane, and on each host a chassis: Open vSwitch in user space, since the kernel may have no module for it.
# shellcheck shell=bash

OVN_DAEMONS=(ovn-nb ovn-sb ovn-northd)

# ovn_parts: its processes but for those on hosts.
ovn_parts() {
    [ "$NEUTRON" = 0 ] || printf '%s\n' "${OVN_DAEMONS[@]}"
}

# chassis_parts HOST: what runs on a host for its guests' networks, in the order in which it starts.
chassis_parts() {
    [ "$NEUTRON" = 0 ] || printf "$1-%s\n" ovsdb vswitchd ovn-controller
}

start_ovn() {
    local part
    mkdir -p "$DATA/ovn" "$RUN/ovn"
    for part in ovn-nb ovn-sb; do
        [ -e "$DATA/ovn/$part.db" ] || ovsdb-tool create "$DATA/ovn/$part.db" "/usr/share/ovn/$part.ovsschema"
    done
    for part in "${OVN_DAEMONS[@]}"; do start_ovn_part "$part"; done
}

start_ovn_part() {
    local port=$OVN_NB_PORT
    case $1 in
        ovn-northd)
            start_process "$1" ovn-northd --ovnnb-db="$(ovn_database nb)" --ovnsb-db="$(ovn_database sb)" \
                --unixctl="$RUN/ovn/$1.ctl"
            ;;
        *)
            [ "$1" = ovn-nb ] || port=$OVN_SB_PORT
            start_process "$1" ovsdb-server --remote="ptcp:$port:$ADDRESS" --unixctl="$RUN/ovn/$1.ctl" "$DATA/ovn/$1.db"
            wait_for_port "$1" "$ADDRESS" "$port"
            ;;
    esac
}

ovn_database() {
    case $1 in nb) echo "tcp:$ADDRESS:$OVN_NB_PORT" ;; sb) echo "tcp:$ADDRESS:$OVN_SB_PORT" ;; esac
}

# tunnel_address INDEX: where a host's chassis answers others; on the wire of the management network.
tunnel_address() {
    echo "$TUNNELS.$((10 + $1))"
}

start_chassis() {
    local name=$1 index=$2
    [ "$NEUTRON" = 1 ] || return 0
    in_host "$name" bash -c '[ -e /var/lib/openvswitch/conf.db ] ||
        ovsdb-tool create /var/lib/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema'
    start_chassis_part "$name-ovsdb"
    wait_until 10 "$name's Open vSwitch" in_host "$name" ovs-vsctl --timeout=1 --no-wait init
    configure_chassis "$name" "$index"
    start_chassis_part "$name-vswitchd"
    wait_until 30 "$name's bridges" in_host "$name" ip link show br-ex
    raise_tunnels "$name" "$index"
    start_chassis_part "$name-ovn-controller"
}

start_chassis_part() {
    local host
    case $1 in
        *-ovsdb)
            host=${1%-ovsdb}
            start_process "$1" "${ENTER_HOST[@]}" "$host" ovsdb-server --remote=punix:/run/openvswitch/db.sock \
                --unixctl=/run/openvswitch/ovsdb.ctl /var/lib/openvswitch/conf.db
            ;;
        *-vswitchd)
            host=${1%-vswitchd}
            start_process "$1" "${ENTER_HOST[@]}" "$host" ovs-vswitchd --unixctl=/run/openvswitch/vswitchd.ctl
            ;;
        *-ovn-controller)
            host=${1%-ovn-controller}
            start_process "$1" "${ENTER_HOST[@]}" "$host" ovn-controller
            ;;
    esac
}

# br-tun has the host's end of the tunnels, because a datapath in user space sends them through its own ports alone.
# br-ex leads to the floating addresses' network. br-int, for guests, is made by ovn-controller.
configure_chassis() {
    in_host "$1" ovs-vsctl --no-wait \
        -- set Open_vSwitch . "external_ids:system-id=$1" "external_ids:hostname=$1" \
        "external_ids:ovn-remote=\"$(ovn_database sb)\"" external_ids:ovn-encap-type=geneve \
        "external_ids:ovn-encap-ip=$(tunnel_address "$2")" external_ids:ovn-bridge-datapath-type=netdev \
        external_ids:ovn-bridge-mappings=public:br-ex external_ids:ovn-cms-options=enable-chassis-as-gw \
        -- --may-exist add-br br-tun -- set Bridge br-tun datapath_type=netdev -- --may-exist add-port br-tun eth2 \
        -- --may-exist add-br br-ex -- set Bridge br-ex datapath_type=netdev -- --may-exist add-port br-ex eth1
}

raise_tunnels() {
    in_host "$1" ip addr replace "$(tunnel_address "$2")/24" dev br-tun
    in_host "$1" ip link set br-tun up
    in_host "$1" ip link set br-ex up
}

# What a host needs of the wire: a second interface on the management network for tunnels.
connect_chassis() {
    local namespace=$1 tunnel=cloud${SUFFIX}t$2
    [ "$NEUTRON" = 1 ] || return 0
    ip link show "$tunnel" >/dev/null 2>&1 || ip link add "$tunnel" type veth peer name eth2 netns "$namespace"
    ip link set "$tunnel" master "$MANAGEMENT_BRIDGE" up
    ip -n "$namespace" link set eth2 up
}

# The machine is the gateway of the floating addresses. A datapath in user space passes packets on as they are: their
# checksums must be finished, and they must fit into a frame.
connect_public_network() {
    [ "$NEUTRON" = 1 ] || return 0
    ip addr replace "${PUBLIC_SUBNET%.0/24}.1/24" dev "$FABRIC_INTERFACE"
    ethtool -K "$FABRIC_INTERFACE" tx off >/dev/null
    # Guests reach the machine by its address there, and must not reach what it and the hosts say to each other.
    nft -f - <<RULES
table inet cloud${SUFFIX}public
delete table inet cloud${SUFFIX}public
table inet cloud${SUFFIX}public {
    chain to-machine {
        type filter hook input priority filter;
        iifname "$FABRIC_INTERFACE" ct state established,related accept
        iifname "$FABRIC_INTERFACE" meta l4proto { icmp, ipv6-icmp } accept
        iifname "$FABRIC_INTERFACE" drop
    }
    chain through-machine {
        type filter hook forward priority filter;
        iifname "$FABRIC_INTERFACE" ip daddr { $MANAGEMENT.0/24, $TUNNELS.0/24 } drop
    }
}
RULES
}

stop_chassis() {
    local part
    [ "$NEUTRON" = 1 ] || return 0
    for part in $(chassis_parts "$1" | tac); do stop_process "$part"; done
    end_processes_in_host "$1"
}
