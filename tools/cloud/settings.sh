# Where a development cloud keeps its things and where its parts answer. Sourced; changes nothing.
# shellcheck shell=bash disable=SC2034

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CLOUD_DIR=${CLOUD_DIR:-$ROOT/.cloud}
VENV=${CLOUD_VENV:-$ROOT/.venv}
CACHE=${CLOUD_CACHE:-$ROOT/.cloud-cache}

# What `up` was asked for is remembered, so that down, status and logs find the same cloud.
MODE=embedded
HOST_COUNT=2
FAKE_HOSTS=0
VOLUMES=0
NEUTRON=0
HEAT=0
OFFSET=${CLOUD_PORT_OFFSET:-0}
SECRET=
# shellcheck source=/dev/null
[ -e "$CLOUD_DIR/settings" ] && . "$CLOUD_DIR/settings"

if [ "$CLOUD_DIR" = "$ROOT/.cloud" ]; then OPENRC=$ROOT/openrc; else OPENRC=$CLOUD_DIR/openrc; fi
RUN=$CLOUD_DIR/run
LOG=$CLOUD_DIR/log
ETC=$CLOUD_DIR/etc
DATA=$CLOUD_DIR/data

derive_settings() {
    # Two clouds side by side differ in their offset: in ports, in subnets and in the names of bridges.
    local number=$((OFFSET / 100 % 200))
    SUFFIX=; [ "$OFFSET" = 0 ] || SUFFIX=$OFFSET
    KEYSTONE_PORT=$((5000 + OFFSET))
    GLANCE_PORT=$((9292 + OFFSET))
    EC2_PORT=$((8773 + OFFSET))
    COMPUTE_PORT=$((8774 + OFFSET))
    VOLUME_PORT=$((8776 + OFFSET))
    METADATA_PORT=$((8775 + OFFSET))
    HEAT_PORT=$((8004 + OFFSET))
    HEAT_CFN_PORT=$((8000 + OFFSET))
    PLACEMENT_PORT=$((8778 + OFFSET))
    NETWORK_PORT=$((9696 + OFFSET))
    OBJECTS_PORT=$((3333 + OFFSET))
    NOVNC_PORT=$((6080 + OFFSET))
    XVPVNC_PORT=$((6081 + OFFSET))
    SPICE_PORT=$((6082 + OFFSET))
    HEALTH_PORT=$((18700 + OFFSET))
    # Below the range from which the kernel gives ports to clients.
    RABBIT_PORT=$((15672 + OFFSET))
    MARIADB_PORT=$((13306 + OFFSET))
    OVN_NB_PORT=$((6641 + OFFSET))
    OVN_SB_PORT=$((6642 + OFFSET))

    MANAGEMENT=10.77.$number
    TUNNELS=10.76.$number
    GUEST_SUBNET=10.78.$number.0/24
    PUBLIC_SUBNET=10.79.$number.0/24
    MANAGEMENT_BRIDGE=cloud${SUFFIX}mgmt
    FABRIC=cloud$SUFFIX-fabric
    FABRIC_INTERFACE=cloud${SUFFIX}net
    GUEST_BRIDGE=br${SUFFIX}private
    VNI_RANGE=$((1001 + number * 1000)):$((2000 + number * 1000))

    ADDRESS=127.0.0.1
    [ "$MODE" = embedded ] || ADDRESS=$MANAGEMENT.1

    HOSTS=()
    if [ "$FAKE_HOSTS" = 0 ] && [ "$MODE" = embedded ]; then
        HOSTS=("$(hostname)")
    elif [ "$FAKE_HOSTS" = 0 ]; then
        local index
        for ((index = 1; index <= HOST_COUNT; index++)); do HOSTS+=("host-$index"); done
    fi
}

remember_settings() {
    mkdir -p "$CLOUD_DIR" "$RUN" "$LOG" "$ETC" "$DATA" "$CACHE"
    chmod 711 "$CLOUD_DIR"
    [ -n "$SECRET" ] || SECRET=$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
    cat >"$CLOUD_DIR/settings" <<SETTINGS
MODE=$MODE
HOST_COUNT=$HOST_COUNT
FAKE_HOSTS=$FAKE_HOSTS
VOLUMES=$VOLUMES
NEUTRON=$NEUTRON
HEAT=$HEAT
OFFSET=$OFFSET
SECRET=$SECRET
SETTINGS
    chmod 600 "$CLOUD_DIR/settings"
}
