#!/bin/bash
# Runs a command inside a host of the development cloud: enter_host.sh HOST COMMAND...
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=settings.sh
. "$here/settings.sh"
# shellcheck source=processes.sh
. "$here/processes.sh"
host=$1
shift
pid=$(process_id "$host") || { echo "no host $host is running; try: tools/cloud.sh status" >&2; exit 1; }
exec nsenter --target "$pid" --mount --uts --net -- "$@"
