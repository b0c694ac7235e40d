# Glance, and the guest image it serves.
# shellcheck shell=bash

prepare_glance() {
    mkdir -p "$ETC/glance" "$DATA/glance/images"
    cp "$VENV/etc/glance/glance-api-paste.ini" "$ETC/glance/"
    {
        cat <<CONF
[DEFAULT]
use_stderr = true
enabled_backends = file:file
worker_self_reference_url = http://$ADDRESS:$GLANCE_PORT
[glance_store]
default_backend = file
[file]
filesystem_store_datadir = $DATA/glance/images
[os_glance_tasks_store]
filesystem_store_datadir = $DATA/glance/tasks
[os_glance_staging_store]
filesystem_store_datadir = $DATA/glance/staging
[database]
connection = $(database_url glance)
[paste_deploy]
flavor = keystone
CONF
        auth_section keystone_authtoken glance
        echo "www_authenticate_uri = http://$ADDRESS:$KEYSTONE_PORT/v3"
    } >"$ETC/glance/glance-api.conf"
    chmod 600 "$ETC/glance/glance-api.conf"
    [ -e "$DATA/glance/ready" ] && return
    PYTHONWARNINGS=ignore "$VENV/bin/glance-manage" --config-file "$ETC/glance/glance-api.conf" db_sync
    touch "$DATA/glance/ready"
}

start_glance() {
    # gunicorn and not uWSGI, whose HTTP socket breaks chunked uploads.
    OS_GLANCE_CONFIG_DIR=$ETC/glance PYTHONWARNINGS=ignore \
        start_process glance "$VENV/bin/gunicorn" --config "$ROOT/tools/cloud/gunicorn.py" --bind "$ADDRESS:$GLANCE_PORT" \
        --name "glance$SUFFIX" glance.wsgi.api:application
}

wait_for_glance() {
    wait_for_http glance "$ADDRESS" "$GLANCE_PORT"
}

# The image depends on its builder alone: it is kept between clouds. Of clouds that come up side by side one builds it.
build_guest_image() {
    local image
    image=$(guest_image)
    (
        flock 9
        [ -e "$image" ] && exit
        "$ROOT/tools/guest/build.sh" "$image.part"
        mv "$image.part" "$image"
    ) 9>"$CACHE/lock"
}

guest_image() {
    echo "$CACHE/tiny-$(cd "$ROOT/tools/guest" && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-64).qcow2"
}

upload_guest_image() {
    wait_for_glance
    run_client furnish.py "image=$(guest_image)"
}
