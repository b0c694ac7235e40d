# RabbitMQ and MariaDB of a distributed cloud, each with its own files and ports.
# shellcheck shell=bash

database_url() {
    if [ "$MODE" = embedded ]; then
        # Cinder and the others answer 500 when SQLite gives up waiting, which it does after five seconds.
        echo "sqlite:///$DATA/$1.sqlite?timeout=60"
    else
        echo "mysql+pymysql://cloud:$SECRET@$ADDRESS:$MARIADB_PORT/$1?charset=utf8mb4"
    fi
}

start_mariadb() {
    local directory=$DATA/mariadb
    # A server that starts removes the temporary tables of every other one with the same tmpdir.
    local places=(--user=root --datadir="$directory" --tmpdir="$directory.tmp")
    mkdir -p "$directory.tmp"
    [ -d "$directory/mysql" ] || mariadb-install-db --no-defaults "${places[@]}" \
        --auth-root-authentication-method=normal --skip-test-db
    start_process mariadb /usr/sbin/mariadbd --no-defaults "${places[@]}" \
        --bind-address="$ADDRESS" --port="$MARIADB_PORT" --socket="$directory/socket" --pid-file="$directory/pid" \
        --max-connections=1000 --innodb-buffer-pool-size=256M --character-set-server=utf8mb4 --skip-name-resolve
    wait_for_port mariadb "$ADDRESS" "$MARIADB_PORT"
    mariadb --no-defaults --socket="$directory/socket" --user=root <<SQL
CREATE USER IF NOT EXISTS cloud@'%' IDENTIFIED BY '$SECRET';
$(for name in keystone glance cinder neutron heat nova nova_api nova_cell0 placement; do
        echo "CREATE DATABASE IF NOT EXISTS $name CHARACTER SET utf8mb4;"
        echo "GRANT ALL ON $name.* TO cloud@'%';"
    done)
SQL
}

rabbit_environment() {
    export HOME=$DATA/rabbitmq
    export ERL_EPMD_PORT=$((RABBIT_PORT + 2)) ERL_EPMD_ADDRESS=127.0.0.1
    export RABBITMQ_NODENAME=cloud$SUFFIX@localhost
    export RABBITMQ_DIST_PORT=$((RABBIT_PORT + 1))
    export RABBITMQ_CONF_ENV_FILE=$ETC/rabbitmq/env.conf
    export RABBITMQ_CONFIG_FILE=$ETC/rabbitmq/rabbitmq
    export RABBITMQ_ENABLED_PLUGINS_FILE=$ETC/rabbitmq/plugins
    export RABBITMQ_MNESIA_BASE=$DATA/rabbitmq/mnesia
    export RABBITMQ_LOG_BASE=$LOG
    export RABBITMQ_LOGS=-
    export RABBITMQ_PID_FILE=$DATA/rabbitmq/pid
    # Its schedulers must not spin on cores that guests need.
    export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+sbwt none +sbwtdcpu none +sbwtdio none"
}

start_rabbitmq() {
    mkdir -p "$ETC/rabbitmq" "$DATA/rabbitmq"
    cat >"$ETC/rabbitmq/rabbitmq.conf" <<CONF
listeners.tcp.1 = $ADDRESS:$RABBIT_PORT
loopback_users = none
default_user = nova
default_pass = $SECRET
CONF
    : >"$ETC/rabbitmq/env.conf"
    echo '[].' >"$ETC/rabbitmq/plugins"
    (
        rabbit_environment
        # Erlang's name server would start by itself, outside of what is recorded.
        start_process epmd epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1
        wait_for_port epmd 127.0.0.1 "$ERL_EPMD_PORT"
        start_process rabbitmq /usr/lib/rabbitmq/bin/rabbitmq-server
    )
}

wait_for_rabbitmq() {
    wait_for_port rabbitmq "$ADDRESS" "$RABBIT_PORT" 120
}

transport_url() {
    if [ "$MODE" = embedded ]; then
        echo local://
    else
        echo "rabbit://nova:$SECRET@$ADDRESS:$RABBIT_PORT/"
    fi
}
