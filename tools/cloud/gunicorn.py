"""How Keystone, Glance and Cinder's API are served: one process each, with threads."""

import os
import sys

workers = 1
threads = 16
# An image is uploaded in one request.
timeout = 600
keepalive = 60
control_socket_disable = True

# The services read the command line of the process they wake up in, and would not understand gunicorn's.
sys.argv[1:] = os.environ.get("SERVICE_ARGUMENTS", "").split()
