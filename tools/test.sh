#!/bin/bash
# Every check and every test: installs what it needs, runs, and sums up.
#
#   tools/test.sh                       all of it, in this order: lint unit contract security functional e2e
#   tools/test.sh unit functional       these alone
#   PYTEST_ADDOPTS=-x tools/test.sh unit    with further options for pytest
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for part in settings progress environment; do
    # shellcheck source=/dev/null
    . "$HERE/cloud/$part.sh"
done
ALL_STAGES=(lint unit contract security functional e2e)
FAILURES_SHOWN=5
SLOWEST_SHOWN=15
FAILURE_WIDTH=400
RESULTS=$(mktemp -d)
FAILED=()
trap 'rm -rf "$RESULTS"' EXIT

main() {
    local stages=("$@") stage
    [ $# -gt 0 ] || stages=("${ALL_STAGES[@]}")
    for stage in "${stages[@]}"; do check_name "$stage"; done
    cd "$ROOT"
    LOG=$RESULTS
    step "Debian packages" "See that apt-get works: apt-get update." install_test_packages "${stages[@]}"
    step "Python environment $(basename "$VENV")" \
        "See that pip reaches a package index; to begin anew, delete $VENV." install_environment
    export PATH="$VENV/bin:$PATH" PYTHONWARNINGS=ignore
    for stage in "${stages[@]}"; do run_stage "$stage"; done
    sum_up
}

check_name() {
    local stage
    for stage in "${ALL_STAGES[@]}"; do [ "$1" != "$stage" ] || return 0; done
    echo "tools/test.sh knows no stage $1; it knows: ${ALL_STAGES[*]}" >&2
    exit 2
}

# Only the e2e stage needs a browser.
install_test_packages() {
    install_packages "${CLOUD_PACKAGES[@]}" "${DISTRIBUTED_PACKAGES[@]}" "${NEUTRON_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
    case " $* " in *" e2e "*) install_packages "${BROWSER_PACKAGES[@]}" ;; esac
}

run_stage() {
    local began
    began=$(date +%s%N)
    echo
    echo "==> $1"
    if [ "$1" = lint ]; then run_lint; else run_tests "$1"; fi
    printf '%-12s %7ss  %s\n' "$1" "$(elapsed "$began")" "$(cat "$RESULTS/$1.line")" >>"$RESULTS/table"
}

run_lint() {
    local wrong=()
    ruff check . || wrong+=("ruff check")
    ruff format --check . || wrong+=("ruff format")
    tools/shellcheck.sh || wrong+=("shellcheck")
    lint-imports || wrong+=("lint-imports")
    mypy || wrong+=("mypy")
    reno lint || wrong+=("reno")
    python -m sphinx -q -W doc doc/_build/html || wrong+=("documentation")
    if [ ${#wrong[@]} = 0 ]; then
        echo "clean" >"$RESULTS/lint.line"
    else
        echo "FAILED: ${wrong[*]}" >"$RESULTS/lint.line"
        FAILED+=(lint)
    fi
}

run_tests() {
    local status=0 options=()
    export COVERAGE_FILE=$RESULTS/coverage.$1
    # Each file brings what it needs; of e2e's clouds two stand side by side, each with its tests in their order: they often wait for guests.
    # Functional tests often wait for daemons: one more than there are processors keeps these busy.
    case $1 in
        e2e) options=(-n 2 --no-loadscope-reorder) ;;
        functional) options=(-n "$(($(nproc) + 1))" --dist loadfile --no-loadscope-reorder) ;;
        *) options=(-n "$(nproc)" --dist loadfile) ;;
    esac
    case $1 in unit | contract) options+=(--cov --cov-report=) ;; esac
    # Their databases are many and small: a slow disk would decide how long they take.
    case $1 in unit | contract | security) export TMPDIR=/dev/shm ;; *) unset TMPDIR ;; esac
    python -m pytest "tests/$1" "${options[@]}" --durations="$SLOWEST_SHOWN" --color=no 2>&1 | tee "$RESULTS/$1.log" || status=$?
    # 5: a stage that has no tests yet.
    [ $status = 0 ] || [ $status = 5 ] || FAILED+=("$1")
    tail -n 1 "$RESULTS/$1.log" | sed 's/^=* *//; s/ *=*$//' >"$RESULTS/$1.line"
}

# In the test process alone: daemons that run as processes of their own are not counted.
show_coverage() {
    local measured=()
    mapfile -t measured < <(find "$RESULTS" -name 'coverage.*')
    [ ${#measured[@]} -gt 0 ] || return 0
    python tools/coverage_by_package.py "${measured[@]}"
    echo
}

# What failed and why, shortly: whoever reads the end alone must know where to begin.
show_failures() {
    local stage
    for stage in "${FAILED[@]}"; do
        [ "$stage" != lint ] || continue
        echo "==> failed in $stage"
        grep -E '^(FAILED|ERROR) ' "$RESULTS/$stage.log" | cut -c1-"$FAILURE_WIDTH" | head -n "$FAILURES_SHOWN" || true
        echo
    done
}

# The last line counts all stages' tests as pytest would.
sum_up() {
    echo
    echo "==> summary"
    cat "$RESULTS/table"
    echo
    show_coverage
    show_failures
    awk -v failed="${FAILED[*]}" -v seconds="$(elapsed)" '
        { for (i = 2; i <= NF; i++) if ($i ~ /^(passed|failed|errors?|skipped|xfailed|xpassed|deselected)[,]?$/) {
            word = $i; sub(",", "", word); sub("^error$", "errors", word); count[word] += $(i - 1) } }
        END {
            line = count["passed"] + 0 " passed, " count["failed"] + 0 " failed"
            for (word in count) if (word != "passed" && word != "failed") line = line ", " count[word] " " word
            printf "==== %s in %ss%s ====\n", line, seconds, failed ? " (stages failed: " failed ")" : ""
        }' "$RESULTS"/*.line
    [ ${#FAILED[@]} = 0 ]
}

main "$@"
