# What a person asks about a running cloud, part by part.
# shellcheck shell=bash

# Every part of this cloud, one a line: name, address, port; - when it listens nowhere. One that answers on several ports
# has a line for each.
cloud_parts() {
    local index name address
    if [ "$MODE" = distributed ]; then
        echo "rabbitmq $ADDRESS $RABBIT_PORT"
        echo "mariadb $ADDRESS $MARIADB_PORT"
    fi
    echo "keystone $ADDRESS $KEYSTONE_PORT"
    echo "glance $ADDRESS $GLANCE_PORT"
    for name in $(cinder_parts); do
        if [ "$name" = cinder-api ]; then echo "$name $ADDRESS $VOLUME_PORT"; else echo "$name - -"; fi
    done
    for name in $(ovn_parts); do
        case $name in
            ovn-nb) echo "$name $ADDRESS $OVN_NB_PORT" ;;
            ovn-sb) echo "$name $ADDRESS $OVN_SB_PORT" ;;
            *) echo "$name - -" ;;
        esac
    done
    for name in $(neutron_parts); do
        if [ "$name" = neutron ]; then echo "$name $ADDRESS $NETWORK_PORT"; else echo "$name - -"; fi
    done
    for name in $(heat_parts); do
        case $name in
            heat-api) echo "$name $ADDRESS $HEAT_PORT" ;;
            heat-api-cfn) echo "$name $ADDRESS $HEAT_CFN_PORT" ;;
            *) echo "$name - -" ;;
        esac
    done
    for index in "${!HOSTS[@]}"; do
        address="- -"
        [ "$MODE" = embedded ] || address="$(host_address $((index + 1))) $((16509 + OFFSET))"
        echo "${HOSTS[$index]} - -"
        echo "${HOSTS[$index]}-virtlogd - -"
        echo "${HOSTS[$index]}-libvirtd $address"
        chassis_parts "${HOSTS[$index]}" | sed 's/$/ - -/'
    done
    for name in $(nova_daemons); do
        case $name in
            nova-all)
                printf "$name $ADDRESS %s\n" "$COMPUTE_PORT" "$EC2_PORT" "$OBJECTS_PORT" "$PLACEMENT_PORT" "$NETWORK_PORT" \
                    "$METADATA_PORT" "$NOVNC_PORT" "$SPICE_PORT" "$XVPVNC_PORT"
                ;;
            nova-api) printf "$name $ADDRESS %s\n" "$COMPUTE_PORT" "$EC2_PORT" ;;
            nova-objectstore) echo "$name $ADDRESS $OBJECTS_PORT" ;;
            nova-placement-api) echo "$name $ADDRESS $PLACEMENT_PORT" ;;
            nova-network) echo "$name $ADDRESS $NETWORK_PORT" ;;
            nova-api-metadata) echo "$name $ADDRESS $METADATA_PORT" ;;
            nova-novncproxy) echo "$name $ADDRESS $NOVNC_PORT" ;;
            nova-spicehtml5proxy) echo "$name $ADDRESS $SPICE_PORT" ;;
            nova-xvpvncproxy) echo "$name $ADDRESS $XVPVNC_PORT" ;;
            *) echo "$name - -" ;;
        esac
    done
}

# The exit status is 0 when every part is well.
show_status() {
    local name address port pid health worst=0
    if [ ! -e "$CLOUD_DIR/settings" ]; then
        echo "No cloud is there ($CLOUD_DIR). Start one: tools/cloud.sh up"
        return 3
    fi
    printf '%-28s %8s  %-22s %s\n' PART PID ADDRESS HEALTH
    while read -r name address port; do
        pid=$(process_id "$name") || pid=-
        if [ "$pid" = - ]; then
            health=down worst=1
        elif [ "$port" != - ] && ! answers "$address" "$port"; then
            health='does not answer' worst=1
        elif [[ $name == nova-* ]]; then
            health=$(health_of "$name") || worst=1
        elif [ "$port" = - ]; then
            health=running
        else
            health=answers
        fi
        printf '%-28s %8s  %-22s %s\n' "$name" "$pid" "$([ "$port" = - ] || echo "$address:$port")" "$health"
    done < <(cloud_parts)
    return $worst
}

# What a daemon says of itself: ready, or what it misses.
health_of() {
    local said
    said=$(timeout 10 bash -c 'exec 9<>"/dev/tcp/$0/$1" && printf "GET /readyz HTTP/1.0\r\n\r\n" >&9 && cat <&9' \
        "$(health_address "$1")" "$(health_port "$1")" 2>/dev/null) || true
    case $said in
        *'"ready": true'*) echo healthy ;;
        *'"failing": ['*) said=${said#*\"failing\": [} && echo "unhealthy: ${said%%]*}" && return 1 ;;
        *) echo 'does not tell how it is' && return 1 ;;
    esac
}

follow_logs() {
    derive_settings
    if [ $# -gt 0 ]; then
        exec tail -n 100 -F "$LOG/$1.log"
    fi
    exec tail -n 5 -F "$LOG"/*.log
}

start_part() {
    if host_index "$1" >/dev/null; then
        restart_host "$1"
        return
    fi
    case $1 in
        nova-*) start_daemon "$1" ;;
        rabbitmq) start_rabbitmq && wait_for_rabbitmq ;;
        mariadb) start_mariadb ;;
        keystone) start_keystone && wait_for_keystone ;;
        glance) start_glance && wait_for_glance ;;
        cinder-*) start_cinder_part "$1" && wait_for_cinder ;;
        heat-*) start_heat_part "$1" && wait_for_heat ;;
        ovn-*) start_ovn_part "$1" ;;
        neutron | *-metadata-agent) start_neutron_part "$1" && wait_for_neutron ;;
        *-ovsdb | *-vswitchd | *-ovn-controller) start_chassis_part "$1" ;;
        *-libvirtd) start_libvirt "${1%-libvirtd}" && wait_for_libvirt "${1%-libvirtd}" ;;
        *) echo "$1 cannot be started alone; tools/cloud.sh up starts what is missing" >&2 && return 2 ;;
    esac
}

stop_part() {
    stop_process "$1"
}

# A host is killed with all that runs on it.
kill_part() {
    if host_index "$1" >/dev/null; then kill_host "$1"; else kill_process "$1"; fi
}
