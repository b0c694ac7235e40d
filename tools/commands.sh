#!/bin/bash
# Lists every tool of this repository, with the first line of what it says about itself.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

for tool in tools/*.sh tools/*.py tools/guest/build.sh; do
    case $tool in
        *.sh) purpose=$(sed -n '2s/^# //p' "$tool") ;;
        *.py) purpose=$(sed -n '1{s/"""//g; p}' "$tool") ;;
    esac
    printf '%-32s %s\n' "$tool" "$purpose"
done
