# Keystone: who may do what, and where every service answers.
# shellcheck shell=bash

configure_keystone() {
    mkdir -p "$ETC/keystone" "$DATA/keystone"
    cat >"$ETC/keystone/keystone.conf" <<CONF
[DEFAULT]
use_stderr = true
[database]
connection = $(database_url keystone)
[token]
provider = fernet
expiration = 86400
[fernet_tokens]
key_repository = $DATA/keystone/fernet-keys
[fernet_receipts]
key_repository = $DATA/keystone/fernet-keys
[credential]
key_repository = $DATA/keystone/credential-keys
[identity]
# Hashing is slow on purpose. The passwords of this cloud are random and live as long as it.
password_hash_rounds = 4
[cache]
enabled = true
backend = dogpile.cache.memory
CONF
    make_keys "$DATA/keystone/fernet-keys"
    make_keys "$DATA/keystone/credential-keys"
}

# A key repository is a directory of numbered Fernet keys: 0 is the next one, the highest is in use.
make_keys() {
    [ -e "$1/1" ] && return
    mkdir -p "$1"
    chmod 700 "$1"
    local number
    for number in 0 1; do
        head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' >"$1/$number"
    done
    chmod 600 "$1"/*
}

prepare_keystone() {
    configure_keystone
    [ -e "$DATA/keystone/ready" ] && return
    keystone_manage db_sync
    keystone_manage bootstrap --bootstrap-username admin --bootstrap-password "$SECRET" --bootstrap-project-name admin \
        --bootstrap-role-name admin --bootstrap-service-name keystone --bootstrap-region-id RegionOne \
        --bootstrap-public-url "http://$ADDRESS:$KEYSTONE_PORT/v3" \
        --bootstrap-internal-url "http://$ADDRESS:$KEYSTONE_PORT/v3" \
        --bootstrap-admin-url "http://$ADDRESS:$KEYSTONE_PORT/v3"
    touch "$DATA/keystone/ready"
}

keystone_manage() {
    PYTHONWARNINGS=ignore "$VENV/bin/keystone-manage" --config-file "$ETC/keystone/keystone.conf" "$@"
}

start_keystone() {
    # One process with threads: its cache is its own, so a second one would answer from another past.
    OS_KEYSTONE_CONFIG_FILES=$ETC/keystone/keystone.conf PYTHONWARNINGS=ignore \
        start_process keystone "$VENV/bin/gunicorn" --config "$ROOT/tools/cloud/gunicorn.py" --bind "$ADDRESS:$KEYSTONE_PORT" \
        --name "keystone$SUFFIX" keystone.wsgi.api:application
}

wait_for_keystone() {
    wait_for_http keystone "$ADDRESS" "$KEYSTONE_PORT"
}

# auth_section GROUP USER: how a service logs in, in the install guide's words.
auth_section() {
    cat <<CONF
[$1]
auth_url = http://$ADDRESS:$KEYSTONE_PORT/v3
auth_type = password
project_domain_name = Default
user_domain_name = Default
project_name = service
username = $2
password = $SECRET
region_name = RegionOne
CONF
}

register_services() {
    run_client register.py
}

# Runs one of the Python programs beside this file as the cloud's administrator.
run_client() {
    local program=$1
    shift
    (
        # shellcheck source=/dev/null
        . "$OPENRC"
        PYTHONWARNINGS=ignore "$VENV/bin/python" "$ROOT/tools/cloud/$program" "$@"
    )
}

write_openrc() {
    cat >"$OPENRC" <<RC
# Environment of a client of the development cloud. Use: . ${OPENRC#"$ROOT"/}
export OS_AUTH_URL=http://$ADDRESS:$KEYSTONE_PORT/v3
export OS_IDENTITY_API_VERSION=3
export OS_USERNAME=admin
export OS_PASSWORD=$SECRET
export OS_PROJECT_NAME=admin
export OS_USER_DOMAIN_NAME=Default
export OS_PROJECT_DOMAIN_NAME=Default
export OS_REGION_NAME=RegionOne
case ":\$PATH:" in
    *":$VENV/bin:"*) ;;
    *) export PATH="$VENV/bin:\$PATH" ;;
esac
# The clients warn about their own dependencies.
export PYTHONWARNINGS=ignore
RC
    chmod 600 "$OPENRC"
}
