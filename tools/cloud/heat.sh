# Heat, when the cloud was asked for it: a client of everything else, walked by tests.
# shellcheck shell=bash

HEAT_VENV=$VENV/heat
# What runs as it was published; constraints.txt has the exact versions.
HEAT_REQUIREMENTS=('openstack-heat>=26.0' 'python-heatclient>=4.0')

heat_parts() {
    [ "$HEAT" = 1 ] || return 0
    printf '%s\n' heat-api heat-api-cfn heat-engine
}

# Heat needs the clients of ten more services, each with commands that the openstack command loads whenever it starts. So it has
# an environment of its own, upon the other one: a person or test that has nothing to do with Heat does not wait for them.
install_heat() {
    local wanted
    wanted=$(environment_checksum)
    [ "$(cat "$HEAT_VENV/.checksum" 2>/dev/null)" != "$wanted" ] || return 0
    "$VENV/bin/python" -m venv "$HEAT_VENV"
    "$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
        >"$("$HEAT_VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/cloud.pth"
    PIP_CONSTRAINT=$ROOT/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 \
        "$HEAT_VENV/bin/python" -m pip install -q "${HEAT_REQUIREMENTS[@]}"
    echo "$wanted" >"$HEAT_VENV/.checksum"
}

prepare_heat() {
    mkdir -p "$ETC/heat"
    cp -r "$HEAT_VENV/etc/heat/api-paste.ini" "$HEAT_VENV/etc/heat/environment.d" "$HEAT_VENV/etc/heat/templates" "$ETC/heat/"
    install -m 600 /dev/null "$ETC/heat/heat.conf"
    heat_configuration >"$ETC/heat/heat.conf"
    [ -e "$DATA/heat/ready" ] && return
    PYTHONWARNINGS=ignore "$HEAT_VENV/bin/heat-manage" --config-file "$ETC/heat/heat.conf" db_sync
    mkdir -p "$DATA/heat"
    touch "$DATA/heat/ready"
}

heat_configuration() {
    cat <<CONF
[DEFAULT]
use_stderr = true
transport_url = $(transport_url)
num_engine_workers = 1
environment_dir = $ETC/heat/environment.d
template_dir = $ETC/heat/templates
region_name_for_services = RegionOne
stack_user_domain_name = heat
stack_domain_admin = heat_domain_admin
stack_domain_admin_password = $SECRET
[paste_deploy]
api_paste_config = $ETC/heat/api-paste.ini
[clients_keystone]
auth_uri = http://$ADDRESS:$KEYSTONE_PORT
[database]
connection = $(database_url heat)
[oslo_concurrency]
lock_path = $DATA/heat/locks
$(auth_section trustee heat)
$(auth_section keystone_authtoken heat)
www_authenticate_uri = http://$ADDRESS:$KEYSTONE_PORT/v3
CONF
}

start_heat() {
    local part
    for part in $(heat_parts); do start_heat_part "$part"; done
    wait_for_heat
}

wait_for_heat() {
    wait_for_http heat-api "$ADDRESS" "$HEAT_PORT"
    wait_for_http heat-api-cfn "$ADDRESS" "$HEAT_CFN_PORT"
}

start_heat_part() {
    export PYTHONWARNINGS=ignore
    case $1 in
        heat-api) serve_heat "$1" "$HEAT_PORT" heat.wsgi.api:application ;;
        # Where servers of a stack ask what they are to do, and say that they have done it.
        heat-api-cfn) serve_heat "$1" "$HEAT_CFN_PORT" heat.wsgi.cfn:application ;;
        heat-engine) start_process "$1" "$HEAT_VENV/bin/heat-engine" --config-file "$ETC/heat/heat.conf" ;;
    esac
}

serve_heat() {
    SERVICE_ARGUMENTS="--config-file $ETC/heat/heat.conf" \
        start_process "$1" "$HEAT_VENV/bin/python" -m gunicorn --config "$ROOT/tools/cloud/gunicorn.py" \
        --bind "$ADDRESS:$2" --name "$1$SUFFIX" "$3"
}
