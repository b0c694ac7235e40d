# Starts and ends the cloud's processes. The rule: only what was recorded here is ever signalled, and
# a record counts only while the process with that number is the one that was started.
# shellcheck shell=bash

# start_process NAME COMMAND...: in a session of its own, output to log/NAME.log; no harm when it runs.
start_process() {
    local name=$1
    shift
    is_running "$name" && return
    mkdir -p "$RUN" "$LOG"
    setsid "$@" >>"$LOG/$name.log" 2>&1 </dev/null 3>&- &
    record_process "$name" $!
}

record_process() {
    echo "$2 $(start_time "$2")" >"$RUN/$1.pid"
}

# When a process began, in clock ticks since boot: with its number, this names it for good.
start_time() {
    sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

process_id() {
    local pid started
    [ -e "$RUN/$1.pid" ] || return 1
    read -r pid started <"$RUN/$1.pid"
    [ -n "$started" ] && [ "$(start_time "$pid")" = "$started" ] || return 1
    # A process that ended and was not yet collected still has its number.
    [ "$(sed 's/^.*) //' "/proc/$pid/stat" 2>/dev/null | cut -c1)" != Z ] || return 1
    echo "$pid"
}

is_running() {
    process_id "$1" >/dev/null
}

is_gone() {
    ! is_running "$1"
}

# Ends a process and those it started in its session: first by asking.
stop_process() {
    local pid
    if pid=$(process_id "$1"); then
        kill -TERM -- "-$pid" 2>/dev/null || kill -TERM "$pid" 2>/dev/null || true
        wait_until "${2:-15}" "$1 to end" is_gone "$1" 2>/dev/null || kill_process "$1"
    fi
    rm -f "$RUN/$1.pid"
}

# The power cut: nothing is asked, nothing is finished.
kill_process() {
    local pid
    pid=$(process_id "$1") || return 0
    kill -KILL -- "-$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null || true
    wait_until 10 "$1 to die" is_gone "$1"
}

# wait_for_port NAME ADDRESS PORT [SECONDS]: until the process listens; its log when it ended instead.
wait_for_port() {
    wait_while_running "$1" "${4:-60}" "listen on $2:$3" answers "$2" "$3"
}

# wait_for_http NAME ADDRESS PORT [SECONDS]: a server may listen long before it has anybody who answers.
wait_for_http() {
    wait_while_running "$1" "${4:-60}" "answer on $2:$3" answers_http "$2" "$3"
}

wait_while_running() {
    local name=$1 deadline=$(($(date +%s) + $2)) what=$3
    shift 3
    until "$@"; do
        if is_gone "$name"; then
            echo "$name ended by itself; the end of $LOG/$name.log:"
        elif [ "$(date +%s)" -ge $deadline ]; then
            echo "$name does not $what; the end of $LOG/$name.log:"
        else
            sleep 0.1
            continue
        fi
        tail -n 15 "$LOG/$name.log"
        return 1
    done
}
