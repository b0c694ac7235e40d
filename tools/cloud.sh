#!/bin/bash
# A real cloud on this machine, for development and tests. doc/cloud.md says how it is laid out.
#
#   tools/cloud.sh up                        one nova-all process, SQLite, one QEMU host
#   tools/cloud.sh up --distributed [--hosts N]   RabbitMQ, MariaDB, a process per daemon, N separate QEMU hosts
#   tools/cloud.sh up [--distributed] --fake-hosts N   N hosts without a hypervisor, for tools/bench.py
#   tools/cloud.sh up --volumes [...]        with Cinder
#   tools/cloud.sh up --distributed --neutron [...]   Neutron with OVN in the place of nova-network
#   tools/cloud.sh up --distributed --heat [...]      with Heat
#   tools/cloud.sh down                      ends everything up has started and deletes what it made
#   tools/cloud.sh status                    which parts run, where they answer
#   tools/cloud.sh logs [PART]               follows the logs of all parts, or of one
#   tools/cloud.sh start|stop|kill PART      one part alone; kill is a power cut
#   tools/cloud.sh in HOST COMMAND...        runs a command inside a host: tools/cloud.sh in host-1 virsh list
#
# Environment: CLOUD_PORT_OFFSET (shifts every port, so that two clouds fit on one machine), CLOUD_DIR.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for part in settings progress processes environment backbone identity images volumes ovn neutron heat hosts nova status; do
    # shellcheck source=/dev/null
    . "$HERE/cloud/$part.sh"
done

main() {
    local command=${1:-help}
    [ $# = 0 ] || shift
    case $command in
        up) up "$@" ;;
        down) down ;;
        status) derive_settings && show_status ;;
        logs) follow_logs "$@" ;;
        start | stop | kill) derive_settings && "$command"_part "${1:?which part? see tools/cloud.sh status}" ;;
        in) in_host "$@" ;;
        *) sed -n '2,/^set -/p' "${BASH_SOURCE[0]}" | sed -n 's/^# \{0,1\}//p' ;;
    esac
}

