# The compute control plane itself: its configuration, its tables, its daemons.
# shellcheck shell=bash

# Every daemon of a distributed cloud but those on hosts, in an order that a reader may like; they may start in any.
CONTROL_DAEMONS=(
    nova-conductor nova-scheduler nova-placement-api nova-network nova-api nova-api-metadata
    nova-consoleauth nova-novncproxy nova-spicehtml5proxy nova-xvpvncproxy nova-cert nova-objectstore
)

# nova_daemons: what runs in this cloud, as NAME@HOST for those on hosts.
nova_daemons() {
    local host
    if [ "$MODE" = embedded ]; then
        echo nova-all
        return
    fi
    printf '%s\n' "${CONTROL_DAEMONS[@]}" | { if [ "$NEUTRON" = 1 ]; then grep -vx nova-network; else cat; fi; }
    for host in "${HOSTS[@]}"; do echo "nova-compute@$host"; done
    [ "$FAKE_HOSTS" = 0 ] || echo nova-compute
}

write_nova_configuration() {
    # Nothing reads a half-written file: daemons of this cloud may be starting elsewhere.
    install -m 600 /dev/null "$CLOUD_DIR/nova.conf.part"
    common_configuration >"$CLOUD_DIR/nova.conf.part"
    if [ "$MODE" = embedded ]; then
        database_configuration >>"$CLOUD_DIR/nova.conf.part"
        embedded_configuration >>"$CLOUD_DIR/nova.conf.part"
    else
        write_daemon_configurations
    fi
    write_health_configurations
    mv "$CLOUD_DIR/nova.conf.part" "$CLOUD_DIR/nova.conf"
}

common_configuration() {
    cat <<CONF
# Written by tools/cloud.sh; what the install guide's chapters on controller and compute node say, in one file.
[DEFAULT]
transport_url = $(transport_url)
my_ip = $ADDRESS
state_path = $(state_path)
# Hosts are lost and come back often here: what they put away then goes soon.
running_deleted_instance_poll_interval = 30
osapi_compute_listen = $ADDRESS
osapi_compute_listen_port = $COMPUTE_PORT
osapi_compute_workers = 1
enabled_apis = osapi_compute, metadata, ec2
ec2_listen = $ADDRESS
ec2_listen_port = $EC2_PORT
ec2_host = $ADDRESS
ec2_port = $EC2_PORT
s3_listen = $ADDRESS
s3_listen_port = $OBJECTS_PORT
s3_workers = 1
s3_host = $ADDRESS
s3_port = $OBJECTS_PORT
metadata_listen = $ADDRESS
metadata_listen_port = $METADATA_PORT
metadata_workers = 1
use_stderr = true

[api]
auth_strategy = keystone
status_page = true

$(auth_section keystone_authtoken nova)
www_authenticate_uri = http://$ADDRESS:$KEYSTONE_PORT/v3

[glance]
api_servers = http://$ADDRESS:$GLANCE_PORT

$(auth_section neutron neutron)
endpoint_override = http://$ADDRESS:$NETWORK_PORT
# Guests' requests come through the network service's proxy, which says who asks.
service_metadata_proxy = true
metadata_proxy_shared_secret = $SECRET

$(auth_section placement placement)
listen = $ADDRESS
listen_port = $PLACEMENT_PORT
workers = 1

$([ "$VOLUMES" = 0 ] || printf '[cinder]\nos_region_name = RegionOne\n')

[libvirt]
virt_type = kvm

[vnc]
enabled = true
novncproxy_host = $ADDRESS
novncproxy_port = $NOVNC_PORT
novncproxy_base_url = http://$ADDRESS:$NOVNC_PORT/vnc_auto.html
xvpvncproxy_host = $ADDRESS
xvpvncproxy_port = $XVPVNC_PORT
xvpvncproxy_base_url = http://$ADDRESS:$XVPVNC_PORT/console

[spice]
enabled = true
html5proxy_host = $ADDRESS
html5proxy_port = $SPICE_PORT
html5proxy_base_url = http://$ADDRESS:$SPICE_PORT/spice_auto.html

CONF
}

state_path() {
    # A host has a /var/lib/nova of its own; on the machine itself that directory belongs to others.
    if [ "$MODE" = embedded ] && [ "$FAKE_HOSTS" = 0 ]; then echo /var/lib/nova; else echo "$DATA/nova"; fi
}

database_configuration() {
    cat <<CONF
[database]
connection = $(database_url nova)

[api_database]
connection = $(database_url nova_api)

[placement_database]
connection = $(database_url placement)

CONF
}

embedded_configuration() {
    if [ "$FAKE_HOSTS" != 0 ]; then
        fake_configuration
    else
        # The only host there is.
        printf '[DEFAULT]\ncompute_driver = libvirt.LibvirtDriver\nallow_resize_to_same_host = true\n'
    fi
    network_configuration
}

fake_configuration() {
    cat <<CONF
[DEFAULT]
compute_driver = fake.FakeDriver
fake_hosts = $FAKE_HOSTS
# Guests outlive a nova-compute that is killed.
fake_state_path = $DATA/fake
# Guests that do not exist need no bridges.
network_dataplane = false
CONF
}

network_configuration() {
    cat <<CONF
network_api_listen = $ADDRESS
network_api_listen_port = $NETWORK_PORT
networks_path = $DATA/networks
flat_network_bridge = $GUEST_BRIDGE
vni_range = $VNI_RANGE
metadata_port = $METADATA_PORT
$([ "$MODE" = embedded ] || echo "reserved_ranges = $MANAGEMENT.0/24")
CONF
}

