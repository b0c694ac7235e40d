# Cinder, when the cloud was asked for volumes.
# shellcheck shell=bash

# cinder_parts: its processes. An embedded cloud has no broker, so there one process is all of Cinder.
cinder_parts() {
    [ "$VOLUMES" = 1 ] || return 0
    echo cinder-api
    [ "$MODE" = embedded ] || printf '%s\n' cinder-scheduler cinder-volume
}

prepare_cinder() {
    mkdir -p "$ETC/cinder" "$DATA/cinder/volumes"
    cp "$VENV/etc/cinder/api-paste.ini" "$VENV/etc/cinder/resource_filters.json" "$ETC/cinder/"
    install -m 600 /dev/null "$ETC/cinder/cinder.conf"
    cinder_configuration >"$ETC/cinder/cinder.conf"
    [ -e "$DATA/cinder/ready" ] && return
    PYTHONWARNINGS=ignore "$VENV/bin/cinder-manage" --config-file "$ETC/cinder/cinder.conf" db sync
    touch "$DATA/cinder/ready"
}

cinder_configuration() {
    cat <<CONF
[DEFAULT]
use_stderr = true
transport_url = $(transport_url)
host = cloud
state_path = $DATA/cinder
my_ip = $ADDRESS
api_paste_config = $ETC/cinder/api-paste.ini
resource_query_filters_file = $ETC/cinder/resource_filters.json
glance_api_servers = http://$ADDRESS:$GLANCE_PORT
auth_strategy = keystone
enabled_backends = files
# A sparse file is as large as what was written to it.
max_over_subscription_ratio = 1000
report_interval = 3
[files]
volume_driver = file_volumes.FileDriver
volume_backend_name = files
file_volumes_directory = $DATA/cinder/volumes
[database]
connection = $(database_url cinder)
[oslo_concurrency]
lock_path = $DATA/cinder/locks
$(auth_section nova nova)
$(auth_section service_user cinder)
send_service_user_token = true
$(auth_section keystone_authtoken cinder)
www_authenticate_uri = http://$ADDRESS:$KEYSTONE_PORT/v3
service_token_roles = service
service_token_roles_required = true
CONF
}

start_cinder() {
    local part
    for part in $(cinder_parts); do start_cinder_part "$part"; done
    wait_for_cinder
}

wait_for_cinder() {
    wait_for_http cinder-api "$ADDRESS" "$VOLUME_PORT"
}

start_cinder_part() {
    local application=cinder.wsgi.api:application
    [ "$MODE" = distributed ] || application=cinder_all:application
    # Where the volume driver lies.
    export PYTHONPATH=$ROOT/tools/cloud/volumes${PYTHONPATH:+:$PYTHONPATH} PYTHONWARNINGS=ignore
    case $1 in
        cinder-api)
            SERVICE_ARGUMENTS="--config-file $ETC/cinder/cinder.conf" \
                start_process "$1" "$VENV/bin/gunicorn" --config "$ROOT/tools/cloud/gunicorn.py" \
                --bind "$ADDRESS:$VOLUME_PORT" --name "cinder$SUFFIX" "$application"
            ;;
        *) start_process "$1" "$VENV/bin/$1" --config-file "$ETC/cinder/cinder.conf" ;;
    esac
}
