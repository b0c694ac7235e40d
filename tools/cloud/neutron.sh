# Neutron with ML2 and OVN, when the cloud was asked for it; nova-network otherwise.
# shellcheck shell=bash

# neutron_parts: its processes. On each host the metadata agent takes guests' questions to the metadata API.
neutron_parts() {
    [ "$NEUTRON" = 1 ] || return 0
    echo neutron
    printf '%s-metadata-agent\n' "${HOSTS[@]}"
}

prepare_neutron() {
    mkdir -p "$ETC/neutron" "$DATA/neutron"
    cp "$VENV/etc/neutron/api-paste.ini" "$ETC/neutron/"
    install -m 600 /dev/null "$ETC/neutron/neutron.conf"
    neutron_configuration >"$ETC/neutron/neutron.conf"
    [ -e "$DATA/neutron/ready" ] && return
    PYTHONWARNINGS=ignore "$VENV/bin/neutron-db-manage" --config-file "$ETC/neutron/neutron.conf" upgrade heads
    touch "$DATA/neutron/ready"
}

neutron_configuration() {
    cat <<CONF
[DEFAULT]
use_stderr = true
core_plugin = ml2
service_plugins = ovn-router
auth_strategy = keystone
transport_url = $(transport_url)
state_path = $DATA/neutron
api_paste_config = $ETC/neutron/api-paste.ini
# How long a server waits at most for the news that its port is plugged.
send_events_interval = 1
rpc_workers = 0
[ml2]
mechanism_drivers = ovn
type_drivers = geneve,flat
project_network_types = geneve
extension_drivers = port_security
overlay_ip_version = 4
[ml2_type_geneve]
vni_ranges = 1:65536
max_header_size = 38
[ml2_type_flat]
flat_networks = public
[ovn]
ovn_nb_connection = $(ovn_database nb)
ovn_sb_connection = $(ovn_database sb)
ovn_metadata_enabled = true
[database]
connection = $(database_url neutron)
[oslo_concurrency]
lock_path = $DATA/neutron/locks
$(auth_section nova nova)
$(auth_section placement placement)
$(auth_section keystone_authtoken neutron)
www_authenticate_uri = http://$ADDRESS:$KEYSTONE_PORT/v3
CONF
}

# OVN says who asked, by network and address; Nova believes it because it knows the secret.
write_metadata_agent_configuration() {
    install -m 600 /dev/null "$ETC/neutron/$1-metadata-agent.conf"
    cat >"$ETC/neutron/$1-metadata-agent.conf" <<CONF
[DEFAULT]
use_stderr = true
state_path = /var/lib/neutron
metadata_proxy_socket = /var/lib/neutron/metadata_proxy
nova_metadata_host = $ADDRESS
nova_metadata_port = $METADATA_PORT
metadata_proxy_shared_secret = $SECRET
[ovs]
ovsdb_connection = unix:/run/openvswitch/db.sock
[ovn]
ovn_sb_connection = $(ovn_database sb)
[agent]
# It is root already.
root_helper = env PATH=$VENV/bin:/usr/sbin:/usr/bin:/sbin:/bin
[oslo_concurrency]
lock_path = /var/lib/neutron/locks
CONF
}

start_neutron() {
    local part
    for part in $(neutron_parts); do start_neutron_part "$part"; done
    wait_for_neutron
}

wait_for_neutron() {
    wait_for_http neutron "$ADDRESS" "$NETWORK_PORT"
}

start_neutron_part() {
    export PYTHONWARNINGS=ignore
    case $1 in
        neutron)
            # Without the number of its processes, which it knows of other servers, Neutron heeds nothing that OVN says.
            ASGI_WORKERS=1 SERVICE_ARGUMENTS="--config-file $ETC/neutron/neutron.conf" \
                start_process "$1" "$VENV/bin/gunicorn" --config "$ROOT/tools/cloud/gunicorn.py" \
                --bind "$ADDRESS:$NETWORK_PORT" --name "neutron$SUFFIX" neutron.wsgi.api:application
            ;;
        *-metadata-agent)
            write_metadata_agent_configuration "${1%-metadata-agent}"
            start_process "$1" "${ENTER_HOST[@]}" "${1%-metadata-agent}" "$VENV/bin/neutron-ovn-metadata-agent" \
                --config-file "$ETC/neutron/$1.conf"
            ;;
    esac
}

stop_neutron() {
    local part
    for part in $(neutron_parts); do stop_process "$part" & done
    wait
}