# Only the conductor knows the compute database, only Placement knows its own.
write_daemon_configurations() {
    local index
    write_part nova-conductor "[database]
connection = $(database_url nova)

[api_database]
connection = $(database_url nova_api)"
    write_part nova-placement-api "[placement_database]
connection = $(database_url placement)"
    write_part nova-api "[DEFAULT]
enabled_apis = osapi_compute, ec2"
    write_part nova-network "[DEFAULT]
$(network_configuration)
network_dataplane = $([ "$FAKE_HOSTS" = 0 ] && echo true || echo false)
flat_interface = $FABRIC_INTERFACE"
    write_part nova-compute "$(fake_configuration)"
    for index in "${!HOSTS[@]}"; do
        write_part "nova-compute@${HOSTS[$index]}" "[DEFAULT]
host = ${HOSTS[$index]}
my_ip = $(host_address $((index + 1)))
state_path = /var/lib/nova
compute_driver = libvirt.LibvirtDriver
$([ "$NEUTRON" = 1 ] || printf 'flat_network_bridge = %s\nflat_interface = eth1\n' "$GUEST_BRIDGE")

[libvirt]
live_migration_inbound_addr = $(host_address $((index + 1)))
live_migration_uri = qemu+tcp://%s:$((16509 + OFFSET))/system

[vnc]
server_listen = 0.0.0.0
server_proxyclient_address = $(host_address $((index + 1)))

[spice]
server_listen = 0.0.0.0
server_proxyclient_address = $(host_address $((index + 1)))"
    done
}

write_health_configurations() {
    local daemon
    mkdir -p "$ETC/nova"
    for daemon in $(nova_daemons); do
        [ -e "$ETC/nova/$daemon.conf" ] || install -m 600 /dev/null "$ETC/nova/$daemon.conf"
        cat >>"$ETC/nova/$daemon.conf" <<CONF

[DEFAULT]
health_listen = $(health_address "$daemon")
health_port = $(health_port "$daemon")

[oslo_messaging_rabbit]
# Queues are named after it, with a number that all programs of this name on the machine count: also another cloud's.
processname = ${daemon%@*}$SUFFIX
CONF
    done
}

# Where a daemon tells how it is: the host it runs on, and ten ports for its workers.
health_address() {
    local index
    case $1 in
        *@*) for index in "${!HOSTS[@]}"; do [ "${HOSTS[$index]}" != "${1#*@}" ] || host_address $((index + 1)); done ;;
        *) echo "$ADDRESS" ;;
    esac
}

health_port() {
    local daemon port=$HEALTH_PORT
    for daemon in $(nova_daemons); do
        [ "$daemon" != "$1" ] || break
        port=$((port + 10))
    done
    echo "$port"
}

write_part() {
    mkdir -p "$ETC/nova"
    install -m 600 /dev/null "$ETC/nova/$1.conf"
    echo "$2" >"$ETC/nova/$1.conf"
}

# The configuration files of a daemon, as options of its command line.
configuration_of() {
    echo "--config-file=$CLOUD_DIR/nova.conf"
    [ ! -e "$ETC/nova/$1.conf" ] || echo "--config-file=$ETC/nova/$1.conf"
}

sync_compute_database() {
    local files
    mapfile -t files < <(configuration_of nova-conductor)
    "$VENV/bin/nova-manage" "${files[@]}" api_db sync
    "$VENV/bin/nova-manage" "${files[@]}" db sync
}

sync_placement_database() {
    local files
    mapfile -t files < <(configuration_of nova-placement-api)
    "$VENV/bin/placement-manage" "${files[@]}" db sync
}

start_nova() {
    local daemon
    mkdir -p "$DATA/nova" "$DATA/networks"
    for daemon in $(nova_daemons); do start_daemon "$daemon"; done
    wait_for_nova
}

# start_daemon NAME[@HOST]: on its host, or on the machine itself; nova-all runs on the embedded cloud's one host.
start_daemon() {
    local files enter=()
    mapfile -t files < <(configuration_of "$1")
    case $1 in
        *@*) enter=("${ENTER_HOST[@]}" "${1#*@}") ;;
        nova-all) [ "$FAKE_HOSTS" != 0 ] || enter=("${ENTER_HOST[@]}" "${HOSTS[0]}") ;;
    esac
    PYTHONWARNINGS=ignore start_process "$1" "${enter[@]}" "$VENV/bin/${1%@*}" "${files[@]}"
}

wait_for_nova() {
    local daemon=nova-all
    for pair in "nova-api:$COMPUTE_PORT" "nova-api:$EC2_PORT" "nova-placement-api:$PLACEMENT_PORT" \
        "nova-network:$NETWORK_PORT" "nova-objectstore:$OBJECTS_PORT"; do
        [ "$NEUTRON$pair" != "1nova-network:$NETWORK_PORT" ] || continue
        [ "$MODE" = embedded ] || daemon=${pair%:*}
        wait_for_http "$daemon" "$ADDRESS" "${pair#*:}" 60
    done
    for daemon in $(nova_daemons); do
        is_running "$daemon" || { echo "$daemon ended by itself:"; tail -n 15 "$LOG/$daemon.log"; return 1; }
    done
}

# What nova-network made for guests lives in the machine's own network, and only it knows all of it.
remove_guest_networks() {
    local files
    [ -e "$CLOUD_DIR/nova.conf" ] && [ "$NEUTRON" = 0 ] || return 0
    mapfile -t files < <(configuration_of nova-network)
    "$VENV/bin/nova-network" "${files[@]}" --teardown
}