up() {
    read_options "$@"
    must_be_root
    derive_settings
    remember_settings

    step "Debian packages" "See that apt-get works: apt-get update." install_cloud_packages
    step "Python environment $(basename "$VENV")" \
        "See that pip reaches a package index; to begin anew, delete $VENV." install_environment
    [ "$HEAT" = 0 ] || step "Heat's environment" "See that pip reaches a package index." install_heat
    if [ "$MODE" = distributed ]; then
        step "management network $MANAGEMENT.0/24" \
            "Another program may use these addresses: ip addr. CLOUD_PORT_OFFSET=100 chooses others." make_management_network
        step "RabbitMQ starts" "See $LOG/rabbitmq.log." start_rabbitmq
        step "MariaDB" "See $LOG/mariadb.log; port $MARIADB_PORT must be free." start_mariadb
    fi
    step "ports are free" "End that program, or choose other ports: CLOUD_PORT_OFFSET=100 tools/cloud.sh up" check_ports
    write_openrc
    # What takes its time to come up starts first, and is waited for when it is needed.
    [ "$NEUTRON" = 0 ] || step "OVN's databases" "See $LOG/ovn-*.log; ports $OVN_NB_PORT, $OVN_SB_PORT must be free." start_ovn
    [ ${#HOSTS[@]} = 0 ] || step "hosts start: ${HOSTS[*]}" "See $LOG/*-libvirtd.log." start_hosts
    step "Keystone's and Glance's tables" "See the log above; tools/cloud.sh down begins anew." prepare_services
    step "Keystone" "Port $KEYSTONE_PORT must be free (CLOUD_PORT_OFFSET shifts all ports); see $LOG/keystone.log." start_services
    step "users, roles, service catalog" "See $LOG/keystone.log." register_cloud
    step "guest image tiny" "See that apt-get download linux-image-cloud-amd64 works." build_guest_image
    step "Glance, image tiny" "Port $GLANCE_PORT must be free; see $LOG/glance.log." upload_guest_image
    [ ${#HOSTS[@]} = 0 ] || step "libvirt on ${HOSTS[*]}" "See $LOG/*-libvirtd.log." wait_for_hosts
    [ "$MODE" = embedded ] || step "RabbitMQ answers" "See $LOG/rabbitmq.log; port $RABBIT_PORT must be free." wait_for_rabbitmq
    [ "$VOLUMES" = 0 ] || step "Cinder" "Port $VOLUME_PORT must be free; see $LOG/cinder-*.log." start_cinder
    [ "$NEUTRON" = 0 ] || step "Neutron" "Port $NETWORK_PORT must be free; see $LOG/neutron.log." start_neutron
    [ "$HEAT" = 0 ] || step "Heat" "Port $HEAT_PORT must be free; see $LOG/heat-*.log." start_heat
    step "Nova's and Placement's tables" "See the log above." prepare_nova
    step "Nova's daemons" "See $LOG/nova-*.log; ports $COMPUTE_PORT, $PLACEMENT_PORT, $NETWORK_PORT must be free." start_nova
    step "flavors, network private ($GUEST_SUBNET), router to public ($PUBLIC_SUBNET), key pair k1" "See $LOG/nova-*.log." \
        run_client furnish.py flavors "network=$GUEST_SUBNET" \
        "router=$PUBLIC_SUBNET$([ "$NEUTRON" = 0 ] || echo @public)" "keypair=$CLOUD_DIR/k1"
    step "hosts report: $((${#HOSTS[@]} + FAKE_HOSTS))" "See $LOG/nova-compute*.log, or nova-all.log." \
        run_client furnish.py "hosts=$((${#HOSTS[@]} + FAKE_HOSTS))"
    step "server first" \
        "Ask the cloud: . $OPENRC; openstack server show first; openstack server event list first." run_client furnish.py server
    printf '\nThe cloud is up. Next: . %s && openstack server list\n' "$(realpath --relative-to="$PWD" "$OPENRC")"
}

read_options() {
    local wanted_mode=embedded wanted_hosts=2 wanted_fake=0 wanted_volumes=0 wanted_neutron=0 wanted_heat=0
    while [ $# -gt 0 ]; do
        case $1 in
            --distributed) wanted_mode=distributed ;;
            --hosts) wanted_hosts=${2:?--hosts needs a number} && shift ;;
            --volumes) wanted_volumes=1 ;;
            --neutron) wanted_neutron=1 ;;
            --heat) wanted_heat=1 ;;
            --fake-hosts) wanted_fake=${2:?--fake-hosts needs a number} && shift ;;
            *) echo "up knows no option $1" >&2 && exit 2 ;;
        esac
        shift
    done
    if [ $wanted_neutron = 1 ] && [ "$wanted_mode $wanted_fake" != "distributed 0" ]; then
        echo "Neutron needs hosts with networks of their own: tools/cloud.sh up --distributed --neutron" >&2
        exit 2
    fi
    if [ $wanted_heat = 1 ] && [ "$wanted_mode" != distributed ]; then
        echo "Heat needs a broker: tools/cloud.sh up --distributed --heat" >&2
        exit 2
    fi
    if [ -e "$CLOUD_DIR/settings" ] && [ "$MODE $FAKE_HOSTS $NEUTRON" != "$wanted_mode $wanted_fake $wanted_neutron" ]; then
        echo "A cloud of another kind is there ($MODE). First: tools/cloud.sh down" >&2
        exit 2
    fi
    # A host that runs is not taken away by asking for fewer.
    if [ -e "$CLOUD_DIR/settings" ] && [ "$HOST_COUNT" -gt "$wanted_hosts" ]; then wanted_hosts=$HOST_COUNT; fi
    # Nor are Cinder and Heat by not asking for them again.
    [ "$VOLUMES" = 0 ] || wanted_volumes=1
    [ "$HEAT" = 0 ] || wanted_heat=1
    MODE=$wanted_mode HOST_COUNT=$wanted_hosts FAKE_HOSTS=$wanted_fake VOLUMES=$wanted_volumes NEUTRON=$wanted_neutron HEAT=$wanted_heat
}

must_be_root() {
    [ "$(id -u)" = 0 ] || { echo "A cloud makes network interfaces and namespaces: run this as root." >&2; exit 2; }
}

