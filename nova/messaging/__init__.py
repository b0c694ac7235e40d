"""The message bus: typed calls over oslo.messaging, and a bus inside one process."""
