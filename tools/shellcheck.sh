#!/bin/bash
# Checks every shell script of the repository with shellcheck.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
# SC2034: the scripts of tools/cloud set variables for each other, which shellcheck does not see.
exec shellcheck -x -S warning -e SC2034 -P cloud ./*.sh cloud/*.sh guest/build.sh guest/rootfs/init ../.ci/run