install_cloud_packages() {
    local wanted=("${CLOUD_PACKAGES[@]}")
    [ "$MODE" = embedded ] || wanted+=("${DISTRIBUTED_PACKAGES[@]}")
    [ "$NEUTRON" = 0 ] || wanted+=("${NEUTRON_PACKAGES[@]}")
    install_packages "${wanted[@]}"
}

# A part that does not run yet must find its port free; another cloud may have it.
check_ports() {
    local name address port
    while read -r name address port; do
        if [ "$port" != - ] && is_gone "$name" && answers "$address" "$port"; then
            echo "port $port, which $name needs, is taken by another program:"
            ss -ltnpH "sport = :$port"
            return 1
        fi
    done < <(cloud_parts)
}

prepare_services() {
    local others=() other
    prepare_glance &
    others+=($!)
    if [ "$VOLUMES" = 1 ]; then
        prepare_cinder &
        others+=($!)
    fi
    if [ "$NEUTRON" = 1 ]; then
        prepare_neutron &
        others+=($!)
    fi
    if [ "$HEAT" = 1 ]; then
        prepare_heat &
        others+=($!)
    fi
    prepare_keystone
    for other in "${others[@]}"; do wait "$other"; done
}

start_services() {
    start_keystone
    start_glance
    wait_for_keystone
}

register_cloud() {
    local volumes=() orchestration=() network=nova-network
    [ "$NEUTRON" = 0 ] || network=neutron
    # As the install guide has it: with the project in the address.
    [ "$VOLUMES" = 0 ] || volumes=("cinder=block-storage=http://$ADDRESS:$VOLUME_PORT/v3/%(project_id)s")
    [ "$HEAT" = 0 ] || orchestration=(
        "heat=orchestration=http://$ADDRESS:$HEAT_PORT/v1/%(project_id)s"
        "heat-cfn=cloudformation=http://$ADDRESS:$HEAT_CFN_PORT/v1"
    )
    run_client register.py "$SECRET" \
        "glance=image=http://$ADDRESS:$GLANCE_PORT" \
        "nova=compute=http://$ADDRESS:$COMPUTE_PORT/v2.1" \
        "ec2=ec2=http://$ADDRESS:$EC2_PORT/" \
        "s3=s3=http://$ADDRESS:$OBJECTS_PORT" \
        "placement=placement=http://$ADDRESS:$PLACEMENT_PORT" \
        "$network=network=http://$ADDRESS:$NETWORK_PORT" \
        "${volumes[@]}" "${orchestration[@]}"
}

prepare_nova() {
    local placement
    write_nova_configuration
    sync_placement_database &
    # Not $! later: what runs in between starts processes of its own.
    placement=$!
    sync_compute_database
    wait "$placement"
}

down() {
    must_be_root
    derive_settings
    if [ ! -e "$CLOUD_DIR/settings" ]; then
        echo "No cloud is there ($CLOUD_DIR)."
        return
    fi
    mkdir -p "$LOG" "$RUN"
    step "Nova's daemons" "Run it again." stop_nova
    [ "$NEUTRON" = 0 ] || step "Neutron" "Run it again." stop_neutron
    step "guests and their hosts" "See $LOG/*-libvirtd.log." stop_hosts
    step "guests' networks" "ip link shows what is left." remove_guest_networks
    step "Cinder, Glance, Keystone" "Run it again." stop_services
    step "files" "Delete $CLOUD_DIR by hand." remove_files
}

stop_nova() {
    local daemon
    for daemon in $(nova_daemons); do stop_process "$daemon" & done
    wait
}

stop_services() {
    local name
    for name in $(heat_parts) $(cinder_parts) $(ovn_parts) glance keystone rabbitmq mariadb; do stop_process "$name" 30 & done
    wait
    stop_process epmd
}

remove_files() {
    rm -rf "$CLOUD_DIR/hosts" "$ETC" "$DATA" "$CLOUD_DIR/k1" "$CLOUD_DIR"/nova.conf* "$RUN" "$OPENRC"
    rm -f "$CLOUD_DIR/settings" "$CLOUD_DIR/names"
}

main "$@"
