# Shows a person what is going on: one line a step, and words instead of a trace when one fails.
# shellcheck shell=bash

STARTED=$(date +%s%N)
exec 3>&1

elapsed() {
    local tenths=$((($(date +%s%N) - ${1:-$STARTED}) / 100000000))
    printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# step TITLE ADVICE COMMAND...: the command's output goes to the step's log, its failure ends the program.
step() {
    local title=$1 advice=$2 began status
    shift 2
    began=$(date +%s%N)
    STEP_LOG=$LOG/step-$1.log
    printf '%6ss  %-58s' "$(elapsed)" "$title" >&3
    set +e
    (
        set -euo pipefail
        "$@"
    ) >"$STEP_LOG" 2>&1 3>&3
    status=$?
    set -e
    if [ $status = 0 ]; then
        printf '%5ss\n' "$(elapsed "$began")" >&3
        return
    fi
    printf 'FAILED\n\n' >&3
    explain_failure "$title" "$advice" >&3
    exit 1
}

explain_failure() {
    echo "\"$1\" did not work. The end of its log ($STEP_LOG):"
    echo
    tail -n 20 "$STEP_LOG" | sed 's/^/    /'
    echo
    echo "What to do: $2"
    echo "Then run the same command again: it goes on where it stopped."
}

# wait_until SECONDS WHAT COMMAND...: asks again and again; says what it waited for in vain.
wait_until() {
    local seconds=$1 what=$2 deadline
    shift 2
    deadline=$(($(date +%s) + seconds))
    until "$@"; do
        if [ "$(date +%s)" -ge $deadline ]; then
            echo "waited $seconds s in vain for $what" >&2
            return 1
        fi
        sleep 0.1
    done
}

# Whether something listens there.
answers() {
    (exec 9<>"/dev/tcp/$1/$2") 2>/dev/null
}

# Whether an HTTP server there answers anything at all within a second.
answers_http() {
    timeout 1 bash -c 'exec 9<>"/dev/tcp/$0/$1" && printf "GET / HTTP/1.0\r\n\r\n" >&9 && read -r -n 5 <&9' "$1" "$2" 2>/dev/null
}
